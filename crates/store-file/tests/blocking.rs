//! The blocking face: the same contract, and one queue with the other face.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use eventwire_store::{
    Append, AppendError, Appended, Capabilities, Epoch, EventStore, EventStream, EventType, Expect,
    IdempotencyKey, Item, NewEvent, Position, Query, ReadError, ReadOptions, Recalled, Start,
    StoreFuture, StreamName, Version,
};
use eventwire_store_file::{FileOptions, FileStore};
use eventwire_store_testkit::{Harness, Reopen};
use futures_executor::block_on;
use tempfile::TempDir;

/// A store that is appended to by callers who block.
struct Blocking(FileStore);

impl EventStore for Blocking {
    fn append(&self, append: Append) -> StoreFuture<Result<Appended, AppendError>> {
        StoreFuture::ready(self.0.append_blocking(append))
    }

    fn recall(&self, key: IdempotencyKey) -> StoreFuture<Result<Option<Recalled>, ReadError>> {
        self.0.recall(key)
    }

    fn read(&self, query: Query, options: ReadOptions) -> EventStream {
        self.0.read(query, options)
    }

    fn subscribe(&self, query: Query, start: Start) -> EventStream {
        self.0.subscribe(query, start)
    }

    fn head(&self) -> StoreFuture<Result<Position, ReadError>> {
        self.0.head()
    }

    fn wait_for(&self, position: Position) -> StoreFuture<Result<(), ReadError>> {
        self.0.wait_for(position)
    }

    fn epoch(&self) -> Epoch {
        self.0.epoch()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
}

/// A directory for one test. Segments are short, so that a test sees several.
struct Directory(TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn store(&self) -> Blocking {
        let options = FileOptions::new().segment_bytes(64 << 10);
        Blocking(options.open(self.0.path()).unwrap())
    }
}

impl Harness for Directory {
    type Store = Blocking;

    async fn open(&self) -> Blocking {
        self.store()
    }
}

impl Reopen for Directory {
    async fn reopen(&self, store: Blocking) -> Blocking {
        drop(store);
        self.store()
    }
}

eventwire_store_testkit::conformance!(reopening: Directory::new());

fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

fn to(name: &str, data: &str) -> Append {
    let posted = NewEvent::new(EventType::new("posted").unwrap(), data.to_owned());
    Append::to(stream(name)).event(posted)
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

/// Fails where the work takes longer than any disk.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    let done = receiver.recv_timeout(Duration::from_secs(120));
    done.expect("somebody waits for ever, or panicked")
}

const THREADS: u64 = 8;
const APPENDS: u64 = 50;

#[test]
fn callers_of_both_faces_are_each_answered_once_and_in_one_order() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path()).unwrap();
    let write = |thread: u64, store: &FileStore| {
        let mut answers = Vec::new();
        for number in 0..APPENDS {
            // One stream of its own, guarded, and one of all.
            let own = Version::new(number).map_or(Expect::NoStream, Expect::Exact);
            let append = to(&format!("thread-{thread}"), &format!("{thread}.{number}"));
            let append = append.expect(own).event(
                NewEvent::new(EventType::new("shared").unwrap(), "").stream(stream("shared")),
            );
            let answer = match thread % 2 {
                0 => store.append_blocking(append),
                _ => block_on(store.append(append)),
            };
            answers.push(answer.unwrap());
        }
        answers
    };
    let answers: Vec<Vec<Appended>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn({
                    let store = &store;
                    move || write(thread, store)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let mut shared = BTreeMap::new();
    for answers in &answers {
        assert!(answers.iter().map(Appended::last).is_sorted());
        for answer in answers {
            let version = answer.version_of(&stream("shared")).unwrap().get();
            assert_eq!(
                shared.insert(version, answer.last()),
                None,
                "answered twice"
            );
        }
    }
    let versions: Vec<u64> = shared.keys().copied().collect();
    assert_eq!(versions, (1..=THREADS * APPENDS).collect::<Vec<_>>());
    assert!(shared.values().is_sorted(), "versions and positions agree");
    store.close();

    let store = FileStore::open(directory.path()).unwrap();
    assert_eq!(store.recovery().events, 2 * THREADS * APPENDS);
}

#[test]
fn closing_answers_everybody_who_blocks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let written = in_time(move || {
        let store = FileStore::open(&path).unwrap();
        let begun = AtomicUsize::new(0);
        let write = |thread: u64| {
            let mut written = Vec::new();
            for number in 0.. {
                let payload = format!("{thread}.{number}");
                match store.append_blocking(to("room-1", &payload)) {
                    Ok(_) => written.push(payload),
                    Err(AppendError::Closed) => return written,
                    Err(error) => panic!("not an answer to expect: {error}"),
                }
                begun.fetch_add(1, Ordering::Relaxed);
            }
            written
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| scope.spawn(move || write(thread)))
                .collect();
            while begun.load(Ordering::Relaxed) < 100 {
                thread::yield_now();
            }
            store.close();
            let written = threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap());
            written.collect::<Vec<_>>()
        })
    });
    let mut found = payloads(&FileStore::open(directory.path()).unwrap());
    let mut written = written;
    found.sort_unstable();
    written.sort_unstable();
    assert_eq!(found, written);
}

/// Closes the store on whatever thread it is woken.
struct Closing(FileStore);

impl Wake for Closing {
    fn wake(self: Arc<Self>) {
        self.0.close();
    }
}

#[test]
fn a_waker_may_close_the_store_on_the_thread_that_leads() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    in_time(move || {
        let store = FileStore::open(&path).unwrap();
        let mut events = store.subscribe(Query::all(), Start::Beginning);
        let waker = Waker::from(Arc::new(Closing(store.clone())));
        let mut context = Context::from_waker(&waker);
        // Past the word that it has caught up.
        while pin!(events.next()).poll(&mut context).is_ready() {}
        store.append_blocking(to("room-1", "x")).unwrap();
        let refused = store.append_blocking(to("room-1", "y"));
        assert!(matches!(refused, Err(AppendError::Closed)));
    });
    assert_eq!(payloads(&FileStore::open(directory.path()).unwrap()), ["x"]);
}

/// Panics on whatever thread it is woken.
struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        panic!("a waker of the test panics");
    }
}

#[test]
fn a_waker_that_panics_is_no_concern_of_others() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    in_time(move || {
        let store = FileStore::open(&path).unwrap();
        let waker = Waker::from(Arc::new(Panicking));
        let mut events = store.subscribe(Query::all(), Start::Beginning);
        let mut context = Context::from_waker(&waker);
        while pin!(events.next()).poll(&mut context).is_ready() {}
        let mut panicking = pin!(store.append(to("room-1", "0")));
        let is_answered = panicking.as_mut().poll(&mut context);
        for number in 1..20 {
            let append = to("room-1", &number.to_string());
            let answer = match number % 2 {
                0 => store.append_blocking(append),
                _ => block_on(store.append(append)),
            };
            answer.unwrap();
        }
        if is_answered.is_pending() {
            block_on(panicking).unwrap();
        }
        assert_eq!(payloads(&store).len(), 20);
    });
}
