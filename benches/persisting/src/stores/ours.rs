use std::path::Path;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use eventwire_store::{
    EventStore, EventType, Expect, Item, NewEvent, Position, Query, ReadOptions, StreamName, Tag,
    Version,
};
use eventwire_store_file::{FileOptions, FileStore};
use futures_executor::block_on;

use crate::record;
use crate::store::{Face, Store};
use crate::workload::{Append, Event, Guard, PAYLOAD, Workload};

/// The file store, by its trait.
pub struct Ours {
    store: FileStore,
    names: &'static Names,
}

/// The file store, by its own faces: who appends alone commits on its own thread, files that were
/// left are mapped, and events are lent rather than handed out.
pub struct OursDirect(Ours);

/// Made once, as by a program that keeps them, and before the store is opened.
static NAMES: OnceLock<Names> = OnceLock::new();

struct Names {
    streams: Vec<StreamName>,
    tags: Vec<Tag>,
    types: Vec<EventType>,
    bytes: Bytes,
}

impl Store for Ours {
    const FACE: Face = Face::Futures;

    fn prepare(workload: &Workload) {
        NAMES.get_or_init(|| Names::new(workload));
    }

    fn open(directory: &Path, _workload: &Arc<Workload>) -> Self {
        Self {
            store: FileStore::open(directory).expect("it opens"),
            names: Names::made(),
        }
    }

    fn append(&self, append: Append) {
        block_on(self.append_async(append));
    }

    fn append_async(&self, append: Append) -> impl Future<Output = ()> + Send {
        let appended = self.store.append(self.names.append(&append));
        async { drop(appended.await.expect("it is appended")) }
    }

    fn replay(&self) -> usize {
        self.read(Query::all())
    }

    fn read_stream(&self, stream: usize) -> usize {
        self.read(Query::stream(self.names.streams[stream].clone()))
    }

    fn close(self) {
        self.store.close();
    }
}

impl Store for OursDirect {
    const FACE: Face = Face::Threads;

    fn prepare(workload: &Workload) {
        NAMES.get_or_init(|| Names::new(workload));
    }

    fn open(directory: &Path, _workload: &Arc<Workload>) -> Self {
        Self(Ours {
            store: FileOptions::new()
                .segment_bytes(64 << 20)
                .mapped()
                .open(directory)
                .expect("it opens"),
            names: Names::made(),
        })
    }

    fn append(&self, append: Append) {
        let appended = self.0.store.append_blocking(self.0.names.append(&append));
        appended.expect("it is appended");
    }

    fn replay(&self) -> usize {
        self.lend(Query::all())
    }

    fn read_stream(&self, stream: usize) -> usize {
        self.lend(Query::stream(self.0.names.streams[stream].clone()))
    }

    fn close(self) {
        self.0.close();
    }
}

impl OursDirect {
    fn lend(&self, query: Query) -> usize {
        let mut reader = self.0.store.reader(query, Position::ORIGIN);
        let mut count = 0;
        while let Some(events) = reader.next_batch().expect("it is read") {
            for event in events {
                record::look(event.data());
                count += 1;
            }
        }
        count
    }
}

impl Ours {
    fn read(&self, query: Query) -> usize {
        let mut items = self.store.read(query, ReadOptions::all());
        let mut count = 0;
        block_on(async {
            while let Some(item) = items.next().await {
                if let Item::Event(event) = item.expect("it is read") {
                    record::look(&event.data);
                    count += 1;
                }
            }
        });
        count
    }
}

impl Names {
    fn made() -> &'static Self {
        NAMES.get().expect("they are made before the store is opened")
    }

    fn new(workload: &Workload) -> Self {
        Self {
            streams: each(&workload.streams, StreamName::new),
            tags: each(&workload.tags, Tag::new),
            types: each(&workload.types, EventType::new),
            bytes: Bytes::from(workload.bytes.clone()),
        }
    }

    fn append(&self, append: &Append) -> eventwire_store::Append {
        let events = append.events.iter().map(|event| self.event(event));
        let first = &append.events[0];
        match append.guard {
            Guard::None => eventwire_store::Append::new().extend(events),
            Guard::Stream => eventwire_store::Append::to(self.streams[first.stream].clone())
                .expect(Version::new(first.version - 1).map_or(Expect::NoStream, Expect::Exact))
                .extend(events),
        }
    }

    fn event(&self, event: &Event) -> NewEvent {
        let payload = self.bytes.slice(event.payload..event.payload + PAYLOAD);
        NewEvent::new(self.types[event.event_type].clone(), payload)
            .stream(self.streams[event.stream].clone())
            .tag(self.tags[event.tag].clone())
    }
}

fn each<T, E: std::fmt::Debug>(names: &[String], make: impl Fn(String) -> Result<T, E>) -> Vec<T> {
    let names = names.iter().cloned();
    names
        .map(|name| make(name).expect("a valid name"))
        .collect()
}
