//! A store on a real disk is looked at, found damaged, and repaired.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use eventwire_store::{
    Append, EventStore, EventType, Item, NewEvent, Position, Query, ReadOptions, Snapshot,
    SnapshotName, SnapshotStore, StreamName,
};
use eventwire_store_file::{
    FileOptions, FileStore, GiveUp, Meaning, OpenError, RepairError, Repaired, VerifyError, repair,
    verify,
};
use futures_executor::block_on;

fn open(path: &Path) -> Result<FileStore, OpenError> {
    FileOptions::new().segment_bytes(8 << 10).open(path)
}

/// A closed store of several segments, with a snapshot.
fn write(path: &Path, events: usize) {
    let store = open(path).unwrap();
    for number in 0..events {
        let name = StreamName::new(format!("room-{}", number % 3)).unwrap();
        let event = NewEvent::new(EventType::new("posted").unwrap(), format!("{number:0200}"));
        block_on(store.append(Append::to(name).event(event))).unwrap();
    }
    let snapshot = Snapshot {
        position: Position::from_parts(0, 7),
        schema: 1,
        data: "state".into(),
    };
    block_on(store.save_snapshot(SnapshotName::new("room-1").unwrap(), snapshot)).unwrap();
    store.close();
}

fn count(store: &FileStore) -> usize {
    block_on(async {
        let mut items = store.read(Query::all(), ReadOptions::all());
        let mut events = 0;
        while let Some(item) = items.next().await {
            events += usize::from(matches!(item.unwrap(), Item::Event(_)));
        }
        events
    })
}

/// The bytes of every file, by its path.
fn files(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    found
}

fn segments(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".log")).collect();
    names.sort_unstable();
    names
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn looking_changes_nothing_and_says_how_far_it_has_come() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(path, 100);
    fs::write(path.join("notes.txt"), "mine").unwrap();
    fs::write(path.join("indexes/00000000000000000001.idx"), "torn").unwrap();
    let before = files(path);
    let mut steps = Vec::new();
    let report = verify(path, |progress| steps.push(progress)).unwrap();
    assert_eq!(files(path), before);
    assert!(report.is_whole());
    assert_eq!((report.events, report.streams), (100, 3));
    assert_eq!(report.segments, segments(path).len());
    assert_eq!(report.head, Position::from_parts(0, 100));
    let found = report.findings.iter();
    let found: Vec<_> = found
        .map(|found| (found.file.as_str(), found.meaning))
        .collect();
    assert_eq!(
        found,
        [
            ("indexes/00000000000000000001.idx", Meaning::Index),
            ("notes.txt", Meaning::Unknown)
        ]
    );
    assert!(steps.is_sorted_by_key(|progress| progress.bytes));
    let last = steps.last().unwrap();
    assert_eq!((last.bytes, last.of), (report.bytes, report.bytes));
}

#[test]
fn an_open_store_is_not_looked_at_and_one_that_is_looked_at_is_not_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let store = open(path).unwrap();
    let refused = verify(path, |_| {});
    assert!(
        matches!(refused, Err(VerifyError::Locked { holder: Some(holder), .. }) if holder == std::process::id())
    );
    let refused = repair(path, GiveUp::Nothing, |_| {});
    assert!(matches!(
        refused,
        Err(RepairError::Verify(VerifyError::Locked { .. }))
    ));
    store.close();
    verify(path, |_| {
        assert!(matches!(open(path), Err(OpenError::Locked { .. })));
    })
    .unwrap();
    open(path).unwrap();
}

#[test]
fn what_is_no_store_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::write(path.join("notes.txt"), "mine").unwrap();
    for path in [path.to_owned(), path.join("absent")] {
        let looked = verify(&path, |_| {});
        assert!(matches!(looked, Err(VerifyError::NoStore { .. })));
        let repaired = repair(&path, GiveUp::Nothing, |_| {});
        assert!(matches!(
            repaired,
            Err(RepairError::Verify(VerifyError::NoStore { .. }))
        ));
    }
    assert_eq!(files(path).len(), 1);
}

#[test]
fn what_is_given_up_is_kept_aside_and_cursors_are_not_believed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(path, 100);
    let epoch = verify(path, |_| {}).unwrap().epoch;
    let names = segments(path);
    assert!(names.len() > 3);
    flip(&path.join(&names[1]), 700);
    let before = files(path);

    let report = verify(path, |_| {}).unwrap();
    let [found] = &report.findings[..] else {
        panic!("{report:?}");
    };
    assert_eq!((&found.file, found.meaning), (&names[1], Meaning::Damage));
    let from = report.gives_up_from().unwrap();
    assert_eq!((found.first, found.last), (Some(from), Some(from)));
    let refused = repair(path, GiveUp::Nothing, |_| {}).unwrap_err();
    assert!(
        matches!(refused, RepairError::TooMuch { from: found } if found == from),
        "{refused}"
    );
    assert_eq!(files(path).len(), before.len());

    let done = repair(path, GiveUp::EverythingFrom(from), |_| {}).unwrap();
    let Repaired::Mended {
        gave_up_from,
        epoch: new,
        salvage,
        ..
    } = done
    else {
        panic!("there was something to repair");
    };
    assert_eq!(gave_up_from, Some(from));
    assert_ne!(Some(new), epoch);
    for name in &names[1..] {
        let kept = fs::read(path.join(&salvage).join(name)).unwrap();
        assert!(kept == before[&path.join(name).display().to_string()]);
    }
    let text = fs::read_to_string(path.join(&salvage).join("GIVEN-UP.txt")).unwrap();
    assert!(text.contains(&format!("every event from position {from} on")));
    assert!(text.contains(&found.to_string()));

    let report = verify(path, |_| {}).unwrap();
    assert_eq!(report.findings, []);
    let store = open(path).unwrap();
    assert_eq!(store.epoch(), new);
    assert_eq!(u64::try_from(count(&store)).unwrap(), from.to_parts().1 - 1);
    let snapshot = store.snapshot(SnapshotName::new("room-1").unwrap());
    assert_eq!(block_on(snapshot).unwrap(), None);
    let next = NewEvent::new(EventType::new("posted").unwrap(), "next");
    let next = block_on(store.append(Append::new().event(next))).unwrap();
    assert_eq!(next.last(), from);
    store.close();
    assert_eq!(
        repair(path, GiveUp::Nothing, |_| {}).unwrap(),
        Repaired::Nothing
    );
}
