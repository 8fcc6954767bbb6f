//! Given, when, then: what passes, and what a failing example says.

use std::panic::{AssertUnwindSafe, catch_unwind};

use eventwire_cqrs::testing::given;
use eventwire_cqrs::{Boundary, Decider, DomainEvent};
use eventwire_store::NameError;
use serde::{Deserialize, Serialize};

use crate::room::{Room, RoomEvent, RoomRefusal, lobby, open, post, post_once, posted};

fn message(failing: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(failing)).unwrap_err();
    *panic.downcast::<String>().unwrap()
}

#[test]
fn examples_that_hold_pass() {
    given::<Room>([]).when(open()).then([RoomEvent::RoomOpened]);
    given::<Room>([RoomEvent::RoomOpened])
        .when(post("hi"))
        .then([posted("hi")]);
    given::<Room>([RoomEvent::RoomOpened, posted("hi")])
        .when(post_once("hi"))
        .then_nothing();
    given::<Room>([])
        .when(post("hi"))
        .then_refused(RoomRefusal::NotOpen);
    given::<Room>([])
        .when(post("hi"))
        .then_refused_with(|refusal| refusal.to_string().contains("not open"));
}

#[test]
fn other_events_are_compared_place_by_place() {
    let failing = || {
        given::<Room>([RoomEvent::RoomOpened])
            .when(post("hi"))
            .then([posted("ho"), posted("hi")]);
    };
    assert_eq!(
        message(failing),
        "\
it::room::Room decides otherwise
given
  RoomOpened
when
  PostMessage { room: \"lobby\", text: \"hi\" }
then (- expected, + happened)
- MessagePosted { text: \"ho\" }
+ MessagePosted { text: \"hi\" }
- MessagePosted { text: \"hi\" }
"
    );
}

#[test]
fn places_that_agree_are_shown_between_those_that_do_not() {
    let failing = || {
        given::<Room>([])
            .when(open())
            .then([RoomEvent::RoomOpened, posted("welcome")]);
    };
    assert!(message(failing).ends_with(
        "\
then (- expected, + happened)
  RoomOpened
- MessagePosted { text: \"welcome\" }
"
    ));
}

#[test]
fn a_refusal_instead_of_events_is_told() {
    let failing = || given::<Room>([]).when(post("hi")).then([posted("hi")]);
    assert_eq!(
        message(failing),
        "\
it::room::Room decides otherwise
given
  nothing
when
  PostMessage { room: \"lobby\", text: \"hi\" }
expected
  MessagePosted { text: \"hi\" }
but
  refused: NotOpen
"
    );
}

#[test]
fn events_or_nothing_instead_of_a_refusal_are_told() {
    let refused = || {
        given::<Room>([RoomEvent::RoomOpened])
            .when(post("hi"))
            .then_refused(RoomRefusal::NotOpen);
    };
    assert!(message(refused).ends_with(
        "\
expected
  refused: NotOpen
but
  MessagePosted { text: \"hi\" }
"
    ));
    let passing_no_check = || {
        given::<Room>([])
            .when(post("hi"))
            .then_refused_with(|refusal| *refusal == RoomRefusal::AlreadyOpen);
    };
    assert!(message(passing_no_check).ends_with(
        "\
expected
  refused, for a reason that passes the check
but
  refused: NotOpen
"
    ));
}

/// Writes events that do not read back as they were.
#[derive(Debug, Default)]
struct Forgetful;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Fading {
    Said {
        #[serde(skip)]
        text: String,
    },
}

impl DomainEvent for Fading {}

impl Decider for Forgetful {
    type Command = Fading;
    type Event = Fading;
    type Refusal = RoomRefusal;

    fn boundary(_: &Fading) -> Result<Boundary, NameError> {
        Ok(Boundary::stream(lobby()))
    }

    fn evolve(&mut self, _: &Fading) {}

    fn decide(&self, Fading::Said { text }: &Fading) -> Result<Vec<Fading>, RoomRefusal> {
        Ok(vec![said(text)])
    }
}

fn said(text: &str) -> Fading {
    Fading::Said {
        text: text.to_owned(),
    }
}

#[test]
fn an_event_that_does_not_survive_being_written_fails_its_example() {
    let lost = "Said { text: \"hi\" } is written, but read back as Said { text: \"\" }";
    let as_history = || {
        let _given = given::<Forgetful>([said("hi")]);
    };
    let as_outcome = || given::<Forgetful>([]).when(said("hi")).then([said("hi")]);
    assert_eq!(message(as_history), lost);
    assert_eq!(message(as_outcome), lost);
}
