//! The history checker names the promise that a history breaks, and finds nothing wrong with
//! one that breaks none.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::SystemTime;

use eventwire_store::{
    Actual, Append, AppendError, Appended, Conflict, EventType, Expect, Guard, IdempotencyKey,
    Item, NewEvent, Position, Query, RecordedEvent, StreamName, StreamPlace, Tag, Uuid, Version,
};
use eventwire_store_testkit::{Attempt, Broken, History, Reader};

#[test]
fn what_a_right_store_does_breaks_nothing() {
    let mut history = History::new();
    let (first, second) = (batch(&[1, 2]), batch(&[3]));
    written(&mut history, &first, &[1, 2]);
    written(&mut history, &second, &[5]);
    let all = history.reader(Query::all(), at(0));
    see(&mut history, all, &[(1, 1), (2, 2), (5, 3)]);
    history.see(all, &Item::CaughtUp(at(5)));
    // One who stopped within an append, and one who asked for something else.
    let stopped = history.reader(Query::all(), at(0));
    see(&mut history, stopped, &[(1, 1)]);
    let other = history.reader(Query::tags([Tag::new("other").unwrap()]), at(0));
    history.see(other, &Item::CaughtUp(at(5)));
    assert_eq!(history.check(), Ok(()));
}

#[test]
fn an_append_without_an_answer_may_be_there_or_not() {
    for is_there in [true, false] {
        let mut history = History::new();
        let attempt = history.attempt(&batch(&[1]));
        let cause = "the connection was cut".into();
        history.answer(
            attempt,
            &Err(AppendError::Indeterminate { key: None, cause }),
        );
        let _never_answered = history.attempt(&batch(&[2]));
        if is_there {
            read_all(&mut history, &[(1, 2), (2, 1)]);
        } else {
            read_all(&mut history, &[]);
        }
        assert_eq!(history.check(), Ok(()));
    }
}

#[test]
fn a_repeated_append_with_one_effect_breaks_nothing() {
    let mut history = History::new();
    let append = batch(&[1]).key(IdempotencyKey::new("k").unwrap());
    let lost = history.attempt(&append);
    let again = history.attempt(&append);
    let mut appended = answer(&[1]);
    appended.duplicate = true;
    history.answer(again, &Ok(appended));
    read_all(&mut history, &[(1, 1)]);
    assert_eq!(history.check(), Ok(()));
    assert_ne!(lost, again);
}

#[test]
fn an_event_that_changes_is_named() {
    let mut history = History::new();
    written(&mut history, &batch(&[1]), &[1]);
    read_all(&mut history, &[(1, 1)]);
    let reader = history.reader(Query::all(), at(0));
    let changed = RecordedEvent {
        metadata: "other".into(),
        ..recorded(1, 1)
    };
    history.see(reader, &Item::Event(changed));
    assert_eq!(history.check(), Err(Broken::Changed { position: at(1) }));
}

#[test]
fn an_event_out_of_order_is_named() {
    for (after, shown, late, passed) in [
        (0, vec![(2, 2), (1, 1)], 1, 2),
        (0, vec![(1, 1), (1, 1)], 1, 1),
        (1, vec![(1, 1)], 1, 1),
    ] {
        let mut history = History::new();
        written(&mut history, &batch(&[1]), &[1]);
        written(&mut history, &batch(&[2]), &[2]);
        let reader = history.reader(Query::all(), at(after));
        see(&mut history, reader, &shown);
        let (position, passed) = (at(late), at(passed));
        let expected = Broken::OutOfOrder {
            reader,
            position,
            passed,
        };
        assert_eq!(history.check(), Err(expected));
    }
}

#[test]
fn an_event_that_was_not_asked_for_is_named() {
    let mut history = History::new();
    written(&mut history, &batch(&[1]), &[1]);
    let query = Query::tags([Tag::new("other").unwrap()]);
    let reader = history.reader(query, at(0));
    see(&mut history, reader, &[(1, 1)]);
    let position = at(1);
    assert_eq!(history.check(), Err(Broken::Unasked { reader, position }));
}

#[test]
fn an_event_that_nobody_wrote_is_named() {
    let mut history = History::new();
    read_all(&mut history, &[(1, 9)]);
    let (position, uuid) = (at(1), uuid(9));
    assert_eq!(history.check(), Err(Broken::Invented { position, uuid }));
}

#[test]
fn an_event_with_other_contents_is_named() {
    let mut history = History::new();
    let attempt = written(&mut history, &batch(&[1]), &[1]);
    let reader = history.reader(Query::all(), at(0));
    let altered = RecordedEvent {
        data: "other".into(),
        ..recorded(1, 1)
    };
    history.see(reader, &Item::Event(altered));
    let (position, uuid) = (at(1), uuid(1));
    let expected = Broken::Altered {
        position,
        uuid,
        attempt,
    };
    assert_eq!(history.check(), Err(expected));
}

#[test]
fn an_event_that_is_there_twice_is_named() {
    let mut history = History::new();
    written(&mut history, &batch(&[1]), &[1]);
    read_all(&mut history, &[(1, 1), (4, 1)]);
    let expected = Broken::Twice {
        uuid: uuid(1),
        first: at(1),
        second: at(4),
    };
    assert_eq!(history.check(), Err(expected));
}

#[test]
fn an_answer_that_cannot_be_is_named() {
    let is_broken = |change: fn(&mut Appended)| {
        let mut history = History::new();
        let attempt = history.attempt(&batch(&[1, 2]));
        let mut appended = answer(&[1, 2]);
        change(&mut appended);
        history.answer(attempt, &Ok(appended));
        read_all(&mut history, &[(1, 1), (2, 2)]);
        matches!(history.check(), Err(Broken::Answer { attempt: named, .. }) if named == attempt)
    };
    for change in [
        |appended: &mut Appended| appended.positions.truncate(1),
        |appended: &mut Appended| appended.positions.reverse(),
        |appended: &mut Appended| appended.before = at(1),
        |appended: &mut Appended| appended.positions = vec![at(7), at(8)],
    ] {
        assert!(is_broken(change));
    }
    assert!(!is_broken(|_| {}));
}

#[test]
fn answers_to_one_request_that_differ_are_named() {
    for (duplicate, positions) in [(false, [1]), (true, [2])] {
        let mut history = History::new();
        let append = batch(&[1]).key(IdempotencyKey::new("k").unwrap());
        written(&mut history, &append, &[1]);
        let attempt = history.attempt(&append);
        let appended = Appended {
            duplicate,
            ..answer(&positions)
        };
        history.answer(attempt, &Ok(appended));
        read_all(&mut history, &[(1, 1)]);
        let broken = history.check();
        assert!(
            matches!(broken, Err(Broken::Answer { attempt: named, .. }) if named == attempt),
            "{broken:?}"
        );
    }
}

#[test]
fn versions_that_the_answer_tells_otherwise_are_named() {
    let mut history = History::new();
    let attempt = history.attempt(&in_room(1));
    let streams = vec![(room(), Version::new(2).unwrap())];
    let appended = Appended {
        streams,
        ..answer(&[1])
    };
    history.answer(attempt, &Ok(appended));
    let reader = history.reader(Query::all(), at(0));
    history.see(reader, &Item::Event(recorded_in_room(1, 1, 1)));
    assert!(matches!(history.check(), Err(Broken::Answer { .. })));
}

#[test]
fn a_refused_append_that_is_there_is_named() {
    for error in [
        AppendError::Closed,
        AppendError::Busy {
            reason: "space",
            retry_after: None,
        },
    ] {
        let mut history = History::new();
        let attempt = history.attempt(&batch(&[1]));
        history.answer(attempt, &Err(error));
        read_all(&mut history, &[(3, 1)]);
        let position = at(3);
        assert_eq!(history.check(), Err(Broken::Refused { attempt, position }));
    }
}

#[test]
fn an_acknowledged_append_that_is_not_there_is_named() {
    let mut history = History::new();
    written(&mut history, &batch(&[1]), &[1]);
    let attempt = written(&mut history, &batch(&[2]), &[2]);
    let reader = read_all(&mut history, &[(1, 1)]);
    let expected = Broken::Lost {
        attempt,
        position: at(2),
        reader,
    };
    assert_eq!(history.check(), Err(expected));
}

#[test]
fn an_event_below_what_was_shown_is_named() {
    let mut history = History::new();
    let slow = history.attempt(&batch(&[1]));
    written(&mut history, &batch(&[2]), &[2]);
    let reader = history.reader(Query::all(), at(0));
    see(&mut history, reader, &[(2, 2)]);
    history.answer(slow, &Ok(answer(&[1])));
    read_all(&mut history, &[(1, 1), (2, 2)]);
    let expected = Broken::Skipped {
        reader,
        position: at(1),
        passed: at(2),
    };
    assert_eq!(history.check(), Err(expected));
}

#[test]
fn what_begins_after_and_lies_below_is_named() {
    let mut history = History::new();
    written(&mut history, &batch(&[2]), &[2]);
    let tagged = history.reader(Query::tags([Tag::new("2").unwrap()]), at(0));
    see(&mut history, tagged, &[(2, 2)]);
    let attempt = written(&mut history, &batch(&[1]), &[1]);
    read_all(&mut history, &[(1, 1), (2, 2)]);
    let expected = Broken::Late {
        attempt,
        position: at(1),
        shown: at(2),
    };
    assert_eq!(history.check(), Err(expected));
}

#[test]
fn an_append_in_part_is_named() {
    let mut history = History::new();
    let attempt = history.attempt(&batch(&[1, 2]));
    written(&mut history, &batch(&[3]), &[3]);
    read_all(&mut history, &[(1, 1), (3, 3)]);
    let missing = uuid(2);
    assert_eq!(history.check(), Err(Broken::Torn { attempt, missing }));
}

#[test]
fn an_append_with_another_within_it_is_named() {
    for (shown, position) in [(vec![(1, 1), (2, 3), (3, 2)], 2), (vec![(1, 2), (2, 1)], 1)] {
        let mut history = History::new();
        let attempt = history.attempt(&batch(&[1, 2]));
        let _other = history.attempt(&batch(&[3]));
        read_all(&mut history, &shown);
        let position = at(position);
        assert_eq!(
            history.check(),
            Err(Broken::Scattered { attempt, position })
        );
    }
}

#[test]
fn a_version_left_out_is_named() {
    let mut history = History::new();
    let _first = history.attempt(&in_room(1));
    let _second = history.attempt(&in_room(2));
    let reader = history.reader(Query::all(), at(0));
    history.see(reader, &Item::Event(recorded_in_room(1, 1, 1)));
    history.see(reader, &Item::Event(recorded_in_room(2, 2, 3)));
    let expected = Broken::Miscounted {
        position: at(2),
        stream: room(),
        found: Version::new(3),
        expected: Version::new(2).unwrap(),
    };
    assert_eq!(history.check(), Err(expected));
}

#[test]
fn a_guard_that_did_not_hold_is_named() {
    let unwritten = Guard::Stream {
        stream: room(),
        expect: Expect::NoStream,
    };
    let unmatched = Guard::NoMatch {
        query: Query::tags([Tag::new("1").unwrap()]),
        after: at(0),
    };
    for (guard, other) in [(unwritten, in_room(1)), (unmatched, batch(&[1]))] {
        let mut history = History::new();
        let is_in_room = other.events()[0].as_parts().stream.is_some();
        let _other = history.attempt(&other);
        let attempt = history.attempt(&batch(&[2]).guard(guard));
        let reader = history.reader(Query::all(), at(0));
        let first = if is_in_room {
            recorded_in_room(1, 1, 1)
        } else {
            recorded(1, 1)
        };
        history.see(reader, &Item::Event(first));
        see(&mut history, reader, &[(2, 2)]);
        let expected = Broken::Unguarded {
            attempt,
            position: at(2),
            guard: 0,
        };
        assert_eq!(history.check(), Err(expected));
    }
}

#[test]
fn a_conflict_without_a_reason_is_named() {
    let unmatched = || Guard::NoMatch {
        query: Query::tags([Tag::new("1").unwrap()]),
        after: at(1),
    };
    let unwritten = || Guard::Stream {
        stream: room(),
        expect: Expect::NoStream,
    };
    for (guard, actual, is_founded) in [
        (unwritten(), Actual::Version(None), false),
        (unwritten(), Actual::Version(Some(Version::FIRST)), true),
        (unwritten(), Actual::Match(at(1)), false),
        (unmatched(), Actual::Match(at(1)), false),
        (unmatched(), Actual::Match(at(2)), false),
        (unmatched(), Actual::Match(at(9)), true),
        (unmatched(), Actual::Version(None), false),
    ] {
        let mut history = History::new();
        written(&mut history, &batch(&[1]), &[1]);
        written(&mut history, &batch(&[2]), &[2]);
        let attempt = history.attempt(&batch(&[3]).guard(guard));
        let conflict = Conflict { guard: 0, actual };
        history.answer(attempt, &Err(AppendError::Conflict(conflict)));
        read_all(&mut history, &[(1, 1), (2, 2)]);
        let expected = if is_founded {
            Ok(())
        } else {
            Err(Broken::Unfounded { attempt, guard: 0 })
        };
        assert_eq!(history.check(), expected, "{actual:?}");
    }
}

#[test]
#[should_panic(expected = "in two appends that do not share a key")]
fn an_event_is_not_tried_twice_without_a_key() {
    let mut history = History::new();
    history.attempt(&batch(&[1]));
    history.attempt(&batch(&[1]));
}

fn at(position: u64) -> Position {
    Position::from_parts(0, position)
}

fn uuid(number: u64) -> Uuid {
    Uuid::from_u128(number.into())
}

fn room() -> StreamName {
    StreamName::new("room-1").unwrap()
}

/// Events that carry their number as a tag.
fn event(number: u64) -> NewEvent {
    NewEvent::new(EventType::new("numbered").unwrap(), "")
        .uuid(uuid(number))
        .tag(Tag::new(number.to_string()).unwrap())
}

fn batch(numbers: &[u64]) -> Append {
    Append::new().extend(numbers.iter().copied().map(event))
}

fn in_room(number: u64) -> Append {
    Append::to(room()).event(event(number))
}

fn answer(positions: &[u64]) -> Appended {
    Appended {
        before: at(positions[0] - 1),
        positions: positions.iter().copied().map(at).collect(),
        streams: Vec::new(),
        duplicate: false,
    }
}

fn written(history: &mut History, append: &Append, positions: &[u64]) -> Attempt {
    let attempt = history.attempt(append);
    history.answer(attempt, &Ok(answer(positions)));
    attempt
}

fn recorded(position: u64, number: u64) -> RecordedEvent {
    RecordedEvent {
        position: at(position),
        stream: None,
        event_type: EventType::new("numbered").unwrap(),
        uuid: uuid(number),
        recorded_at: SystemTime::UNIX_EPOCH,
        tags: [Tag::new(number.to_string()).unwrap()].into(),
        metadata: "".into(),
        data: "".into(),
    }
}

fn recorded_in_room(position: u64, number: u64, version: u64) -> RecordedEvent {
    RecordedEvent {
        stream: Some(StreamPlace {
            name: room(),
            version: Version::new(version).unwrap(),
        }),
        ..recorded(position, number)
    }
}

fn see(history: &mut History, reader: Reader, events: &[(u64, u64)]) {
    for (position, number) in events {
        history.see(reader, &Item::Event(recorded(*position, *number)));
    }
}

/// A reader that sees these, and then that there is no more up to position 5.
fn read_all(history: &mut History, events: &[(u64, u64)]) -> Reader {
    let reader = history.reader(Query::all(), at(0));
    see(history, reader, events);
    history.see(reader, &Item::CaughtUp(at(5)));
    reader
}
