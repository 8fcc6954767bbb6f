//! How long opening takes and what it keeps in memory, with a number of events in the log, after a
//! kill and after closing; and what it costs that many streams were deleted.
//!
//! ```console
//! $ cargo run --release -p eventwire-store-file --example open_time -- 1000000
//! $ cargo run --release -p eventwire-store-file --example open_time -- 1000000 100000
//! ```
//!
//! Events of 256 bytes in 100,000 streams, with two tags each, in appends of 100, on a directory
//! in the system's place for temporary files; `TMPDIR` chooses another. Where a second number is
//! given, so many other streams are written to and deleted before. Each deletion is a commit of
//! its own, so most of the time goes there.
//!
//! Each step is a process of its own: the store is found as one leaves it that is killed, and memory is
//! counted from nothing.
#![allow(clippy::print_stdout, reason = "what it measures is its output")]

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use eventwire_store::{
    Append, EventStore, EventType, Item, NewEvent, Query, ReadOptions, Retention, StreamName, Tag,
};
use eventwire_store_file::FileStore;
use futures_executor::block_on;

const APPEND_EVENTS: u64 = 100;
const STREAMS: u64 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["write", path, events, deleted] => write(path, events.parse()?, deleted.parse()?),
        ["open", path] => open(path),
        ["close", path] => close(path),
        ["read", path] => read(path),
        [] => measure("1000000", "0"),
        [events] => measure(events, "0"),
        [events, deleted] => measure(events, deleted),
        _ => Err("give the number of events, and that of deleted streams".into()),
    }
}

fn measure(events: &str, deleted: &str) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().to_str().ok_or("no path of UTF-8")?;
    end_by_kill(&["write", path, events, deleted])?;
    println!("opened after a kill:");
    for _ in 0..3 {
        end_by_kill(&["open", path])?;
    }
    end_by_itself(&["close", path])?;
    println!("opened after closing:");
    for _ in 0..3 {
        end_by_kill(&["open", path])?;
    }
    end_by_itself(&["read", path])
}

/// Carries a step out in a process, and kills that when it says that it is done.
fn end_by_kill(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let mut child = Step(begin(arguments, Stdio::piped())?);
    let output = child.0.stdout.take().ok_or("no output")?;
    for line in BufReader::new(output).lines() {
        match line?.as_str() {
            DONE => return Ok(()),
            line => println!("{line}"),
        }
    }
    Err("a step has failed".into())
}

fn end_by_itself(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let status = begin(arguments, Stdio::inherit())?.wait()?;
    status
        .success()
        .then_some(())
        .ok_or("a step has failed".into())
}

fn begin(arguments: &[&str], output: Stdio) -> Result<Child, Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    Ok(command.args(arguments).stdout(output).spawn()?)
}

/// What a step says when it is done and waits to be killed.
const DONE: &str = "done";

struct Step(Child);

impl Drop for Step {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn wait_for_the_end() -> ! {
    println!("{DONE}");
    loop {
        std::thread::park();
    }
}

fn write(path: &str, events: u64, deleted: u64) -> Result<(), Box<dyn Error>> {
    let store = FileStore::open(path)?;
    if deleted > 0 {
        append(&store, deleted, |number| event(doomed(number)?, number))?;
        println!("{:.1} MiB resident with {deleted} streams", resident()?);
        let begin = Instant::now();
        for number in 0..deleted {
            block_on(store.delete_stream(doomed(number)?))?;
        }
        println!("{:.1} MiB, deleted in {:.1?}", resident()?, begin.elapsed());
    }
    let begin = Instant::now();
    let longest = append(&store, events, |number| {
        event(stream(number.wrapping_mul(7919) % STREAMS)?, number)
    })?;
    println!(
        "{:.1} MiB, {events} events appended in {:.1?}, the longest in {longest:.1?}",
        resident()?,
        begin.elapsed()
    );
    wait_for_the_end()
}

fn open(path: &str) -> Result<(), Box<dyn Error>> {
    let before = resident()?;
    let begin = Instant::now();
    let store = FileStore::open(path)?;
    let elapsed = begin.elapsed();
    let more = resident()? - before;
    println!(
        "  in {elapsed:.2?}, {more:.1} MiB more resident, {:?}",
        store.recovery()
    );
    wait_for_the_end()
}

fn close(path: &str) -> Result<(), Box<dyn Error>> {
    FileStore::open(path)?.close();
    let lengths = lengths(&Path::new(path).join("indexes"))?;
    println!("indexes of {lengths:?} bytes");
    Ok(())
}

fn read(path: &str) -> Result<(), Box<dyn Error>> {
    let store = FileStore::open(path)?;
    let begin = Instant::now();
    let count = count(&store, Query::all())?;
    println!("{count} events read in {:.2?}", begin.elapsed());
    let begin = Instant::now();
    let mut found = 0;
    for number in 0..1000 {
        found += self::count(&store, Query::stream(stream(number * 97 % STREAMS)?))?;
    }
    let elapsed = begin.elapsed();
    println!("{found} events of 1,000 streams read in {elapsed:.2?}");
    Ok(())
}

/// Appends events; how long the longest append took.
fn append(
    store: &FileStore,
    events: u64,
    event: impl Fn(u64) -> Result<NewEvent, Box<dyn Error>>,
) -> Result<Duration, Box<dyn Error>> {
    let mut longest = Duration::ZERO;
    for first in (0..events).step_by(usize::try_from(APPEND_EVENTS)?) {
        let numbers = first..(first + APPEND_EVENTS).min(events);
        let append = Append::new().extend(numbers.map(&event).collect::<Result<Vec<_>, _>>()?);
        let begin = Instant::now();
        block_on(store.append(append))?;
        longest = longest.max(begin.elapsed());
    }
    Ok(longest)
}

fn event(stream: StreamName, number: u64) -> Result<NewEvent, Box<dyn Error>> {
    let payload = vec![b'x'; 256];
    Ok(NewEvent::new(EventType::new("measured")?, payload)
        .stream(stream)
        .tag(Tag::new(format!("user:{}", number % 10_007))?)
        .tag(Tag::new(format!("kind:{}", number % 13))?))
}

fn stream(number: u64) -> Result<StreamName, Box<dyn Error>> {
    Ok(StreamName::new(format!("account-{number}"))?)
}

fn doomed(number: u64) -> Result<StreamName, Box<dyn Error>> {
    Ok(StreamName::new(format!("closed-{number}"))?)
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

/// The lengths of the files in a directory, in the order of their names.
fn lengths(path: &Path) -> Result<Vec<u64>, Box<dyn Error>> {
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
