//! Dropping events while the store is read and written, on real files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, thread};

use eventwire_store::{
    Append, EventStore, EventType, Expect, IdempotencyKey, Item, Keep, KeepError, NewEvent,
    Position, Query, ReadOptions, RecordedEvent, Retention, Start, StreamName, Version,
};
use eventwire_store_file::{FileOptions, FileStore};
use futures_executor::block_on;

fn open(path: &Path) -> FileStore {
    FileOptions::new()
        .segment_bytes(16 << 10)
        .open(path)
        .unwrap()
}

fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

fn post(store: &FileStore, name: &str, text: String) -> Position {
    let posted = NewEvent::new(EventType::new("posted").unwrap(), text);
    let append = Append::to(stream(name)).event(posted);
    block_on(store.append(append)).unwrap().last()
}

fn items(store: &FileStore, query: Query, options: ReadOptions) -> Vec<Item> {
    block_on(async {
        let mut read = store.read(query, options);
        let mut items = Vec::new();
        while let Some(item) = read.next().await {
            items.push(item.unwrap());
        }
        items
    })
}

fn events(items: &[Item]) -> Vec<&RecordedEvent> {
    let items = items.iter();
    items
        .filter_map(|item| match item {
            Item::Event(event) => Some(event),
            _ => None,
        })
        .collect()
}

/// Whether any file of a store holds some bytes.
fn is_on_disk(path: &Path, wanted: &[u8]) -> bool {
    fs::read_dir(path).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return is_on_disk(&path, wanted);
        }
        // A file that is being made has another name by now.
        let Ok(bytes) = fs::read(path) else {
            return false;
        };
        bytes.windows(wanted.len()).any(|found| found == wanted)
    })
}

/// However many streams were deleted, most indexes say nothing of it, and all of it is known again.
#[test]
fn what_was_dropped_is_in_few_indexes() {
    const DELETED: usize = 600;
    let directory = tempfile::tempdir().unwrap();
    let indexes = directory.path().join("indexes");
    let store = open(directory.path());
    let brief = |n: usize| stream(&format!("brief-{n}"));
    for n in 0..DELETED {
        post(&store, brief(n).as_str(), "soon gone".to_owned());
    }
    for n in 0..DELETED {
        block_on(store.delete_stream(brief(n))).unwrap();
    }
    for n in 0..4000 {
        post(&store, "later", n.to_string());
    }
    store.close();
    let all = || {
        let files = fs::read_dir(&indexes).unwrap().map(|file| file.unwrap());
        let read = |file: fs::DirEntry| (file.file_name(), fs::read(file.path()).unwrap());
        let mut files: Vec<_> = files.map(read).collect();
        files.sort_unstable();
        files
    };
    let before = all();
    let name = b"brief-599";
    let says = |bytes: &[u8]| bytes.windows(name.len()).any(|found| found == name);
    let saying = before.iter().filter(|(_, bytes)| says(bytes)).count();
    // That which has its event, those that have 640, 768, 1024, 2048 and 4096, and some between
    // 600 and 640.
    assert!((2..=9).contains(&saying), "{saying} of {}", before.len());
    assert!(before.len() > 30, "{}", before.len());

    for is_without in [false, true] {
        if is_without {
            fs::remove_dir_all(&indexes).unwrap();
        }
        let store = open(directory.path());
        for n in 0..DELETED {
            let events = items(&store, Query::stream(brief(n)), ReadOptions::all());
            assert!(self::events(&events).is_empty(), "{n} is back");
            let event = NewEvent::new(EventType::new("posted").unwrap(), "more");
            let append = Append::to(brief(n)).event(event);
            assert!(
                block_on(store.append(append)).is_err(),
                "{n} is not deleted"
            );
        }
        store.close();
    }
    // That which is written to may have its indexes cut in other places.
    let segments = fs::read_dir(directory.path()).unwrap();
    let names = segments.map(|file| file.unwrap().file_name());
    let last = names.filter(|name| name.to_string_lossy().ends_with(".log"));
    let last = last.max().unwrap();
    let left = |files: Vec<(OsString, Vec<u8>)>| -> Vec<_> {
        let is_left = |name: &OsString| Path::new(name).file_stem() < Path::new(&last).file_stem();
        let files = files.into_iter();
        files.filter(|(name, _)| is_left(name)).collect()
    };
    assert!(left(all()) == left(before), "the bytes are others");
}

#[test]
fn what_a_deleted_stream_held_is_gone_from_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for n in 0..300 {
        post(&store, "person-1", format!("a secret of the first, {n}"));
        post(&store, "person-2", format!("what the second said, {n}"));
    }
    let before = items(
        &store,
        Query::stream(stream("person-2")),
        ReadOptions::all(),
    );
    let deleted = block_on(store.delete_stream(stream("person-1"))).unwrap();
    assert_eq!(deleted.events, 300);
    assert!(is_on_disk(directory.path(), b"a secret of the first"));
    let mut steps = Vec::new();
    let compacted = store.compact(|progress| steps.push(progress)).unwrap();
    assert!(compacted.segments_rewritten > 2, "{compacted:?}");
    assert!(steps.len() > 3 && steps.is_sorted_by_key(|step| step.bytes));
    let (first, last) = (steps[0], steps[steps.len() - 1]);
    assert_eq!((first.bytes, last.bytes), (0, last.of), "{steps:?}");
    assert!(
        compacted.bytes > 6000 && compacted.is_complete,
        "{compacted:?}"
    );
    assert!(!is_on_disk(directory.path(), b"a secret of the first"));
    assert!(is_on_disk(directory.path(), b"what the second said, 299"));

    drop(store);
    for _ in 0..2 {
        let store = open(directory.path());
        let after = items(
            &store,
            Query::stream(stream("person-2")),
            ReadOptions::all().limit(300),
        );
        assert_eq!(events(&after), events(&before));
        let all = items(&store, Query::all(), ReadOptions::all().limit(300));
        assert_eq!(events(&all), events(&before));
        let mut lent = Vec::new();
        let mut reader = store.reader(Query::all(), Position::ORIGIN);
        while let Some(batch) = reader.next_batch().unwrap() {
            lent.extend(
                batch
                    .into_iter()
                    .map(|event| (event.position(), event.data().to_vec())),
            );
        }
        let held = events(&before).into_iter();
        let held = held.map(|event| (event.position, event.data.to_vec()));
        assert!(lent[..300] == held.collect::<Vec<_>>());
        let version = Expect::Exact(Version::new(300).unwrap());
        let next = NewEvent::new(EventType::new("posted").unwrap(), "next");
        let next = Append::to(stream("person-2")).expect(version).event(next);
        let key = IdempotencyKey::new("next").unwrap();
        block_on(store.append(next.key(key))).unwrap();
        store.close();
        assert!(matches!(store.compact(|_| {}), Err(KeepError::Closed)));
    }
}

/// A store that compacts itself, beside a writer that goes on.
#[test]
fn a_deleted_stream_goes_from_the_disk_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let options = FileOptions::new().segment_bytes(16 << 10);
    let options = options.compact_at_percent(25);
    let store = options.open(directory.path()).unwrap();
    for n in 0..300 {
        post(
            &store,
            "person-1",
            format!("a secret of the first, {n}. {}", "x".repeat(100)),
        );
        post(&store, "person-2", format!("what the second said, {n}"));
    }
    for n in 300..500 {
        post(&store, "person-2", format!("what the second said, {n}"));
    }
    block_on(store.delete_stream(stream("person-1"))).unwrap();
    let mut last = 500;
    while is_on_disk(directory.path(), b"a secret of the first, 0.") {
        post(&store, "person-2", format!("what the second said, {last}"));
        last += 1;
        assert!(last < 20_000, "it is there still");
    }
    drop(store);
    assert!(!is_on_disk(directory.path(), b"a secret of the first, 0."));
    let store = open(directory.path());
    let all = items(&store, Query::all(), ReadOptions::all());
    let texts = events(&all).into_iter().map(|event| event.data.to_vec());
    let expected = (0..last).map(|n| format!("what the second said, {n}").into_bytes());
    assert!(texts.eq(expected));
}

#[test]
fn space_is_given_back_when_the_log_is_trimmed() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let logs = || {
        let names = fs::read_dir(directory.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().path());
        names
            .filter(|path| path.extension().is_some_and(|it| it == "log"))
            .count()
    };
    for n in 0..1000 {
        post(
            &store,
            &format!("room-{}", n % 7),
            format!("{n} {}", "x".repeat(100)),
        );
    }
    assert!(logs() > 8);
    let trimmed = block_on(store.trim_log(Keep::all().max_events(100))).unwrap();
    assert_eq!(trimmed.events, 900);
    // Beside the writer, and at the latest when the store is closed.
    store.close();
    assert!(logs() < 4, "{} files", logs());
    let store = open(directory.path());
    assert_eq!(
        events(&items(&store, Query::all(), ReadOptions::all())).len(),
        100
    );
    let appended = NewEvent::new(EventType::new("posted").unwrap(), "next");
    let append = Append::to(stream("room-0")).event(appended);
    let appended = block_on(store.append(append)).unwrap();
    assert_eq!(appended.version_of(&stream("room-0")), Version::new(144));
}

/// Readers and subscribers, while segments are dropped, rewritten and removed: each is shown
/// every event that is held, once and in order, or told of a gap where it is not.
#[test]
fn readers_are_shown_what_is_held_or_told_while_it_goes() {
    const EVENTS: u64 = 4000;
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let is_done = AtomicBool::new(false);
    thread::scope(|threads| {
        threads.spawn(|| {
            for n in 1..=EVENTS {
                let at = post(
                    &store,
                    &format!("room-{}", n % 5),
                    format!("{n} {}", "x".repeat(90)),
                );
                assert_eq!(at.to_parts().1, n);
            }
            is_done.store(true, Ordering::Release);
        });
        threads.spawn(|| {
            while !is_done.load(Ordering::Acquire) {
                block_on(store.trim_log(Keep::all().max_events(600))).unwrap();
                let keep = Keep::all().max_events(3);
                drop(block_on(store.trim_stream(stream("room-3"), keep)));
                store.compact(|_| {}).unwrap();
            }
        });
        for _ in 0..2 {
            threads.spawn(|| {
                while !is_done.load(Ordering::Acquire) {
                    let head = block_on(store.head()).unwrap();
                    let dropped_to = block_on(store.dropped_to()).unwrap();
                    follow(
                        items(&store, Query::all(), ReadOptions::all()),
                        dropped_to,
                        head,
                    );
                }
            });
        }
        threads.spawn(|| {
            let subscription = store.subscribe(Query::all(), Start::After(Position::ORIGIN));
            let all = block_on(until(subscription, EVENTS));
            follow(all, Position::ORIGIN, Position::ORIGIN);
        });
    });
    drop(store);
    let store = open(directory.path());
    let held = items(&store, Query::all(), ReadOptions::all());
    let dropped_to = block_on(store.dropped_to()).unwrap();
    follow(held, dropped_to, block_on(store.head()).unwrap());
}

async fn until(mut subscription: eventwire_store::EventStream, last: u64) -> Vec<Item> {
    let mut items = Vec::new();
    loop {
        let item = subscription.next().await.unwrap().unwrap();
        let is_last = matches!(&item, Item::CaughtUp(at) if at.to_parts().1 == last);
        items.push(item);
        if is_last {
            return items;
        }
    }
}

/// Holds what a reader was shown against what was posted: from `after` or a place above it on, at
/// least to `head`, only those of room-3 may be missing without a word.
fn follow(items: Vec<Item>, after: Position, head: Position) {
    let mut at = None;
    for item in items {
        match item {
            Item::Event(event) => {
                let position = event.position.to_parts().1;
                let text = std::str::from_utf8(&event.data).unwrap();
                assert!(
                    text.starts_with(&format!("{position} ")),
                    "{position}: {text}"
                );
                assert!(event.position > after);
                let from = at.unwrap_or(position - 1);
                let missing = from + 1..position;
                let are_dropped = missing.clone().all(|missing| missing % 5 == 3);
                assert!(position > from && are_dropped, "{missing:?} without a word");
                at = Some(position);
            }
            Item::Gap { resumed_after, .. } => {
                let resumed_after = resumed_after.to_parts().1;
                assert!(at.is_none_or(|at| at < resumed_after));
                at = Some(resumed_after);
            }
            Item::CaughtUp(place) => assert!(place >= head),
            _ => {}
        }
    }
}
