//! The file system under a process is shut down at a random instant, as the loss of power would
//! leave it: what is dirty and what of the journal was not forced is gone. Then it is mounted
//! again, which replays the journal. `EVENTWIRE_POWER_CYCLES` sets how often.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use eventwire_store::{Append, AppendError, EventStore, EventType, NewEvent, Position};
use futures_executor::block_on;
use tempfile::TempDir;

use crate::ledger::{Ledger, Takes};
use crate::load::{Start, open};
use crate::{machine, number, seed};

/// Lives of one file system; then comes one of the next kind.
const LIVES: u64 = 5;

/// Programs of Debian's `e2fsprogs`, `xfsprogs` and `mount`.
const PROGRAMS: [&str; 5] = ["mkfs.ext4", "mkfs.xfs", "xfs_io", "mount", "umount"];

/// How a file system is made and mounted.
#[derive(Debug, Clone, Copy)]
struct Kind {
    make: &'static [&'static str],
    mount: &'static str,
    megabytes: u64,
}

const EXT4: Kind = Kind {
    make: &["mkfs.ext4", "-q"],
    mount: "loop",
    megabytes: 64,
};

/// Not ext4 with fast commits: Linux 6.18 replays them so that, once in some hundred times, the
/// file system does not mount any more, or a directory cannot be removed.
const KINDS: [Kind; 3] = [
    EXT4,
    Kind {
        make: &["mkfs.xfs", "-q"],
        // The least that it can be made of.
        megabytes: 300,
        ..EXT4
    },
    // It promises least.
    Kind {
        mount: "loop,data=writeback",
        ..EXT4
    },
];

/// A file system in a file, mounted. It is unmounted with its value.
#[derive(Debug)]
struct Medium {
    kind: Kind,
    directory: TempDir,
}

impl Medium {
    fn new(kind: Kind) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let medium = Self { kind, directory };
        let image = File::create(medium.image()).unwrap();
        image.set_len(kind.megabytes << 20).unwrap();
        fs::create_dir(medium.root()).unwrap();
        let (program, arguments) = kind.make.split_first().unwrap();
        run(Command::new(program).args(arguments).arg(medium.image()));
        medium.mount();
        medium
    }

    fn image(&self) -> PathBuf {
        self.directory.path().join("image")
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("mounted")
    }

    fn mount(&self) {
        run(Command::new("mount")
            .args(["-o", self.kind.mount])
            .args([self.image(), self.root()]));
    }

    /// From here on nothing reaches the medium. `shutdown` is the ioctl of that name, and does
    /// not flush the journal.
    fn cut_power(&self) {
        run(Command::new("xfs_io")
            .args(["-x", "-c", "shutdown"])
            .arg(self.root()));
    }

    fn restart(&self) {
        run(Command::new("umount").arg(self.root()));
        self.mount();
    }
}

impl Drop for Medium {
    fn drop(&mut self) {
        // A test that fails may have left files open.
        drop(Command::new("umount").arg("-l").arg(self.root()).status());
    }
}

fn run(command: &mut Command) {
    let output = command.env("PATH", path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

/// With what root may lack that was a user.
fn path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin")
}

fn is_possible() -> bool {
    machine::can_mount() && machine::has(&PROGRAMS)
}

#[test]
fn what_was_answered_survives_power_cuts_under_a_real_file_system() {
    if !is_possible() {
        return;
    }
    let cycles = number("EVENTWIRE_POWER_CYCLES", 8);
    let lives = LIVES.min(cycles.div_ceil(4)).max(1);
    let seed = seed();
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut appends, mut drops, mut cuts, mut segments) = (0, 0, 0, 0);
    let begins = (0..cycles).step_by(usize::try_from(lives).unwrap());
    for (begin, kind) in begins.zip(KINDS.into_iter().cycle()) {
        let medium = Medium::new(kind);
        // Directories that the store makes must survive as well.
        let directory = medium.root().join("a/b");
        let mut ledger = Ledger::default();
        for life in begin..cycles.min(begin + lives) {
            let segment_bytes = 1 << random.u32(13..22);
            let mut process = Start {
                directory: &directory,
                segment_bytes,
                rounds: None,
                under: Vec::new(),
            }
            .start();
            // Sometimes while it opens, and so while it recovers from the last cut.
            let lines = random.choice([0, 1, 20, 200]).unwrap();
            ledger.enter(&process.take(random.usize(0..=lines)));
            thread::sleep(Duration::from_micros(random.u64(..20_000)));
            medium.cut_power();
            // Its writers end when they are refused.
            ledger.enter(&process.end());
            medium.restart();
            println!("life {life} on {kind:?}, segments of {segment_bytes}");
            ledger.check(&directory, segment_bytes, Takes::Snapshots);
        }
        appends += ledger.appends();
        drops += ledger.drops();
        cuts += ledger.cuts;
        segments = segments.max(ledger.segments);
    }
    println!(
        "{cycles} power cuts, {appends} appends and {drops} drops answered, {cuts} torn commits cut, up to {segments} segments"
    );
    assert!(appends > 0, "nothing was written");
}

/// A file system that is full: nothing of what is refused is written, and once there is room
/// again the store writes on, durably.
#[test]
fn a_full_file_system_is_busy_until_there_is_room() {
    if !is_possible() {
        return;
    }
    let kind = Kind {
        megabytes: 16,
        ..EXT4
    };
    let medium = Medium::new(kind);
    let ballast = medium.root().join("ballast");
    fs::write(&ballast, vec![7; 4 << 20]).unwrap();
    File::open(&ballast).unwrap().sync_all().unwrap();
    let directory = medium.root().join("store");
    let mut written = 0;
    for _ in 0..2 {
        let store = open(&directory, 1 << 20);
        assert_eq!(head(&store), Position::from_parts(0, written));
        fill(&store, &mut written);
        if ballast.exists() {
            fs::remove_file(&ballast).unwrap();
            let before = written;
            fill(&store, &mut written);
            assert!(written > before, "there was room again");
        }
        medium.cut_power();
        store.close();
        drop(store);
        medium.restart();
    }
    let store = open(&directory, 1 << 20);
    assert_eq!(head(&store), Position::from_parts(0, written));
    let mut events = store.read(
        eventwire_store::Query::all(),
        eventwire_store::ReadOptions::all(),
    );
    let mut found = 0;
    while let Some(item) = block_on(events.next()) {
        if let eventwire_store::Item::Event(event) = item.unwrap() {
            found += 1;
            assert!(event.data == payload(found), "event {found}");
        }
    }
    assert_eq!(found, written);
}

fn head(store: &impl EventStore) -> Position {
    block_on(store.head()).unwrap()
}

/// Appends until it is said that the disk is full.
fn fill(store: &impl EventStore, written: &mut u64) {
    loop {
        let event = NewEvent::new(EventType::new("filling").unwrap(), payload(*written + 1));
        match block_on(store.append(Append::new().event(event))) {
            Ok(_) => *written += 1,
            Err(AppendError::Busy { .. }) => return,
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn payload(number: u64) -> Vec<u8> {
    number.to_string().repeat(10_000).into_bytes()
}
