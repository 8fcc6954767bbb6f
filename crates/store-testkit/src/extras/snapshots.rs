//! Snapshots are kept one a name, the furthest, and are never the truth.

#![allow(missing_docs, reason = "the name of each test is its sentence")]

use bytes::Bytes;
use eventwire_store::{Position, Snapshot, SnapshotName, SnapshotStore};

use crate::subject::Subject;

fn name(text: &str) -> SnapshotName {
    SnapshotName::new(text).expect("the kit's own names are valid")
}

fn snapshot(place: u64, schema: u32, data: &'static [u8]) -> Snapshot {
    Snapshot {
        position: Position::from_parts(0, place),
        schema,
        data: Bytes::from_static(data),
    }
}

fn save(subject: &Subject, store: &impl SnapshotStore, to: &str, snapshot: Snapshot) {
    let saved = subject.run(store.save_snapshot(name(to), snapshot));
    saved.expect("a snapshot is saved");
}

fn shown(subject: &Subject, store: &impl SnapshotStore, of: &str) -> Option<Snapshot> {
    let shown = subject.run(store.snapshot(name(of)));
    shown.expect("a snapshot is read")
}

pub fn there_is_none_at_first<S: SnapshotStore>(subject: &Subject, store: &S) {
    assert_eq!(shown(subject, store, "a"), None);
}

pub fn what_was_saved_is_shown<S: SnapshotStore>(subject: &Subject, store: &S) {
    for data in [&b""[..], b"\0\xff\n", &[7; 100_000]] {
        let place = u64::try_from(data.len()).expect("a length fits 64 bits");
        let saved = snapshot(place + 1, 1, data);
        save(subject, store, "a", saved.clone());
        assert_eq!(shown(subject, store, "a"), Some(saved));
    }
}

pub fn the_furthest_is_kept<S: SnapshotStore>(subject: &Subject, store: &S) {
    let (near, far) = (snapshot(3, 1, b"near"), snapshot(9, 1, b"far"));
    for saved in [&near, &far, &near, &snapshot(9, 1, b"other")] {
        save(subject, store, "a", saved.clone());
    }
    assert_eq!(shown(subject, store, "a"), Some(far));
}

pub fn another_schema_takes_its_place<S: SnapshotStore>(subject: &Subject, store: &S) {
    save(subject, store, "a", snapshot(9, 2, b"new shape"));
    let rolled_back = snapshot(3, 1, b"old shape");
    save(subject, store, "a", rolled_back.clone());
    assert_eq!(shown(subject, store, "a"), Some(rolled_back));
}

pub fn a_removed_snapshot_is_gone<S: SnapshotStore>(subject: &Subject, store: &S) {
    save(subject, store, "a", snapshot(9, 1, b"x"));
    for _ in 0..2 {
        let removed = subject.run(store.remove_snapshot(name("a")));
        removed.expect("removing is no error, whether or not there is one");
        assert_eq!(shown(subject, store, "a"), None);
    }
    let again = snapshot(1, 1, b"again");
    save(subject, store, "a", again.clone());
    assert_eq!(shown(subject, store, "a"), Some(again));
}

pub fn names_are_apart<S: SnapshotStore>(subject: &Subject, store: &S) {
    let names = ["a", "A", "a ", "a/b", "ä", "..", "room-1"];
    for (place, of) in (1..).zip(names) {
        save(subject, store, of, snapshot(place, 1, b"x"));
    }
    for (place, of) in (1..).zip(names) {
        assert_eq!(
            shown(subject, store, of),
            Some(snapshot(place, 1, b"x")),
            "{of:?}"
        );
    }
}
