use std::path::Path;
use std::sync::Arc;

use okaywal::{Configuration, LogVoid, WriteAheadLog};

use crate::record;
use crate::store::{Face, Store};
use crate::workload::{Append, Workload};

/// A write-ahead log: group commit of its own, no guard, and nothing is found again by name. What
/// it has checkpointed is thrown away.
pub struct OkayWal {
    log: WriteAheadLog,
    workload: Arc<Workload>,
}

impl Store for OkayWal {
    const FACE: Face = Face::Threads;

    fn open(directory: &Path, workload: &Arc<Workload>) -> Self {
        let configuration = Configuration::default_for(directory)
            .preallocate_bytes(64 << 20)
            .checkpoint_after_bytes(48 << 20);
        Self {
            log: configuration.open(LogVoid).expect("it opens"),
            workload: Arc::clone(workload),
        }
    }

    fn append(&self, append: Append) {
        let mut entry = self.log.begin_entry().expect("it begins");
        for event in &append.events {
            let record = record::record(&self.workload, event);
            entry.write_chunk(&record).expect("it is written");
        }
        entry.commit().expect("it is committed");
    }

    fn replay(&self) -> usize {
        unreachable!("it is not read")
    }

    fn read_stream(&self, _stream: usize) -> usize {
        unreachable!("it is not read")
    }

    fn close(self) {
        self.log.shutdown().expect("it is closed");
    }
}
