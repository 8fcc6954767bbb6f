//! How long opening takes, and what it keeps in memory, with a number of events in the log.
//!
//! ```console
//! $ cargo run --release -p eventwire-store-file --example open_time -- 1000000
//! ```
//!
//! Events of 256 bytes in 100,000 streams, with two tags each, in appends of 100, on a directory
//! in the system's place for temporary files. `TMPDIR` chooses another.
#![allow(clippy::print_stdout, reason = "what it measures is its output")]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

use eventwire_store::{
    Append, EventStore, EventType, Item, NewEvent, Query, ReadOptions, StreamName, Tag,
};
use eventwire_store_file::FileStore;
use futures_executor::block_on;

const APPEND_EVENTS: u64 = 100;
const STREAMS: u64 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    let events = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000), |text| text.parse())?;
    let directory = tempfile::tempdir()?;
    let store = FileStore::open(directory.path())?;
    let begin = Instant::now();
    for first in (0..events).step_by(usize::try_from(APPEND_EVENTS)?) {
        let numbers = first..(first + APPEND_EVENTS).min(events);
        let events = numbers.map(event).collect::<Result<Vec<_>, _>>()?;
        block_on(store.append(Append::new().extend(events)))?;
    }
    println!("{events} events written in {:.1?}", begin.elapsed());
    println!("{:.1} MiB resident before closing", resident()?);
    // What a killed process leaves.
    let killed = tempfile::tempdir()?;
    copy(directory.path(), killed.path())?;
    store.close();
    drop(store);

    let begin = Instant::now();
    let store = FileStore::open(killed.path())?;
    let elapsed = begin.elapsed();
    println!(
        "after a kill opened in {elapsed:.2?}, {:?}",
        store.recovery()
    );
    drop(store);
    killed.close()?;

    for _ in 0..3 {
        let before = resident()?;
        let begin = Instant::now();
        let store = FileStore::open(directory.path())?;
        let elapsed = begin.elapsed();
        let more = resident()? - before;
        println!(
            "opened in {elapsed:.2?}, {more:.1} MiB more resident, {:?}",
            store.recovery()
        );
    }

    let store = FileStore::open(directory.path())?;
    let begin = Instant::now();
    let count = count(&store, Query::all())?;
    let elapsed = begin.elapsed();
    println!("{count} events read in {elapsed:.2?}");
    let begin = Instant::now();
    let mut found = 0;
    for number in 0..1000 {
        found += self::count(&store, Query::stream(stream(number * 97 % STREAMS)?))?;
    }
    println!(
        "{found} events of 1,000 streams read in {:.2?}",
        begin.elapsed()
    );
    Ok(())
}

fn event(number: u64) -> Result<NewEvent, Box<dyn Error>> {
    let payload = vec![b'x'; 256];
    Ok(NewEvent::new(EventType::new("measured")?, payload)
        .stream(stream(number.wrapping_mul(7919) % STREAMS)?)
        .tag(Tag::new(format!("user:{}", number % 10_007))?)
        .tag(Tag::new(format!("kind:{}", number % 13))?))
}

fn stream(number: u64) -> Result<StreamName, Box<dyn Error>> {
    Ok(StreamName::new(format!("account-{number}"))?)
}

fn count(store: &FileStore, query: Query) -> Result<u64, Box<dyn Error>> {
    block_on(async {
        let mut items = store.read(query, ReadOptions::all());
        let mut count = 0;
        while let Some(item) = items.next().await {
            count += u64::from(matches!(item?, Item::Event(_)));
        }
        Ok(count)
    })
}

/// Copies a directory. An index of what is not in the copy of the log is not believed.
fn copy(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(from)? {
        let (path, to) = {
            let entry = entry?;
            (entry.path(), to.join(entry.file_name()))
        };
        if path.is_dir() {
            fs::create_dir(&to)?;
            copy(&path, &to)?;
        } else {
            fs::copy(path, to)?;
        }
    }
    Ok(())
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
