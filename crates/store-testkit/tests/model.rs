//! The model is a store like any other, and keeps every promise.

use eventwire_store_testkit::ModelStore;

eventwire_store_testkit::conformance!(ModelStore::new());
