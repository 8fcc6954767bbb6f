//! Retention drops the oldest, moves nothing, and tells whoever has missed something.

#![allow(missing_docs, reason = "the name of each test is its sentence")]

use std::time::Duration;

use eventwire_store::{
    Actual, Append, Expect, Guard, Item, Keep, KeepError, Position, Query, ReadOptions,
    RecordedEvent, Retention, Start, Trimmed, Version,
};

use crate::sample::{in_stream, key, labels, one, stream, tag, tagged};
use crate::subject::Subject;

fn trim<S: Retention>(subject: &Subject, store: &S, keep: Keep) -> Trimmed {
    let trimmed = subject.run(store.trim_log(keep));
    trimmed.expect("the log is trimmed")
}

fn trim_stream<S: Retention>(subject: &Subject, store: &S, of: &str, keep: Keep) -> Trimmed {
    let trimmed = subject.run(store.trim_stream(stream(of), keep));
    trimmed.expect("the stream is trimmed")
}

fn dropped_to<S: Retention>(subject: &Subject, store: &S) -> Position {
    let dropped_to = subject.run(store.dropped_to());
    dropped_to.expect("how far the log was dropped is read")
}

/// Puts ten events into two streams by turns and drops the oldest of the log: what there was,
/// and how far it was dropped.
///
/// A store may keep more than it was asked to, so what is dropped is what it says.
fn trimmed_log<S: Retention>(subject: &Subject, store: &S) -> (Vec<RecordedEvent>, Position) {
    for label in 0..10 {
        let to = if label % 2 == 0 { "even" } else { "odd" };
        subject.put(one(to, label.to_string()));
    }
    let before = subject.log();
    let trimmed = trim(subject, store, Keep::all().max_events(3));
    (before, trimmed.dropped_to)
}

fn held(events: &[RecordedEvent], dropped_to: Position) -> Vec<RecordedEvent> {
    let held = events.iter().filter(|event| event.position > dropped_to);
    held.cloned().collect()
}

/// What a forward read shows: gaps, and the labels of events.
fn shown(subject: &Subject, query: Query, options: ReadOptions) -> (Vec<Item>, Vec<String>) {
    let (gaps, others): (Vec<Item>, Vec<Item>) = subject
        .read(query, options)
        .into_iter()
        .partition(|item| matches!(item, Item::Gap { .. }));
    let events: Vec<RecordedEvent> = others
        .into_iter()
        .filter_map(|item| match item {
            Item::Event(event) => Some(event),
            _ => None,
        })
        .collect();
    (gaps, labels(&events))
}

pub fn nothing_is_dropped_at_first<S: Retention>(subject: &Subject, store: &S) {
    assert_eq!(dropped_to(subject, store), Position::ORIGIN);
    subject.put(one("a", "0"));
    assert_eq!(dropped_to(subject, store), Position::ORIGIN);
}

pub fn keeping_everything_drops_nothing<S: Retention>(subject: &Subject, store: &S) {
    subject.put_all("a", 5);
    let long = Duration::from_secs(3600);
    for keep in [
        Keep::all(),
        Keep::all().max_events(5),
        Keep::all().max_bytes(u64::MAX),
        Keep::all().max_age(long),
    ] {
        let nothing = Trimmed {
            events: 0,
            dropped_to: Position::ORIGIN,
        };
        assert_eq!(trim(subject, store, keep), nothing, "{keep:?}");
        assert_eq!(trim_stream(subject, store, "a", keep), nothing, "{keep:?}");
    }
    assert_eq!(subject.log().len(), 5);
}

pub fn of_the_log_the_oldest_are_dropped<S: Retention>(subject: &Subject, store: &S) {
    let (before, place) = trimmed_log(subject, store);
    assert_eq!(subject.log(), held(&before, place));
    assert!(subject.log().len() >= 3, "what is to be kept is kept");
    assert_eq!(dropped_to(subject, store), place);
}

pub fn what_is_held_has_not_moved<S: Retention>(subject: &Subject, store: &S) {
    let (before, place) = trimmed_log(subject, store);
    let held = held(&before, place);
    for query in [Query::all(), in_stream("even").or(in_stream("odd"))] {
        assert_eq!(subject.events(query, ReadOptions::all()), held);
    }
    let mut backward = subject.events(Query::all(), ReadOptions::backward());
    backward.reverse();
    assert_eq!(backward, held);
}

pub fn a_log_that_lost_everything_goes_on_where_it_was<S: Retention>(subject: &Subject, store: &S) {
    let last = *subject.put_all("a", 4).last().expect("four were put");
    trim(subject, store, Keep::all().max_events(0));
    let next = subject.put(one("a", "next"));
    assert!(next.last() > last, "positions are never given again");
    assert_eq!(next.version_of(&stream("a")), Version::new(5));
    assert_eq!(subject.head(), next.last());
}

pub fn a_reader_from_below_is_told_of_the_gap<S: Retention>(subject: &Subject, store: &S) {
    let (before, place) = trimmed_log(subject, store);
    if place == Position::ORIGIN {
        return;
    }
    let first = before[0].position;
    for after in [Position::ORIGIN, first] {
        if after == place {
            continue;
        }
        let (gaps, events) = shown(subject, Query::all(), ReadOptions::after(after));
        let gap = Item::Gap {
            after,
            resumed_after: place,
        };
        assert_eq!(gaps, [gap], "after {after}");
        assert_eq!(events, labels(&held(&before, place)), "after {after}");
    }
}

pub fn a_reader_from_the_beginning_is_shown_what_is_held<S: Retention>(
    subject: &Subject,
    store: &S,
) {
    let (before, place) = trimmed_log(subject, store);
    let (gaps, events) = shown(subject, Query::all(), ReadOptions::all());
    assert_eq!(gaps, []);
    assert_eq!(events, labels(&held(&before, place)));
    let mut subscription = subject.subscribe(Query::all(), Start::Beginning);
    let (events, _) = subscription.until_caught_up();
    assert_eq!(labels(&events), labels(&held(&before, place)));
}

pub fn a_reader_from_above_is_not_told<S: Retention>(subject: &Subject, store: &S) {
    let (before, place) = trimmed_log(subject, store);
    for after in before.iter().map(|event| event.position) {
        if after >= place {
            let (gaps, events) = shown(subject, Query::all(), ReadOptions::after(after));
            assert_eq!((gaps, events), (vec![], labels(&held(&before, after))));
        }
    }
}

pub fn a_subscription_that_was_overtaken_is_told<S: Retention>(subject: &Subject, store: &S) {
    subject.put(one("a", "seen"));
    let mut subscription = subject.subscribe(Query::all(), Start::Beginning);
    let (seen, cursor) = subscription.until_caught_up();
    assert_eq!(labels(&seen), ["seen"]);
    subject.put_all("a", 5);
    let place = trim(subject, store, Keep::all().max_events(1)).dropped_to;
    let held = labels(&subject.log());
    if place > cursor {
        let gap = Item::Gap {
            after: cursor,
            resumed_after: place,
        };
        assert_eq!(subscription.next_item(), gap);
    }
    let (rest, _) = subscription.until_caught_up_with(subject.head());
    assert!(
        labels(&rest).ends_with(&held),
        "what is held follows: {rest:?}"
    );
}

pub fn a_stream_is_trimmed_alone<S: Retention>(subject: &Subject, store: &S) {
    for label in ["a0", "b0", "a1", "b1", "a2"] {
        subject.put(one(&label[..1], label));
    }
    let trimmed = trim_stream(subject, store, "a", Keep::all().max_events(1));
    let kept = labels(&subject.events(in_stream("a"), ReadOptions::all()));
    assert!(
        kept.ends_with(&["a2".to_owned()]),
        "the youngest is kept: {kept:?}"
    );
    assert_eq!(
        kept.len() + usize::try_from(trimmed.events).expect("a few"),
        3
    );
    let others = subject.events(in_stream("b"), ReadOptions::all());
    assert_eq!(labels(&others), ["b0", "b1"]);
    assert_eq!(
        dropped_to(subject, store),
        Position::ORIGIN,
        "the log was not trimmed"
    );
}

pub fn readers_of_a_trimmed_stream_are_told_and_others_are_not<S: Retention>(
    subject: &Subject,
    store: &S,
) {
    for label in ["a0", "b0", "a1"] {
        subject.put(one(&label[..1], label));
    }
    let deleted = subject.run(store.delete_stream(stream("a")));
    let place = deleted.expect("the stream is deleted").dropped_to;
    let from = ReadOptions::after(Position::ORIGIN);
    let (gaps, events) = shown(subject, in_stream("a"), from);
    let gap = Item::Gap {
        after: Position::ORIGIN,
        resumed_after: place,
    };
    assert_eq!((gaps, events), (vec![gap], vec![]));
    for query in [Query::all(), in_stream("b")] {
        let (gaps, events) = shown(subject, query, from);
        assert_eq!((gaps, events), (vec![], vec!["b0".to_owned()]));
    }
}

pub fn a_trimmed_stream_exists_and_keeps_its_version<S: Retention>(subject: &Subject, store: &S) {
    subject.put_all("a", 3);
    trim_stream(subject, store, "a", Keep::all().max_events(0));
    let created = subject.conflict(one("a", "x").expect(Expect::NoStream));
    assert_eq!(created.actual, Actual::Version(Version::new(3)));
    let third = Version::new(3).expect("not zero");
    subject.put(one("b", "x").guard(Guard::Stream {
        stream: stream("a"),
        expect: Expect::Exact(third),
    }));
    let next = subject.put(one("a", "next").expect(Expect::Exists));
    assert_eq!(next.version_of(&stream("a")), Version::new(4));
}

pub fn a_stream_that_does_not_exist_cannot_be_trimmed<S: Retention>(subject: &Subject, store: &S) {
    let trimmed = subject.run(store.trim_stream(stream("a"), Keep::all()));
    assert!(matches!(trimmed, Err(KeepError::NoStream)), "{trimmed:?}");
    let deleted = subject.run(store.delete_stream(stream("a")));
    assert!(matches!(deleted, Err(KeepError::NoStream)), "{deleted:?}");
    subject.put(one("a", "it can still begin").expect(Expect::NoStream));
}

pub fn a_deleted_stream_is_empty_for_ever<S: Retention>(subject: &Subject, store: &S) {
    subject.put_all("a", 3);
    for _ in 0..2 {
        let deleted = subject.run(store.delete_stream(stream("a")));
        deleted.expect("deleting is no error, however often");
        assert_eq!(subject.log(), []);
    }
    let conflict = subject.conflict(one("a", "x"));
    assert_eq!((conflict.guard, conflict.actual), (0, Actual::Deleted));
    let both = one("b", "x").event(crate::sample::labelled("y").stream(stream("a")));
    assert_eq!(subject.conflict(both).actual, Actual::Deleted);
}

pub fn a_deleted_stream_meets_no_guard<S: Retention>(subject: &Subject, store: &S) {
    subject.put_all("a", 3);
    let deleted = subject.run(store.delete_stream(stream("a")));
    deleted.expect("the stream is deleted");
    for expect in [Expect::Any, Expect::NoStream, Expect::Exists] {
        let guarded = one("b", "x").guard(Guard::Stream {
            stream: stream("a"),
            expect,
        });
        let conflict = subject.conflict(guarded);
        assert_eq!(
            (conflict.guard, conflict.actual),
            (0, Actual::Deleted),
            "{expect:?}"
        );
    }
}

pub fn guards_on_queries_see_what_is_held<S: Retention>(subject: &Subject, store: &S) {
    if !subject.store().capabilities().query_guards {
        return;
    }
    let claim = || {
        let event = crate::sample::labelled("claim").tag(tag("name:ada"));
        Append::to(stream("user-1")).event(event)
    };
    subject.put(claim());
    let unclaimed = || claim().no_match(tagged(["name:ada"]), Position::ORIGIN);
    assert!(matches!(
        subject.conflict(unclaimed()).actual,
        Actual::Match(_)
    ));
    trim_stream(subject, store, "user-1", Keep::all().max_events(0));
    if subject.log().is_empty() {
        subject.put(unclaimed());
    }
}

pub fn keys_outlive_their_events<S: Retention>(subject: &Subject, store: &S) {
    let append = || one("a", "once").key(key("k"));
    let first = subject.put(append());
    trim(subject, store, Keep::all().max_events(0));
    let again = subject.put(append());
    assert!(again.duplicate);
    assert_eq!(again.positions, first.positions);
}

pub fn what_was_dropped_stays_dropped<S: Retention>(subject: &Subject, store: &S) {
    let (before, place) = trimmed_log(subject, store);
    let again = trim(subject, store, Keep::all());
    assert_eq!((again.events, again.dropped_to), (0, place));
    subject.put(one("even", "10"));
    let mut expected = labels(&held(&before, place));
    expected.push("10".to_owned());
    assert_eq!(labels(&subject.log()), expected);
}
