//! Who is told of dropped events, and how often.

use eventwire_store::{
    Append, EventStore, EventType, Item, Keep, MemoryStore, NewEvent, Position, Query, ReadOptions,
    Retention, Start, StreamName,
};
use futures_executor::block_on;

fn stream(name: &str) -> StreamName {
    StreamName::new(name).expect("a valid name")
}

fn put(store: &MemoryStore, to: &str, events: usize) {
    let event_type = EventType::new("t").expect("a valid name");
    for _ in 0..events {
        let event = NewEvent::new(event_type.clone(), "");
        let appended = block_on(store.append(Append::to(stream(to)).event(event)));
        appended.expect("it is appended");
    }
}

/// How many gaps and how many events a read shows.
fn counts(store: &MemoryStore, query: Query, options: ReadOptions) -> (usize, usize) {
    let (mut gaps, mut events) = (0, 0);
    let mut items = store.read(query, options);
    while let Some(item) = block_on(items.next()) {
        match item.expect("it is read") {
            Item::Gap { .. } => gaps += 1,
            Item::Event(_) => events += 1,
            _ => {}
        }
    }
    (gaps, events)
}

#[test]
fn a_gap_is_told_once_however_long_the_read() {
    let store = MemoryStore::new();
    put(&store, "b", 1_000);
    put(&store, "a", 5);
    let keep = Keep::all().max_events(1);
    block_on(store.trim_stream(stream("a"), keep)).expect("it is trimmed");
    let both = || Query::streams([stream("a"), stream("b")]);
    let first = Position::from_parts(0, 1);
    assert_eq!(counts(&store, both(), ReadOptions::all()), (0, 1_001));
    assert_eq!(
        counts(&store, both(), ReadOptions::after(first)),
        (1, 1_000)
    );
}

#[test]
fn a_subscription_that_was_overtaken_is_told_and_goes_on() {
    let store = MemoryStore::new();
    put(&store, "a", 1);
    let mut items = store.subscribe(Query::all(), Start::Beginning);
    let mut next = || {
        block_on(items.next())
            .expect("it goes on")
            .expect("it is read")
    };
    assert!(matches!(next(), Item::Event(_)));
    assert!(matches!(next(), Item::CaughtUp(_)));
    put(&store, "a", 5);
    block_on(store.trim_log(Keep::all().max_events(1))).expect("it is trimmed");
    let gap = Item::Gap {
        after: Position::from_parts(0, 1),
        resumed_after: Position::from_parts(0, 5),
    };
    assert_eq!(next(), gap);
    let Item::Event(event) = next() else {
        panic!("the event that is held follows")
    };
    assert_eq!(event.position, Position::from_parts(0, 6));
    assert_eq!(next(), Item::CaughtUp(event.position));
}
