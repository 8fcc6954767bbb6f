//! What the file store adds to the contract: it is there again after it was closed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use eventwire_store::{
    Append, AppendError, Category, EventStore, EventType, Expect, IdempotencyKey, InvalidAppend,
    Item, NewEvent, Position, Query, ReadError, ReadOptions, RecordedEvent, Start, StreamName, Tag,
    Version,
};
use eventwire_store_file::{FileOptions, FileStore, OpenError};
use futures_executor::block_on;

fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

fn event(event_type: &str, data: &str) -> NewEvent {
    NewEvent::new(EventType::new(event_type).unwrap(), data.to_owned())
}

fn to(name: &str, data: &str) -> Append {
    Append::to(stream(name)).event(event("posted", data))
}

fn read(store: &FileStore, query: Query, options: ReadOptions) -> Vec<RecordedEvent> {
    block_on(async {
        let mut items = store.read(query, options);
        let mut events = Vec::new();
        while let Some(item) = items.next().await {
            if let Item::Event(event) = item.unwrap() {
                events.push(event);
            }
        }
        events
    })
}

fn all(store: &FileStore) -> Vec<RecordedEvent> {
    read(store, Query::all(), ReadOptions::all())
}

fn segments(path: &Path) -> usize {
    let names = fs::read_dir(path).unwrap();
    names
        .filter(|entry| entry.as_ref().unwrap().path().extension() == Some("log".as_ref()))
        .count()
}

#[test]
fn everything_is_as_it_was_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("made/by/the/store");
    let store = FileStore::open(&path).unwrap();
    let epoch = store.epoch();
    assert_eq!(store.recovery().events, 0);
    for number in 0..50 {
        let append = to(&format!("room-{}", number % 7), &number.to_string())
            .event(event("moved", "").tag(Tag::new(format!("by:{}", number % 3)).unwrap()))
            .event(event("noted", &"x".repeat(number * 40)).metadata("about"));
        block_on(store.append(append)).unwrap();
    }
    let queries = [
        Query::all(),
        Query::stream(stream("room-3")),
        Query::category(Category::new("room").unwrap())
            .of_types([EventType::new("moved").unwrap()]),
        Query::tags([Tag::new("by:1").unwrap()]).or(Query::stream(stream("room-0"))),
        Query::stream(stream("absent")),
    ];
    let ways = [
        ReadOptions::all(),
        ReadOptions::backward(),
        ReadOptions::after(Position::from_parts(0, 70)).limit(9),
        ReadOptions::before(Position::from_parts(0, 70)).limit(9),
    ];
    let look = |store: &FileStore| -> Vec<Vec<RecordedEvent>> {
        queries
            .iter()
            .flat_map(|query| ways.map(|way| read(store, query.clone(), way)))
            .collect()
    };
    let before = look(&store);
    assert_eq!(before[0].len(), 150);
    store.close();

    let store = FileStore::open(&path).unwrap();
    assert_eq!(store.epoch(), epoch);
    assert_eq!(store.recovery().events, 150);
    assert_eq!(store.recovery().bytes_cut, 0);
    assert_eq!(look(&store), before);
    let next = block_on(
        store.append(to("room-3", "more").expect(Expect::Exact(Version::new(21).unwrap()))),
    );
    assert_eq!(next.unwrap().last(), Position::from_parts(0, 151));
}

#[test]
fn a_log_of_many_segments_is_one_log() {
    let directory = tempfile::tempdir().unwrap();
    let options = FileOptions::new().segment_bytes(4096);
    let store = options.clone().open(directory.path()).unwrap();
    for number in 0..100 {
        block_on(store.append(to("room-1", &format!("{number:0300}")))).unwrap();
    }
    let before = all(&store);
    assert_eq!(before.len(), 100);
    assert!(segments(directory.path()) > 5);
    store.close();

    let store = options.open(directory.path()).unwrap();
    assert_eq!(store.recovery().segments, segments(directory.path()));
    assert_eq!(all(&store), before);
    let mut backward = read(&store, Query::all(), ReadOptions::backward());
    backward.reverse();
    assert_eq!(backward, before);
}

#[test]
fn a_key_is_remembered_across_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let key = IdempotencyKey::new("request-7").unwrap();
    let append = || {
        to("room-1", "once")
            .event(event("noted", "too"))
            .key(key.clone())
    };
    let store = FileStore::open(directory.path()).unwrap();
    block_on(store.append(to("room-1", "before"))).unwrap();
    let first = block_on(store.append(append())).unwrap();
    store.close();

    let store = FileStore::open(directory.path()).unwrap();
    let recalled = block_on(store.recall(key.clone())).unwrap().unwrap();
    let again = block_on(store.append(append())).unwrap();
    assert!(again.duplicate && !first.duplicate);
    assert_eq!(recalled.appended, again);
    assert_eq!(
        (again.before, &again.positions, &again.streams),
        (first.before, &first.positions, &first.streams)
    );
    let other = block_on(store.append(to("room-1", "other").key(key.clone())));
    assert!(
        matches!(other, Err(AppendError::Invalid(InvalidAppend::KeyReused(reused))) if reused == key)
    );
    assert_eq!(all(&store).len(), 3);
}

#[test]
fn appends_in_flight_together_are_all_written_and_see_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path()).unwrap();
    let key = IdempotencyKey::new("k").unwrap();
    let answers: Vec<_> = (0..500)
        .map(|number| match number % 5 {
            0 => store.append(to("once", "x").expect(Expect::NoStream)),
            1 => store.append(to("keyed", "x").key(key.clone())),
            _ => store.append(to("room-1", &number.to_string())),
        })
        .collect();
    let answers: Vec<_> = answers.into_iter().map(block_on).collect();
    let written: Vec<_> = answers
        .iter()
        .flatten()
        .filter(|done| !done.duplicate)
        .collect();
    assert_eq!(written.len(), 302);
    assert_eq!(
        answers
            .iter()
            .flatten()
            .filter(|done| done.duplicate)
            .count(),
        99
    );
    let conflicts = answers
        .iter()
        .filter(|answer| matches!(answer, Err(AppendError::Conflict(_))));
    assert_eq!(conflicts.count(), 99);
    let positions: Vec<_> = written.iter().map(|done| done.last()).collect();
    assert!(positions.is_sorted());
    assert_eq!(all(&store).len(), 302);
}

#[test]
fn an_append_whose_future_is_dropped_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path()).unwrap();
    drop(store.append(to("room-1", "x")));
    drop(store);
    assert_eq!(all(&FileStore::open(directory.path()).unwrap()).len(), 1);
}

#[test]
fn a_store_is_open_once_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path()).unwrap();
    let error = FileStore::open(directory.path()).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, OpenError::Locked { holder: Some(holder), .. } if holder == std::process::id())
    );
    assert!(text.contains("close it there first"), "{text}");
    store.close();
    FileStore::open(directory.path()).unwrap();
}

#[test]
fn a_closed_store_takes_nothing_more_and_ends_subscriptions_that_have_caught_up() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path()).unwrap();
    block_on(store.append(to("room-1", "x"))).unwrap();
    let mut events = store.subscribe(Query::all(), Start::Beginning);
    let other = store.clone();
    store.close();
    store.close();
    assert!(matches!(
        block_on(other.append(to("room-1", "y"))),
        Err(AppendError::Closed)
    ));
    assert!(matches!(block_on(events.next()), Some(Ok(Item::Event(_)))));
    assert!(matches!(
        block_on(events.next()),
        Some(Ok(Item::CaughtUp(_)))
    ));
    assert!(matches!(
        block_on(events.next()),
        Some(Err(ReadError::Closed))
    ));
    assert!(block_on(events.next()).is_none());
}

#[test]
fn a_subscription_follows_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path()).unwrap();
    let mut events = store.subscribe(Query::stream(stream("room-1")), Start::Beginning);
    let writer = std::thread::spawn({
        let store = store.clone();
        move || {
            for number in 0..200 {
                let name = if number % 2 == 0 { "room-1" } else { "room-2" };
                block_on(store.append(to(name, &number.to_string()))).unwrap();
            }
        }
    });
    let mut seen = Vec::new();
    while seen.len() < 100 {
        if let Item::Event(event) = block_on(events.next()).unwrap().unwrap() {
            seen.push(String::from_utf8(event.data.to_vec()).unwrap());
        }
    }
    writer.join().unwrap();
    let expected: Vec<_> = (0..200)
        .step_by(2)
        .map(|number| number.to_string())
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn large_events_are_read_back_one_by_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path()).unwrap();
    let large = "y".repeat(3 << 20);
    for _ in 0..4 {
        block_on(store.append(to("room-1", &large).event(event("small", "s")))).unwrap();
    }
    let events = all(&store);
    assert_eq!(events.len(), 8);
    assert!(
        events
            .iter()
            .step_by(2)
            .all(|event| event.data == large.as_bytes())
    );
}
