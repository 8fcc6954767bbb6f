//! The contract every store keeps, on a directory.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use eventwire_store_file::{FileOptions, FileStore};
use eventwire_store_testkit::{Harness, Reopen};
use tempfile::TempDir;

/// A directory for one test. Segments are short, so that a test sees several.
struct Directory(TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn store(&self) -> FileStore {
        FileOptions::new()
            .segment_bytes(64 << 10)
            .open(self.0.path())
            .unwrap()
    }
}

impl Harness for Directory {
    type Store = FileStore;

    async fn open(&self) -> FileStore {
        self.store()
    }
}

impl Reopen for Directory {
    async fn reopen(&self, store: FileStore) -> FileStore {
        drop(store);
        self.store()
    }
}

eventwire_store_testkit::conformance!(reopening: Directory::new());
eventwire_store_testkit::conformance!(checkpoints, reopening: Directory::new());
eventwire_store_testkit::conformance!(snapshots, reopening: Directory::new());
eventwire_store_testkit::conformance!(retention, reopening: Directory::new());
