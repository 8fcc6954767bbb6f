//! What is said of a store that is reopened holds for the store in memory that stays open:
//! the chapter asks for no more than a log that is kept.

use eventwire_store::MemoryStore;
use eventwire_store_testkit::{Harness, Reopen};

struct Kept;

impl Harness for Kept {
    type Store = MemoryStore;

    async fn open(&self) -> MemoryStore {
        MemoryStore::new()
    }
}

impl Reopen for Kept {
    async fn reopen(&self, store: MemoryStore) -> MemoryStore {
        store
    }
}

eventwire_store_testkit::conformance!(reopening: Kept);
eventwire_store_testkit::conformance!(checkpoints, reopening: Kept);
eventwire_store_testkit::conformance!(snapshots, reopening: Kept);
eventwire_store_testkit::conformance!(retention, reopening: Kept);
