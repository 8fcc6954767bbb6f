//! A store that lets go of its oldest events by itself holds what one would that is trimmed after
//! each append.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

use std::thread;
use std::time::{Duration, SystemTime};

use eventwire_store::{
    Append, EventStore, EventType, Item, Keep, MemoryStore, NewEvent, Position, Query, ReadOptions,
    Retention, Start, StreamName, Tag, Version,
};
use futures_executor::block_on;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Append { stream: usize, lengths: Vec<usize> },
    TrimStream { stream: usize, keep: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4_usize, prop::collection::vec(0..30_usize, 1..4))
            .prop_map(|(stream, lengths)| Step::Append { stream, lengths }),
        1 => (1..4_usize, 0..3_usize).prop_map(|(stream, keep)| Step::TrimStream { stream, keep }),
    ]
}

fn keep() -> impl Strategy<Value = Keep> {
    prop_oneof![
        (0..8_usize).prop_map(|events| Keep::all().max_events(events)),
        (0..200_u64).prop_map(|bytes| Keep::all().max_bytes(bytes)),
        (1..8_usize, 1..200_u64)
            .prop_map(|(events, bytes)| Keep::all().max_events(events).max_bytes(bytes)),
        Just(Keep::all()),
    ]
}

/// Three streams, and none.
fn stream(number: usize) -> Option<StreamName> {
    (number > 0).then(|| StreamName::new(format!("s-{number}")).unwrap())
}

fn append(number: usize, lengths: &[usize]) -> Append {
    let events = lengths.iter().map(|length| {
        let kind = EventType::new(["even", "odd"][length % 2]).unwrap();
        NewEvent::new(kind, vec![b'x'; *length]).tag(Tag::new(format!("t-{number}")).unwrap())
    });
    stream(number)
        .map_or_else(Append::new, Append::to)
        .extend(events)
}

/// What somebody sees who reads: places, versions and payloads, and where something is missing.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Event(Position, Option<Version>, usize),
    Gap(Position, Position),
}

fn read(store: &MemoryStore, query: Query, options: ReadOptions) -> Vec<Seen> {
    block_on(async {
        let mut items = store.read(query, options);
        let mut seen = Vec::new();
        while let Some(item) = items.next().await {
            match item.unwrap() {
                Item::Event(event) => {
                    seen.push(Seen::Event(
                        event.position,
                        event.version(),
                        event.data.len(),
                    ));
                }
                Item::Gap {
                    after,
                    resumed_after,
                } => seen.push(Seen::Gap(after, resumed_after)),
                _ => {}
            }
        }
        seen
    })
}

fn queries() -> Vec<Query> {
    let mut queries = vec![Query::all(), Query::types([EventType::new("odd").unwrap()])];
    for number in 0..4 {
        queries.push(Query::tags([Tag::new(format!("t-{number}")).unwrap()]));
        queries.extend(stream(number).map(Query::stream));
    }
    queries
}

fn places() -> impl Iterator<Item = Position> {
    [0, 1, 3, 9, 30]
        .into_iter()
        .map(|place| Position::from_parts(0, place))
}

proptest! {
    #[test]
    fn it_holds_what_trimming_after_each_append_leaves(
        keep in keep(),
        steps in prop::collection::vec(step(), 0..30),
    ) {
        let keeping = MemoryStore::new().keeping(keep);
        let trimmed = MemoryStore::new();
        for step in steps {
            match step {
                Step::Append { stream, lengths } => {
                    let one = block_on(keeping.append(append(stream, &lengths))).unwrap();
                    let other = block_on(trimmed.append(append(stream, &lengths))).unwrap();
                    prop_assert_eq!(one.positions, other.positions);
                    block_on(trimmed.trim_log(keep)).unwrap();
                }
                Step::TrimStream { stream: number, keep } => {
                    let name = stream(number).unwrap();
                    let keep = Keep::all().max_events(keep);
                    let one = block_on(keeping.trim_stream(name.clone(), keep));
                    let other = block_on(trimmed.trim_stream(name, keep));
                    prop_assert_eq!(one.ok(), other.ok());
                }
            }
            for query in queries() {
                for after in places() {
                    let options = ReadOptions::after(after);
                    let one = read(&keeping, query.clone(), options);
                    prop_assert_eq!(one, read(&trimmed, query.clone(), options));
                }
                let backward = ReadOptions::backward();
                let one = read(&keeping, query.clone(), backward);
                prop_assert_eq!(one, read(&trimmed, query, backward));
            }
            let dropped = block_on(keeping.dropped_to()).unwrap();
            prop_assert_eq!(dropped, block_on(trimmed.dropped_to()).unwrap());
        }
    }
}

/// The clock alone decides, however long a thread is away: nothing is older than itself, and all is
/// too old once the clock goes on.
#[test]
fn what_is_too_old_goes_with_the_next_append() {
    let store = MemoryStore::new().keeping(Keep::all().max_age(Duration::ZERO));
    let first = block_on(store.append(append(0, &[1, 2]))).unwrap().last();
    let appended_by = SystemTime::now();
    while SystemTime::now() <= appended_by {
        thread::yield_now();
    }
    assert_eq!(read(&store, Query::all(), ReadOptions::all()).len(), 2);
    let next = block_on(store.append(append(0, &[3]))).unwrap().last();
    assert_eq!(
        read(&store, Query::all(), ReadOptions::after(Position::ORIGIN)),
        [
            Seen::Gap(Position::ORIGIN, first),
            Seen::Event(next, None, 3)
        ]
    );
}

#[test]
fn a_store_that_holds_more_lets_go_at_once() {
    let store = MemoryStore::new();
    for _ in 0..10 {
        block_on(store.append(append(0, &[1]))).unwrap();
    }
    let store = store.keeping(Keep::all().max_events(3));
    assert_eq!(read(&store, Query::all(), ReadOptions::all()).len(), 3);
}

#[test]
fn who_follows_is_told_of_what_went_before_it_was_read() {
    let store = MemoryStore::new().keeping(Keep::all().max_events(2));
    let mut items = store.subscribe(Query::all(), Start::After(Position::ORIGIN));
    for length in 0..5 {
        block_on(store.append(append(0, &[length]))).unwrap();
    }
    let gap = block_on(items.next()).unwrap().unwrap();
    let resumed = Position::from_parts(0, 3);
    assert!(
        matches!(gap, Item::Gap { resumed_after, .. } if resumed_after == resumed),
        "{gap:?}"
    );
}
