//! What a store costs of which many streams were deleted: how long appends wait, what indexes take
//! on the disk, what it keeps in memory, and how long opening takes.
//!
//! ```console
//! $ cargo run --release -p eventwire-store-file --example drop_cost -- 1000000
//! ```
//!
//! Each deletion is a commit of its own, so most of the time goes there; `TMPDIR` on a file system
//! in memory makes it short. Then a million events of 100 bytes are appended, in appends of 100.
#![allow(clippy::print_stdout, reason = "what it measures is its output")]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use eventwire_store::{Append, EventStore, EventType, NewEvent, Retention, StreamName};
use eventwire_store_file::FileStore;
use futures_executor::block_on;

const APPEND_EVENTS: u64 = 100;
const EVENTS_AFTERWARDS: u64 = 1_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let streams = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000), |text| text.parse())?;
    let directory = tempfile::tempdir()?;
    let store = FileStore::open(directory.path())?;
    append(&store, streams, stream)?;
    println!("{:.1} MiB resident with {streams} streams", resident()?);

    let begin = Instant::now();
    for number in 0..streams {
        block_on(store.delete_stream(stream(number)?))?;
    }
    let elapsed = begin.elapsed();
    println!("{:.1} MiB resident, deleted in {elapsed:.1?}", resident()?);

    let before = files(&directory.path().join("indexes"))?;
    let begin = Instant::now();
    let longest = append(&store, EVENTS_AFTERWARDS, |number| {
        Ok(StreamName::new(format!("later-{}", number % 1000))?)
    })?;
    println!(
        "{EVENTS_AFTERWARDS} events appended in {:.1?}, the longest in {longest:.1?}, {:.1} MiB resident",
        begin.elapsed(),
        resident()?
    );
    store.close();
    drop(store);
    let after = files(&directory.path().join("indexes"))?;
    println!("indexes: {before:?} bytes before, {after:?} afterwards");

    for _ in 0..3 {
        let before = resident()?;
        let begin = Instant::now();
        let store = FileStore::open(directory.path())?;
        let elapsed = begin.elapsed();
        let more = resident()? - before;
        println!("opened in {elapsed:.1?}, {more:.1} MiB more resident");
        drop(store);
    }
    Ok(())
}

/// Appends events; how long the longest append took.
fn append(
    store: &FileStore,
    events: u64,
    stream: impl Fn(u64) -> Result<StreamName, Box<dyn Error>>,
) -> Result<Duration, Box<dyn Error>> {
    let mut longest = Duration::ZERO;
    for first in (0..events).step_by(usize::try_from(APPEND_EVENTS)?) {
        let numbers = first..(first + APPEND_EVENTS).min(events);
        let event = |number| -> Result<NewEvent, Box<dyn Error>> {
            let event = NewEvent::new(EventType::new("measured")?, vec![b'x'; 100]);
            Ok(event.stream(stream(number)?))
        };
        let append = Append::new().extend(numbers.map(event).collect::<Result<Vec<_>, _>>()?);
        let begin = Instant::now();
        block_on(store.append(append))?;
        longest = longest.max(begin.elapsed());
    }
    Ok(longest)
}

fn stream(number: u64) -> Result<StreamName, Box<dyn Error>> {
    Ok(StreamName::new(format!("account-{number}"))?)
}

/// The lengths of the files in a directory, in the order of their names.
fn files(path: &Path) -> Result<Vec<u64>, Box<dyn Error>> {
    let mut files = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    files.sort_unstable_by_key(fs::DirEntry::file_name);
    let lengths = files.iter().map(|file| Ok(file.metadata()?.len()));
    lengths.collect()
}

/// MiB of this process that are in memory, as Linux counts them.
fn resident() -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line
        .and_then(|line| line.split_whitespace().next())
        .ok_or("no VmRSS")?
        .parse()?;
    Ok(kib / 1024.0)
}
