//! Any directory: opening it, reading all of it, looking through it and repairing it neither
//! panics nor hangs, nor takes more memory than the bytes that are there ask for. No more do
//! lending, following, copying, restoring, compacting and counting it, a few of which each input asks for.
//!
//! The directory is a store that was written, and then changed. Its checksums may be made good
//! afterwards, so that what is changed is believed. Where they are not, what is said to be whole
//! opens and can be read, and so does what was repaired.
#![no_main]

mod image;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use arbitrary::Arbitrary;
use eventwire_store::{
    Append, Category, CheckpointStore, Consumer, Direction, EventStore, EventType, IdempotencyKey,
    Item, Keep, NewEvent, Position, Query, ReadError, ReadOptions, Retention, Snapshot,
    SnapshotName, SnapshotStore, StreamName, Tag, Uuid,
};
use eventwire_store_file::{
    FileFollower, FileOptions, FileStore, GiveUp, Original, backup, repair, restore, stat, verify,
};
use futures_executor::block_on;
use image::Image;
use libfuzzer_sys::fuzz_target;

/// Fewer than any change leads to: what is more is a loop.
const MOST_EVENTS: usize = 100_000;

/// What is asked for beside what is always, of the first of what an input has.
const MOST_ASKED: usize = 3;

/// The asked come last, so that an input without them means what it does with none.
#[derive(Debug, Arbitrary)]
struct Input {
    changes: Vec<Change>,
    is_sealed: bool,
    asked: Vec<Asked>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum Asked {
    /// The store is opened with its files as memory.
    Mapped,
    Reader {
        query: u8,
        after: Value,
    },
    Follower,
    Stat,
    Backup,
    BackupWhileOpen,
    Restore,
    Compact,
}

/// One change of one file, all of them taken in rounds.
#[derive(Debug, Arbitrary)]
enum Change {
    Byte {
        file: u8,
        at: u16,
        value: u8,
    },
    Number {
        file: u8,
        at: u16,
        value: Value,
        is_wide: bool,
    },
    Bytes {
        file: u8,
        at: u16,
        bytes: [u8; 16],
    },
    Zero {
        file: u8,
        at: u16,
        length: u16,
    },
    Copy {
        from: u8,
        from_at: u16,
        to: u8,
        to_at: u16,
        length: u16,
    },
    Length {
        file: u8,
        length: u16,
    },
    Whole {
        file: u8,
        bytes: Vec<u8>,
    },
    Remove {
        file: u8,
    },
    Exchange {
        first: u8,
        second: u8,
    },
    Name {
        file: u8,
        first: Value,
        is_segment: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum Value {
    Small(u8),
    Any(u64),
    AllOnes,
    Highest,
}

impl Value {
    fn number(self) -> u64 {
        match self {
            Self::Small(value) => value.into(),
            Self::Any(value) => value,
            Self::AllOnes => u64::MAX,
            Self::Highest => i64::MAX as u64,
        }
    }
}

fuzz_target!(|input: Input| {
    let mut image = written().clone();
    for change in &input.changes {
        make(&mut image, change);
    }
    if input.is_sealed {
        image::seal(&mut image);
    }
    let directory = temporary();
    let path = directory.path();
    image::write(&image, path);

    let is_whole = verify(path, |_| {}).is_ok_and(|report| report.is_whole());
    let is_promised = is_whole && !input.is_sealed;
    let asked = &input.asked[..input.asked.len().min(MOST_ASKED)];
    for &asked in asked {
        let done = do_while_closed(path, asked);
        assert!(!is_promised || done.is_ok(), "said to be whole: {done:?}");
    }
    let opened = match asked.contains(&Asked::Mapped) {
        true => options().mapped().open(path),
        false => open(path),
    };
    match opened {
        Ok(store) => {
            let used = use_all(&store);
            assert!(!is_promised || used.is_ok(), "said to be whole: {used:?}");
            for &asked in asked {
                let done = do_while_open(&store, asked);
                assert!(!is_promised || done.is_ok(), "said to be whole: {done:?}");
            }
            store.close();
        }
        Err(error) => assert!(!is_whole || input.is_sealed, "said to be whole: {error}"),
    }
    // What was done to it may be in the way of another opening, and it is no more than that.
    drop(open(path).map(|store| use_all(&store)));

    if repair(
        path,
        GiveUp::EverythingFrom(Position::from_parts(0, 1)),
        |_| {},
    )
    .is_ok()
    {
        let report = verify(path, |_| {}).expect("it was repaired");
        assert!(
            report.is_whole(),
            "repaired, and yet: {:?}",
            report.findings
        );
        let used = open(path).map(|store| use_all(&store));
        let is_used = matches!(used, Ok(Ok(())));
        assert!(is_used || input.is_sealed, "it was repaired: {used:?}");
    }
});

/// Short, so that the image has several segments.
fn options() -> FileOptions {
    FileOptions::new().segment_bytes(1500)
}

fn open(path: &Path) -> Result<FileStore, eventwire_store_file::OpenError> {
    options().open(path)
}

type Done = Result<(), Box<dyn Error>>;

/// Does what is asked of a store that nobody has open, and looks at what comes of it.
fn do_while_closed(path: &Path, asked: Asked) -> Done {
    let to = temporary();
    match asked {
        Asked::Follower => {
            let follower = FileFollower::open(path)?;
            for query in queries() {
                block_on(read(&follower, query, ReadOptions::all()))?;
            }
            block_on(follower.recall(key(1)))?;
        }
        Asked::Stat => {
            stat(path, |_| {})?;
        }
        Asked::Backup => {
            backup(path, to.path(), |_| {})?;
            read_copy(to.path())?;
        }
        Asked::Restore => {
            restore(path, to.path(), Original::MayHaveGoneOn, |_| {})?;
            read_copy(to.path())?;
        }
        _ => {}
    }
    Ok(())
}

/// The same of one that is open.
fn do_while_open(store: &FileStore, asked: Asked) -> Done {
    match asked {
        Asked::Reader { query, after } => {
            let queries = queries();
            let query = queries[usize::from(query) % queries.len()].clone();
            lend(store, query, Position::from_parts(0, after.number()))?;
        }
        Asked::BackupWhileOpen => {
            let to = temporary();
            store.backup(to.path(), |_| {})?;
            read_copy(to.path())?;
        }
        // A bad index is made again for the next time.
        Asked::Compact => {
            let mut compacted = store.compact(|_| {});
            for _ in 0..16 {
                if compacted.is_ok() {
                    break;
                }
                compacted = store.compact(|_| {});
            }
            compacted?;
        }
        _ => {}
    }
    Ok(())
}

/// Reads a copy that was said to be made.
fn read_copy(path: &Path) -> Done {
    let copy = open(path)?;
    Ok(block_on(read(&copy, Query::all(), ReadOptions::all()))?)
}

fn lend(store: &FileStore, query: Query, after: Position) -> Result<(), ReadError> {
    let mut reader = store.reader(query, after);
    let mut last = after;
    let mut count = 0;
    while let Some(events) = reader.next_batch()? {
        for event in events.iter() {
            assert!(event.position() > last, "positions rise");
            last = event.position();
            drop(event.to_event());
            count += 1;
            assert!(count < MOST_EVENTS, "it does not end");
        }
    }
    Ok(())
}

fn temporary() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    let parent = if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    };
    tempfile::tempdir_in(parent).unwrap()
}

/// The files of a store that has everything: segments, indexes, keys, checkpoints, a trimmed
/// stream, a snapshot.
fn written() -> &'static Image {
    static WRITTEN: OnceLock<Image> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        let directory = temporary();
        let store = open(directory.path()).unwrap();
        for number in 0..9_u64 {
            let event = NewEvent::new(event_type(), format!("event {number}"))
                .uuid(Uuid::from_u128(number.into()))
                .tag(Tag::new(format!("by:{}", number % 2)).unwrap())
                .metadata("web");
            let append = Append::to(stream(number % 3))
                .event(event.clone())
                .event(NewEvent::new(event_type(), "x".repeat(60)))
                .key(key(number))
                .consumed(consumer(), Position::from_parts(0, number + 1));
            block_on(store.append(append)).unwrap();
        }
        block_on(store.trim_stream(stream(1), Keep::all().max_events(2))).unwrap();
        block_on(store.save_checkpoint(onlooker(), Position::from_parts(0, 7))).unwrap();
        let snapshot = Snapshot {
            position: Position::from_parts(0, 4),
            schema: 1,
            data: "state".into(),
        };
        block_on(store.save_snapshot(snapshot_name(), snapshot)).unwrap();
        store.close();
        drop(store);
        let mut image = image::read(directory.path());
        image.remove("LOCK");
        assert!(
            image.len() > 6,
            "several segments and indexes: {:?}",
            image.keys()
        );
        let mut sealed = image.clone();
        image::seal(&mut sealed);
        assert!(sealed == image, "the checksums are the documented ones");
        image
    })
}

fn make(image: &mut Image, change: &Change) {
    match change {
        Change::Byte { file, at, value } => {
            if let Some(byte) = bytes(image, *file, *at).first_mut() {
                *byte = *value;
            }
        }
        Change::Number {
            file,
            at,
            value,
            is_wide,
        } => {
            let value = value.number().to_le_bytes();
            let width = if *is_wide { 8 } else { 4 };
            overwrite(bytes(image, *file, *at), &value[..width]);
        }
        Change::Bytes {
            file,
            at,
            bytes: new,
        } => overwrite(bytes(image, *file, *at), new),
        Change::Zero { file, at, length } => {
            let zeros = vec![0; (*length).into()];
            overwrite(bytes(image, *file, *at), &zeros);
        }
        Change::Copy {
            from,
            from_at,
            to,
            to_at,
            length,
        } => {
            let copied = bytes(image, *from, *from_at);
            let copied = copied[..copied.len().min((*length).into())].to_vec();
            overwrite(bytes(image, *to, *to_at), &copied);
        }
        Change::Length { file, length } => {
            if let Some(name) = name(image, *file) {
                image.get_mut(&name).unwrap().resize((*length).into(), 0);
            }
        }
        Change::Whole { file, bytes } => {
            if let Some(name) = name(image, *file) {
                image.insert(name, bytes.clone());
            }
        }
        Change::Remove { file } => {
            if let Some(name) = name(image, *file) {
                image.remove(&name);
            }
        }
        Change::Exchange { first, second } => {
            if let (Some(first), Some(second)) = (name(image, *first), name(image, *second)) {
                let bytes = image[&first].clone();
                let other = image.insert(second, bytes).unwrap();
                image.insert(first, other);
            }
        }
        Change::Name {
            file,
            first,
            is_segment,
        } => {
            if let Some(name) = name(image, *file) {
                let first = first.number();
                let new = if *is_segment {
                    format!("{first:020}.log")
                } else {
                    format!("indexes/{first:020}.idx")
                };
                let bytes = image[&name].clone();
                image.insert(new, bytes);
            }
        }
    }
}

fn name(image: &Image, file: u8) -> Option<String> {
    let number = usize::from(file) % image.len().max(1);
    image.keys().nth(number).cloned()
}

/// The bytes of a file from a place on. Most of a short one can be reached, and the pages of an
/// index.
fn bytes(image: &mut Image, file: u8, at: u16) -> &mut [u8] {
    let Some(name) = name(image, file) else {
        return &mut [];
    };
    let bytes = image.get_mut(&name).unwrap();
    let at = usize::from(at) % bytes.len().max(1);
    &mut bytes[at..]
}

fn overwrite(bytes: &mut [u8], new: &[u8]) {
    let length = bytes.len().min(new.len());
    bytes[..length].copy_from_slice(&new[..length]);
}

/// Asks for everything, and writes. Reading must go well where nothing is damaged.
fn use_all(store: &FileStore) -> Result<(), ReadError> {
    let mut errors = Vec::new();
    for query in queries() {
        for options in [ReadOptions::all(), ReadOptions::backward()] {
            errors.extend(block_on(read(store, query.clone(), options)).err());
        }
    }
    for number in 0..10 {
        errors.extend(block_on(store.recall(key(number))).err());
    }
    errors.extend(block_on(store.checkpoint(consumer())).err());
    errors.extend(block_on(store.snapshot(snapshot_name())).err());
    drop(block_on(store.dropped_to()));
    drop(block_on(
        store.save_checkpoint(onlooker(), Position::from_parts(0, 9)),
    ));
    for number in [0, 9] {
        let event = NewEvent::new(event_type(), "more");
        drop(block_on(store.append(
            Append::to(stream(number % 3)).event(event).key(key(number)),
        )));
    }
    drop(block_on(store.trim_log(Keep::all().max_events(5))));
    errors.into_iter().next().map_or(Ok(()), Err)
}

fn queries() -> Vec<Query> {
    let mut queries = vec![
        Query::all(),
        Query::category(Category::new("room").unwrap()),
        Query::types([event_type()]),
        Query::tags([Tag::new("by:0").unwrap()]),
    ];
    queries.extend((0..3).map(|number| Query::stream(stream(number))));
    queries
}

async fn read(
    store: &impl EventStore,
    query: Query,
    options: ReadOptions,
) -> Result<(), ReadError> {
    let is_forward = matches!(options.direction(), Direction::Forward { .. });
    let mut items = store.read(query, options);
    let mut last = None;
    let mut count = 0;
    while let Some(item) = items.next().await {
        if let Item::Event(event) = item? {
            if let Some(last) = last {
                assert!(
                    (event.position > last) == is_forward,
                    "positions go one way"
                );
            }
            last = Some(event.position);
            count += 1;
            assert!(count < MOST_EVENTS, "it does not end");
        }
    }
    Ok(())
}

fn event_type() -> EventType {
    EventType::new("posted").unwrap()
}

fn stream(number: u64) -> StreamName {
    StreamName::new(format!("room-{number}")).unwrap()
}

fn key(number: u64) -> IdempotencyKey {
    IdempotencyKey::new(format!("key-{number}")).unwrap()
}

fn consumer() -> Consumer {
    Consumer::new("view").unwrap()
}

fn onlooker() -> Consumer {
    Consumer::new("onlooker").unwrap()
}

fn snapshot_name() -> SnapshotName {
    SnapshotName::new("fold").unwrap()
}
