use std::path::Path;
use std::sync::Arc;

use eventwire_store::{Append, EventType, NewEvent};

use super::Run;
use super::flips::{flip, flips, trimmed, written};
use super::reading::{Payloads, payloads};
use super::workload::{Workload, file_indexes, open};
use crate::backup::{Backup, CopyError, Original};
use crate::copy::Copy;
use crate::engine::Engine;
use crate::format::Trim;
use crate::identity::{self, IDENTITY, UNFINISHED_BACKUP};
use crate::inspection::inspect;
use crate::number;
use crate::repair::{GiveUp, RepairError, Repaired, mend};
use crate::report::Meaning;
use crate::segment;
use crate::shown::SHOWN;
use crate::storage::simulated::{Fault, Simulated};
use crate::storage::{Disk, Reads, Storage};
use crate::store::FileStore;

fn copy_of(engine: &Engine) -> Copy {
    let state = engine.log.read();
    let indexes = Arc::clone(&engine.indexes);
    Copy::of_open(engine.identity, &state, indexes)
}

fn back_up(engine: &Engine, to: &Simulated) -> Result<Backup, CopyError> {
    copy_of(engine).make(to, None, &mut |_| {})
}

fn restore(from: &Simulated, to: &Simulated, original: Original) -> Result<Backup, CopyError> {
    let copy = Copy::of_closed(from, Path::new("backup"))?;
    copy.make(to, Some(original), &mut |_| {})
}

/// What a copy holds that was opened.
fn held(medium: &Simulated) -> Payloads {
    let engine = open(medium).expect("a copy opens");
    payloads(&engine.log).expect("a copy can be read")
}

/// The same store, open, with more in it.
fn gone_on(engine: &mut Engine, workload: &mut Workload) {
    workload.learn(engine);
    assert!(workload.check(engine));
    workload.run(engine, 12);
    file_indexes(engine);
}

/// Whatever ends a backup, at any operation: what it leaves is no store, or the whole backup; and
/// the next one goes on.
#[test]
fn a_backup_is_whole_or_is_none() {
    let (medium, workload) = trimmed();
    let engine = open(&medium).expect("nothing fails");
    let counted = Simulated::new(1);
    back_up(&engine, &counted).expect("nothing fails");
    let faults = [
        Fault::PowerCut,
        Fault::Kill,
        Fault::Error(std::io::ErrorKind::StorageFull),
    ];
    let mut unfinished = 0;
    for (operation, fault) in (0..counted.operations()).flat_map(|at| faults.map(|it| (at, it))) {
        let _run = Run(format!("{fault:?} at operation {operation}"));
        let to = Simulated::new(operation);
        to.fail_at(operation, fault);
        let done = back_up(&engine, &to);
        let to = match fault {
            Fault::PowerCut => to.after_power_cut(),
            _ => to.after_kill(),
        };
        let found = to.copy();
        let is_empty = found.list().expect("nothing fails").is_empty();
        match open(&found) {
            Ok(copy) if !is_empty => {
                let found = payloads(&copy.log).expect("it can be read");
                assert!(found == workload.held());
            }
            Ok(_) => assert!(done.is_err(), "it was made, and is gone"),
            Err(_) => {
                unfinished += 1;
                assert!(done.is_err(), "it was made, and does not open");
            }
        }
        back_up(&engine, &to).expect("it goes on");
        assert!(held(&to) == workload.held());
    }
    assert!(unfinished > 20, "{unfinished}");
}

#[test]
fn a_later_backup_copies_what_is_new_and_is_a_backup_at_any_time() {
    let (medium, mut workload) = written();
    let mut engine = open(&medium).expect("nothing fails");
    let earlier = Simulated::new(1);
    let first = back_up(&engine, &earlier).expect("nothing fails");
    assert_eq!(first.segments_copied, first.segments);
    let before = workload.held();
    let again = back_up(&engine, &earlier).expect("nothing fails");
    assert_eq!((again.segments_copied, again.head), (0, first.head));

    gone_on(&mut engine, &mut workload);
    let counted = earlier.copy();
    let begun_at = counted.operations();
    let second = back_up(&engine, &counted).expect("nothing fails");
    assert!(second.segments > first.segments);
    let new = second.segments - first.segments;
    assert!(
        (new..=new + 1).contains(&second.segments_copied),
        "those that are new, and the last one of the first backup"
    );
    assert!(held(&counted) == workload.held());
    for operation in 0..counted.operations() - begun_at {
        let _run = Run(format!("cut at operation {operation}"));
        let to = earlier.copy();
        to.fail_at(operation, Fault::PowerCut);
        drop(back_up(&engine, &to));
        let to = to.after_power_cut();
        let found = held(&to.copy());
        assert!(found.starts_with(&before), "a part of the first is gone");
        assert!(workload.held().starts_with(&found));
        back_up(&engine, &to).expect("it goes on");
        assert!(held(&to) == workload.held());
    }
}

/// What was dropped since the first backup is dropped by the second, segments and all.
#[test]
fn a_later_backup_drops_what_was_dropped() {
    let (medium, mut workload) = written();
    let mut engine = open(&medium).expect("nothing fails");
    let earlier = Simulated::new(1);
    back_up(&engine, &earlier).expect("nothing fails");
    workload.learn(&engine);
    assert!(workload.check(&mut engine));
    for _ in 0..6 {
        workload.write_large(&mut engine, 3000);
    }
    let last = workload.last();
    assert!(workload.drops(&mut engine, Trim::Log { to: last - 2 }));
    file_indexes(&engine);
    assert!(!engine.log.read().remainders.is_empty());
    let counted = earlier.copy();
    let begun_at = counted.operations();
    back_up(&engine, &counted).expect("nothing fails");
    for operation in 0..counted.operations() - begun_at {
        let _run = Run(format!("cut at operation {operation}"));
        let to = earlier.copy();
        to.fail_at(operation, Fault::PowerCut);
        drop(back_up(&engine, &to));
        let to = to.after_power_cut();
        back_up(&engine, &to).expect("it goes on");
        assert!(held(&to) == workload.held());
        let report = inspect(&to, &mut |_| {}).expect("nothing fails");
        assert!(report.is_whole(), "{report:?}");
        let names = to.list().expect("nothing fails");
        assert!(!names.contains(&segment::name(1)), "it is gone");
    }
}

#[test]
fn a_copy_knows_what_became_of_the_original() {
    let (medium, workload) = written();
    let engine = open(&medium).expect("nothing fails");
    let backup = Simulated::new(1);
    let made = back_up(&engine, &backup).expect("nothing fails");
    assert_eq!(made.epoch, engine.identity.epoch);
    let report = inspect(&backup, &mut |_| {}).expect("nothing fails");
    assert_eq!(report.findings, []);
    for (original, is_same) in [
        (Original::EndedThere, true),
        (Original::MayHaveGoneOn, false),
    ] {
        let to = Simulated::new(2);
        let restored = restore(&backup, &to, original).expect("nothing fails");
        assert_eq!(restored.head, made.head);
        assert_eq!(restored.epoch == made.epoch, is_same);
        let mut copy = open(&to).expect("it is a store");
        assert_eq!(copy.identity.epoch, restored.epoch);
        assert_eq!(copy.recovery.segments_read, 1, "the indexes are there too");
        assert!(payloads(&copy.log).expect("it can be read") == workload.held());
        let mut next = Workload::new(3);
        next.learn(&copy);
        assert!(next.check(&mut copy));
        for _ in 0..5 {
            next.write_large(&mut copy, 3000);
        }
        assert_eq!(next.held().len(), workload.held().len() + 5);
        let report = inspect(&to, &mut |_| {}).expect("nothing fails");
        assert_eq!(report.findings, []);
        let occupied = restore(&backup, &to, original);
        assert!(
            matches!(&occupied, Err(CopyError::Occupied { .. })),
            "{occupied:?}"
        );
    }
}

/// Any bit of the source that is flipped: the copy is as it should be, or is not made.
#[test]
fn what_is_damaged_is_not_copied() {
    let (medium, workload) = written();
    let engine = open(&medium).expect("nothing fails");
    let mut refused = 0;
    for name in medium.list().expect("nothing fails") {
        for (at, bit) in flips(medium.bytes(&name).len(), 3) {
            let _run = Run(format!("{name}, byte {at}, bit {bit}"));
            medium.tamper(&name, |bytes| flip(bytes, at, bit));
            let to = Simulated::new(1);
            match back_up(&engine, &to) {
                Ok(_) => assert!(held(&to) == workload.held()),
                Err(error) => {
                    refused += 1;
                    assert!(matches!(error, CopyError::Damaged(_)), "{error}");
                    open(&to).expect_err("it is no store");
                }
            }
            let to = Simulated::new(1);
            match restore(&medium, &to, Original::EndedThere) {
                Ok(_) => assert!(held(&to) == workload.held()),
                Err(error) => assert!(matches!(error, CopyError::Damaged(_)), "{error}"),
            }
            medium.tamper(&name, |bytes| flip(bytes, at, bit));
        }
    }
    assert!(refused > 1000, "the bytes that matter: {refused}");
}

#[test]
fn nothing_is_copied_over_anything_else() {
    let (medium, _) = written();
    let (other, _) = written();
    let engine = open(&medium).expect("nothing fails");
    drop(open(&other).expect("nothing fails"));
    let occupied = back_up(&engine, &other);
    assert!(matches!(&occupied, Err(CopyError::Occupied { file }) if file == "IDENTITY"));
    let to = Simulated::new(1);
    to.create("notes.txt").expect("nothing fails");
    let occupied = back_up(&engine, &to);
    assert!(matches!(&occupied, Err(CopyError::Occupied { file }) if file == "notes.txt"));
    assert_eq!(to.list().expect("nothing fails"), ["notes.txt"]);
}

/// The process ended when the copy had its identity, and before what marks it as unfinished was
/// gone: it is finished.
#[test]
fn a_mark_that_a_finished_backup_has_left_is_removed_and_in_nobodys_way() {
    let (medium, workload) = written();
    let engine = open(&medium).expect("nothing fails");
    let to = Simulated::new(1);
    back_up(&engine, &to).expect("nothing fails");
    identity::write(&to, UNFINISHED_BACKUP, &engine.identity).expect("nothing fails");
    let has_mark = |to: &Simulated| {
        let names = to.list().expect("nothing fails");
        names.iter().any(|name| name.starts_with(UNFINISHED_BACKUP))
    };
    let report = inspect(&to, &mut |_| {}).expect("nothing fails");
    let found: Vec<_> = report
        .findings
        .iter()
        .map(|it| (&*it.file, it.meaning))
        .collect();
    assert_eq!(found, [(UNFINISHED_BACKUP, Meaning::Unfinished)]);

    let again = to.copy();
    back_up(&engine, &again).expect("nothing fails");
    assert!(!has_mark(&again), "the next backup removes it");
    let opened = to.copy();
    assert!(held(&opened) == workload.held());
    assert!(!has_mark(&opened), "opening removes it");
    restore(&to, &Simulated::new(2), Original::EndedThere).expect("it is a store");

    let damaged = to.copy();
    damaged.tamper(&segment::name(1), |bytes| flip(bytes, 200, 0));
    let report = inspect(&damaged, &mut |_| {}).expect("nothing fails");
    let from = report.gives_up_from().expect("it is damaged");
    let repaired = mend(&damaged, &report, GiveUp::EverythingFrom(from));
    assert!(
        matches!(repaired, Ok(Repaired::Mended { .. })),
        "{repaired:?}"
    );
    open(&damaged).expect("it is repaired");

    // Without an identity it is what it says it is.
    to.remove(IDENTITY).expect("it is there");
    let report = inspect(&to, &mut |_| {}).expect("nothing fails");
    let repaired = mend(&to, &report, GiveUp::Nothing);
    assert!(
        matches!(repaired, Err(RepairError::UnfinishedBackup)),
        "{repaired:?}"
    );
    open(&to).expect_err("it is no store");
}

/// A backup of what is shown: a commit that is on its way is not in it.
#[test]
fn a_backup_ends_with_a_commit_that_was_shown() {
    let (medium, mut workload) = written();
    let mut in_doubt = 0;
    for operation in 0..8 {
        let medium = medium.copy();
        let mut engine = open(&medium).expect("nothing fails");
        workload.learn(&engine);
        assert!(workload.check(&mut engine));
        medium.fail_at(operation, Fault::Error(std::io::ErrorKind::Other));
        workload.write_large(&mut engine, 900);
        if !medium.has_failed() {
            break;
        }
        in_doubt += u32::from(workload.is_in_doubt());
        let to = Simulated::new(1);
        let made = back_up(&engine, &to).expect("reading goes on");
        assert!(held(&to) == workload.held());
        let events = u64::try_from(workload.held().len()).expect("it is short");
        assert_eq!(made.head, number::position(events));
    }
    assert!(in_doubt > 1, "no commit failed");
}

/// The power was lost, and what the writer says in `SHOWN` is from before; one that has begun to
/// open the store has not said more yet.
#[cfg(target_os = "linux")]
#[test]
fn a_backup_beside_one_who_opens_the_store_waits_for_what_was_answered() {
    use std::os::unix::fs::MetadataExt;
    use std::{fs, thread};

    let directory = tempfile::tempdir().unwrap();
    let (path, to) = (directory.path().join("store"), directory.path().join("to"));
    let shown = path.join(SHOWN);
    let growth = crate::FileOptions::new().growth;
    let append = || {
        let event = NewEvent::new(EventType::new("posted").unwrap(), "hi");
        Append::new().event(event)
    };
    let store = FileStore::open(&path).unwrap();
    store.append_blocking(append()).unwrap();
    let old = fs::read(&shown).unwrap();
    let last = store.append_blocking(append()).unwrap().last();
    drop(store);
    fs::write(&shown, old).unwrap();

    let (disk, unsaid) = Disk::open_to_say(&path, Reads::Copied, SHOWN).unwrap();
    let inode = format!(":{} ", fs::metadata(&shown).unwrap().ino());
    let made = thread::spawn({
        let path = path.clone();
        move || crate::backup(path, to, |_| {})
    });
    // The system's table of locks has those who wait.
    let does_wait = |line: &str| line.contains("->") && line.contains(&inode);
    let is_waiting = || {
        fs::read_to_string("/proc/locks")
            .unwrap()
            .lines()
            .any(does_wait)
    };
    while !made.is_finished() && !is_waiting() {
        thread::yield_now();
    }
    let engine = Engine::open(Box::new(disk), growth, None).unwrap();
    drop(unsaid);
    assert_eq!(made.join().unwrap().unwrap().head, last);
    drop(engine);
}
