//! How fast a log is read back, beside a raw loop over the same file.
//!
//! ```console
//! $ cargo run --release -p eventwire-store-file --example replay -- 1000000
//! $ cargo run --release -p eventwire-store-file --example replay -- 1000000 reader /var/tmp/logs
//! ```
//!
//! Events of 256 bytes with two tags, in appends of 100: nine in ten in streams of 100 whose events
//! lie far apart, the others in streams of their own. Beside it a log whose streams lie together.
//! A second argument chooses figures by a part of their name, a third the directory where the
//! logs are kept for the next run. Figures are events, or streams of 100 events, a second of
//! processor time of the thread, with the files in the system's memory; the best of five rounds.
#![allow(clippy::print_stdout, reason = "what it measures is its output")]

use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crc_fast::{CrcAlgorithm, checksum};
use eventwire_store::{
    Append, EventStore, EventType, Item, NewEvent, Position, Query, ReadOptions, StreamName, Tag,
};
use eventwire_store_file::{FileOptions, FileStore};
use futures_executor::block_on;

const APPEND_EVENTS: u64 = 100;
const STREAM_EVENTS: u64 = 100;
/// Of which the best counts.
const ROUNDS: usize = 5;
/// How many streams are read in a round.
const STREAM_READS: u64 = 2000;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let events: u64 = arguments
        .next()
        .map_or(Ok(1_000_000), |text| text.parse())?;
    let filter = arguments.next().unwrap_or_default();
    let temporary = tempfile::tempdir()?;
    let directory = arguments
        .next()
        .map_or(temporary.path().into(), PathBuf::from);
    let scattered = directory.join(format!("scattered-{events}"));
    let together = directory.join(format!("together-{events}"));
    let options = FileOptions::new().segment_bytes(events * 400);
    fill(&options, &scattered, events, |number| {
        scattered_stream(number, events)
    })?;
    fill(&options, &together, events, |number| {
        format!("together-{}", number / STREAM_EVENTS)
    })?;

    let bytes = used_bytes(&scattered)?;
    let print = |name: &str, rate: f64| println!("{name:44} {rate:>12.0}");
    let raw = rate(events, || raw_loop(&scattered, bytes))?;
    print("raw loop, pread and CRC32C", raw);
    for (way, options) in [("pread", options.clone()), ("mapped", options.mapped())] {
        let store = options.clone().open(&scattered)?;
        let is_chosen = |name: &str| format!("{way}, {name}").contains(&filter);
        let odd = Query::types([EventType::new("odd")?]);
        let kind = Query::tags([Tag::new("kind:7")?]);
        if is_chosen("reader") {
            let rate = rate(events, || lend(&store, &Query::all(), events))?;
            print(&format!("{way}, reader ({:.2} of raw)", rate / raw), rate);
        }
        for (name, query, events) in [
            ("read, all", Query::all(), events),
            ("read, one type of two", odd, events / 2),
            ("read, one tag of 13", kind, events / 13),
        ] {
            if is_chosen(name) {
                let rate = rate(events, || read(&store, &query, events))?;
                print(&format!("{way}, {name} ({:.2} of raw)", rate / raw), rate);
            }
            let name = name.replace("read", "lent");
            if query != Query::all() && is_chosen(&name) {
                let rate = rate(events, || lend(&store, &query, events))?;
                print(&format!("{way}, {name} ({:.2} of raw)", rate / raw), rate);
            }
        }
        if is_chosen("scattered streams") {
            let streams = events * 9 / 10 / STREAM_EVENTS;
            let rate = rate(STREAM_READS, || read_streams(&store, "scattered", streams))?;
            print(&format!("{way}, scattered streams"), rate);
        }
        if is_chosen("lent, scattered streams") {
            let streams = events * 9 / 10 / STREAM_EVENTS;
            let rate = rate(STREAM_READS, || lend_streams(&store, "scattered", streams))?;
            print(&format!("{way}, lent, scattered streams"), rate);
        }
        drop(store);
        if is_chosen("streams that lie together") {
            let store = options.clone().open(&together)?;
            let streams = events / STREAM_EVENTS;
            let rate = rate(STREAM_READS, || read_streams(&store, "together", streams))?;
            print(&format!("{way}, streams that lie together"), rate);
        }
        if is_chosen("lent, streams that lie together") {
            let store = options.open(&together)?;
            let streams = events / STREAM_EVENTS;
            let rate = rate(STREAM_READS, || lend_streams(&store, "together", streams))?;
            print(&format!("{way}, lent, streams that lie together"), rate);
        }
    }
    Ok(())
}

/// Writes the log, unless it is there from an earlier run.
fn fill(
    options: &FileOptions,
    path: &Path,
    events: u64,
    stream: impl Fn(u64) -> String,
) -> Outcome<()> {
    if path.exists() {
        return Ok(());
    }
    let store = options.clone().open(path)?;
    let numbers: Vec<u64> = (0..events).collect();
    for numbers in numbers.chunks(usize::try_from(APPEND_EVENTS)?) {
        let events = numbers.iter().map(|&number| event(number, stream(number)));
        let events = events.collect::<Outcome<Vec<_>>>()?;
        block_on(store.append(Append::new().extend(events)))?;
    }
    // Enough more for the file with the events to be left: the one that is written to is not
    // mapped.
    let large = NewEvent::new(EventType::new("large")?, vec![0; 4 << 20]);
    while logs(path)?.len() < 2 {
        block_on(store.append(Append::new().event(large.clone())))?;
    }
    Ok(())
}

fn event(number: u64, stream: String) -> Outcome<NewEvent> {
    let event_type = if number.is_multiple_of(2) {
        "even"
    } else {
        "odd"
    };
    Ok(NewEvent::new(EventType::new(event_type)?, vec![b'x'; 256])
        .stream(StreamName::new(stream)?)
        .tag(Tag::new(format!("user:{}", number % 10_007))?)
        .tag(Tag::new(format!("kind:{}", number % 13))?))
}

fn scattered_stream(number: u64, events: u64) -> String {
    if number.is_multiple_of(10) {
        return format!("single-{number}");
    }
    let streams = events * 9 / 10 / STREAM_EVENTS;
    let number = number / 10 * 9 + number % 10 - 1;
    format!("scattered-{}", number * 7919 % streams)
}

/// The files of a log, from the first on.
fn logs(path: &Path) -> Outcome<Vec<PathBuf>> {
    let files = fs::read_dir(path)?.flatten().map(|file| file.path());
    let is_log = |path: &PathBuf| path.extension() == Some("log".as_ref());
    let mut logs: Vec<_> = files.filter(is_log).collect();
    logs.sort_unstable();
    Ok(logs)
}

/// How many bytes of a log the events take that are measured.
fn used_bytes(path: &Path) -> Outcome<u64> {
    let bytes = fs::read(&logs(path)?[0])?;
    // The large ones that follow are zeros.
    let large = bytes
        .windows(1 << 10)
        .step_by(1 << 10)
        .position(|part| part.iter().all(|&byte| byte == 0));
    Ok(u64::try_from(large.map_or(bytes.len(), |kib| kib << 10))?)
}

/// What the machine can do: every byte copied into a buffer once, and summed.
fn raw_loop(path: &Path, length: u64) -> Outcome<()> {
    let file = File::open(&logs(path)?[0])?;
    let mut buffer = vec![0; 128 << 10];
    let mut at = 0;
    while at < length {
        let now = buffer.len().min(usize::try_from(length - at)?);
        file.read_exact_at(&mut buffer[..now], at)?;
        black_box(checksum(CrcAlgorithm::Crc32Iscsi, &buffer[..now]));
        at += u64::try_from(now)?;
    }
    Ok(())
}

fn lend(store: &FileStore, query: &Query, expected: u64) -> Outcome<()> {
    let expected = usize::try_from(expected)?;
    let mut reader = store
        .reader(query.clone(), Position::ORIGIN)
        .limit(expected);
    let (mut count, mut bytes) = (0, 0);
    while count < expected {
        let events = reader.next_batch()?.ok_or("the log ends too early")?;
        count += events.len();
        bytes += events.iter().map(|event| event.data().len()).sum::<usize>();
    }
    black_box(bytes);
    Ok(())
}

fn read(store: &FileStore, query: &Query, expected: u64) -> Outcome<()> {
    let options = ReadOptions::all().limit(usize::try_from(expected)?);
    let found = count(store, query.clone(), options)?;
    assert_eq!(found, expected);
    Ok(())
}

fn read_streams(store: &FileStore, name: &str, streams: u64) -> Outcome<()> {
    for number in 0..STREAM_READS {
        let stream = StreamName::new(format!("{name}-{}", number * 7907 % streams))?;
        let found = count(store, Query::stream(stream), ReadOptions::all())?;
        assert_eq!(found, STREAM_EVENTS);
    }
    Ok(())
}

fn lend_streams(store: &FileStore, name: &str, streams: u64) -> Outcome<()> {
    for number in 0..STREAM_READS {
        let stream = StreamName::new(format!("{name}-{}", number * 7907 % streams))?;
        let mut reader = store.reader(Query::stream(stream), Position::ORIGIN);
        let (mut count, mut bytes) = (0, 0);
        while let Some(events) = reader.next_batch()? {
            count += u64::try_from(events.len())?;
            bytes += events.iter().map(|event| event.data().len()).sum::<usize>();
        }
        assert_eq!(count, STREAM_EVENTS);
        black_box(bytes);
    }
    Ok(())
}

fn count(store: &FileStore, query: Query, options: ReadOptions) -> Outcome<u64> {
    block_on(async {
        let mut items = store.read(query, options);
        let mut count = 0;
        while let Some(item) = items.next().await {
            count += u64::from(matches!(item?, Item::Event(_)));
        }
        Ok(count)
    })
}

/// How many a second.
#[expect(
    clippy::cast_precision_loss,
    reason = "a rate is printed with few digits"
)]
fn rate(count: u64, mut run: impl FnMut() -> Outcome<()>) -> Outcome<f64> {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let begin = busy()?;
        run()?;
        best = best.min(busy()? - begin);
    }
    Ok(count as f64 / best.as_secs_f64())
}

/// Processor time of this thread, as Linux counts it: what else the machine does is not in it.
fn busy() -> Outcome<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split(' ').next().ok_or("no processor time")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}
