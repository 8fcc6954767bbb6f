//! The store in memory keeps every promise of the contract, and has all that is optional.

use eventwire_store::MemoryStore;
use eventwire_store_testkit::{Fresh, conformance};

conformance!(MemoryStore::new());
conformance!(checkpoints, harness: Fresh::new(MemoryStore::new));
conformance!(snapshots, harness: Fresh::new(MemoryStore::new));
conformance!(retention, harness: Fresh::new(MemoryStore::new));
