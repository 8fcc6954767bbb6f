//! A real process is killed while it writes, again and again, and what it said was written is
//! there. `EVENTWIRE_KILL_CYCLES` sets how often.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use eventwire_store::{
    Append, CheckpointStore, Consumer, EventStore, EventType, IdempotencyKey, Item, NewEvent,
    Position, Query, ReadOptions, StreamName,
};
use eventwire_store_file::{FileOptions, FileStore};
use futures_executor::block_on;

/// Says to this very program that it is the writer, and where it writes.
const DIRECTORY: &str = "EVENTWIRE_KILL_DIRECTORY";

const WRITERS: usize = 4;

fn open(path: &Path) -> FileStore {
    FileOptions::new()
        .segment_bytes(256 << 10)
        .open(path)
        .unwrap()
}

/// The append with a number: one to three events, one of them now and then of several pages,
/// as what its writer made of something it had read up to that number.
fn append(number: u64) -> Append {
    let length = if number.is_multiple_of(50) {
        20_000
    } else {
        10 + usize::try_from(number % 300).unwrap()
    };
    let events = (0..=number % 3).map(|event| {
        let payload = format!("{number}.{event} {}", "x".repeat(length));
        NewEvent::new(EventType::new("written").unwrap(), payload)
    });
    Append::to(StreamName::new(format!("s-{}", number % 5)).unwrap())
        .extend(events)
        .key(IdempotencyKey::new(format!("append-{number}")).unwrap())
        .consumed(consumer(number), Position::from_parts(0, number))
}

/// The last digit of a number is its writer's.
fn consumer(number: u64) -> Consumer {
    Consumer::new(format!("writer-{}", number % 10)).unwrap()
}

/// Not a test of its own: the child that is killed. Writes until then, and says what it has written.
#[test]
fn child() {
    let Some(directory) = env::var_os(DIRECTORY) else {
        return;
    };
    let store = open(Path::new(&directory));
    let begin = block_on(store.head()).unwrap().to_parts().1;
    let said = Mutex::new(std::io::stdout());
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (store, said) = (&store, &said);
            scope.spawn(move || {
                // Numbers of this life, this writer and this append: none is used twice.
                for count in 0.. {
                    let number = (begin * 1000 + count) * 10 + u64::try_from(writer).unwrap();
                    let done = block_on(store.append(append(number))).unwrap();
                    writeln!(
                        said.lock().unwrap(),
                        "written {number} {} durably",
                        done.last()
                    )
                    .unwrap();
                }
            });
        }
    });
}

fn start(path: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(DIRECTORY, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets a child write for a while, kills it, and returns what it said: numbers and positions.
fn life(path: &Path, lines: usize, more: Duration) -> Vec<(u64, u64)> {
    let mut child = start(path);
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut written = Vec::new();
    while written.len() < lines {
        let line = said
            .next()
            .expect("the child writes until it is killed")
            .unwrap();
        written.extend(acknowledged(&line));
    }
    thread::sleep(more);
    child.kill().unwrap();
    child.wait().unwrap();
    // What it still said is in the pipe; its last line may be cut short.
    for line in said.map_while(Result::ok) {
        written.extend(acknowledged(&line));
    }
    written
}

/// None for what the test harness says, and for a line that was cut short.
fn acknowledged(line: &str) -> Option<(u64, u64)> {
    let mut words = line
        .split(' ')
        .skip_while(|&word| word != "written")
        .skip(1);
    let number = words.next()?.parse().ok()?;
    let position = words.next()?.parse().ok()?;
    (words.next() == Some("durably")).then_some((number, position))
}

#[test]
fn what_a_killed_process_said_was_written_is_there() {
    let cycles = env::var("EVENTWIRE_KILL_CYCLES").map_or(5, |text| text.parse().unwrap());
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let directory = tempfile::tempdir().unwrap();
    let mut written = Vec::new();
    let mut cuts = 0;
    for cycle in 0..cycles {
        let more = Duration::from_micros(random.u64(..20_000));
        written.extend(life(directory.path(), random.usize(1..200), more));

        let store = open(directory.path());
        cuts += u64::from(store.recovery().bytes_cut > 0);
        check(&store, &written, cycle);
        store.close();
    }
    println!(
        "{} appends in {cycles} lives; {cuts} torn commits were cut",
        written.len()
    );
}

/// Each append that was answered is whole and at its place, and so is every other that is
/// there; each checkpoint is at the last append that moved it.
fn check(store: &FileStore, written: &[(u64, u64)], cycle: u64) {
    let payloads = payloads(store);
    for &(number, last) in written {
        let last = usize::try_from(last).unwrap();
        let count = append(number).events().len();
        let found = payloads.get(last - count..last);
        assert_eq!(
            found,
            Some(&expected(number)[..]),
            "append {number}; cycle {cycle}"
        );
    }
    let mut checkpoints = HashMap::new();
    let mut rest = &payloads[..];
    while let Some(first) = rest.first() {
        let number: u64 = first.split('.').next().unwrap().parse().unwrap();
        let expected = expected(number);
        assert!(
            rest.starts_with(&expected),
            "append {number} is not whole; cycle {cycle}"
        );
        let key = IdempotencyKey::new(format!("append-{number}")).unwrap();
        let recalled = block_on(store.recall(key)).unwrap();
        assert_eq!(recalled.unwrap().appended.positions.len(), expected.len());
        rest = &rest[expected.len()..];
        let reached: &mut u64 = checkpoints.entry(consumer(number)).or_default();
        *reached = number.max(*reached);
    }
    for (consumer, number) in checkpoints {
        let at = block_on(store.checkpoint(consumer.clone())).unwrap();
        assert_eq!(
            at,
            Position::from_parts(0, number),
            "{consumer}; cycle {cycle}"
        );
    }
}

fn expected(number: u64) -> Vec<String> {
    let text = |event: &NewEvent| String::from_utf8(event.as_parts().data.to_vec()).unwrap();
    append(number).events().iter().map(text).collect()
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
