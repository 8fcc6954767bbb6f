use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use crate::grouped::{Engine, Grouped};
use crate::store::{Face, Store};
use crate::stores::raw;
use crate::workload::{Append, Workload};

/// A log with group commit that keeps no index, checks no guard and finds nothing: what encoding,
/// checksums and waking the callers cost, on space filled with zeros, round and round.
pub struct Unindexed(Grouped<Ring>);

struct Ring {
    file: File,
    at: u64,
    bytes: Vec<u8>,
    workload: Arc<Workload>,
}

const BYTES: u64 = 64 << 20;

impl Store for Unindexed {
    const FACE: Face = Face::Futures;

    fn open(directory: &Path, workload: &Arc<Workload>) -> Self {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        let file = options.open(directory.join("ring")).expect("it opens");
        let zeros = vec![0; 1 << 20];
        for at in (0..BYTES).step_by(zeros.len()) {
            file.write_all_at(&zeros, at).expect("it is written");
        }
        file.sync_all().expect("it is synced");
        Self(Grouped::new(Ring {
            file,
            at: 0,
            bytes: Vec::new(),
            workload: Arc::clone(workload),
        }))
    }

    fn append(&self, append: Append) {
        self.0.append(append);
    }

    fn append_async(&self, append: Append) -> impl Future<Output = ()> + Send {
        self.0.append_async(append)
    }

    fn replay(&self) -> usize {
        unreachable!("it is not read")
    }

    fn read_stream(&self, _stream: usize) -> usize {
        unreachable!("it is not read")
    }
}

impl Engine for Ring {
    fn commit(&mut self, appends: &[Append]) {
        self.bytes.clear();
        for event in appends.iter().flat_map(|append| &append.events) {
            raw::put(&mut self.bytes, &self.workload, event);
        }
        let length = self.bytes.len() as u64;
        if self.at + length > BYTES {
            self.at = 0;
        }
        self.file
            .write_all_at(&self.bytes, self.at)
            .expect("it is written");
        self.file.sync_data().expect("it is synced");
        self.at += length;
    }
}
