//! What a feed makes of a store that fails, waits or breaks off where a store in memory never would.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventwire_feed::{Feed, FeedError, FeedOptions, Follow, From};
use eventwire_store::{
    Append, AppendError, Appended, Capabilities, Cursor, Epoch, EventStore, EventStream, EventType,
    IdempotencyKey, Item, MemoryStore, NewEvent, Position, Query, ReadError, ReadOptions, Recalled,
    Start, StoreFuture, StreamName,
};
use futures_util::{FutureExt, Stream, StreamExt, stream};

type Script = VecDeque<Result<Item, ReadError>>;

/// A store in memory whose reads and subscriptions yield what they are told to, as long as they
/// are: one script each, after which they wait for ever.
#[derive(Clone, Default)]
struct Scripted {
    store: MemoryStore,
    reads: Arc<Mutex<VecDeque<Script>>>,
    subscriptions: Arc<Mutex<VecDeque<Script>>>,
    /// Where subscriptions began.
    starts: Arc<Mutex<Vec<Start>>>,
}

impl Scripted {
    fn read_will(&self, items: impl IntoIterator<Item = Result<Item, ReadError>>) {
        let script = items.into_iter().collect();
        self.reads.lock().unwrap().push_back(script);
    }

    fn subscription_will(&self, items: impl IntoIterator<Item = Result<Item, ReadError>>) {
        let script = items.into_iter().collect();
        self.subscriptions.lock().unwrap().push_back(script);
    }
}

fn played(script: Script) -> impl Stream<Item = Result<Item, ReadError>> {
    stream::iter(script).chain(stream::pending())
}

impl EventStore for Scripted {
    fn append(&self, append: Append) -> StoreFuture<Result<Appended, AppendError>> {
        self.store.append(append)
    }

    fn recall(&self, key: IdempotencyKey) -> StoreFuture<Result<Option<Recalled>, ReadError>> {
        self.store.recall(key)
    }

    fn read(&self, query: Query, options: ReadOptions) -> EventStream {
        match self.reads.lock().unwrap().pop_front() {
            Some(script) => EventStream::new(played(script)),
            None => self.store.read(query, options),
        }
    }

    fn subscribe(&self, query: Query, start: Start) -> EventStream {
        self.starts.lock().unwrap().push(start);
        match self.subscriptions.lock().unwrap().pop_front() {
            Some(script) => EventStream::new(played(script)),
            None => self.store.subscribe(query, start),
        }
    }

    fn head(&self) -> StoreFuture<Result<Position, ReadError>> {
        self.store.head()
    }

    fn wait_for(&self, position: Position) -> StoreFuture<Result<(), ReadError>> {
        self.store.wait_for(position)
    }

    fn epoch(&self) -> Epoch {
        self.store.epoch()
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }
}

fn at(place: u64) -> Position {
    Position::from_parts(0, place)
}

fn broken() -> ReadError {
    ReadError::Backend("the disk is on fire".into())
}

async fn append(store: &Scripted, data: &'static str) {
    let event = NewEvent::new(EventType::new("t").unwrap(), data);
    store.append(Append::new().event(event)).await.unwrap();
}

fn text(frame: Result<eventwire_sse::Frame, FeedError>) -> String {
    String::from_utf8(frame.unwrap().as_bytes().to_vec()).unwrap()
}

/// Nobody has been sent more than this, and who comes back begins there.
#[tokio::test]
async fn a_stream_that_fails_says_how_far_it_had_come() {
    let gap = Item::Gap {
        after: at(0),
        resumed_after: at(4),
    };
    for (item, after) in [(Item::Progress(at(5)), 5), (gap, 4)] {
        let store = Scripted::default();
        let feed = Feed::start(store.clone(), FeedOptions::default()).await;
        store.read_will([Ok(item), Err(broken())]);
        let follow = Follow::new(Query::all()).from(From::Beginning);
        let mut frames = feed.unwrap().follow(follow);
        let error = loop {
            if let Err(error) = frames.next().await.unwrap() {
                break error;
            }
        };
        assert_eq!(error.after, at(after));
        assert!(frames.next().await.is_none(), "it has ended");
    }
}

/// While a long history is read that has nothing to show, its client is told how far it is.
#[tokio::test(start_paused = true)]
async fn a_slow_history_tells_how_far_it_is() {
    let store = Scripted::default();
    let feed = Feed::start(store.clone(), FeedOptions::default()).await;
    store.read_will([Ok(Item::Progress(at(5)))]);
    let follow = Follow::new(Query::all()).from(From::Beginning);
    let mut frames = feed.unwrap().follow(follow);
    let told = text(frames.next().await.unwrap());
    let place = Cursor {
        epoch: store.epoch(),
        position: at(5),
    };
    assert_eq!(
        told,
        format!("event: eventwire.progress\nid: {place}\ndata: {{}}\n\n")
    );
}

/// What a store could not give is read again, from where it was and not from where it is.
#[tokio::test(start_paused = true)]
async fn the_log_is_followed_again_after_a_failure_from_where_it_was() {
    let store = Scripted::default();
    store.subscription_will([Ok(Item::Progress(at(0))), Err(broken())]);
    let feed = Feed::start(store.clone(), FeedOptions::default()).await;
    let feed = feed.unwrap();
    let mut frames = feed.follow(Follow::new(Query::all()));
    assert!(frames.next().now_or_never().is_none());
    for data in ["one", "two"] {
        append(&store, data).await;
    }
    let mut shown = String::new();
    while !shown.contains("data: two\n") {
        shown += &text(frames.next().await.unwrap());
    }
    assert!(shown.contains("data: one\n"), "{shown}");
    assert_eq!(
        *store.starts.lock().unwrap(),
        [Start::After(at(0)), Start::After(at(0))]
    );
}

/// Closing waits for what was acknowledged: places of events that were dropped count as well.
#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_what_will_never_come() {
    let store = Scripted::default();
    let feed = Feed::start(store.clone(), FeedOptions::default()).await;
    let feed = feed.unwrap();
    // The stream of the last event is gone before the feed has seen it.
    let name = StreamName::new("gone").unwrap();
    let event = NewEvent::new(EventType::new("t").unwrap(), "x");
    let append = Append::to(name.clone()).event(event);
    store.append(append).await.unwrap();
    let deleted = eventwire_store::Retention::delete_stream(&store.store, name);
    deleted.await.unwrap();
    let begun = tokio::time::Instant::now();
    feed.close().await;
    assert!(begun.elapsed() < Duration::from_millis(100));
}
