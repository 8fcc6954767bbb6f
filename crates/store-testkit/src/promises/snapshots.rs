//! `SnapshotStore`: what a fold had come to, kept beside the log; one a name, the furthest.
//! For stores that have it: `conformance!(snapshots: ...)`.

use bytes::Bytes;
use eventwire_store::{Position, Snapshot, SnapshotStore};

use crate::harness::Reopen;
use crate::life::Life;
use crate::sample::{several, snapshot_name};
use crate::subject::Subject;

/// Of a name that nothing was saved under there is none.
pub fn of_an_unknown_name_there_is_none<S: SnapshotStore>(subject: &Subject, store: &S) {
    assert_eq!(load(subject, store, "room-1"), None);
}

/// What was saved is read back, byte for byte.
pub fn a_snapshot_is_read_back<S: SnapshotStore>(subject: &Subject, store: &S) {
    let at = subject.put(several("room-1", 3)).last();
    let all_bytes: Vec<u8> = (0..=255).collect();
    for (name, data) in [
        ("empty", Vec::new()),
        ("nul", vec![0; 9]),
        ("all", all_bytes.clone()),
        ("large", all_bytes.repeat(4_000)),
    ] {
        let snapshot = of(at, u32::MAX, data);
        save(subject, store, name, snapshot.clone());
        assert!(
            load(subject, store, name) == Some(snapshot),
            "{name} came back as another"
        );
    }
}

/// A snapshot that is further replaces the one there was.
pub fn the_furthest_snapshot_is_kept<S: SnapshotStore>(subject: &Subject, store: &S) {
    for position in subject.put(several("room-1", 5)).positions {
        let snapshot = of(position, 1, position.to_string());
        save(subject, store, "room-1", snapshot.clone());
        assert_eq!(load(subject, store, "room-1"), Some(snapshot));
    }
}

/// A snapshot of the same schema that is not further changes nothing, and is no error.
pub fn a_snapshot_that_is_not_further_changes_nothing<S: SnapshotStore>(
    subject: &Subject,
    store: &S,
) {
    let positions = subject.put(several("room-1", 3)).positions;
    let kept = of(positions[1], 1, "kept");
    save(subject, store, "room-1", kept.clone());
    for position in [positions[0], positions[1]] {
        save(subject, store, "room-1", of(position, 1, "late"));
        assert_eq!(load(subject, store, "room-1"), Some(kept.clone()));
    }
}

/// A snapshot of another schema replaces the one there was, wherever it is.
pub fn a_snapshot_of_another_schema_replaces_it<S: SnapshotStore>(subject: &Subject, store: &S) {
    let positions = subject.put(several("room-1", 3)).positions;
    save(subject, store, "room-1", of(positions[2], 1, "old shape"));
    for (schema, position) in [(2, positions[0]), (1, positions[0]), (7, positions[1])] {
        let other = of(position, schema, "other shape");
        save(subject, store, "room-1", other.clone());
        assert_eq!(load(subject, store, "room-1"), Some(other));
    }
}

/// Names are apart, however alike they are.
pub fn snapshots_are_apart<S: SnapshotStore>(subject: &Subject, store: &S) {
    let at = subject.put(several("room-1", 1)).last();
    let longest = "n".repeat(eventwire_store::MAX_NAME_BYTES);
    let almost = format!("{}m", &longest[1..]);
    let names = [
        "room",
        "Room",
        "room ",
        "../room",
        "room/1",
        "room\\1",
        ".",
        "..",
        "*",
        "\u{1f980}",
        longest.as_str(),
        almost.as_str(),
    ];
    for name in names {
        save(subject, store, name, of(at, 1, name.to_owned()));
    }
    for name in names {
        let expected = of(at, 1, name.to_owned());
        assert_eq!(load(subject, store, name), Some(expected), "{name:?}");
    }
}

/// A snapshot that is forgotten is none, and forgetting it again is no error.
pub fn a_forgotten_snapshot_is_none<S: SnapshotStore>(subject: &Subject, store: &S) {
    let positions = subject.put(several("room-1", 2)).positions;
    save(subject, store, "room-1", of(positions[1], 1, "forgotten"));
    save(subject, store, "room-2", of(positions[1], 1, "kept"));
    for _ in 0..2 {
        remove(subject, store, "room-1");
        assert_eq!(load(subject, store, "room-1"), None);
    }
    assert!(load(subject, store, "room-2").is_some());
    let anew = of(positions[0], 1, "anew");
    save(subject, store, "room-1", anew.clone());
    assert_eq!(load(subject, store, "room-1"), Some(anew));
}

/// A snapshot is no event, and moves no head.
pub fn saving_a_snapshot_appends_nothing<S: SnapshotStore>(subject: &Subject, store: &S) {
    let head = subject.put(several("room-1", 3)).last();
    let before = subject.log();
    save(subject, store, "room-1", of(head, 1, "state"));
    remove(subject, store, "room-1");
    assert_eq!(subject.head(), head);
    assert_eq!(subject.log(), before);
}

/// After the store was reopened a snapshot is the one that was saved, or none.
pub fn a_snapshot_outlives_the_store_whole_or_not_at_all<H: Reopen>(life: Life<H>)
where
    H::Store: SnapshotStore,
{
    let positions = life.subject().put(several("room-1", 3)).positions;
    let first = of(positions[0], 1, "first");
    let second = of(positions[1], 1, "second");
    save(life.subject(), life.store(), "room-1", first.clone());
    save(life.subject(), life.store(), "room-1", second.clone());
    let life = life.reopen();
    let found = load(life.subject(), life.store(), "room-1");
    let may_be = [None, Some(first), Some(second)];
    assert!(may_be.contains(&found), "{found:?} was never saved");
    let third = of(positions[2], 1, "third");
    save(life.subject(), life.store(), "room-1", third.clone());
    assert_eq!(load(life.subject(), life.store(), "room-1"), Some(third));
}

fn of(position: Position, schema: u32, data: impl Into<Bytes>) -> Snapshot {
    Snapshot {
        position,
        schema,
        data: data.into(),
    }
}

#[track_caller]
fn load<S: SnapshotStore>(subject: &Subject, store: &S, name: &str) -> Option<Snapshot> {
    let found = subject.run(async { store.snapshot(snapshot_name(name)).await });
    found.unwrap_or_else(|error| panic!("`snapshot` failed: {error}"))
}

#[track_caller]
fn save<S: SnapshotStore>(subject: &Subject, store: &S, name: &str, snapshot: Snapshot) {
    let saved = subject.run(async { store.save_snapshot(snapshot_name(name), snapshot).await });
    saved.unwrap_or_else(|error| panic!("`save_snapshot` failed: {error}"));
}

#[track_caller]
fn remove<S: SnapshotStore>(subject: &Subject, store: &S, name: &str) {
    let removed = subject.run(async { store.remove_snapshot(snapshot_name(name)).await });
    removed.unwrap_or_else(|error| panic!("`remove_snapshot` failed: {error}"));
}
