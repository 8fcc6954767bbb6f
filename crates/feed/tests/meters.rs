//! What a feed tells of itself in numbers.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use eventwire_feed::{Feed, FeedOptions, Follow, From, Look, Present, Views};
use eventwire_store::{
    Append, Cursor, Epoch, EventStore, EventType, MemoryStore, NewEvent, Position, Query,
    RecordedEvent,
};
use futures_util::{FutureExt, StreamExt};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

async fn append(store: &MemoryStore) {
    let event = NewEvent::new(EventType::new("t").unwrap(), "1");
    store.append(Append::new().event(event)).await.unwrap();
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}

/// Streams of which one falls behind a ring of one event and reads to the end, one comes from elsewhere,
/// one leaves when it has nothing to do, one stays, and one is never read.
async fn live() {
    let store = MemoryStore::new();
    let options = FeedOptions::default().ring(NonZeroUsize::MIN);
    let feed = Feed::start(store.clone(), options).await.unwrap();
    let follow = Follow::new(Query::all()).from(From::Beginning);
    let mut slow = feed.follow(follow.clone());
    assert!(slow.next().now_or_never().is_none());
    for _ in 0..5 {
        append(&store).await;
    }
    for _ in 0..5 {
        slow.next().await.unwrap().unwrap();
    }
    let elsewhere = Cursor {
        epoch: Epoch::new(store.epoch().get() ^ 1),
        position: Position::ORIGIN,
    };
    let mut lost = feed.follow(follow.clone().from(From::Cursor(elsewhere)));
    lost.next().await.unwrap().unwrap();
    // In the middle of the log.
    drop(lost);
    let mut idle = feed.follow(follow.clone());
    while idle.next().now_or_never().is_some() {}
    drop(idle);
    assert!(slow.next().now_or_never().is_none());
    append(&store).await;
    slow.next().await.unwrap().unwrap();
    let mut staying = feed.follow(follow.clone());
    while staying.next().now_or_never().is_some() {}
    std::mem::forget(staying);
    drop(feed.follow(follow));
    feed.close().await;
    assert!(slow.next().await.is_none());
}

/// Every number by its name and the values of its labels; of a histogram, how many values it has, and
/// their sum.
fn numbers(live: impl Future<Output = ()>) -> BTreeMap<String, f64> {
    let recorder = DebuggingRecorder::new();
    let numbers = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(live);
    });
    let mut named = BTreeMap::new();
    for (key, _, _, value) in numbers.snapshot().into_vec() {
        let mut name = key.key().name().to_owned();
        for label in key.key().labels() {
            name = format!("{name} {}", label.value());
        }
        let number = match value {
            DebugValue::Counter(count) => count as f64,
            DebugValue::Gauge(value) => value.0,
            DebugValue::Histogram(values) => {
                let sum = values.iter().map(|value| value.0).sum();
                named.insert(format!("{name} sum"), sum);
                values.len() as f64
            }
        };
        named.insert(name, number);
    }
    named
}

#[test]
fn what_happened_is_counted() {
    let numbers = numbers(live());
    for (name, expected) in [
        ("eventwire_feed_streams", 1.0),
        ("eventwire_feed_streams_behind", 0.0),
        ("eventwire_feed_opened_total", 4.0),
        ("eventwire_feed_resumed_total", 1.0),
        ("eventwire_feed_ended_total ended", 1.0),
        ("eventwire_feed_ended_total left", 1.0),
        ("eventwire_feed_ended_total left_behind", 1.0),
        ("eventwire_feed_gaps_total epoch", 1.0),
        ("eventwire_feed_catch_ups_total", 1.0),
        ("eventwire_feed_missed_events", 1.0),
        ("eventwire_feed_waited_events", 1.0),
        ("eventwire_feed_frame_bytes", 18.0),
        ("eventwire_feed_published_total", 6.0),
        ("eventwire_feed_ring_events", 1.0),
    ] {
        assert_eq!(numbers.get(name), Some(&expected), "{name}: {numbers:#?}");
    }
    assert!(numbers["eventwire_feed_sent_bytes_total"] > 100.0);
    assert!(numbers["eventwire_feed_ring_bytes"] > 100.0);
}

#[test]
fn who_leaves_with_something_unread_was_left_behind() {
    let numbers = numbers(async {
        let store = MemoryStore::new();
        let feed = Feed::start(store.clone(), FeedOptions::default());
        let feed = feed.await.unwrap();
        let mut frames = feed.follow(Follow::new(Query::all()));
        assert!(frames.next().now_or_never().is_none());
        append(&store).await;
    });
    let ended = |how: &str| numbers.get(&format!("eventwire_feed_ended_total {how}"));
    assert_eq!(ended("left_behind"), Some(&1.0), "{numbers:#?}");
    assert_eq!(ended("left").copied().unwrap_or(0.0), 0.0, "{numbers:#?}");
}

/// Shows nothing.
struct Hides;

impl Present for Hides {
    type View = ();

    fn present(&self, (): &(), _event: &RecordedEvent) -> Look {
        Look::Hidden
    }
}

#[test]
fn events_that_are_hidden_have_waited_as_well() {
    let numbers = numbers(async {
        let store = MemoryStore::new();
        let feed = Feed::start(store.clone(), FeedOptions::default());
        let feed = feed.await.unwrap();
        let hidden = Follow::new(Query::all()).view(Views::new(Hides).of(()));
        let mut frames = feed.follow(hidden);
        assert!(frames.next().now_or_never().is_none());
        for _ in 0..4 {
            append(&store).await;
        }
        assert!(frames.next().now_or_never().is_none());
    });
    let waited = numbers.get("eventwire_feed_waited_events sum");
    assert_eq!(waited, Some(&4.0), "{numbers:#?}");
}

/// A stream that is not read is found by nothing else.
#[test]
fn who_reads_nothing_is_seen_to_be_behind() {
    let second = Duration::from_millis(1_100);
    let mut waited = Vec::new();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let unread = || {
        let numbers = snapshotter.snapshot().into_vec();
        numbers
            .into_iter()
            .find_map(|(key, _, _, value)| match value {
                DebugValue::Gauge(value) if key.key().name() == "eventwire_feed_unread_events" => {
                    Some(value.0)
                }
                _ => None,
            })
    };
    metrics::with_local_recorder(&recorder, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        runtime.unwrap().block_on(async {
            let store = MemoryStore::new();
            let feed = Feed::start(store.clone(), FeedOptions::default())
                .await
                .unwrap();
            let follow = Follow::new(Query::all()).from(From::Beginning);
            let mut streams = [feed.follow(follow.clone()), feed.follow(follow)];
            for stream in &mut streams {
                assert!(stream.next().now_or_never().is_none());
            }
            for _ in 0..7 {
                append(&store).await;
            }
            while streams[0].next().now_or_never().is_some() {}
            tokio::time::sleep(second).await;
            waited.push(unread());
            while streams[1].next().now_or_never().is_some() {}
            tokio::time::sleep(second).await;
            waited.push(unread());
            for _ in 0..3 {
                append(&store).await;
            }
            while streams[0].next().now_or_never().is_some() {}
            tokio::time::sleep(second).await;
            waited.push(unread());
            drop((feed, streams));
            tokio::time::sleep(second).await;
            waited.push(unread());
        });
    });
    assert_eq!(waited, [7.0, 0.0, 3.0, 0.0].map(Some));
}
