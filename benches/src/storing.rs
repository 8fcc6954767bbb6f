//! What the event store contract costs: the store in memory, which does no I/O, beside the
//! least that any store in memory has to do.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use eventwire_store::{
    Append, EventStore, EventType, Expect, Item, MemoryStore, NewEvent, Query, ReadOptions, Start,
    StoreFuture, StreamName, Version,
};
use futures_executor::block_on;

use harness::{Contestant, Kind, Row};

/// Events in a store when it is full.
const EVENTS: usize = 10_000;
const STREAMS: usize = 100;

/// A store's worth of events to append.
struct Workload {
    event_type: EventType,
    streams: Vec<StreamName>,
    data: Bytes,
}

impl Workload {
    fn new() -> Self {
        let stream = |number| StreamName::new(format!("room-{number}")).expect("a valid name");
        Self {
            event_type: EventType::new("message-posted").expect("a valid name"),
            streams: (0..STREAMS).map(stream).collect(),
            data: Bytes::from(vec![b'x'; 256]),
        }
    }

    fn event(&self) -> NewEvent {
        NewEvent::new(self.event_type.clone(), self.data.clone())
    }

    fn stream(&self, number: usize) -> StreamName {
        self.streams[number % STREAMS].clone()
    }

    /// Fills a fresh store, one event an append.
    fn fill(&self, append: impl Fn(usize) -> Append) -> Arc<dyn EventStore> {
        let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
        for number in 0..EVENTS {
            block_on(store.append(append(number))).expect("it is appended");
        }
        store
    }

    fn plain(&self, number: usize) -> Append {
        Append::to(self.stream(number)).event(self.event())
    }

    fn guarded(&self, number: usize) -> Append {
        let before = u64::try_from(number / STREAMS).expect("a small number");
        let expect = Version::new(before).map_or(Expect::NoStream, Expect::Exact);
        self.plain(number).expect(expect)
    }
}

/// The rows of the table.
pub fn rows() -> Vec<Row<'static>> {
    vec![appending(), reading(), following()]
}

fn appending() -> Row<'static> {
    let workload: &Workload = Box::leak(Box::new(Workload::new()));
    let fill = move |append: fn(&Workload, usize) -> Append| {
        move || {
            let store = workload.fill(|number| append(workload, number));
            Arc::strong_count(&store)
        }
    };
    Row {
        name: "append one 256 B event".to_owned(),
        events: EVENTS,
        contestants: vec![
            Contestant::new("store in memory", Kind::Ours, fill(Workload::plain)),
            Contestant::new("with a guard", Kind::Ours, fill(Workload::guarded)),
            Contestant::new("with a boxed future more", Kind::Ours, move || {
                let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
                for number in 0..EVENTS {
                    let append = store.append(workload.plain(number));
                    block_on(StoreFuture::new(append)).expect("it is appended");
                }
                Arc::strong_count(&store)
            }),
            Contestant::new("build the append", Kind::Limit, move || {
                (0..EVENTS)
                    .map(|number| workload.plain(number).events().len())
                    .sum()
            }),
            Contestant::new("push under a lock", Kind::Limit, move || {
                let log = Mutex::new(Vec::new());
                for number in 0..EVENTS {
                    let append = workload.plain(number);
                    log.lock().expect("nobody panics").push(append);
                }
                log.into_inner().expect("nobody panics").len()
            }),
        ],
    }
}

fn reading() -> Row<'static> {
    let workload = Workload::new();
    let store = workload.fill(|number| workload.plain(number));
    let by_stream = Arc::clone(&store);
    let recorded = all(&store, Query::all());
    Row {
        name: "read an event".to_owned(),
        events: EVENTS,
        contestants: vec![
            Contestant::new("the whole log", Kind::Ours, move || {
                all(&store, Query::all()).len()
            }),
            Contestant::new("stream by stream", Kind::Ours, move || {
                let streams = workload.streams.iter().cloned().map(Query::stream);
                streams.map(|query| all(&by_stream, query).len()).sum()
            }),
            Contestant::new("clone it", Kind::Limit, move || recorded.clone().len()),
        ],
    }
}

fn all(store: &Arc<dyn EventStore>, query: Query) -> Vec<eventwire_store::RecordedEvent> {
    let mut items = store.read(query, ReadOptions::all());
    let mut events = Vec::with_capacity(EVENTS);
    block_on(async {
        while let Some(item) = items.next().await {
            if let Item::Event(event) = item.expect("it is read") {
                events.push(event);
            }
        }
    });
    events
}

fn following() -> Row<'static> {
    let workload = Workload::new();
    Row {
        name: "append and be shown it live".to_owned(),
        events: EVENTS,
        contestants: vec![Contestant::new("subscription", Kind::Ours, move || {
            let store = MemoryStore::new();
            let mut items = store.subscribe(Query::all(), Start::Beginning);
            let mut seen = 0;
            for number in 0..EVENTS {
                block_on(async {
                    store
                        .append(workload.plain(number))
                        .await
                        .expect("it is appended");
                    while let Some(item) = items.next().await {
                        if let Item::Event(_) = item.expect("it is read") {
                            seen += 1;
                            break;
                        }
                    }
                });
            }
            seen
        })],
    }
}
