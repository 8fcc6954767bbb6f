//! A store is copied while it is written to, and what the copy is worth.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use eventwire_store::{
    Append, CheckpointStore, Consumer, Cursor, EventStore, EventType, IdempotencyKey, Item, Keep,
    NewEvent, Position, Query, ReadOptions, Retention, StreamName,
};
use eventwire_store_file::{CopyError, FileOptions, FileStore, Original, backup, restore, verify};
use futures_executor::block_on;

fn open(path: &Path) -> FileStore {
    FileOptions::new()
        .segment_bytes(16 << 10)
        .open(path)
        .unwrap()
}

fn append(number: u64) -> Append {
    let name = StreamName::new(format!("room-{}", number % 3)).unwrap();
    let event = NewEvent::new(EventType::new("posted").unwrap(), format!("{number:0100}"));
    let consumer = Consumer::new("view").unwrap();
    Append::to(name)
        .event(event)
        .consumed(consumer, Position::from_parts(0, number))
}

fn payloads(store: &FileStore) -> Vec<String> {
    block_on(async {
        let mut items = store.read(Query::all(), ReadOptions::all());
        let mut payloads = Vec::new();
        while let Some(item) = items.next().await {
            if let Item::Event(event) = item.unwrap() {
                payloads.push(String::from_utf8(event.data.to_vec()).unwrap());
            }
        }
        payloads
    })
}

/// Lets the writer end, also where the test fails.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn backups_of_a_store_that_is_written_to_are_prefixes_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let store = open(&path("store"));
    let (answered, is_done) = (AtomicU64::new(0), AtomicBool::new(false));
    let backups = thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1.. {
                block_on(store.append(append(number))).unwrap();
                answered.store(number, Ordering::SeqCst);
                if is_done.load(Ordering::SeqCst) {
                    break;
                }
            }
        });
        let _done = SetOnDrop(&is_done);
        let mut backups = Vec::new();
        for number in 0..8 {
            while answered.load(Ordering::SeqCst) < 100 * (number + 1) {
                thread::yield_now();
            }
            // Every other one into the one before it.
            let to = path(&format!("backup-{}", number / 2));
            let before = answered.load(Ordering::SeqCst);
            let made = store.backup(&to, |_| {}).unwrap();
            let head = made.head.to_parts().1;
            assert!(head >= before, "what was answered before is in it");
            assert!(head <= answered.load(Ordering::SeqCst) + 1);
            let report = verify(&to, |_| {}).unwrap();
            assert_eq!(report.findings, []);
            assert_eq!(report.head, made.head);
            backups.push((to, made));
        }
        backups
    });
    let all = payloads(&store);
    for (number, (from, made)) in backups.iter().enumerate().skip(1).step_by(2) {
        let earlier = &backups[number - 1].1;
        assert!(made.segments_copied <= made.segments - earlier.segments + 1);
        let to = path(&format!("restored-{number}"));
        let done = restore(from, &to, Original::MayHaveGoneOn, |_| {}).unwrap();
        assert_ne!(done.epoch, store.epoch());
        let copy = open(&to);
        let found = payloads(&copy);
        assert!(all.starts_with(&found));
        let events = u64::try_from(found.len()).unwrap();
        assert_eq!(Position::from_parts(0, events), made.head);
        let view = copy.checkpoint(Consumer::new("view").unwrap());
        assert_eq!(block_on(view).unwrap(), made.head);
        assert_eq!(
            block_on(copy.append(append(events + 1))).unwrap().last(),
            Position::from_parts(0, events + 1)
        );
    }
}

/// A cursor that was saved is resumed from where nothing was lost, and recognised where
/// something may have been.
#[test]
fn a_restored_store_says_whether_cursors_still_count() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let store = open(&path("store"));
    for number in 1..20 {
        block_on(store.append(append(number))).unwrap();
    }
    let cursor = Cursor {
        epoch: store.epoch(),
        position: block_on(store.head()).unwrap(),
    };
    store.close();
    store.backup(path("backup"), |_| {}).unwrap();
    restore(path("backup"), path("same"), Original::EndedThere, |_| {}).unwrap();
    assert_eq!(open(&path("same")).epoch(), cursor.epoch);
    restore(path("backup"), path("new"), Original::MayHaveGoneOn, |_| {}).unwrap();
    assert_ne!(open(&path("new")).epoch(), cursor.epoch);
    // Any closed store will do, and is not changed.
    restore(path("store"), path("moved"), Original::EndedThere, |_| {}).unwrap();
    assert_eq!(payloads(&open(&path("moved"))), payloads(&store));
}

/// Says to this very program that it is the writer, and where it writes.
const DIRECTORY: &str = "EVENTWIRE_BACKUP_DIRECTORY";

/// Not a test of its own: a process that writes, drops and compacts, and says what was answered.
#[test]
fn child() {
    let Some(directory) = env::var_os(DIRECTORY) else {
        return;
    };
    let store = open(Path::new(&directory));
    for number in 1.. {
        let append = append(number).key(IdempotencyKey::new(format!("append-{number}")).unwrap());
        block_on(store.append(append)).unwrap();
        println!("> {number} .");
        if number % 300 == 0 {
            let room = StreamName::new("room-1").unwrap();
            block_on(store.trim_stream(room, Keep::all().max_events(50))).unwrap();
            block_on(store.trim_log(Keep::all().max_events(1000))).unwrap();
            store.compact(|_| {}).unwrap();
        }
    }
}

/// The process, which is killed with its value.
struct Writer(Child);

impl Writer {
    fn start(path: &Path) -> Self {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(DIRECTORY, path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Where it has ended already, there is nothing to do.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Backups of a store that another process writes to: each is a prefix of it, with all that was
/// answered before it was begun, also while files of it are rewritten and go.
#[test]
fn a_store_that_another_process_writes_is_backed_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let mut writer = Writer::start(&path("store"));
    let said = BufReader::new(writer.0.stdout.take().unwrap());
    let answered = AtomicU64::new(0);
    let restored = thread::scope(|scope| {
        scope.spawn(|| {
            // The last line may be cut short, as its process is.
            for line in said.lines().map_while(Result::ok) {
                let number = line
                    .split_once("> ")
                    .and_then(|(_, line)| line.strip_suffix(" ."));
                if let Some(number) = number {
                    answered.store(number.parse().unwrap(), Ordering::SeqCst);
                }
            }
        });
        // Ends with this, so that the other thread does.
        let _writer = writer;
        let mut restored = Vec::new();
        for number in 0..8 {
            while answered.load(Ordering::SeqCst) < 400 * (number + 1) {
                thread::yield_now();
            }
            // Every other one into the one before it.
            let to = path(&format!("backup-{}", number / 2));
            let before = answered.load(Ordering::SeqCst);
            let made = backup(path("store"), &to, |_| {}).unwrap();
            assert!(
                made.head.to_parts().1 >= before,
                "what was answered is in it"
            );
            assert_eq!(verify(&to, |_| {}).unwrap().findings, []);
            let copy = path(&format!("restored-{number}"));
            let done = restore(&to, &copy, Original::MayHaveGoneOn, |_| {}).unwrap();
            assert_eq!(done.head, made.head);
            restored.push(copy);
        }
        restored
    });
    let (store, last) = (open(&path("store")), answered.load(Ordering::SeqCst));
    assert!(block_on(store.head()).unwrap().to_parts().1 >= last);
    for path in restored {
        let copy = open(&path);
        let head = block_on(copy.head()).unwrap().to_parts().1;
        // Each append has its number as its position and its payload.
        for number in 1..=head {
            let key = IdempotencyKey::new(format!("append-{number}")).unwrap();
            let recalled = block_on(copy.recall(key)).unwrap().unwrap();
            assert_eq!(recalled.appended.last(), Position::from_parts(0, number));
        }
        let found = payloads(&copy);
        let trims = head.saturating_sub(1) / 300;
        let expected = (1..=head).filter(|number| trims == 0 || number + 1000 > trims * 300);
        let others = expected.filter(|number| number % 3 != 1);
        assert!(found.len() > 200, "{}", found.len());
        for number in others {
            assert!(
                found.contains(&format!("{number:0100}")),
                "{number} of {head}"
            );
        }
        let view = copy.checkpoint(Consumer::new("view").unwrap());
        assert_eq!(block_on(view).unwrap(), Position::from_parts(0, head));
    }
}

/// Where nobody has the store open, all that is there is copied, whatever was said of it last.
#[test]
fn a_store_that_nobody_writes_is_backed_up_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let store = open(&path("store"));
    block_on(store.append(append(1))).unwrap();
    let shown = fs::read(path("store/SHOWN")).unwrap();
    for number in 2..40 {
        block_on(store.append(append(number))).unwrap();
    }
    drop(store);
    fs::write(path("store/SHOWN"), shown).unwrap();
    let made = backup(path("store"), path("backup"), |_| {}).unwrap();
    assert_eq!(made.head, Position::from_parts(0, 39));
    assert_eq!(payloads(&open(&path("backup"))).len(), 39);
    let nothing = backup(path("absent"), path("copy"), |_| {});
    assert!(
        matches!(nothing, Err(CopyError::NoStore { .. })),
        "{nothing:?}"
    );
    assert!(!path("copy").exists() && !path("absent").exists());
}

#[test]
fn a_copy_is_made_only_where_there_is_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let store = open(&path("store"));
    block_on(store.append(append(1))).unwrap();
    let onto_itself = store.backup(path("store"), |_| {});
    assert!(matches!(onto_itself, Err(CopyError::Locked { .. })));
    let open_one = restore(path("store"), path("copy"), Original::EndedThere, |_| {});
    assert!(matches!(open_one, Err(CopyError::Locked { .. })));
    let nothing = restore(path("absent"), path("copy"), Original::EndedThere, |_| {});
    assert!(matches!(nothing, Err(CopyError::NoStore { .. })));
    assert!(!path("copy").exists());

    fs::create_dir(path("mine")).unwrap();
    fs::write(path("mine/notes.txt"), "mine").unwrap();
    let occupied = store.backup(path("mine"), |_| {});
    assert!(
        matches!(&occupied, Err(CopyError::Occupied { file }) if file == "notes.txt"),
        "{occupied:?}"
    );

    // As an interruption leaves it: all but the last step.
    store.backup(path("backup"), |_| {}).unwrap();
    fs::rename(path("backup/IDENTITY"), path("backup/BACKUP")).unwrap();
    let error = FileStore::open(path("backup")).unwrap_err();
    assert!(error.to_string().contains("not finished"), "{error}");
    let unfinished = restore(path("backup"), path("copy"), Original::EndedThere, |_| {});
    assert!(matches!(unfinished, Err(CopyError::Damaged(_))));
    let made = store.backup(path("backup"), |_| {}).unwrap();
    assert_eq!(made.segments_copied, 0);
    assert_eq!(payloads(&open(&path("backup"))), payloads(&store));
}
