//! Snapshots are kept beside the log.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use eventwire_store::{KeepError, Position, Snapshot, SnapshotName, SnapshotStore};
use eventwire_store_file::FileStore;
use futures_executor::block_on;

fn name(text: &str) -> SnapshotName {
    SnapshotName::new(text).unwrap()
}

fn snapshot(position: u64, schema: u32, data: &'static str) -> Snapshot {
    Snapshot {
        position: Position::from_parts(0, position),
        schema,
        data: data.into(),
    }
}

fn kept(store: &FileStore, of: &str) -> Option<Snapshot> {
    block_on(store.snapshot(name(of))).unwrap()
}

#[test]
fn the_furthest_snapshot_of_a_schema_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path()).unwrap();
    let (a, b) = ("room/1", &*"é".repeat(127));
    assert_eq!(kept(&store, a), None);
    for (position, schema, data, expected) in [
        (5, 1, "five", "five"),
        (4, 1, "four", "five"),
        (5, 1, "again", "five"),
        (9, 1, "nine", "nine"),
        (2, 2, "another shape", "another shape"),
    ] {
        let saved = store.save_snapshot(name(a), snapshot(position, schema, data));
        block_on(saved).unwrap();
        assert_eq!(kept(&store, a).unwrap().data, expected);
    }
    block_on(store.save_snapshot(name(b), snapshot(1, 1, ""))).unwrap();
    store.close();
    assert_eq!(kept(&store, a), Some(snapshot(2, 2, "another shape")));
    let late = block_on(store.save_snapshot(name(a), snapshot(99, 2, "late")));
    assert!(matches!(late, Err(KeepError::Closed)), "{late:?}");

    let store = FileStore::open(directory.path()).unwrap();
    assert_eq!(kept(&store, a), Some(snapshot(2, 2, "another shape")));
    assert_eq!(kept(&store, b), Some(snapshot(1, 1, "")));
    block_on(store.remove_snapshot(name(a))).unwrap();
    block_on(store.remove_snapshot(name(a))).unwrap();
    assert_eq!(kept(&store, a), None);
    assert_eq!(kept(&store, b), Some(snapshot(1, 1, "")));
}

#[test]
fn a_damaged_snapshot_is_none_and_can_be_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path()).unwrap();
    block_on(store.save_snapshot(name("room-1"), snapshot(9, 1, "state"))).unwrap();
    let mut files = fs::read_dir(directory.path().join("snapshots")).unwrap();
    let file = files.next().unwrap().unwrap().path();
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    assert_eq!(kept(&store, "room-1"), None);
    block_on(store.save_snapshot(name("room-1"), snapshot(3, 1, "less"))).unwrap();
    assert_eq!(kept(&store, "room-1"), Some(snapshot(3, 1, "less")));
}
