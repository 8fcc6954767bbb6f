//! What a feed holds, by the bytes that are allocated.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

use std::future::Future;

use eventwire_feed::{Feed, FeedOptions, Follow, FrameStream, From, Look, Present, Views};
use eventwire_store::{
    Append, EventStore, EventType, Keep, MemoryStore, NewEvent, Query, RecordedEvent, Retention,
};
use futures_util::{FutureExt, StreamExt};

const MIB: usize = 1 << 20;

fn big(bytes: usize) -> Append {
    let data = vec![b'x'; bytes];
    Append::new().event(NewEvent::new(EventType::new("t").unwrap(), data))
}

/// Runs on this thread alone, whose allocations are counted.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}

/// Appends many times what the ring may hold, and lets the store forget
/// it, so that what is held is the feed's.
fn fill(options: FeedOptions, events: usize, bytes: usize) -> ((usize, u64), i64) {
    let mut held = (0, 0);
    let counted = allocation_counter::measure(|| {
        let feed = block_on(async {
            let store = MemoryStore::new();
            let feed = Feed::start(store.clone(), options).await.unwrap();
            for _ in 0..events {
                store.append(big(bytes)).await.unwrap();
                tokio::task::yield_now().await;
                store.trim_log(Keep::all().max_events(1)).await.unwrap();
            }
            held = feed.held();
            feed
        });
        // What the ring holds is not given back before the end of the measure.
        std::mem::forget(feed);
    });
    (held, counted.bytes_current)
}

#[test]
fn the_ring_is_bounded_by_bytes_whatever_events_are_large() {
    for bytes in [100, 10_000, 300_000] {
        let options = FeedOptions::default().ring_bytes(MIB as u64);
        let ((events, counted), allocated) = fill(options, 4 * MIB / bytes.min(8_000), bytes);
        assert!(counted <= MIB as u64, "{counted} of {bytes}");
        assert!(events >= MIB / (bytes + 1_000) / 2, "{events} of {bytes}");
        let allocated = usize::try_from(allocated).unwrap();
        assert!(
            allocated < MIB + 2 * bytes + 256 * 1024,
            "{allocated} bytes for {events} of {bytes}, counted as {counted}"
        );
    }
}

#[test]
fn one_event_larger_than_the_ring_is_shown_and_then_forgotten() {
    block_on(async {
        let store = MemoryStore::new();
        let options = FeedOptions::default().ring_bytes(1_000);
        let feed = Feed::start(store.clone(), options).await.unwrap();
        let mut frames = feed.follow(Follow::new(Query::all()).from(From::Beginning));
        assert!(futures_util::poll!(frames.next()).is_pending());
        for bytes in [100_000, 10] {
            store.append(big(bytes)).await.unwrap();
            let frame = frames.next().await.unwrap().unwrap();
            assert!(frame.len() > bytes);
            assert_eq!(feed.held().0, 1);
        }
        assert!(feed.held().1 < 1_000);
    });
}

#[test]
fn the_bytes_of_an_event_are_held_once() {
    let ((events, counted), _) = fill(FeedOptions::default(), 1, 100_000);
    assert_eq!(events, 1);
    assert!(counted < 102_000, "{counted}");
}

/// The same look for everyone, whatever the view and the event.
struct Always(Look);

impl Present for Always {
    type View = u64;

    fn present(&self, _: &u64, _: &RecordedEvent) -> Look {
        self.0.clone()
    }
}

fn take_all(frames: &mut FrameStream) {
    while let Some(Some(frame)) = frames.next().now_or_never() {
        drop(frame.unwrap());
    }
}

/// Shows so many views what is appended, by twos, until nothing more can be kept.
fn show(look: Look, views: u64, rounds: usize) -> (u64, i64) {
    let mut held = 0;
    let counted = allocation_counter::measure(|| {
        let feed = block_on(async {
            let store = MemoryStore::new();
            let options = FeedOptions::default().ring_bytes(MIB as u64);
            let feed = Feed::start(store.clone(), options).await.unwrap();
            let known = Views::new(Always(look));
            let mut streams: Vec<_> = (0..views)
                .map(|view| feed.follow(Follow::new(Query::all()).view(known.of(view))))
                .collect();
            for _ in 0..rounds {
                let pair = (0..2).fold(Append::new(), |pair, _| {
                    pair.event(NewEvent::new(EventType::new("t").unwrap(), "x"))
                });
                streams.iter_mut().for_each(take_all);
                store.append(pair).await.unwrap();
                tokio::task::yield_now().await;
                store.trim_log(Keep::all().max_events(1)).await.unwrap();
            }
            held = feed.held().1;
            feed
        });
        std::mem::forget(feed);
    });
    (held, counted.bytes_current)
}

/// What nobody is shown takes its place as what is shown does.
#[test]
fn what_views_are_shown_is_bounded_however_little_it_is() {
    for look in [Look::Hidden, Look::AsWritten] {
        let (held, allocated) = show(look.clone(), 100, 300);
        let held = usize::try_from(held).unwrap();
        assert!(held < 9 * MIB + 64 * 1024, "{held} for {look:?}");
        let allocated = usize::try_from(allocated).unwrap();
        assert!(
            allocated < held + MIB,
            "{allocated} bytes, counted as {held} for {look:?}"
        );
    }
}

#[test]
fn an_event_that_is_a_part_of_a_larger_buffer_does_not_keep_it() {
    for text in ["one line", "of two\nlines"] {
        let counted = allocation_counter::measure(|| {
            let feed = block_on(async {
                let store = MemoryStore::new();
                let feed = Feed::start(store.clone(), FeedOptions::default());
                let feed = feed.await.unwrap();
                let mut buffer = vec![b' '; MIB];
                buffer[..text.len()].copy_from_slice(text.as_bytes());
                let buffer = bytes::Bytes::from(buffer);
                let event = NewEvent::new(EventType::new("t").unwrap(), buffer.slice(..text.len()));
                let event = event.metadata(buffer.slice(100..110));
                drop(buffer);
                store.append(Append::new().event(event)).await.unwrap();
                while feed.held().0 == 0 {
                    tokio::task::yield_now().await;
                }
                store.trim_log(Keep::all().max_events(0)).await.unwrap();
                feed
            });
            std::mem::forget(feed);
        });
        let bytes = counted.bytes_current;
        assert!(bytes < 256 * 1024, "{bytes} bytes for {text:?}");
    }
}
