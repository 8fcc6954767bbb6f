use std::path::Path;
use std::sync::Arc;

use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition,
};

use crate::grouped::{Engine, Grouped};
use crate::record;
use crate::store::{Face, Store};
use crate::workload::{Append, Guard, Workload};

const EVENTS: TableDefinition<u64, &[u8]> = TableDefinition::new("events");
const STREAMS: TableDefinition<(&str, u64), u64> = TableDefinition::new("streams");
const TAGS: TableDefinition<(&str, u64), ()> = TableDefinition::new("tags");
const TYPES: TableDefinition<(&str, u64), ()> = TableDefinition::new("types");

/// A copy-on-write B-tree: events by position, and a table for each index. A transaction is
/// committed with `Durability::Immediate`, the default.
pub struct Redb {
    appends: Grouped<Writer>,
    database: Arc<Database>,
    workload: Arc<Workload>,
}

struct Writer {
    database: Arc<Database>,
    workload: Arc<Workload>,
    last: u64,
}

impl Store for Redb {
    const FACE: Face = Face::Futures;

    fn open(directory: &Path, workload: &Arc<Workload>) -> Self {
        let database = Database::create(directory.join("events.redb")).expect("it opens");
        let begin = database.begin_read().expect("it begins");
        let last = begin.open_table(EVENTS).map_or(0, |events| {
            let last = events.last().expect("it is read");
            last.map_or(0, |(position, _)| position.value())
        });
        drop(begin);
        let database = Arc::new(database);
        Self {
            appends: Grouped::new(Writer {
                database: Arc::clone(&database),
                workload: Arc::clone(workload),
                last,
            }),
            database,
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
        let read = self.database.begin_read().expect("it begins");
        let events = read.open_table(EVENTS).expect("it opens");
        let mut count = 0;
        for event in events.iter().expect("it is read") {
            let (_, event) = event.expect("it is read");
            record::look(record::payload(event.value()));
            count += 1;
        }
        debug_assert_eq!(count as u64, events.len().expect("it is read"));
        count
    }

    fn read_stream(&self, stream: usize) -> usize {
        let read = self.database.begin_read().expect("it begins");
        let events = read.open_table(EVENTS).expect("it opens");
        let streams = read.open_table(STREAMS).expect("it opens");
        let name = self.workload.streams[stream].as_str();
        let mut count = 0;
        for entry in streams.range((name, 0)..=(name, u64::MAX)).expect("read") {
            let (_, position) = entry.expect("it is read");
            let event = events.get(position.value()).expect("it is read");
            record::look(record::payload(event.expect("it is there").value()));
            count += 1;
        }
        count
    }
}

impl Engine for Writer {
    fn commit(&mut self, appends: &[Append]) {
        let mut write = self.database.begin_write().expect("it begins");
        write
            .set_durability(Durability::Immediate)
            .expect("it can be had");
        {
            let mut events = write.open_table(EVENTS).expect("it opens");
            let mut streams = write.open_table(STREAMS).expect("it opens");
            let mut tags = write.open_table(TAGS).expect("it opens");
            let mut types = write.open_table(TYPES).expect("it opens");
            let mut record = Vec::new();
            for append in appends {
                if append.guard == Guard::Stream {
                    let first = &append.events[0];
                    let key = (self.workload.stream(first), first.version);
                    let taken = streams.get(key).expect("it is read");
                    assert!(taken.is_none(), "the guard holds");
                }
                for event in &append.events {
                    self.last += 1;
                    record.clear();
                    record::put(&mut record, &self.workload, event);
                    events.insert(self.last, &*record).expect("inserted");
                    let key = (self.workload.stream(event), event.version);
                    streams.insert(key, self.last).expect("inserted");
                    let key = (self.workload.tag(event), self.last);
                    tags.insert(key, ()).expect("inserted");
                    let key = (self.workload.event_type(event), self.last);
                    types.insert(key, ()).expect("inserted");
                }
            }
        }
        write.commit().expect("it is committed");
    }
}
