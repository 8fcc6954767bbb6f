//! Events are written only where all guards hold in that same instant: what a stream must
//! be, whether or not it is written to.

use eventwire_store::{
    Actual, Append, AppendError, Conflict, Expect, Guard, ReadOptions, RecordedEvent, Version,
};

use crate::sample::{in_stream, labelled, labels, one, several, stream};
use crate::subject::Subject;
use crate::threads::together;

/// `Expect::Any` is met by every stream.
pub fn expecting_anything_is_met_by_every_stream(subject: &Subject) {
    subject.put(one("room-1", "a").expect(Expect::Any));
    subject.put(one("room-1", "b").expect(Expect::Any));
    assert_eq!(subject.log().len(), 2);
}

/// `Expect::NoStream` is met where nothing was ever appended.
pub fn expecting_no_stream_is_met_until_the_first_event(subject: &Subject) {
    subject.put(one("room-1", "a").expect(Expect::NoStream));
    let conflict = subject.conflict(one("room-1", "b").expect(Expect::NoStream));
    assert_eq!(conflict.actual, Actual::Version(Some(Version::FIRST)));
}

/// `Expect::Exists` is met where something was.
pub fn expecting_a_stream_is_met_from_the_first_event_on(subject: &Subject) {
    let conflict = subject.conflict(one("room-1", "a").expect(Expect::Exists));
    assert_eq!(conflict.actual, Actual::Version(None));
    subject.put(one("room-1", "a"));
    subject.put(one("room-1", "b").expect(Expect::Exists));
}

/// `Expect::Exact` is met by that version alone, not by one below or above.
pub fn expecting_a_version_is_met_by_that_version_alone(subject: &Subject) {
    subject.put(several("room-1", 3));
    for version in [1, 2, 4, u64::MAX] {
        let conflict = subject.conflict(one("room-1", "late").expect(exactly(version)));
        assert_eq!(
            conflict.actual,
            Actual::Version(Version::new(3)),
            "expected {version}"
        );
    }
    subject.put(one("room-1", "in time").expect(exactly(3)));
}

/// `Expect::Exact` is not met by a stream that does not exist.
pub fn expecting_a_version_is_not_met_by_a_missing_stream(subject: &Subject) {
    subject.put(one("room-10", "another stream"));
    let conflict = subject.conflict(one("room-1", "a").expect(exactly(1)));
    assert_eq!(conflict.actual, Actual::Version(None));
}

/// A conflict says which guard does not hold, by its index among the append's guards.
pub fn a_conflict_says_which_guard_does_not_hold(subject: &Subject) {
    subject.put(several("room-1", 2));
    for broken in 0..4 {
        let guards = (0..4).map(|index| {
            let expect = if index == broken {
                exactly(1)
            } else {
                exactly(2)
            };
            on("room-1", expect)
        });
        let append = guards.fold(one("room-2", "refused"), Append::guard);
        assert_eq!(subject.conflict(append).guard, broken);
    }
}

/// All guards hold, or nothing is written: one that does not is enough.
pub fn every_guard_must_hold(subject: &Subject) {
    subject.put(several("room-1", 2));
    subject.put(several("room-2", 1));
    let guarded = |room_1, room_2, room_3| {
        one("room-4", "guarded")
            .guard(on("room-1", room_1))
            .guard(on("room-2", room_2))
            .guard(on("room-3", room_3))
    };
    for (guards, broken, actual) in [
        (
            guarded(exactly(1), exactly(1), Expect::NoStream),
            0,
            Some(2),
        ),
        (
            guarded(exactly(2), Expect::NoStream, Expect::NoStream),
            1,
            Some(1),
        ),
        (guarded(exactly(2), exactly(1), Expect::Exists), 2, None),
    ] {
        let conflict = subject.conflict(guards);
        assert_eq!(conflict.guard, broken);
        assert_eq!(
            conflict.actual,
            Actual::Version(actual.and_then(Version::new))
        );
    }
    subject.put(guarded(exactly(2), exactly(1), Expect::NoStream));
}

/// Two guards on one stream are two conditions.
pub fn two_guards_on_one_stream_are_both_conditions(subject: &Subject) {
    subject.put(several("room-1", 2));
    let append = |second| {
        one("room-1", "guarded twice")
            .expect(Expect::Exists)
            .guard(on("room-1", second))
    };
    assert_eq!(subject.conflict(append(Expect::NoStream)).guard, 1);
    assert_eq!(subject.conflict(append(exactly(1))).guard, 1);
    subject.put(append(exactly(2)));
}

/// A guard can name a stream that is only read.
pub fn a_stream_that_is_only_read_can_be_guarded(subject: &Subject) {
    subject.put(several("account-1", 2));
    let transfer = |version| one("transfer-1", "agreed").guard(on("account-1", exactly(version)));
    let conflict = subject.conflict(transfer(1));
    assert_eq!(conflict.actual, Actual::Version(Version::new(2)));
    let appended = subject.put(transfer(2));
    assert_eq!(appended.streams, [(stream("transfer-1"), Version::FIRST)]);
    assert_eq!(
        appended.version_of(&stream("account-1")),
        None,
        "it was not written to"
    );
    subject.put(one("account-1", "still at 2").expect(exactly(2)));
}

/// Guards look at the log as it was before the append, not at the append's own events.
pub fn an_appends_own_events_do_not_count(subject: &Subject) {
    subject.put(several("room-1", 5).expect(Expect::NoStream));
    subject.put(several("room-1", 5).expect(exactly(5)));
    let conflict = subject.conflict(several("room-2", 5).expect(Expect::Exists));
    assert_eq!(conflict.actual, Actual::Version(None));
}

/// An append without guards is refused by no state of the log.
pub fn an_append_without_guards_always_goes_in(subject: &Subject) {
    subject.put(one("room-1", "a").expect(Expect::NoStream));
    subject.put(one("room-1", "b"));
    subject.put(Append::new().event(labelled("c")));
    assert_eq!(labels(&subject.log()), ["a", "b", "c"]);
}

/// After a conflict the same append goes in where the log has become what it expects.
pub fn a_conflict_is_about_now_and_not_for_ever(subject: &Subject) {
    let append = || one("room-1", "third").expect(exactly(2));
    subject.conflict(append());
    subject.put(several("room-1", 2));
    subject.put(append());
    subject.conflict(append());
}

/// Of writers who expect the same version at once, one is answered `Ok`.
pub fn of_writers_who_expect_the_same_version_one_wins(subject: &Subject) {
    subject.put(one("room-1", "opened"));
    for version in 1..=15 {
        let answers = together(6, |writer| {
            subject.append(one("room-1", format!("{writer}")).expect(exactly(version)))
        });
        let won = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(won, 1, "at version {version}: {answers:?}");
        for lost in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert!(
                matches!(lost, AppendError::Conflict(conflict) if conflict.guard == 0),
                "at version {version}: {lost}"
            );
        }
    }
    subject.wait_for(subject.put(one("room-2", "end")).last());
    let events = subject.events(in_stream("room-1"), ReadOptions::all());
    assert_eq!(events.len(), 16);
}

/// Two writers who each guard the stream the other writes to cannot both be answered `Ok`.
pub fn guards_on_streams_only_read_prevent_write_skew(subject: &Subject) {
    for round in 0..20 {
        let names = [format!("left-{round}"), format!("right-{round}")];
        let answers = together(2, |writer| {
            let append =
                one(&names[writer], "mine").guard(on(&names[1 - writer], Expect::NoStream));
            subject.append(append)
        });
        let won = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(won, 1, "round {round}: {answers:?}");
    }
}

/// A conflict is answered only once readers can be shown what it was with.
pub fn what_a_conflict_was_with_can_be_read(subject: &Subject) {
    for round in 0..30 {
        let name = format!("room-{round}");
        together(4, |writer| {
            let append = one(&name, writer.to_string()).expect(Expect::NoStream);
            match subject.append(append) {
                Ok(_) => {}
                Err(AppendError::Conflict(conflict)) => {
                    let shown = subject.events(in_stream(&name), ReadOptions::all());
                    let shown = shown.last().and_then(RecordedEvent::version);
                    assert_eq!(conflict.actual, Actual::Version(shown), "round {round}");
                }
                Err(other) => panic!("expected a conflict: {other}"),
            }
        });
    }
}

/// Retrying each conflict at the version it names loses no update.
pub fn deciding_again_at_the_actual_version_gets_through(subject: &Subject) {
    together(4, |writer| {
        for n in 0..10 {
            let mut expect = Expect::NoStream;
            // Each conflict is an append of another that went through: there are only so many.
            let goes_in = (0..=40).any(|_| {
                let append = one("counter-1", format!("{writer}/{n}")).expect(expect);
                match subject.append(append) {
                    Ok(_) => return true,
                    Err(AppendError::Conflict(Conflict {
                        actual: Actual::Version(actual),
                        ..
                    })) => expect = actual.map_or(Expect::NoStream, Expect::Exact),
                    Err(other) => panic!("expected a conflict with a version: {other}"),
                }
                false
            });
            assert!(
                goes_in,
                "{writer}/{n} is refused although nobody else gets through"
            );
        }
    });
    subject.put(one("counter-1", "end").expect(exactly(40)));
}

fn exactly(version: u64) -> Expect {
    Expect::Exact(Version::new(version).expect("a version is at least 1"))
}

fn on(name: &str, expect: Expect) -> Guard {
    Guard::Stream {
        stream: stream(name),
        expect,
    }
}
