//! A store is read by one process while another writes it, is killed, and comes back.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

use eventwire_store::{
    Append, AppendError, EventStore, EventType, IdempotencyKey, Item, Keep, NewEvent, Position,
    Query, ReadError, ReadOptions, Retention, Start, StreamName,
};
use eventwire_store_file::{
    Damage, FileFollower, FileOptions, FileStore, GiveUp, OpenError, repair,
};
use futures_executor::block_on;

/// Says to this very program that it is the writer, and where it writes.
const DIRECTORY: &str = "EVENTWIRE_FOLLOW_DIRECTORY";

/// Says to it that it drops what it has written, and compacts the store.
const DROPS: &str = "EVENTWIRE_FOLLOW_DROPS";

const LIVES: u64 = 6;

fn open(path: &Path) -> FileStore {
    FileOptions::new()
        .segment_bytes(8 << 10)
        .open(path)
        .unwrap()
}

fn append(number: u64) -> Append {
    let room = StreamName::new(format!("room-{}", number % 3)).unwrap();
    let event_type = EventType::new("posted").unwrap();
    let events = (0..=number % 3).map(|event| {
        let length = usize::try_from(number % 400).unwrap();
        NewEvent::new(
            event_type.clone(),
            format!("{number}.{event} {}", "x".repeat(length)),
        )
    });
    Append::to(room)
        .extend(events)
        .key(IdempotencyKey::new(format!("append-{number}")).unwrap())
}

/// Not a test of its own: the child that is killed.
#[test]
fn child() {
    let Some(directory) = env::var_os(DIRECTORY) else {
        return;
    };
    let store = open(Path::new(&directory));
    let begin = block_on(store.head()).unwrap().to_parts().1;
    println!("open");
    for number in begin.. {
        block_on(store.append(append(number))).unwrap();
        if env::var_os(DROPS).is_some() && number % 40 == 39 {
            let keep = Keep::all().max_events(4);
            let room = StreamName::new("room-1").unwrap();
            block_on(store.trim_stream(room, keep)).unwrap();
            block_on(store.trim_log(Keep::all().max_events(150))).unwrap();
            store.compact(|_| {}).unwrap();
        }
    }
}

/// A writer, which has opened the store.
fn start(path: &Path) -> Child {
    start_with(path, &[])
}

fn start_with(path: &Path, variables: &[(&str, &str)]) -> Child {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(DIRECTORY, path)
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.as_mut().unwrap());
    let mut lines = said.lines().map(Result::unwrap);
    assert!(lines.any(|line| line.ends_with("open")));
    child
}

/// The positions and payloads of everything there is.
fn all(store: &impl EventStore) -> Vec<(Position, String)> {
    block_on(async {
        let mut items = store.read(Query::all(), ReadOptions::all());
        let mut events = Vec::new();
        while let Some(item) = items.next().await {
            if let Item::Event(event) = item.unwrap() {
                let payload = String::from_utf8(event.data.to_vec()).unwrap();
                events.push((event.position, payload));
            }
        }
        events
    })
}

#[test]
fn a_follower_is_shown_what_writers_leave_that_are_killed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    open(path).close();
    let follower = FileFollower::open(path).unwrap();
    let mut items = follower.subscribe(Query::all(), Start::Beginning);
    let follow = thread::spawn(move || {
        let mut seen = Vec::new();
        loop {
            match block_on(items.next()) {
                Some(Ok(Item::Event(event))) => {
                    let payload = String::from_utf8(event.data.to_vec()).unwrap();
                    seen.push((event.position, payload));
                }
                Some(Ok(_)) => {}
                Some(Err(ReadError::Closed)) => return seen,
                other => panic!("{other:?}"),
            }
        }
    });
    let mut head = Position::ORIGIN;
    for life in 0..LIVES {
        let mut child = start(path);
        // Some of its commits are seen while it lives.
        let before = block_on(follower.head()).unwrap();
        while block_on(follower.head()).unwrap() <= before {
            thread::yield_now();
        }
        thread::sleep(Duration::from_micros(fastrand::u64(..60_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let seen = block_on(follower.head()).unwrap();
        // A follower that begins when nobody writes, and the next writer, have it all.
        let late = FileFollower::open(path).unwrap();
        assert!(block_on(late.head()).unwrap() >= seen, "life {life}");
        let store = open(path);
        head = block_on(store.head()).unwrap();
        assert!(
            head >= seen,
            "life {life}: {seen} was shown, and {head} is the last"
        );
        block_on(follower.wait_for(head)).unwrap();
        store.close();
    }
    follower.close();
    let seen = follow.join().unwrap();
    let store = open(path);
    let expected = all(&store);
    assert_eq!(expected.last().unwrap().0, head);
    assert!(store.recovery().segments > 2, "it was short");
    assert!(
        seen == expected,
        "{} and {} events",
        seen.len(),
        expected.len()
    );
    assert!(
        all(&follower) == expected,
        "what was seen can still be read"
    );
}

/// Followers of a writer that drops events, rewrites files and removes them: from the beginning
/// and from any time on, each is shown every event in order, but for those that are dropped.
#[test]
fn a_follower_goes_on_while_the_writer_compacts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    open(path).close();
    let follower = FileFollower::open(path).unwrap();
    let mut child = start_with(path, &[(DROPS, "1")]);
    let mut items = follower.subscribe(Query::all(), Start::Beginning);
    let mut seen: Vec<(Position, String)> = Vec::new();
    let mut told = Position::ORIGIN;
    while seen.len() < 3000 {
        match block_on(items.next()).unwrap().unwrap() {
            Item::Event(event) => {
                let payload = String::from_utf8(event.data.to_vec()).unwrap();
                let before = seen
                    .last()
                    .map_or(Position::ORIGIN, |(at, _)| *at)
                    .max(told);
                assert!(event.position > before);
                seen.push((event.position, payload));
            }
            Item::Gap { resumed_after, .. } => told = resumed_after,
            _ => {}
        }
        if !seen.is_empty() && seen.len().is_multiple_of(500) {
            // One that begins while files go and come.
            let late = FileFollower::open(path).unwrap();
            let found = all(&late);
            let first = found.first().unwrap().0;
            for (at, payload) in seen.iter().filter(|(at, _)| *at >= first) {
                let same = found.binary_search_by_key(at, |(found, _)| *found);
                // Of room-1 more may have been dropped meanwhile.
                let is_of_room_1 =
                    payload.split('.').next().unwrap().parse::<u64>().unwrap() % 3 == 1;
                match same {
                    Ok(same) => assert!(found[same].1 == *payload),
                    Err(_) => assert!(is_of_room_1, "{at} is not there"),
                }
            }
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let store = open(path);
    let head = block_on(store.head()).unwrap();
    block_on(follower.wait_for(head)).unwrap();
    assert!(all(&follower) == all(&store));
}

#[test]
fn a_follower_changes_nothing_and_keeps_nobody_out() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    assert!(matches!(
        FileFollower::open(path),
        Err(OpenError::Io { .. })
    ));
    assert_eq!(path.read_dir().unwrap().count(), 0);
    let store = open(path);
    block_on(store.append(append(1))).unwrap();
    let follower = FileFollower::open(path).unwrap();
    assert_eq!(follower.epoch(), store.epoch());
    assert!(all(&follower) == all(&store));
    let refused = block_on(follower.append(append(2)));
    assert!(matches!(refused, Err(AppendError::Unsupported(_))));
    assert_eq!(follower.capabilities().limits.append_events, 0);
    let key = IdempotencyKey::new("append-1").unwrap();
    assert_eq!(
        block_on(follower.recall(key.clone())).unwrap(),
        block_on(store.recall(key)).unwrap()
    );
    store.close();
    let store = open(path);
    let done = block_on(store.append(append(2))).unwrap();
    block_on(follower.wait_for(done.last())).unwrap();
    assert!(all(&follower) == all(&store));
}

#[test]
fn a_follower_ends_with_the_log_it_follows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let store = open(path);
    for number in 0..10 {
        block_on(store.append(append(number))).unwrap();
    }
    store.close();
    let follower = FileFollower::open(path).unwrap();
    fs::remove_file(path.join("IDENTITY")).unwrap();
    repair(path, GiveUp::Nothing, |_| {}).unwrap();
    open(path).close();
    let mut items = follower.subscribe(Query::all(), Start::End);
    let ended = loop {
        match block_on(items.next()).unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(ended, ReadError::Closed));
}

/// What cannot be read for a while is read once it can be.
#[test]
fn a_follower_bears_with_errors_that_pass() {
    let directory = tempfile::tempdir().unwrap();
    let (path, away) = (
        directory.path().join("store"),
        directory.path().join("away"),
    );
    let store = FileStore::open(&path).unwrap();
    let follower = FileFollower::open(&path).unwrap();
    for number in 0..50 {
        // The writer has its files open, and goes on. A follower opens them by their names.
        fs::rename(&path, &away).unwrap();
        let done = store.append_blocking(append(number)).unwrap();
        fs::rename(&away, &path).unwrap();
        block_on(follower.wait_for(done.last())).unwrap();
    }
    store.close();
    assert!(all(&follower) == all(&open(&path)));
}

/// Whoever follows is told what is wrong and where, after all that was shown before.
#[test]
fn a_follower_tells_of_damage() {
    let directory = tempfile::tempdir().unwrap();
    let (path, away) = (
        directory.path().join("store"),
        directory.path().join("away"),
    );
    let store = open(&path);
    let first = store.append_blocking(append(0)).unwrap().last();
    store.close();
    let follower = FileFollower::open(&path).unwrap();
    fs::rename(&path, &away).unwrap();
    let store = open(&away);
    let second = store.append_blocking(append(1)).unwrap().last();
    store.close();
    // Without an index the frame is read, which is the last one.
    fs::remove_dir_all(away.join("indexes")).unwrap();
    let segment = "00000000000000000001.log";
    let mut bytes = fs::read(away.join(segment)).unwrap();
    let at = bytes.iter().rposition(|&byte| byte != 0).unwrap() - 20;
    bytes[at] ^= 1;
    fs::write(away.join(segment), bytes).unwrap();
    fs::rename(&away, &path).unwrap();

    let is_told = |error| {
        let ReadError::Backend(cause) = error else {
            panic!("{error:?}");
        };
        let damage: &Damage = cause.downcast_ref().unwrap();
        assert_eq!(damage.file(), segment);
        assert!(damage.offset() <= u64::try_from(at).unwrap());
    };
    is_told(block_on(follower.wait_for(second)).unwrap_err());
    let mut items = follower.subscribe(Query::all(), Start::Beginning);
    let mut last = Position::ORIGIN;
    let ended = loop {
        match block_on(items.next()).unwrap() {
            Ok(Item::Event(event)) => last = event.position,
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(last, first);
    is_told(ended);
    is_told(block_on(follower.wait_for(second)).unwrap_err());
    follower.close();
    let closed = block_on(follower.wait_for(second));
    assert!(matches!(closed, Err(ReadError::Closed)), "{closed:?}");
    assert_eq!(all(&follower).len(), 1, "what was seen can still be read");
}
