//! What a program does while it is told how far some work on a store has come: it may panic, close
//! the store, or use it, and no lock is held meanwhile.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use eventwire_store::{
    Append, EventStore, EventType, Keep, KeepError, NewEvent, Position, Query, ReadError,
    Retention, Start, StreamName,
};
use eventwire_store_file::{
    FileOptions, FileStore, GiveUp, Original, Progress, Repaired, backup, repair, restore, stat,
    verify,
};
use futures_executor::block_on;

fn open(path: &Path) -> FileStore {
    FileOptions::new()
        .segment_bytes(8 << 10)
        .open(path)
        .unwrap()
}

fn stream(number: usize) -> StreamName {
    StreamName::new(format!("room-{number}")).unwrap()
}

fn append(number: usize) -> Append {
    let event_type = EventType::new("posted").unwrap();
    let event = NewEvent::new(event_type, format!("{number:0500}"));
    Append::to(stream(number % 3)).event(event)
}

/// A store of several segments, all of which hold something that was dropped.
fn to_compact(path: &Path) -> FileStore {
    let store = open(path);
    for number in 0..60 {
        block_on(store.append(append(number))).unwrap();
    }
    block_on(store.trim_stream(stream(1), Keep::all().max_events(1))).unwrap();
    store
}

/// Panics when it is told of something for the second time.
fn fails() -> impl FnMut(Progress) {
    let mut is_second = false;
    move |_| {
        if is_second {
            // Without the noise of a hook.
            resume_unwind(Box::new("whoever is told panics"));
        }
        is_second = true;
    }
}

fn panics<T>(work: impl FnOnce() -> T) {
    assert!(catch_unwind(AssertUnwindSafe(work)).is_err(), "it was told");
}

#[test]
fn who_panics_while_compacting_has_a_store_that_goes_on_and_closes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let store = to_compact(path);
    let mut subscription = store.subscribe(Query::all(), Start::End);
    panics(|| store.compact(fails()));
    block_on(store.append(append(0))).unwrap();
    assert!(store.compact(|_| {}).unwrap().is_complete);
    panics(|| store.compact(fails()));
    store.close();
    // Whoever waits is told that it is closed.
    let ended = loop {
        match block_on(subscription.next()).unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(ended, ReadError::Closed));
    assert!(matches!(store.compact(|_| {}), Err(KeepError::Closed)));
    open(path).close();
}

/// The store goes while its caller unwinds.
#[test]
fn who_panics_while_compacting_may_drop_the_store_by_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let store = to_compact(path);
    panics(move || store.compact(fails()));
    let store = open(path);
    assert!(store.compact(|_| {}).unwrap().is_complete);
}

#[test]
fn a_store_may_be_closed_and_opened_while_it_says_how_far_compacting_it_has_come() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let store = to_compact(path);
    let mut calls = 0;
    let compacted = store.compact(|progress| {
        calls += 1;
        if progress.bytes > 0 {
            store.close();
            open(path).close();
        }
    });
    assert!(matches!(compacted, Err(KeepError::Closed)));
    assert_eq!(calls, 2, "closed after the first file");
    let compacted = open(path).compact(|_| {}).unwrap();
    assert!(compacted.is_complete && compacted.segments_rewritten > 0);
}

#[test]
fn a_store_may_be_used_while_it_says_how_far_compacting_it_has_come() {
    let directory = tempfile::tempdir().unwrap();
    let store = to_compact(directory.path());
    let mut inner = 0;
    let outer = store.compact(|_| {
        block_on(store.append(append(0))).unwrap();
        inner += store.compact(|_| {}).unwrap().segments_rewritten;
    });
    assert!(outer.unwrap().is_complete && inner > 0);
}

#[test]
fn who_panics_while_something_else_is_told_leaves_what_an_interruption_leaves() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let to = |name: &str| directory.path().join(name);
    let store = to_compact(&path);
    let head = block_on(store.head()).unwrap();

    panics(|| store.backup(to("backup"), fails()));
    panics(|| stat(&path, fails()));
    panics(|| backup(&path, to("backup"), fails()));
    let made = store.backup(to("backup"), |_| {}).unwrap();
    assert_eq!(made.head, head);
    assert!(made.segments_copied < made.segments, "it goes on");
    store.close();
    panics(|| verify(&path, fails()));
    panics(|| restore(to("backup"), to("restored"), Original::EndedThere, fails()));
    restore(to("backup"), to("restored"), Original::EndedThere, |_| {}).unwrap();

    fs::remove_file(path.join("IDENTITY")).unwrap();
    panics(|| repair(&path, GiveUp::Nothing, fails()));
    let repaired = repair(&path, GiveUp::Nothing, |_| {}).unwrap();
    assert!(matches!(repaired, Repaired::Mended { .. }));
    for path in [path, to("restored"), to("backup")] {
        assert_eq!(block_on(open(&path).head()).unwrap(), head);
    }
    assert!(head > Position::ORIGIN);
}
