//! The traits beside the contract, as the store in memory implements them.

use eventwire_store::MemoryStore;

eventwire_store_testkit::checkpoints!(MemoryStore::new());
eventwire_store_testkit::snapshots!(MemoryStore::new());
eventwire_store_testkit::retention!(MemoryStore::new());
