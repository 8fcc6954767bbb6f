//! How many events a second become durable, beside a raw loop of `pwrite` and `fdatasync` on the
//! same medium in the same minute.
//!
//! ```console
//! $ cargo run --release -p eventwire-store-file --example commit_rate -- 5
//! ```
//!
//! The number is that of rounds, in each of which everyone has a fifth of a second; medians are
//! printed, and of each row the median ratio to the raw loop of its round; last, what making the
//! appends takes of it. Events have 256 bytes,
//! a stream out of 10,000, a type and a tag, and each append a guard on its stream. With `dcb`
//! as second argument each also has a guard on a query; what follows the second are the rows that
//! are wanted, counted from 1. The directory is in the system's place
//! for temporary files; `TMPDIR` chooses another.
#![allow(clippy::print_stdout, reason = "what it measures is its output")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::error::Error;
use std::fs::File;
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use eventwire_store::{
    Append, AppendError, Appended, EventStore, EventType, Expect, NewEvent, Position, Query,
    StoreFuture, StreamName, Tag, Version,
};
use eventwire_store_file::FileStore;
use futures_executor::block_on;

const PAYLOAD_BYTES: usize = 256;
const STREAMS: usize = 10_000;
const TAGS: usize = 1009;
const SPAN: Duration = Duration::from_millis(200);

/// What a row of the table is about.
#[derive(Clone, Copy)]
enum Way {
    /// One caller that waits for each append, with so many events.
    Blocking(usize),
    /// So many threads that wait for each append, with one event.
    Threads(usize),
    /// So many appends of one event in flight.
    InFlight(usize),
}

const WAYS: [Way; 7] = [
    Way::Blocking(1),
    Way::Blocking(100),
    Way::Threads(64),
    Way::InFlight(1),
    Way::InFlight(64),
    Way::InFlight(256),
    Way::InFlight(1024),
];

impl Way {
    /// How many events a sync is for, at best.
    fn batch(self) -> usize {
        match self {
            Self::Blocking(events) => events,
            Self::Threads(number) | Self::InFlight(number) => number,
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let rounds = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let has_query = arguments.next().is_some_and(|text| text == "dcb");
    let rows: Vec<usize> = arguments.map(|row| row.parse()).collect::<Result<_, _>>()?;
    let is_wanted = |row: usize| rows.is_empty() || rows.contains(&row);
    let ways = WAYS.into_iter().zip(1..);
    let ways: Vec<Way> = ways
        .filter_map(|(way, row)| is_wanted(row).then_some(way))
        .collect();
    let directory = tempfile::tempdir()?;
    let raw = Raw::new(&directory.path().join("raw"))?;
    let store = FileStore::open(directory.path().join("store"))?;
    let work = Work::new(&store, has_query)?;
    let mut samples = vec![Vec::new(); ways.len()];
    let mut next = 0;
    for _ in 0..rounds {
        for (way, samples) in ways.iter().zip(&mut samples) {
            let limit = raw.rate(way.batch())?;
            let (rate, events) = work.rate(*way, next)?;
            next += events;
            samples.push((rate, limit));
        }
    }
    println!("| appends | events/s | raw batches of as many | ratio |");
    println!("|---|--:|--:|--:|");
    for (way, samples) in ways.iter().zip(samples) {
        let name = match way {
            Way::Blocking(events) => format!("1 blocking writer, {events} an append"),
            Way::Threads(number) => format!("{number} blocking writers"),
            Way::InFlight(number) => format!("{number} in flight"),
        };
        let rate = median(samples.iter().map(|(rate, _)| *rate));
        let limit = median(samples.iter().map(|(_, limit)| *limit));
        let ratio = median(samples.iter().map(|(rate, limit)| rate / limit));
        println!("| {name} | {rate:.0} | {limit:.0} | {ratio:.2} |");
    }
    for events in [1, 100] {
        let cost = work.cost_of_making(events);
        println!("to make and drop an append of {events}: {cost:.0} ns an event");
    }
    Ok(())
}

/// Writes batches one after the other over zeros, and syncs each.
struct Raw(File);

const RAW_BYTES: usize = 64 << 20;

impl Raw {
    fn new(path: &Path) -> Result<Self, Box<dyn Error>> {
        let file = File::create(path)?;
        file.write_all_at(&vec![0; RAW_BYTES], 0)?;
        file.sync_all()?;
        Ok(Self(file))
    }

    fn rate(&self, batch: usize) -> Result<f64, Box<dyn Error>> {
        let bytes = vec![7; batch * PAYLOAD_BYTES];
        let begin = Instant::now();
        let (mut at, mut batches) = (0, 0);
        while begin.elapsed() < SPAN {
            if at + bytes.len() > RAW_BYTES {
                at = 0;
            }
            self.0.write_all_at(&bytes, u64::try_from(at)?)?;
            self.0.sync_data()?;
            at += bytes.len();
            batches += 1;
        }
        Ok(rate(batches * batch, begin))
    }
}

/// What is appended: event by event, as its number says.
struct Work<'a> {
    store: &'a FileStore,
    streams: Vec<StreamName>,
    versions: RefCell<Vec<u64>>,
    names: Names,
}

impl<'a> Work<'a> {
    fn new(store: &'a FileStore, has_query: bool) -> Result<Self, Box<dyn Error>> {
        let streams = (0..STREAMS).map(|number| StreamName::new(format!("account-{number}")));
        let tags = (0..TAGS).map(|number| Tag::new(format!("user:{number}")));
        let absent = (0..TAGS).map(|number| Tag::new(format!("order:{number}")));
        Ok(Self {
            store,
            streams: streams.collect::<Result<_, _>>()?,
            versions: RefCell::new(vec![0; STREAMS]),
            names: Names {
                tags: tags.collect::<Result<_, _>>()?,
                absent: absent.collect::<Result<_, _>>()?,
                event_type: EventType::new("measured")?,
                payload: Bytes::from(vec![b'x'; PAYLOAD_BYTES]),
                has_query,
            },
        })
    }

    /// Events a second, and how many they were, where so many were there before.
    fn rate(&self, way: Way, before: usize) -> Result<(f64, usize), Box<dyn Error>> {
        let begin = Instant::now();
        let events = match way {
            Way::Blocking(events) => self.block(before, events, begin)?,
            Way::Threads(number) => self.block_together(before, number, begin)?,
            Way::InFlight(number) => block_on(self.keep_in_flight(before, number, begin))?,
        };
        Ok((rate(events, begin), events))
    }

    /// The nanoseconds that the caller's part takes which is no store's: those of an event in
    /// appends of so many that nobody is asked for.
    fn cost_of_making(&self, events: usize) -> f64 {
        let begin = Instant::now();
        let mut number = 0;
        while begin.elapsed() < SPAN {
            for _ in 0..100 {
                drop(black_box(self.next(number, events)));
                number += events;
            }
        }
        1e9 / rate(number, begin)
    }

    fn block(&self, first: usize, events: usize, begin: Instant) -> Result<usize, AppendError> {
        let mut number = first;
        while begin.elapsed() < SPAN {
            self.store.append_blocking(self.next(number, events))?;
            number += events;
        }
        Ok(number - first)
    }

    /// Each thread has a stream of its own, which is new.
    fn block_together(
        &self,
        first: usize,
        threads: usize,
        begin: Instant,
    ) -> Result<usize, AppendError> {
        let Self { store, names, .. } = self;
        let count = |thread: usize| {
            let stream = StreamName::new(format!("thread-{first}-{thread}")).expect("a name");
            let mut version = 0;
            while begin.elapsed() < SPAN {
                let append = names.append(stream.clone(), version, thread, 1);
                store.append_blocking(append)?;
                version += 1;
            }
            usize::try_from(version).map_err(|error| AppendError::Backend(error.into()))
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads)
                .map(|thread| scope.spawn(move || count(thread)))
                .collect();
            let counts = threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"));
            counts.sum()
        })
    }

    async fn keep_in_flight(
        &self,
        first: usize,
        limit: usize,
        begin: Instant,
    ) -> Result<usize, AppendError> {
        let mut number = first;
        let mut flying: VecDeque<StoreFuture<Result<Appended, AppendError>>> = VecDeque::new();
        loop {
            if begin.elapsed() < SPAN {
                while flying.len() < limit {
                    flying.push_back(self.store.append(self.next(number, 1)));
                    number += 1;
                }
            }
            let Some(oldest) = flying.pop_front() else {
                return Ok(number - first);
            };
            oldest.await?;
            // What was committed together is answered together.
            poll_fn(|context| {
                while let Some(oldest) = flying.front_mut() {
                    let Poll::Ready(answer) = Pin::new(oldest).poll(context) else {
                        break;
                    };
                    drop(answer?);
                    flying.pop_front();
                }
                Poll::Ready(Ok::<_, AppendError>(()))
            })
            .await?;
        }
    }

    /// The append of these events to one stream.
    fn next(&self, number: usize, events: usize) -> Append {
        let stream = number / events % STREAMS;
        let version = &mut self.versions.borrow_mut()[stream];
        let append = self
            .names
            .append(self.streams[stream].clone(), *version, number, events);
        *version += events as u64;
        append
    }
}

/// What appends are made of.
struct Names {
    tags: Vec<Tag>,
    /// That no event has.
    absent: Vec<Tag>,
    event_type: EventType,
    payload: Bytes,
    has_query: bool,
}

impl Names {
    fn append(&self, stream: StreamName, version: u64, number: usize, events: usize) -> Append {
        let expect = Version::new(version).map_or(Expect::NoStream, Expect::Exact);
        let mut append = Append::to(stream).expect(expect);
        if self.has_query {
            let tag = self.absent[number % TAGS].clone();
            append = append.no_match(Query::tags([tag]), Position::ORIGIN);
        }
        for number in number..number + events {
            let tag = self.tags[number % TAGS].clone();
            let event = NewEvent::new(self.event_type.clone(), self.payload.clone());
            append = append.event(event.tag(tag));
        }
        append
    }
}

fn rate(events: usize, begin: Instant) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "it is small")]
    let events = events as f64;
    events / begin.elapsed().as_secs_f64()
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
