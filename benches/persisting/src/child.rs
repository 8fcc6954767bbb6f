//! The process that has a store open: it does what it is told on its standard input, a line each,
//! and answers on its standard output with lines that begin with `=`.

use std::collections::VecDeque;
use std::io::{self, BufRead};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures_executor::block_on;

use crate::store::{Face, Store};
use crate::table::percentile;
use crate::workload::{Append, Event, Guard, Layout, NAMES, STREAM_EVENTS, Workload, mix};

/// Events of an append while a store is filled.
const FILL: usize = 1_000;

/// Opens the store and serves until it is told to close, or its standard input ends.
pub fn serve<S: Store>(directory: &Path, layout: Layout) {
    let workload = Arc::new(Workload::new());
    S::prepare(&workload);
    let begin = Instant::now();
    let store = S::open(directory, &workload);
    answer(&[millis(begin)]);
    let versions = (0..NAMES).map(|_| AtomicU64::new(0)).collect();
    let child = Child {
        store,
        workload,
        layout,
        versions,
        drawn: AtomicUsize::new(0),
    };
    for line in io::stdin().lock().lines() {
        let line = line.expect("lines are text");
        let words: Vec<_> = line.split_whitespace().collect();
        let number = |index: usize| -> usize {
            let word = words.get(index).expect("the command is whole");
            word.parse().expect("a number")
        };
        match words[0] {
            "append" => answer(&child.append(number(1), number(2))),
            "batch" => answer(&child.batches(number(1), number(2))),
            "seed" => child.fill(number(1), |number| number),
            "fill" => child.fill(layout.events, |number| layout.stream_of(number)),
            "tail" => child.tail(number(1)),
            "replay" => child.replay(),
            "scattered" => child.streams(number(1), |number| layout.scattered(number)),
            "neighbours" => child.streams(number(1), |number| layout.neighbours(number)),
            "first" => child.some_streams(1),
            "cold" => child.some_streams(number(1)),
            "close" => {
                child.store.close();
                return answer(&[]);
            }
            other => panic!("no such command: {other}"),
        }
    }
    // Nobody listens any more. Some stores wait for ever for threads of their own when dropped.
    std::process::exit(1);
}

struct Child<S> {
    store: S,
    workload: Arc<Workload>,
    layout: Layout,
    /// Of each stream, how many events it has.
    versions: Vec<AtomicU64>,
    /// Events drawn so far.
    drawn: AtomicUsize,
}

/// A time to warm up, and the time that is measured.
#[derive(Clone, Copy)]
struct Window {
    start: Instant,
    end: Instant,
}

impl Window {
    fn new(millis: usize) -> Self {
        let length = Duration::from_millis(millis as u64);
        let start = Instant::now() + length / 4;
        let end = start + length;
        Self { start, end }
    }

    /// What is done now is in it, before it, or too late.
    fn place(self) -> Place {
        match Instant::now() {
            now if now < self.start => Place::Before,
            now if now < self.end => Place::Within,
            _ => Place::After,
        }
    }

    fn rate(self, count: usize) -> f64 {
        count as f64 / (self.end - self.start).as_secs_f64()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    Within,
    After,
}

impl<S: Store> Child<S> {
    /// Events a second with so many appends under way, each of one event.
    fn append(&self, in_flight: usize, millis: usize) -> Vec<f64> {
        let window = Window::new(millis);
        match S::FACE {
            Face::AtOnce => self.writer(window, || self.draw(0, 1, in_flight)),
            _ if in_flight == 1 => self.writer(window, || self.draw(0, 1, 1)),
            Face::Futures => vec![window.rate(self.futures(in_flight, window))],
            Face::Threads => vec![window.rate(self.threads(in_flight, window))],
        }
    }

    /// Events a second of one writer with so many events an append.
    fn batches(&self, events: usize, millis: usize) -> Vec<f64> {
        self.writer(Window::new(millis), || self.draw(0, 1, events))
    }

    /// Events a second of one writer, and percentiles of its commits in microseconds.
    fn writer(&self, window: Window, draw: impl Fn() -> Append) -> Vec<f64> {
        let mut count = 0;
        let mut times = Vec::new();
        loop {
            let append = draw();
            let events = append.events.len();
            let begin = Instant::now();
            self.store.append(append);
            match window.place() {
                Place::Before => {}
                Place::Within => {
                    times.push(begin.elapsed().as_secs_f64() * 1e6);
                    count += events;
                }
                Place::After => break,
            }
        }
        let percentiles = [50, 99].map(|percent| percentile(&times, percent).unwrap_or(f64::NAN));
        [vec![window.rate(count)], percentiles.to_vec()].concat()
    }

    fn futures(&self, in_flight: usize, window: Window) -> usize {
        let append = |caller| self.store.append_async(self.draw(caller, in_flight, 1));
        let mut count = 0;
        block_on(async {
            let mut oldest: VecDeque<_> = (0..in_flight)
                .map(|caller| (caller, Box::pin(append(caller))))
                .collect();
            while let Some((caller, mut appended)) = oldest.pop_front() {
                appended.as_mut().await;
                match window.place() {
                    Place::Before => {}
                    Place::Within => count += 1,
                    Place::After => continue,
                }
                appended.set(append(caller));
                oldest.push_back((caller, appended));
            }
        });
        count
    }

    fn threads(&self, threads: usize, window: Window) -> usize {
        let work = |thread| {
            let mut count = 0;
            loop {
                self.store.append(self.draw(thread, threads, 1));
                match window.place() {
                    Place::Before => {}
                    Place::Within => count += 1,
                    Place::After => return count,
                }
            }
        };
        let work = &work;
        thread::scope(|scope| {
            let threads: Vec<_> = (0..threads)
                .map(|thread| scope.spawn(move || work(thread)))
                .collect();
            let counts = threads.into_iter().map(|thread| thread.join());
            counts.map(|count| count.expect("nobody panics")).sum()
        })
    }

    /// An append to a stream that belongs to this one of so many writers.
    fn draw(&self, writer: usize, writers: usize, events: usize) -> Append {
        let number = self.drawn.fetch_add(events, Ordering::Relaxed);
        let random = usize::try_from(mix(number as u64 ^ 0x5eed)).expect("64 bits");
        let stream = writer + writers * (random % (NAMES / writers));
        let events = (number..number + events).map(|number| self.event(number, stream));
        Append {
            events: events.collect(),
            guard: Guard::Stream,
        }
    }

    /// The next event of a stream.
    fn event(&self, number: usize, stream: usize) -> Event {
        let version = self.versions[stream].fetch_add(1, Ordering::Relaxed) + 1;
        self.workload.event(number, stream, version)
    }

    fn fill(&self, events: usize, stream_of: impl Fn(usize) -> usize) {
        let begin = Instant::now();
        for first in (0..events).step_by(FILL) {
            let numbers = first..(first + FILL).min(events);
            let events = numbers.map(|number| self.event(number, stream_of(number)));
            self.store.append(Append {
                events: events.collect(),
                guard: Guard::None,
            });
        }
        answer(&[millis(begin)]);
    }

    /// Appends a little to a store that was opened again, whose versions are not known: at
    /// versions nobody else uses.
    fn tail(&self, round: usize) {
        for batch in 0..10 {
            let version = 1_000_000 * (round + 1) + batch;
            let stream = NAMES - 1 - batch;
            let event = self.workload.event(version, stream, version as u64);
            self.store.append(Append {
                events: vec![event],
                guard: Guard::None,
            });
        }
        answer(&[]);
    }

    fn replay(&self) {
        let begin = Instant::now();
        let count = self.store.replay();
        assert!(count >= self.layout.events, "all are there");
        answer(&[count as f64 / begin.elapsed().as_secs_f64()]);
    }

    /// Streams of 100 events read a second.
    fn streams(&self, millis: usize, stream: impl Fn(usize) -> usize) {
        let window = Window::new(millis);
        let mut count = 0;
        loop {
            let number = self.drawn.fetch_add(1, Ordering::Relaxed);
            let random = usize::try_from(mix(number as u64)).expect("64 bits");
            self.read(stream(random));
            match window.place() {
                Place::Before => {}
                Place::Within => count += 1,
                Place::After => break,
            }
        }
        answer(&[window.rate(count)]);
    }

    /// How long reading some streams takes whose events lie all over the log.
    fn some_streams(&self, streams: usize) {
        let begin = Instant::now();
        for number in 0..streams {
            self.read(self.layout.scattered(number * 37));
        }
        answer(&[millis(begin)]);
    }

    fn read(&self, stream: usize) {
        let count = self.store.read_stream(stream);
        assert_eq!(count, STREAM_EVENTS, "all are there");
    }
}

fn millis(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e3
}

fn answer(numbers: &[f64]) {
    let numbers = numbers.iter().map(|number| format!(" {number}"));
    println!("={}", numbers.collect::<String>());
}
