use std::path::Path;
use std::sync::Arc;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::grouped::{Engine, Grouped};
use crate::record;
use crate::store::{Face, Store};
use crate::workload::{Append, Event, Guard, Workload};

/// An LSM tree: events by position, and a keyspace for each index. A batch is written with
/// `PersistMode::SyncData`, one `fdatasync`.
pub struct Fjall {
    appends: Grouped<Writer>,
    keyspaces: Keyspaces,
    workload: Arc<Workload>,
}

struct Writer {
    database: Database,
    keyspaces: Keyspaces,
    last: u64,
    workload: Arc<Workload>,
}

#[derive(Clone)]
struct Keyspaces {
    events: Keyspace,
    streams: Keyspace,
    tags: Keyspace,
    types: Keyspace,
}

impl Store for Fjall {
    const FACE: Face = Face::Futures;

    fn open(directory: &Path, workload: &Arc<Workload>) -> Self {
        let database = Database::builder(directory).open().expect("it opens");
        let keyspace = |name| {
            database
                .keyspace(name, KeyspaceCreateOptions::default)
                .expect("it opens")
        };
        let keyspaces = Keyspaces {
            events: keyspace("events"),
            streams: keyspace("streams"),
            tags: keyspace("tags"),
            types: keyspace("types"),
        };
        let last = keyspaces.events.last_key_value();
        let last = last.map_or(0, |last| number(&last.key().expect("it is read")));
        Self {
            appends: Grouped::new(Writer {
                database,
                keyspaces: keyspaces.clone(),
                last,
                workload: Arc::clone(workload),
            }),
            keyspaces,
            workload: Arc::clone(workload),
        }
    }

    fn append(&self, append: Append) {
        self.appends.append(append);
    }

    fn append_async(&self, append: Append) -> impl Future<Output = ()> + Send {
        self.appends.append_async(append)
    }

    fn replay(&self) -> usize {
        let mut count = 0;
        for event in self.keyspaces.events.iter() {
            record::look(record::payload(&event.value().expect("it is read")));
            count += 1;
        }
        count
    }

    fn read_stream(&self, stream: usize) -> usize {
        let mut count = 0;
        let name = format!("{}\0", self.workload.streams[stream]);
        for entry in self.keyspaces.streams.prefix(name) {
            let position = entry.value().expect("it is read");
            let event = self.keyspaces.events.get(position).expect("it is read");
            record::look(record::payload(&event.expect("it is there")));
            count += 1;
        }
        count
    }
}

impl Engine for Writer {
    fn commit(&mut self, appends: &[Append]) {
        let batch = self.database.batch();
        let mut batch = batch.durability(Some(PersistMode::SyncData));
        let Keyspaces {
            events,
            streams,
            tags,
            types,
        } = &self.keyspaces;
        for append in appends {
            if append.guard == Guard::Stream {
                let key = version_key(&self.workload, &append.events[0]);
                let is_taken = streams.contains_key(key).expect("it is read");
                assert!(!is_taken, "the guard holds");
            }
            for event in &append.events {
                self.last += 1;
                let position = self.last.to_be_bytes();
                batch.insert(events, position, record::record(&self.workload, event));
                batch.insert(streams, version_key(&self.workload, event), position);
                let tag = key(self.workload.tag(event), self.last);
                batch.insert(tags, tag, []);
                let event_type = key(self.workload.event_type(event), self.last);
                batch.insert(types, event_type, []);
            }
        }
        batch.commit().expect("it is committed");
    }
}

fn version_key(workload: &Workload, event: &Event) -> Vec<u8> {
    key(workload.stream(event), event.version)
}

fn key(name: &str, number: u64) -> Vec<u8> {
    [name.as_bytes(), &[0], &number.to_be_bytes()].concat()
}

fn number(key: &[u8]) -> u64 {
    u64::from_be_bytes(key.try_into().expect("eight bytes"))
}
