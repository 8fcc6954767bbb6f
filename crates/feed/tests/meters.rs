//! What a feed tells of itself in numbers.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use eventwire_feed::{Feed, FeedOptions, Follow, From};
use eventwire_store::{
    Append, Cursor, Epoch, EventStore, EventType, MemoryStore, NewEvent, Position, Query,
};
use futures_util::{FutureExt, StreamExt};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

/// Every number by its name and the values of its labels; of a histogram, how many values it has.
#[derive(Debug, Default, Clone)]
struct Numbers(Arc<Mutex<BTreeMap<String, f64>>>);

/// One of them.
struct Number {
    all: Numbers,
    name: String,
}

impl Number {
    fn change(&self, change: impl FnOnce(&mut f64)) {
        change(
            self.all
                .0
                .lock()
                .unwrap()
                .entry(self.name.clone())
                .or_default(),
        );
    }
}

impl Numbers {
    fn number(&self, key: &Key) -> Arc<Number> {
        let mut name = key.name().to_owned();
        for label in key.labels() {
            name = format!("{name} {}", label.value());
        }
        let all = self.clone();
        Arc::new(Number { all, name })
    }
}

impl CounterFn for Number {
    fn increment(&self, by: u64) {
        self.change(|value| *value += by as f64);
    }

    fn absolute(&self, to: u64) {
        self.change(|value| *value = to as f64);
    }
}

impl GaugeFn for Number {
    fn increment(&self, by: f64) {
        self.change(|value| *value += by);
    }

    fn decrement(&self, by: f64) {
        self.change(|value| *value -= by);
    }

    fn set(&self, to: f64) {
        self.change(|value| *value = to);
    }
}

impl HistogramFn for Number {
    fn record(&self, _: f64) {
        self.change(|count| *count += 1.0);
    }
}

impl Recorder for Numbers {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.number(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.number(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.number(key))
    }
}

async fn append(store: &MemoryStore) {
    let event = NewEvent::new(EventType::new("t").unwrap(), "1");
    store.append(Append::new().event(event)).await.unwrap();
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}

/// Streams of which one falls behind a ring of one event and reads to the end, one comes from elsewhere,
/// one leaves when it has nothing to do, and one stays.
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
    std::mem::forget(feed.follow(follow));
    feed.close().await;
    assert!(slow.next().await.is_none());
}

#[test]
fn what_happened_is_counted() {
    let numbers = Numbers::default();
    metrics::with_local_recorder(&numbers, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(live());
    });
    let numbers = numbers.0.lock().unwrap().clone();
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
        ("eventwire_feed_frame_bytes", 12.0),
        ("eventwire_feed_published_total", 6.0),
        ("eventwire_feed_ring_events", 1.0),
    ] {
        assert_eq!(numbers.get(name), Some(&expected), "{name}: {numbers:#?}");
    }
    assert!(numbers["eventwire_feed_sent_bytes_total"] > 100.0);
    assert!(numbers["eventwire_feed_ring_bytes"] > 100.0);
}
