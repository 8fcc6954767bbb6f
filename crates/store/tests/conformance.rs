//! The store in memory keeps every promise of the contract.

use eventwire_store::MemoryStore;

eventwire_store_testkit::conformance!(MemoryStore::new());
