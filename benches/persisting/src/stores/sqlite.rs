use std::path::Path;
use std::sync::{Arc, Mutex};

use rusqlite::{Connection, params};

use crate::grouped::{Engine, Grouped};
use crate::record;
use crate::store::{Face, Store};
use crate::workload::{Append, Workload};

/// One table with its indexes, in WAL mode with `synchronous = FULL`: a commit syncs the WAL. The
/// guard is the unique index on stream and version.
pub struct Sqlite {
    appends: Grouped<Writer>,
    reader: Mutex<Connection>,
    workload: Arc<Workload>,
}

struct Writer {
    connection: Connection,
    workload: Arc<Workload>,
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS events (
        position INTEGER PRIMARY KEY,
        stream TEXT NOT NULL,
        version INTEGER NOT NULL,
        type TEXT NOT NULL,
        tag TEXT NOT NULL,
        data BLOB NOT NULL
    );
    CREATE UNIQUE INDEX IF NOT EXISTS streams ON events (stream, version);
    CREATE INDEX IF NOT EXISTS tags ON events (tag);
    CREATE INDEX IF NOT EXISTS types ON events (type);
";

const INSERT: &str = "INSERT INTO events (stream, version, type, tag, data) VALUES (?, ?, ?, ?, ?)";

impl Store for Sqlite {
    const FACE: Face = Face::Futures;

    fn open(directory: &Path, workload: &Arc<Workload>) -> Self {
        let writer = connect(directory);
        writer.execute_batch(SCHEMA).expect("it is made");
        Self {
            appends: Grouped::new(Writer {
                connection: writer,
                workload: Arc::clone(workload),
            }),
            reader: Mutex::new(connect(directory)),
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
        self.read(
            "SELECT position, stream, version, type, tag, data FROM events ORDER BY position",
            params![],
        )
    }

    fn read_stream(&self, stream: usize) -> usize {
        self.read(
            "SELECT position, stream, version, type, tag, data FROM events WHERE stream = ? ORDER BY version",
            params![self.workload.streams[stream]],
        )
    }
}

impl Sqlite {
    fn read(&self, query: &str, parameters: &[&dyn rusqlite::ToSql]) -> usize {
        let reader = self.reader.lock().expect("nobody panics");
        let mut query = reader.prepare_cached(query).expect("it is prepared");
        let mut rows = query.query(parameters).expect("it is run");
        let mut count = 0;
        while let Some(row) = rows.next().expect("it is read") {
            let data = row.get_ref(5).expect("it is there");
            record::look(data.as_blob().expect("bytes"));
            count += 1;
        }
        count
    }
}

impl Engine for Writer {
    fn commit(&mut self, appends: &[Append]) {
        let transaction = self.connection.transaction().expect("it begins");
        {
            let mut insert = transaction.prepare_cached(INSERT).expect("it is prepared");
            for event in appends.iter().flat_map(|append| &append.events) {
                let row = params![
                    self.workload.stream(event),
                    i64::try_from(event.version).expect("a small number"),
                    self.workload.event_type(event),
                    self.workload.tag(event),
                    self.workload.payload(event),
                ];
                insert.execute(row).expect("the guard holds");
            }
        }
        transaction.commit().expect("it is committed");
    }
}

fn connect(directory: &Path) -> Connection {
    let connection = Connection::open(directory.join("events.sqlite")).expect("it opens");
    for (name, value) in [("journal_mode", "WAL"), ("synchronous", "FULL")] {
        connection
            .pragma_update(None, name, value)
            .expect("it is set");
    }
    connection
        .pragma_update(None, "cache_size", -(64 << 10))
        .expect("it is set");
    connection
}
