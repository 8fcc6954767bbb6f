//! `Retention`: letting go of old events, oldest first; nothing moves, and readers are told.
//! For stores that have it: `conformance!(retention: ...)`.
//!
//! A store may keep more than it is asked to keep: what it dropped is what it says in the
//! answer, and that is what it is held to.

use eventwire_store::{
    Actual, EventStore, Expect, Guard, Item, Keep, KeepError, Position, Query, ReadOptions,
    RecordedEvent, Retention, Start, Trimmed, Version,
};

use crate::harness::Reopen;
use crate::life::Life;
use crate::sample::{
    category, in_stream, key, labelled, labels, one, several, stream, tag, tagged,
};
use crate::subject::Subject;

/// Keeping everything drops nothing.
pub fn keeping_everything_drops_nothing<S: Retention>(subject: &Subject, store: &S) {
    subject.put(several("room-1", 5));
    let before = subject.log();
    let trimmed = trim_log(subject, store, Keep::all());
    assert_eq!((trimmed.events, trimmed.dropped_to), (0, Position::ORIGIN));
    let trimmed = trim_stream(subject, store, "room-1", Keep::all());
    assert_eq!((trimmed.events, trimmed.dropped_to), (0, Position::ORIGIN));
    assert_eq!(dropped_to(subject, store), Position::ORIGIN);
    assert_eq!(subject.log(), before);
}

/// What is held is what lies above the answer's place, unchanged; at least what was asked for.
pub fn what_is_held_lies_above_what_was_dropped<S: Retention>(subject: &Subject, store: &S) {
    subject.put(several("room-1", 6));
    subject.put(several("room-2", 6));
    let before = subject.log();
    let weight = before[0].weight();
    for (keep, kept) in [
        (Keep::all().max_events(10), 10),
        (Keep::all().max_events(7), 7),
        (Keep::all().max_bytes(weight * 5), 5),
        (Keep::all().max_events(3), 3),
    ] {
        let trimmed = trim_log(subject, store, keep);
        assert_eq!(dropped_to(subject, store), trimmed.dropped_to);
        let held = subject.log();
        assert_eq!(held, above(&before, trimmed.dropped_to), "{keep:?}");
        assert!(held.len() >= kept, "{keep:?} kept {}", held.len());
    }
}

/// The answer counts the events that were dropped now.
pub fn the_answer_counts_what_was_dropped<S: Retention>(subject: &Subject, store: &S) {
    subject.put(several("room-1", 10));
    let mut held = 10;
    for keep in [8, 8, 3, 0] {
        let trimmed = trim_log(subject, store, Keep::all().max_events(keep));
        let left = subject.log().len();
        assert_eq!(trimmed.events, (held - left) as u64, "keeping {keep}");
        held = left;
    }
}

/// What was dropped stays dropped: the place only moves forward.
pub fn what_was_dropped_stays_dropped<S: Retention>(subject: &Subject, store: &S) {
    subject.put(several("room-1", 10));
    let mut last = Position::ORIGIN;
    for keep in [8, 5, 9, 5, 2, usize::MAX] {
        let trimmed = trim_log(subject, store, Keep::all().max_events(keep));
        assert!(
            trimmed.dropped_to >= last,
            "{} after {last}",
            trimmed.dropped_to
        );
        last = trimmed.dropped_to;
        assert_eq!(dropped_to(subject, store), last);
    }
}

/// Trimming moves no head, also where nothing is left.
pub fn trimming_moves_no_head<S: Retention>(subject: &Subject, store: &S) {
    let head = subject.put(several("room-1", 10)).last();
    for keep in [5, 0] {
        trim_log(subject, store, Keep::all().max_events(keep));
        assert_eq!(subject.head(), head);
    }
    let appended = subject.put(one("room-1", "next"));
    assert!(appended.positions[0] > head);
    assert!(appended.before >= head);
}

/// A stream whose events were dropped has its last version still, and still exists.
pub fn a_stream_keeps_its_version<S: Retention>(subject: &Subject, store: &S) {
    subject.put(several("room-1", 4));
    subject.put(several("room-2", 3));
    trim_log(subject, store, Keep::all().max_events(0));
    trim_stream(subject, store, "room-2", Keep::all().max_events(0));
    for (name, version) in [("room-1", 4), ("room-2", 3)] {
        let conflict = subject.conflict(one(name, "late").expect(Expect::NoStream));
        assert_eq!(
            conflict.actual,
            Actual::Version(Version::new(version)),
            "{name}"
        );
        subject.put(one("other-1", "guarded").guard(on(name, Expect::Exists)));
        let exactly = Version::new(version).map_or(Expect::Any, Expect::Exact);
        let appended = subject.put(one(name, "next").expect(exactly));
        let next = appended.version_of(&stream(name)).map(Version::get);
        assert_eq!(next, Some(version + 1), "{name}");
    }
}

/// An append whose events were dropped is still not repeated.
pub fn keys_stay_when_events_go<S: Retention>(subject: &Subject, store: &S) {
    let append = || several("room-1", 2).key(key("once"));
    let first = subject.put(append());
    subject.put(one("room-2", "later"));
    trim_log(subject, store, Keep::all().max_events(0));
    let head = subject.head();
    let again = subject.put(append());
    assert!(again.duplicate);
    assert_eq!(again.positions, first.positions);
    assert_eq!(subject.head(), head);
    assert!(subject.recall(key("once")).is_some());
}

/// A dropped event no longer meets a guard; one that is held does.
pub fn guards_see_what_is_held<S: Retention + EventStore>(subject: &Subject, store: &S) {
    if !store.capabilities().query_guards {
        return;
    }
    let claim = || one("claim-1", "x").event(labelled("claim").tag(tag("username:ada")));
    let none = || Guard::NoMatch {
        query: tagged(["username:ada"]),
        after: Position::ORIGIN,
    };
    subject.put(claim());
    subject.conflict(one("room-1", "late").guard(none()));
    let trimmed = trim_log(subject, store, Keep::all().max_events(0));
    if trimmed.dropped_to >= subject.head() {
        subject.put(one("room-1", "allowed").guard(none()));
    }
    subject.put(claim());
    subject.conflict(one("room-1", "late again").guard(none()));
}

/// A reader from a place below what was dropped is told of the gap, and goes on above it.
pub fn a_reader_that_is_too_late_is_told<S: Retention>(subject: &Subject, store: &S) {
    let positions = subject.put(several("room-1", 10)).positions;
    let trimmed = trim_log(subject, store, Keep::all().max_events(4));
    let held = subject.log();
    for &after in &positions {
        let read = subject.read(Query::all(), ReadOptions::after(after));
        let mut subscription = subject.subscribe(Query::all(), Start::After(after));
        for items in [read, until_caught_up(&mut subscription)] {
            assert_eq!(events_of(&items), above(&held, after), "after {after}");
            let gap = gap_of(&items);
            if after < trimmed.dropped_to {
                assert_eq!(gap, Some((after, trimmed.dropped_to)), "{items:?}");
                assert!(
                    matches!(items[0], Item::Gap { .. }),
                    "told first: {items:?}"
                );
            } else {
                assert_eq!(gap, None, "after {after}");
            }
        }
    }
}

/// Whoever begins at the beginning asks for what is held, and is told of no gap.
pub fn a_reader_from_the_beginning_is_told_of_no_gap<S: Retention>(subject: &Subject, store: &S) {
    subject.put(several("room-1", 10));
    trim_log(subject, store, Keep::all().max_events(4));
    trim_stream(subject, store, "room-1", Keep::all().max_events(2));
    for query in [
        Query::all(),
        in_stream("room-1"),
        Query::category(category("room")),
    ] {
        let read = subject.read(query.clone(), ReadOptions::all());
        assert_eq!(gap_of(&read), None, "{query:?}");
        let mut subscription = subject.subscribe(query.clone(), Start::Beginning);
        assert_eq!(
            gap_of(&until_caught_up(&mut subscription)),
            None,
            "{query:?}"
        );
        let backward = subject.read(query.clone(), ReadOptions::backward());
        assert_eq!(gap_of(&backward), None, "{query:?}");
    }
}

/// A subscriber that is up to date when events are dropped is told of no gap.
pub fn a_subscriber_that_is_up_to_date_is_told_of_no_gap<S: Retention>(
    subject: &Subject,
    store: &S,
) {
    let head = subject.put(several("room-1", 5)).last();
    let mut subscription = subject.subscribe(Query::all(), Start::After(Position::ORIGIN));
    subscription.until_caught_up_with(head);
    trim_log(subject, store, Keep::all().max_events(0));
    let head = subject.put(one("room-1", "next")).last();
    let mut items = Vec::new();
    while !matches!(items.last(), Some(Item::CaughtUp(at)) if *at >= head) {
        items.push(subscription.next_item());
    }
    assert_eq!(gap_of(&items), None, "{items:?}");
    assert_eq!(labels(&events_of(&items)), ["next"]);
}

/// Of a stream that was trimmed a suffix is held; the others are as they were.
pub fn trimming_a_stream_leaves_the_others<S: Retention>(subject: &Subject, store: &S) {
    for n in 0..6 {
        subject.put(one("room-1", format!("1/{n}")));
        subject.put(one("room-10", format!("10/{n}")));
    }
    let whole = subject.events(in_stream("room-1"), ReadOptions::all());
    let others = subject.events(in_stream("room-10"), ReadOptions::all());
    let trimmed = trim_stream(subject, store, "room-1", Keep::all().max_events(2));
    let held = subject.events(in_stream("room-1"), ReadOptions::all());
    assert_eq!(held, above(&whole, trimmed.dropped_to));
    assert!(held.len() >= 2);
    assert_eq!(trimmed.events, (whole.len() - held.len()) as u64);
    assert_eq!(
        subject.events(in_stream("room-10"), ReadOptions::all()),
        others
    );
    assert_eq!(
        dropped_to(subject, store),
        Position::ORIGIN,
        "the log was not trimmed"
    );
}

/// What a stream dropped is gone for readers of any kind, and only those who named it are told.
pub fn who_names_a_trimmed_stream_is_told<S: Retention>(subject: &Subject, store: &S) {
    let first = subject.put(one("room-0", "first")).last();
    for n in 0..4 {
        let event = labelled(n.to_string()).tag(tag("marked"));
        subject.put(eventwire_store::Append::to(stream("room-1")).event(event));
    }
    subject.put(one("room-2", "last"));
    let trimmed = trim_stream(subject, store, "room-1", Keep::all().max_events(1));
    let read = |query: Query| subject.read(query, ReadOptions::after(first));
    for (query, is_told) in [
        (in_stream("room-1"), true),
        (Query::streams([stream("room-1"), stream("room-2")]), true),
        (in_stream("room-2"), false),
        (Query::category(category("room")), false),
        (tagged(["marked"]), false),
        (Query::all(), false),
    ] {
        let items = read(query.clone());
        let is_dropped = first < trimmed.dropped_to;
        assert_eq!(
            gap_of(&items).is_some(),
            is_told && is_dropped,
            "{query:?}: {items:?}"
        );
        let is_held = |event: &RecordedEvent| {
            event.stream_name() != Some(&stream("room-1")) || event.position > trimmed.dropped_to
        };
        assert!(
            events_of(&items).iter().all(is_held),
            "{query:?}: {items:?}"
        );
    }
}

/// A stream that there is not cannot be trimmed or deleted.
pub fn a_stream_must_be_there_to_be_trimmed<S: Retention>(subject: &Subject, store: &S) {
    subject.put(one("room-1", "a"));
    for name in ["room", "room-10", "Room-1"] {
        let keep = Keep::all().max_events(0);
        let trimmed = subject.run(async { store.trim_stream(stream(name), keep).await });
        assert!(
            matches!(trimmed, Err(KeepError::NoStream)),
            "{name}: {trimmed:?}"
        );
        let deleted = subject.run(async { store.delete_stream(stream(name)).await });
        assert!(
            matches!(deleted, Err(KeepError::NoStream)),
            "{name}: {deleted:?}"
        );
    }
    assert_eq!(subject.log().len(), 1);
}

/// The events of a deleted stream are gone, and those of other streams are not.
pub fn a_deleted_stream_is_gone<S: Retention>(subject: &Subject, store: &S) {
    subject.put(several("room-1", 3));
    subject.put(several("room-10", 3));
    delete(subject, store, "room-1");
    assert_eq!(subject.events(in_stream("room-1"), ReadOptions::all()), []);
    assert_eq!(
        subject.events(in_stream("room-1"), ReadOptions::backward()),
        []
    );
    assert_eq!(
        subject
            .events(in_stream("room-10"), ReadOptions::all())
            .len(),
        3
    );
    assert_eq!(subject.log().len(), 3);
    subject.put(one("room-10", "goes on"));
}

/// A deleted stream takes no event, and no guard that names it holds, for ever.
pub fn a_deleted_stream_is_never_used_again<S: Retention>(subject: &Subject, store: &S) {
    subject.put(several("room-1", 3));
    delete(subject, store, "room-1");
    for _ in 0..2 {
        let conflict = subject.conflict(one("room-1", "again"));
        assert_eq!((conflict.guard, conflict.actual), (0, Actual::Deleted));
        let among_others = one("room-2", "a").event(labelled("b").stream(stream("room-1")));
        assert_eq!(subject.conflict(among_others).actual, Actual::Deleted);
        for expect in [Expect::Any, Expect::NoStream, Expect::Exists] {
            let guarded = one("room-2", "guarded").guard(on("room-1", expect));
            assert_eq!(
                subject.conflict(guarded).actual,
                Actual::Deleted,
                "{expect:?}"
            );
        }
        subject.put(one("room-2", "elsewhere"));
    }
}

/// Deleting a stream again is no error, and changes nothing.
pub fn deleting_again_is_no_error<S: Retention>(subject: &Subject, store: &S) {
    subject.put(several("room-1", 3));
    let first = delete(subject, store, "room-1");
    assert_eq!(first.events, 3);
    let again = delete(subject, store, "room-1");
    assert_eq!((again.events, again.dropped_to), (0, first.dropped_to));
    assert_eq!(
        subject.conflict(one("room-1", "again")).actual,
        Actual::Deleted
    );
}

/// Of a deleted stream its key stays: repeating the append that wrote to it is answered.
pub fn keys_stay_when_a_stream_is_deleted<S: Retention>(subject: &Subject, store: &S) {
    let append = || several("room-1", 2).key(key("once"));
    let first = subject.put(append());
    delete(subject, store, "room-1");
    let again = subject.put(append());
    assert!(again.duplicate);
    assert_eq!(again.positions, first.positions);
    assert_eq!(subject.log(), []);
}

/// What was dropped is dropped after the store was reopened, and nothing has moved.
pub fn what_was_dropped_is_not_there_again<H: Reopen>(life: Life<H>)
where
    H::Store: Retention,
{
    let (subject, store) = (life.subject(), life.store());
    subject.put(several("room-1", 4));
    subject.put(several("room-2", 4));
    subject.put(several("room-3", 4));
    let trimmed = trim_log(subject, store, Keep::all().max_events(10));
    trim_stream(subject, store, "room-2", Keep::all().max_events(1));
    delete(subject, store, "room-3");
    let (held, head) = (subject.log(), subject.head());
    let life = life.reopen();
    let (subject, store) = (life.subject(), life.store());
    assert_eq!(subject.log(), held);
    assert_eq!(subject.head(), head);
    assert_eq!(dropped_to(subject, store), trimmed.dropped_to);
    assert_eq!(
        subject.conflict(one("room-3", "again")).actual,
        Actual::Deleted
    );
    for name in ["room-1", "room-2"] {
        let appended = subject.put(one(name, "next"));
        let version = appended.version_of(&stream(name)).map(Version::get);
        assert_eq!(version, Some(5), "{name}");
    }
}

#[track_caller]
fn trim_log<S: Retention>(subject: &Subject, store: &S, keep: Keep) -> Trimmed {
    let trimmed = subject.run(async { store.trim_log(keep).await });
    trimmed.unwrap_or_else(|error| panic!("`trim_log` failed: {error}"))
}

#[track_caller]
fn trim_stream<S: Retention>(subject: &Subject, store: &S, name: &str, keep: Keep) -> Trimmed {
    let trimmed = subject.run(async { store.trim_stream(stream(name), keep).await });
    trimmed.unwrap_or_else(|error| panic!("`trim_stream` failed: {error}"))
}

#[track_caller]
fn delete<S: Retention>(subject: &Subject, store: &S, name: &str) -> Trimmed {
    let deleted = subject.run(async { store.delete_stream(stream(name)).await });
    deleted.unwrap_or_else(|error| panic!("`delete_stream` failed: {error}"))
}

#[track_caller]
fn dropped_to<S: Retention>(subject: &Subject, store: &S) -> Position {
    let dropped = subject.run(async { store.dropped_to().await });
    dropped.unwrap_or_else(|error| panic!("`dropped_to` failed: {error}"))
}

fn on(name: &str, expect: Expect) -> Guard {
    Guard::Stream {
        stream: stream(name),
        expect,
    }
}

fn above(events: &[RecordedEvent], position: Position) -> Vec<RecordedEvent> {
    let is_above = |event: &&RecordedEvent| event.position > position;
    events.iter().filter(is_above).cloned().collect()
}

fn events_of(items: &[Item]) -> Vec<RecordedEvent> {
    let event = |item: &Item| match item {
        Item::Event(event) => Some(event.clone()),
        _ => None,
    };
    items.iter().filter_map(event).collect()
}

/// The first gap among the items.
fn gap_of(items: &[Item]) -> Option<(Position, Position)> {
    items.iter().find_map(|item| match item {
        Item::Gap {
            after,
            resumed_after,
        } => Some((*after, *resumed_after)),
        _ => None,
    })
}

fn until_caught_up(subscription: &mut crate::Follower) -> Vec<Item> {
    let mut items = Vec::new();
    while !matches!(items.last(), Some(Item::CaughtUp(_))) {
        items.push(subscription.next_item());
    }
    items
}
