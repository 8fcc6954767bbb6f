use std::env;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use eventwire_store::{
    Append, AppendError, CheckpointStore, Consumer, EventStore, EventType, Expect, IdempotencyKey,
    Item, Keep, KeepError, NewEvent, Position, Query, ReadError, ReadOptions, Retention, Snapshot,
    SnapshotName, SnapshotStore, StreamName, Tag, Version,
};
use eventwire_store_file::{FileOptions, FileStore, OpenError};
use futures_executor::block_on;

/// Says to this very program that it is the writer, and where it writes.
const DIRECTORY: &str = "EVENTWIRE_CRASH_DIRECTORY";

/// How long a file of the log gets.
const SEGMENT: &str = "EVENTWIRE_CRASH_SEGMENT";

/// How much each writer does before it ends; without, it does not end.
const ROUNDS: &str = "EVENTWIRE_CRASH_ROUNDS";

const WRITERS: u64 = 4;

/// How often a writer asks again after a failure, to be told the same.
const INSISTING: usize = 3;

/// How long a lock may outlive the store that held it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a writer says, once it is so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// The store is open.
    Opened,
    /// The append with a number is answered: its last position.
    Written { number: u64, last: u64 },
    /// A checkpoint is at a number.
    Noted(u64),
    /// A snapshot with a number is saved.
    Kept(u64),
    /// The snapshots of a number's writer up to that number are removed.
    Forgot(u64),
    /// What a number drops may be dropped from now on.
    Dropping(u64),
    /// It is: up to this position.
    Dropped { number: u64, to: u64 },
    /// What was dropped is out of the files, but for the last.
    Compacted,
    /// What a writer, who is the last digit, was about was refused.
    Refused { number: u64, how: Refusal },
    /// All events could be read in the end, up to this position.
    Read(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Busy,
    Indeterminate,
    Poisoned,
    /// Of a checkpoint or a snapshot: it may be there or not.
    Backend,
}

impl Said {
    /// Its line, which is not one where it was cut short.
    fn line(&self) -> String {
        match self {
            Self::Opened => "> opened .".to_owned(),
            Self::Written { number, last } => format!("> written {number} {last} ."),
            Self::Noted(number) => format!("> noted {number} ."),
            Self::Kept(number) => format!("> kept {number} ."),
            Self::Forgot(number) => format!("> forgot {number} ."),
            Self::Dropping(number) => format!("> dropping {number} ."),
            Self::Dropped { number, to } => format!("> dropped {number} {to} ."),
            Self::Compacted => "> compacted .".to_owned(),
            Self::Refused { number, how } => format!("> refused {number} {how:?} ."),
            Self::Read(head) => format!("> read {head} ."),
        }
    }

    /// None for what the test harness says, and for a line that was cut short.
    fn parse(line: &str) -> Option<Self> {
        let (_, line) = line.split_once("> ")?;
        let words: Vec<_> = line.strip_suffix(" .")?.split(' ').collect();
        let number = |at: usize| words.get(at)?.parse().ok();
        Some(match words[0] {
            "opened" => Self::Opened,
            "written" => Self::Written {
                number: number(1)?,
                last: number(2)?,
            },
            "noted" => Self::Noted(number(1)?),
            "kept" => Self::Kept(number(1)?),
            "forgot" => Self::Forgot(number(1)?),
            "dropping" => Self::Dropping(number(1)?),
            "dropped" => Self::Dropped {
                number: number(1)?,
                to: number(2)?,
            },
            "compacted" => Self::Compacted,
            "refused" => Self::Refused {
                number: number(1)?,
                how: Refusal::parse(words.get(2)?)?,
            },
            "read" => Self::Read(number(1)?),
            _ => return None,
        })
    }
}

impl Refusal {
    fn parse(word: &str) -> Option<Self> {
        [
            Self::Busy,
            Self::Indeterminate,
            Self::Poisoned,
            Self::Backend,
        ]
        .into_iter()
        .find(|how| format!("{how:?}") == word)
    }

    fn of_append(error: &AppendError) -> Self {
        match error {
            AppendError::Busy { .. } => Self::Busy,
            AppendError::Indeterminate { .. } => Self::Indeterminate,
            AppendError::Poisoned { .. } => Self::Poisoned,
            // What it rests on cannot be read: the file system has gone.
            AppendError::Backend(_) => Self::Backend,
            error => panic!("not an answer to expect: {error:?}"),
        }
    }

    fn of_keeping(error: &KeepError) -> Self {
        match error {
            KeepError::Busy { .. } => Self::Busy,
            KeepError::Poisoned { .. } => Self::Poisoned,
            KeepError::Backend(_) => Self::Backend,
            error => panic!("not an answer to expect: {error:?}"),
        }
    }
}

/// The append with a number: one to three events, one of them now and then of several pages,
/// as what its writer made of something it had read up to that number.
pub(crate) fn append(number: u64) -> Append {
    let length = if number.is_multiple_of(50) {
        20_000
    } else {
        10 + usize::try_from(number % 300).unwrap()
    };
    let events = (0..=number % 3).map(|event| {
        let payload = format!("{number}.{event} {}", "x".repeat(length));
        NewEvent::new(EventType::new("written").unwrap(), payload)
            .metadata(number.to_string())
            .tag(tag(number))
    });
    Append::to(stream(number))
        .extend(events)
        .key(key(number))
        .consumed(consumer(number), Position::from_parts(0, number))
}

/// The last digit of a number is its writer's.
pub(crate) fn writer(number: u64) -> u64 {
    number % 10
}

pub(crate) fn key(number: u64) -> IdempotencyKey {
    IdempotencyKey::new(format!("append-{number}")).unwrap()
}

/// What is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Drops {
    /// The oldest events of the log.
    Log,
    /// Those of a stream.
    Stream(StreamName),
    /// A stream that its writer alone has written to, and will not again.
    Deletion(StreamName),
}

/// What the round of a number drops, if anything.
pub(crate) fn drops(number: u64) -> Option<Drops> {
    match (number / 10 % 16, writer(number)) {
        (7, _) => Some(Drops::Stream(stream(writer(number)))),
        (9, _) => Some(Drops::Deletion(brief(number))),
        (15, 0) => Some(Drops::Log),
        _ => None,
    }
}

/// The stream of a writer that is written to for sixteen rounds, and then deleted.
fn brief(number: u64) -> StreamName {
    let (round, writer) = (number / 10, writer(number));
    // It is deleted in the round whose rest is 9: what comes after that is in the next.
    StreamName::new(format!("brief-{writer}-{}", (round + 6) / 16)).unwrap()
}

/// One that all writers write to, its writer's own, or one of its own for a while.
pub(crate) fn stream(number: u64) -> StreamName {
    let name = match number / 10 % 3 {
        _ if number / 10 % 16 % 6 == 4 => return brief(number),
        0 => format!("own-{}", writer(number)),
        _ => format!("shared-{}", number / 10 % 5),
    };
    StreamName::new(name).unwrap()
}

pub(crate) fn tag(number: u64) -> Tag {
    Tag::new(format!("by:{}", writer(number))).unwrap()
}

/// Whose checkpoint the appends of a number's writer move.
pub(crate) fn consumer(number: u64) -> Consumer {
    Consumer::new(format!("writer-{}", writer(number))).unwrap()
}

/// Whose checkpoint a number's writer moves without an append.
pub(crate) fn onlooker(number: u64) -> Consumer {
    Consumer::new(format!("onlooker-{}", writer(number))).unwrap()
}

pub(crate) fn snapshot_name(number: u64) -> SnapshotName {
    SnapshotName::new(format!("writer-{}", writer(number))).unwrap()
}

/// The snapshot with a number: of a page or two.
pub(crate) fn snapshot(number: u64, last: u64) -> Snapshot {
    Snapshot {
        position: Position::from_parts(0, last),
        schema: 1,
        data: format!("{number} ").repeat(1000).into(),
    }
}

/// Opens a store that was closed, or whose process has ended.
pub(crate) fn open(path: &Path, segment_bytes: u64) -> FileStore {
    let options = FileOptions::new().segment_bytes(segment_bytes);
    let begun = Instant::now();
    loop {
        match options.clone().open(path) {
            // A process that another test starts has all files of this one until it has become
            // another program, and so the lock.
            Err(OpenError::Locked { .. }) if begun.elapsed() < PATIENCE => thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// Not a test of its own: the process that meets its end.
#[test]
fn child() {
    let Some(directory) = env::var_os(DIRECTORY) else {
        return;
    };
    let segment_bytes = env::var(SEGMENT).unwrap().parse().unwrap();
    // What an end leaves unopened has nothing to say.
    let Ok(store) = FileOptions::new()
        .segment_bytes(segment_bytes)
        .open(directory)
    else {
        return;
    };
    say(&Said::Opened);
    let rounds = env::var(ROUNDS).map_or(u64::MAX, |text| text.parse().unwrap());
    let begin = block_on(store.head()).unwrap().to_parts().1;
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = &store;
            // Numbers of this life, this writer and this round: none is used twice, or zero.
            let numbers = (1..=rounds).map(move |round| (begin * 1000 + round) * 10 + writer);
            scope.spawn(move || {
                // What cannot be read any more is not written to.
                if let Ok(writer) = Writer::new(store, writer) {
                    writer.write(numbers);
                }
            });
        }
    });
    if let Ok(head) = block_on(read_all(&store)) {
        say(&Said::Read(head));
    }
}

fn say(said: &Said) {
    // Whoever listened may be gone.
    drop(writeln!(std::io::stdout(), "{}", said.line()));
}

/// Reads all events; the position they reach to, dropped or not.
async fn read_all(store: &FileStore) -> Result<u64, ReadError> {
    let mut items = store.read(Query::all(), ReadOptions::all());
    while let Some(item) = items.next().await {
        item?;
    }
    Ok(store.head().await?.to_parts().1)
}

/// One of several, each on a thread of its own.
struct Writer<'a> {
    store: &'a FileStore,
    /// The version of its own stream; none where it has no event, or they were dropped.
    version: Option<Version>,
    /// The last position it was answered.
    last: u64,
    failures: usize,
}

impl<'a> Writer<'a> {
    fn new(store: &'a FileStore, writer: u64) -> Result<Self, ReadError> {
        let last = ReadOptions::backward().limit(1);
        let mut items = store.read(Query::stream(stream(writer)), last);
        let version = block_on(async {
            while let Some(item) = items.next().await {
                if let Item::Event(event) = item? {
                    return Ok(event.version());
                }
            }
            Ok(None)
        })?;
        Ok(Self {
            store,
            version,
            last: 0,
            failures: 0,
        })
    }

    fn write(mut self, numbers: impl Iterator<Item = u64>) {
        for number in numbers {
            match number / 10 % 16 {
                3 | 11 => self.note(number),
                5 => self.keep(number),
                13 => self.forget(number),
                15 if writer(number) == 1 => self.compact(number),
                _ => match drops(number) {
                    Some(drops) => self.shorten(number, drops),
                    None => self.append(number),
                },
            }
            if self.failures > INSISTING {
                return;
            }
        }
    }

    fn append(&mut self, number: u64) {
        let mut append = append(number);
        let is_own = stream(number) == stream(writer(number));
        if is_own {
            append = append.expect(self.version.map_or(Expect::Any, Expect::Exact));
        }
        match block_on(self.store.append(append)) {
            Ok(appended) => {
                self.last = appended.last().to_parts().1;
                if is_own {
                    self.version = appended.version_of(&stream(number));
                }
                say(&Said::Written {
                    number,
                    last: self.last,
                });
            }
            Err(error) => self.refused(number, Refusal::of_append(&error)),
        }
    }

    fn note(&mut self, number: u64) {
        let position = Position::from_parts(0, number);
        let saved = self.store.save_checkpoint(onlooker(number), position);
        self.answered(number, block_on(saved), &Said::Noted(number));
    }

    fn keep(&mut self, number: u64) {
        let snapshot = snapshot(number, self.last);
        let saved = self.store.save_snapshot(snapshot_name(number), snapshot);
        self.answered(number, block_on(saved), &Said::Kept(number));
    }

    fn forget(&mut self, number: u64) {
        let removed = self.store.remove_snapshot(snapshot_name(number));
        self.answered(number, block_on(removed), &Said::Forgot(number));
    }

    fn shorten(&mut self, number: u64, drops: Drops) {
        say(&Said::Dropping(number));
        let dropped = match drops {
            Drops::Log => self.store.trim_log(Keep::all().max_events(300)),
            Drops::Stream(stream) => {
                let keep = Keep::all().max_events(5);
                self.store.trim_stream(stream, keep)
            }
            Drops::Deletion(stream) => self.store.delete_stream(stream),
        };
        let to = match block_on(dropped) {
            Ok(dropped) => dropped.dropped_to.to_parts().1,
            Err(KeepError::NoStream) => 0,
            Err(error) => return self.refused(number, Refusal::of_keeping(&error)),
        };
        say(&Said::Dropped { number, to });
    }

    fn compact(&mut self, number: u64) {
        let compacted = self.store.compact(|_| {});
        self.answered(number, compacted.map(|_| ()), &Said::Compacted);
    }

    fn answered(&mut self, number: u64, answer: Result<(), KeepError>, said: &Said) {
        match answer {
            Ok(()) => say(said),
            Err(error) => self.refused(number, Refusal::of_keeping(&error)),
        }
    }

    fn refused(&mut self, number: u64, how: Refusal) {
        self.failures += usize::from(how != Refusal::Busy);
        say(&Said::Refused { number, how });
    }
}

/// How a process is started.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) segment_bytes: u64,
    /// None for as many as it comes to.
    pub(crate) rounds: Option<u64>,
    /// A program that is to run it, with its arguments.
    pub(crate) under: Vec<String>,
}

/// A process that writes, and what it says. It is killed with its value.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Start<'_> {
    pub(crate) fn start(&self) -> Process {
        let this = env::current_exe().unwrap();
        let mut command = match self.under.split_first() {
            None => Command::new(this),
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(this);
                command
            }
        };
        command
            .args(["--exact", "load::child", "--nocapture", "--test-threads=1"])
            .env(DIRECTORY, self.directory)
            .env(SEGMENT, self.segment_bytes.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        if let Some(rounds) = self.rounds {
            command.env(ROUNDS, rounds.to_string());
        }
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Process { child, said }
    }
}

impl Process {
    /// What it says next; none once it has ended.
    pub(crate) fn next(&mut self) -> Option<Said> {
        let mut line = String::new();
        while self.said.read_line(&mut line).unwrap() > 0 {
            if let Some(said) = Said::parse(line.trim_end_matches('\n')) {
                return Some(said);
            }
            line.clear();
        }
        None
    }

    /// So much of what it says next, or less where it ends before.
    pub(crate) fn take(&mut self, lines: usize) -> Vec<Said> {
        std::iter::from_fn(|| self.next()).take(lines).collect()
    }

    /// Ends it at once; what it had still said.
    pub(crate) fn kill(mut self) -> Vec<Said> {
        self.child.kill().unwrap();
        let said = self.take(usize::MAX);
        let status = self.child.wait().unwrap();
        assert!(status.signal().is_some(), "it ended of itself: {status}");
        said
    }

    /// Waits for its end; what it said until then.
    pub(crate) fn end(mut self) -> Vec<Said> {
        let said = self.take(usize::MAX);
        let status = self.child.wait().unwrap();
        assert!(status.success(), "it panicked: {status}");
        said
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Where it has ended already, there is nothing to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
