//! What is said of a store's directory, whether it is open or not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use eventwire_store::{
    Append, Consumer, EventStore, EventType, IdempotencyKey, Keep, NewEvent, Position, Retention,
    StreamName, Tag,
};
use eventwire_store_file::{FileOptions, FileStore, Stat, stat};
use futures_executor::block_on;

fn open(path: &Path) -> FileStore {
    FileOptions::new()
        .segment_bytes(16 << 10)
        .open(path)
        .unwrap()
}

fn room(number: u64) -> StreamName {
    StreamName::new(format!("room-{number}")).unwrap()
}

/// Events of 7 streams, 2 types and 5 tags, each with a key, and two consumers.
fn write(store: &FileStore, events: u64) {
    for number in 0..events {
        let event_type = EventType::new(if number % 2 == 0 { "posted" } else { "edited" });
        let event = NewEvent::new(event_type.unwrap(), "x".repeat(200))
            .tag(Tag::new(format!("by:{}", number % 5)).unwrap());
        let consumer = Consumer::new(format!("view-{}", number % 2)).unwrap();
        let append = Append::to(room(number % 7))
            .event(event)
            .key(IdempotencyKey::new(format!("append-{number}")).unwrap())
            .consumed(consumer, Position::from_parts(0, number + 1));
        block_on(store.append(append)).unwrap();
    }
}

#[track_caller]
fn names(stat: &Stat) {
    let Stat {
        streams,
        types,
        tags,
        keys,
        consumers,
        ..
    } = *stat;
    assert_eq!((streams, types, tags, keys, consumers), (7, 2, 5, 1000, 2));
}

#[test]
fn a_store_is_described_whether_it_is_open_or_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    assert!(stat(path, |_| {}).is_err(), "there is none");
    let store = open(path);
    write(&store, 1000);
    let before = stat(path, |_| {}).unwrap();
    names(&before);
    assert_eq!((before.events, before.events_dropped), (1000, 0));
    assert_eq!(before.head, Position::from_parts(0, 1000));
    assert_eq!(before.epoch, store.epoch());
    assert_eq!(
        (before.segments_to_compact, before.bytes_to_compact),
        (0, 0)
    );
    assert!(before.segments > 10 && before.segment_bytes > 200_000);

    let trimmed = block_on(store.trim_log(Keep::all().max_events(500))).unwrap();
    assert_eq!(trimmed.events, 500);
    let deleted = block_on(store.delete_stream(room(3))).unwrap();
    let of_stream = block_on(store.trim_stream(room(4), Keep::all().max_events(10))).unwrap();
    store.close();
    let after = stat(path, |_| {}).unwrap();
    names(&after);
    let dropped = 500 + deleted.events + of_stream.events;
    assert_eq!(
        (after.events, after.events_dropped),
        (1000 - dropped, dropped)
    );
    assert_eq!(after.dropped_to, trimmed.dropped_to);
    assert_eq!((after.streams_deleted, after.streams_trimmed), (1, 2));
    assert!(after.remainders > 0 && after.remainder_bytes > 0);
    assert!(after.segments < before.segments);
    let content = (deleted.events + of_stream.events) * 200;
    assert!(after.bytes_to_compact > content, "{after:?}");
    assert!(after.segments_to_compact > 3);

    let store = open(path);
    let compacted = store.compact(|_| {}).unwrap();
    assert!(
        compacted.bytes * 10 > after.bytes_to_compact * 8,
        "{compacted:?}, {after:?}"
    );
    store.close();
    let compact = stat(path, |_| {}).unwrap();
    names(&compact);
    assert_eq!(compact.events, after.events);
    assert!(compact.bytes_to_compact < content / 10, "{compact:?}");
}
