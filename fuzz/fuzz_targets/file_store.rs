//! Any operations on a store in a directory, which is closed and opened, and killed and opened,
//! in between: it answers what the model of the contract answers.
//!
//! The input is a byte for the length of a segment, and three for each step: what it is, and
//! the chance by which `eventwire-store-testkit` chooses an operation.
#![no_main]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use eventwire_store::{
    CheckpointStore, Consumer, EventStore, KeepError, Position, Snapshot, SnapshotName,
    SnapshotStore,
};
use eventwire_store_file::{FileOptions, FileStore};
use eventwire_store_testkit::{Harness, Life, Lockstep, Operation, Reopen};
use futures_executor::block_on;
use libfuzzer_sys::fuzz_target;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tempfile::TempDir;

/// More find no more, and take longer.
const MOST_STEPS: usize = 60;

/// A store's directory, and those of its earlier lives.
struct Directory {
    root: TempDir,
    segment_bytes: u64,
    /// Whether the next end is one by force.
    is_killed: Arc<AtomicBool>,
    life: AtomicUsize,
}

impl Directory {
    fn new(segment_bytes: u64, is_killed: Arc<AtomicBool>) -> Self {
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() {
            memory
        } else {
            std::env::temp_dir()
        };
        Self {
            root: tempfile::tempdir_in(parent).unwrap(),
            segment_bytes,
            is_killed,
            life: AtomicUsize::new(0),
        }
    }

    fn path(&self, life: usize) -> PathBuf {
        self.root.path().join(life.to_string())
    }

    fn store(&self, life: usize) -> FileStore {
        let options = FileOptions::new().segment_bytes(self.segment_bytes);
        options
            .open(self.path(life))
            .expect("what was written opens")
    }
}

impl Harness for Directory {
    type Store = FileStore;

    async fn open(&self) -> FileStore {
        self.store(0)
    }
}

impl Reopen for Directory {
    async fn reopen(&self, store: FileStore) -> FileStore {
        if self.is_killed.load(Relaxed) {
            // Nothing is under way, so a copy is what the end of the process would leave.
            let life = self.life.fetch_add(1, Relaxed);
            copy(&self.path(life), &self.path(life + 1));
        }
        drop(store);
        let store = self.store(self.life.load(Relaxed));
        assert_eq!(store.recovery().bytes_cut, 0, "nothing was under way");
        store
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else if let Err(error) = fs::copy(entry.path(), to) {
            // An index that was being written has got its name meanwhile.
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        }
    }
}

/// What is kept beside the log, under names the operations do not use.
#[derive(Debug, Default)]
struct Kept {
    checkpoints: BTreeMap<Consumer, Position>,
    snapshots: BTreeMap<SnapshotName, Snapshot>,
}

impl Kept {
    fn step(&mut self, store: &FileStore, step: u8, number: u64) {
        let name = format!("own-{}", step >> 2 & 1);
        let consumer = Consumer::new(name.as_str()).unwrap();
        let snapshot = SnapshotName::new(name.as_str()).unwrap();
        match step & 3 {
            0 => self.save_checkpoint(store, consumer, Position::from_parts(0, number % 8)),
            1 => {
                block_on(store.remove_checkpoint(consumer.clone())).unwrap();
                self.checkpoints.remove(&consumer);
            }
            2 => self.save_snapshot(store, snapshot, number),
            _ => {
                block_on(store.remove_snapshot(snapshot.clone())).unwrap();
                self.snapshots.remove(&snapshot);
            }
        }
    }

    fn save_checkpoint(&mut self, store: &FileStore, consumer: Consumer, position: Position) {
        let at = self.checkpoints.get(&consumer).copied().unwrap_or_default();
        match block_on(store.save_checkpoint(consumer.clone(), position)) {
            Ok(()) => {
                assert!(position > at, "a checkpoint moved from {at} to {position}");
                self.checkpoints.insert(consumer, position);
            }
            Err(KeepError::Behind { at: found }) => {
                assert!(
                    found == at && position <= at,
                    "{position} is refused at {at}"
                );
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn save_snapshot(&mut self, store: &FileStore, name: SnapshotName, number: u64) {
        let snapshot = Snapshot {
            position: Position::from_parts(0, number % 8),
            schema: u32::try_from(number / 8 % 2).unwrap(),
            data: number.to_string().into(),
        };
        block_on(store.save_snapshot(name.clone(), snapshot.clone())).unwrap();
        let kept = self.snapshots.get(&name);
        let is_kept = kept.is_some_and(|kept| {
            kept.schema == snapshot.schema && kept.position >= snapshot.position
        });
        if !is_kept {
            self.snapshots.insert(name, snapshot);
        }
    }

    fn check(&self, store: &FileStore) {
        for name in ["own-0", "own-1"] {
            let consumer = Consumer::new(name).unwrap();
            let at = block_on(store.checkpoint(consumer.clone())).unwrap();
            assert_eq!(
                at,
                self.checkpoints.get(&consumer).copied().unwrap_or_default()
            );
            let name = SnapshotName::new(name).unwrap();
            let found = block_on(store.snapshot(name.clone())).unwrap();
            assert_eq!(found.as_ref(), self.snapshots.get(&name));
        }
    }
}

fn reopen(life: Life<Directory>, killed: &AtomicBool, is_killed: bool) -> Life<Directory> {
    killed.store(is_killed, Relaxed);
    life.reopen()
}

fuzz_target!(|input: &[u8]| {
    let Some((segment, steps)) = input.split_first() else {
        return;
    };
    let segment_bytes = 256 + u64::from(*segment) * 32;
    let killed = Arc::new(AtomicBool::new(false));
    let by_force = Arc::clone(&killed);
    let mut life = Life::begin(move || Directory::new(segment_bytes, Arc::clone(&by_force)));
    let operations = Operation::any(&life.store().capabilities());
    let mut lockstep = Lockstep::new();
    let mut kept = Kept::default();
    for step in steps.chunks_exact(3).take(MOST_STEPS) {
        let chance = u16::from_le_bytes([step[1], step[2]]);
        match step[0] >> 4 {
            0 => life = reopen(life, &killed, chance.is_multiple_of(2)),
            1 | 2 => kept.step(life.store(), step[0], chance.into()),
            3 => {
                lockstep
                    .compare_logs(life.subject())
                    .unwrap_or_else(|error| panic!("{error}"));
                kept.check(life.store());
            }
            _ => {
                let operation = operations.new_tree(&mut runner(chance)).expect("no filter");
                lockstep
                    .step(life.subject(), &operation.current())
                    .unwrap_or_else(|error| panic!("{error}"));
            }
        }
    }
    for is_killed in [true, false] {
        life = reopen(life, &killed, is_killed);
        lockstep
            .compare_logs(life.subject())
            .unwrap_or_else(|error| panic!("{error}"));
        kept.check(life.store());
    }
});

/// What chooses an operation, from two bytes of the input.
fn runner(chance: u16) -> TestRunner {
    let mut seed = [7; 16];
    seed[..2].copy_from_slice(&chance.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::XorShift, &seed);
    TestRunner::new_with_rng(Config::default(), random)
}
