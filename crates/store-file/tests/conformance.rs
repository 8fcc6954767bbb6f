//! The contract every store keeps, on a directory.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use eventwire_store_file::{FileOptions, FileStore};
use eventwire_store_testkit::{Harness, Reopen};
use tempfile::TempDir;

/// A directory for one test. Segments are short, so that a test sees several.
struct Directory(TempDir, FileOptions);

impl Directory {
    fn new() -> Self {
        let options = FileOptions::new().segment_bytes(64 << 10);
        Self(tempfile::tempdir().unwrap(), options)
    }

    fn mapped() -> Self {
        let Self(directory, options) = Self::new();
        Self(directory, options.mapped())
    }

    fn store(&self) -> FileStore {
        self.1.clone().open(self.0.path()).unwrap()
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

/// The same where files that were left are read as memory.
mod mapped {
    use super::Directory;

    eventwire_store_testkit::conformance!(reopening: Directory::mapped());
    eventwire_store_testkit::conformance!(retention, reopening: Directory::mapped());
}
