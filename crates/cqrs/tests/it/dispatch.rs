//! A command and a query, by name and by type: receipts, and what each mistake is answered.

use std::marker::PhantomData;

use eventwire_cqrs::{
    Boundary, CommandError, CommandOptions, CommandRequest, Decider, Dispatcher, DomainEvent,
    QueryError, RegistrationError,
};
use eventwire_store::{Expect, MemoryStore, NameError, Version};
use futures_executor::block_on;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::room::{Room, RoomCommand, RoomEvent, RoomRefusal, lobby, open, post, post_once};
use crate::stores::events;

fn dispatcher(store: &MemoryStore) -> Dispatcher {
    Dispatcher::builder(store.clone())
        .commands::<Room>()
        .build()
}

fn opened() -> (MemoryStore, Dispatcher) {
    let store = MemoryStore::new();
    let dispatcher = dispatcher(&store);
    block_on(dispatcher.execute::<Room>(open())).unwrap();
    (store, dispatcher)
}

fn exact(version: u64) -> Expect {
    Expect::Exact(Version::new(version).unwrap())
}

#[test]
fn a_command_by_name_is_written_and_answered_with_its_place() {
    let (store, dispatcher) = opened();
    let request = CommandRequest::new("post-message", r#"{"room":"lobby","text":"hi"}"#)
        .metadata(r#"{"by":"ada"}"#);
    let receipt = block_on(dispatcher.dispatch(request)).unwrap();
    let appended = receipt.appended.unwrap();
    assert_eq!(receipt.attempts, 1);
    assert_eq!(appended.version_of(&lobby()), Version::new(2));

    let written = block_on(events(&store)).pop().unwrap();
    assert_eq!(written.position, appended.last());
    assert_eq!(written.stream_name(), Some(&lobby()));
    assert_eq!(written.event_type.as_str(), "message-posted");
    assert_eq!(written.data, r#"{"text":"hi"}"#);
    assert_eq!(written.metadata, r#"{"by":"ada"}"#);
}

#[test]
fn a_decision_that_nothing_needs_to_happen_writes_nothing() {
    let (store, dispatcher) = opened();
    block_on(dispatcher.execute::<Room>(post_once("hi"))).unwrap();
    let receipt = block_on(dispatcher.execute::<Room>(post_once("hi"))).unwrap();
    assert_eq!(receipt.appended, None);
    assert_eq!(receipt.attempts, 1);
    assert_eq!(block_on(events(&store)).len(), 2);
}

#[test]
fn a_refusal_is_the_domains_own() {
    let dispatcher = dispatcher(&MemoryStore::new());
    let error = block_on(dispatcher.execute::<Room>(post("hi"))).unwrap_err();
    assert_eq!(error.refusal(), Some(&RoomRefusal::NotOpen));
    assert_eq!(error.to_string(), "refused: the room is not open");
}

#[test]
fn a_request_that_is_wrong_is_told_what_and_where() {
    let (store, dispatcher) = opened();
    let long = format!(r#"{{"room":"{}","text":"hi"}}"#, "x".repeat(300));
    for (name, body, message) in [
        ("close-room", "{}", r#"no command is named "close-room""#),
        (
            "post-message",
            "",
            "malformed command: EOF while parsing a value at line 1 column 0",
        ),
        (
            "post-message",
            r#"{"room":"lobby","text":1}"#,
            "malformed command: invalid type: integer `1`, expected a string at line 1 column 24",
        ),
        (
            "post-message",
            r#"{"room":"lobby"}"#,
            "malformed command: missing field `text` at line 1 column 16",
        ),
        (
            "post-message",
            r#"{"room":"lobby","text":"hi"} x"#,
            "malformed command: trailing characters at line 1 column 30",
        ),
        (
            "post-message",
            "{\"room\":\"lobby\",\"text\":\"\u{0}\"}",
            "malformed command: control character (\\u0000-\\u001F) found while parsing a string \
             at line 1 column 25",
        ),
        (
            "post-message",
            r#"{"room":"a\nb","text":"hi"}"#,
            "invalid command: stream name contains the control character U+000A at byte 6; \
             remove it",
        ),
        (
            "post-message",
            &long,
            "invalid command: stream name is 305 bytes long; the limit is 255",
        ),
    ] {
        let request = CommandRequest::new(name, body.to_owned());
        let error = block_on(dispatcher.dispatch(request)).unwrap_err();
        assert_eq!(error.to_string(), message, "{name} {body}");
    }
    assert_eq!(block_on(events(&store)).len(), 1);
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    let (_, dispatcher) = opened();
    let request = CommandRequest::new("post-message", "[".repeat(1_000_000));
    let error = block_on(dispatcher.dispatch(request)).unwrap_err();
    assert!(matches!(error, CommandError::Malformed { .. }), "{error}");
}

#[test]
fn an_expectation_that_does_not_hold_is_told_what_is_there() {
    for (expect, message) in [
        (Expect::Any, None),
        (Expect::Exists, None),
        (exact(1), None),
        (
            exact(7),
            Some("precondition failed: the stream is at version 1, expected version 7"),
        ),
        (
            Expect::NoStream,
            Some(
                "precondition failed: the stream is at version 1, \
                 expected that it does not exist",
            ),
        ),
    ] {
        let (store, dispatcher) = opened();
        let options = CommandOptions::default().expect(expect);
        let outcome = block_on(dispatcher.execute_with::<Room>(post("hi"), options));
        let error = outcome.err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), message, "{expect:?}");
        assert_eq!(
            block_on(events(&store)).len(),
            if message.is_some() { 1 } else { 2 }
        );
    }
}

#[test]
fn an_expectation_holds_for_a_decision_that_writes_nothing_too() {
    let (_, dispatcher) = opened();
    block_on(dispatcher.execute::<Room>(post_once("hi"))).unwrap();
    let options = CommandOptions::default().expect(exact(1));
    let outcome = block_on(dispatcher.execute_with::<Room>(post_once("hi"), options));
    assert!(matches!(outcome, Err(CommandError::Precondition(unmet))
        if unmet.expected == exact(1) && unmet.actual == Version::new(2)));
}

#[test]
fn a_store_that_is_closed_is_the_operators_matter() {
    let (store, dispatcher) = opened();
    store.close();
    let error = block_on(dispatcher.execute::<Room>(post("hi"))).unwrap_err();
    assert!(matches!(error, CommandError::Store(_)), "{error:?}");
    assert_eq!(error.to_string(), "store is closed");
}

#[derive(Deserialize)]
struct Sum {
    left: u8,
    right: u8,
}

#[derive(Serialize)]
struct Total {
    total: u8,
}

fn queries() -> Dispatcher {
    Dispatcher::builder(MemoryStore::new())
        .query("sum", |sum: Sum| async move {
            match sum.left.checked_add(sum.right) {
                Some(total) => Ok(Total { total }),
                None => Err(QueryError::refused("the total is past 255")),
            }
        })
        .query("nothing", |(): ()| async { Ok::<_, QueryError>(()) })
        .build()
}

#[test]
fn a_query_answers_json_for_json() {
    for (name, body, answer) in [
        ("sum", r#"{"left":1,"right":2}"#, r#"{"total":3}"#),
        ("nothing", "null", "null"),
        ("nothing", "", "null"),
    ] {
        assert_eq!(block_on(queries().query(name, body)).unwrap(), answer);
    }
    for (name, body, message) in [
        ("product", "{}", r#"no query is named "product""#),
        (
            "sum",
            r#"{"left":1}"#,
            "malformed query: missing field `right` at line 1 column 10",
        ),
        (
            "sum",
            r#"{"left":200,"right":100}"#,
            "refused: the total is past 255",
        ),
    ] {
        let error = block_on(queries().query(name, body)).unwrap_err();
        assert_eq!(error.to_string(), message, "{name} {body}");
    }
}

/// Serde enums that are not in the default form.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Open {},
}

impl DomainEvent for Tagged {}

/// Commands of `C` make events of `E`, or would.
#[derive(Debug)]
struct Never<C, E>(PhantomData<fn() -> (C, E)>);

impl<C, E> Default for Never<C, E> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<C, E> Decider for Never<C, E>
where
    C: DeserializeOwned + Send + Sync + 'static,
    E: DomainEvent,
{
    type Command = C;
    type Event = E;
    type Refusal = RoomRefusal;

    fn boundary(_: &C) -> Result<Boundary, NameError> {
        Ok(Boundary::stream(lobby()))
    }
    fn evolve(&mut self, _: &E) {}
    fn decide(&self, _: &C) -> Result<Vec<E>, RoomRefusal> {
        Ok(vec![])
    }
}

#[test]
fn a_name_nothing_can_be_registered_under_is_found_before_the_first_call() {
    const NOT_AN_ENUM: &str =
        "it::dispatch::Tagged is not an externally tagged serde enum; remove `tag` and `untagged`";
    let builder = || Dispatcher::builder(MemoryStore::new());
    let nothing = |(): ()| async { Ok::<_, QueryError>(()) };
    for (builder, message) in [
        (
            builder().command::<Room>("open-room").commands::<Room>(),
            r#"command "open-room" is registered twice; give one of them another name"#,
        ),
        (
            builder().query("all", nothing).query("all", nothing),
            r#"query "all" is registered twice; give one of them another name"#,
        ),
        (
            builder().command::<Room>("OpenRoom"),
            "\"OpenRoom\" is no variant of it::room::RoomCommand; \
             its variants are open-room, post-message, post-once",
        ),
        (
            builder().command::<Never<Tagged, RoomEvent>>("Open"),
            NOT_AN_ENUM,
        ),
        (
            builder().commands::<Never<Tagged, RoomEvent>>(),
            NOT_AN_ENUM,
        ),
        (
            builder().command::<Never<RoomCommand, Tagged>>("open-room"),
            NOT_AN_ENUM,
        ),
        (
            builder().command::<Room>("Open").command::<Room>("Close"),
            "\"Open\" is no variant of it::room::RoomCommand; \
             its variants are open-room, post-message, post-once",
        ),
    ] {
        let mistake: RegistrationError = builder.try_build().unwrap_err();
        assert_eq!(mistake.to_string(), message);
    }
}

#[test]
fn a_name_may_be_a_command_and_a_query() {
    let dispatcher = Dispatcher::builder(MemoryStore::new())
        .command::<Room>("open-room")
        .query("open-room", |(): ()| async { Ok::<_, QueryError>(()) })
        .build();
    assert!(dispatcher.command_names().eq(["open-room"]));
    assert!(dispatcher.query_names().eq(["open-room"]));
}

#[test]
#[should_panic(expected = r#"command "open-room" is registered twice"#)]
fn building_with_a_mistake_panics_with_it() {
    let builder = Dispatcher::builder(MemoryStore::new());
    let _dispatcher = builder.commands::<Room>().commands::<Room>().build();
}
