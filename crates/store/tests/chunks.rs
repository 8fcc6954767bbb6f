//! Items in chunks are the items one by one, wherever a reader changes from one to the other.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

use std::sync::Arc;

use eventwire_store::{
    Append, EventStore, EventStream, EventType, Item, Keep, MemoryStore, NewEvent, Position, Query,
    ReadOptions, RecordedEvent, Retention, Start, StreamName, Tag,
};
use futures_executor::block_on;

/// More events than one scan finds, in two streams, some tagged.
fn filled() -> MemoryStore {
    let store = MemoryStore::new();
    for number in 0..1_500 {
        let stream = StreamName::new(if number % 3 == 0 { "a" } else { "b" }).unwrap();
        let event = NewEvent::new(EventType::new("t").unwrap(), number.to_string());
        let event = match number % 7 {
            0 => event.tag(tag()),
            _ => event,
        };
        block_on(store.append(Append::to(stream).event(event))).unwrap();
    }
    store
}

fn tag() -> Tag {
    Tag::new("seventh").unwrap()
}

fn one_by_one(mut items: EventStream) -> Vec<Item> {
    let mut all = Vec::new();
    while let Some(item) = block_on(items.next()) {
        all.push(item.unwrap());
    }
    all
}

/// The same, in chunks after `first` items one by one.
fn in_chunks(mut items: EventStream, first: usize) -> Vec<Item> {
    let mut all = Vec::new();
    while all.len() < first
        && let Some(item) = block_on(items.next())
    {
        all.push(item.unwrap());
    }
    while let Some(chunk) = block_on(items.next_chunk()) {
        let chunk = chunk.unwrap();
        let lent: Vec<Item> = chunk
            .iter()
            .map(|item| item.map(RecordedEvent::clone))
            .collect();
        assert!(!lent.is_empty(), "a chunk has an item");
        let shared = chunk.into_shared();
        assert!(
            shared
                .map(|item| item.map(Arc::unwrap_or_clone))
                .eq(lent.iter().cloned())
        );
        all.extend(lent);
    }
    all
}

#[test]
fn chunks_hold_what_comes_one_by_one() {
    let store = filled();
    let of_a = Query::stream(StreamName::new("a").unwrap());
    block_on(store.trim_stream(StreamName::new("a").unwrap(), Keep::all().max_events(400)))
        .unwrap();
    let queries = [
        Query::all(),
        of_a.clone(),
        Query::tags([tag()]),
        of_a.or(Query::tags([tag()])),
        Query::stream(StreamName::new("none").unwrap()),
    ];
    let options = [
        ReadOptions::all(),
        ReadOptions::after(Position::from_parts(0, 3)),
        ReadOptions::all().limit(300),
        ReadOptions::backward(),
        ReadOptions::backward().limit(0),
    ];
    for query in &queries {
        for options in options {
            let expected = one_by_one(store.read(query.clone(), options));
            for first in [0, 1, 255, 256, 257, 600] {
                let read = in_chunks(store.read(query.clone(), options), first);
                assert_eq!(read, expected, "{query:?} {options:?} from {first}");
            }
        }
    }
}

#[test]
fn a_subscription_gives_a_chunk_when_there_is_something() {
    let store = filled();
    store.close();
    let subscribed = |first| {
        let mut items = store.subscribe(Query::all(), Start::Beginning);
        let mut count = 0;
        for _ in 0..first {
            block_on(items.next()).unwrap().unwrap();
            count += 1;
        }
        while let Some(Ok(chunk)) = block_on(items.next_chunk()) {
            count += chunk.iter().count();
        }
        assert!(block_on(items.next_chunk()).is_none(), "it has ended");
        count
    };
    assert_eq!(subscribed(0), subscribed(700));
}

#[test]
fn a_stream_of_any_kind_gives_chunks_of_one() {
    let store = filled();
    let items = store.read(Query::all(), ReadOptions::all().limit(20));
    let expected = one_by_one(store.read(Query::all(), ReadOptions::all().limit(20)));
    let mut wrapped = EventStream::new(items);
    let mut all = Vec::new();
    while let Some(chunk) = block_on(wrapped.next_chunk()) {
        let chunk = chunk.unwrap();
        assert_eq!(chunk.iter().count(), 1);
        all.extend(chunk.iter().map(|item| item.map(RecordedEvent::clone)));
    }
    assert_eq!(all, expected);
}
