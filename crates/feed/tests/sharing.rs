//! Streams that go on as one, and apart again.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

use std::num::NonZeroUsize;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use eventwire_feed::{Feed, FeedOptions, Follow, FrameStream, From, Merge, Part};
use eventwire_store::{Append, EventStore, EventType, MemoryStore, NewEvent, Position, Query};
use futures_util::{Stream, StreamExt};
use tokio::time::Instant;

async fn fresh(options: FeedOptions) -> (MemoryStore, Feed) {
    let store = MemoryStore::new();
    let feed = Feed::start(store.clone(), options).await;
    (store, feed.unwrap())
}

async fn append(store: &MemoryStore, event_type: &str, data: &'static str) -> Position {
    let event = NewEvent::new(EventType::new(event_type).unwrap(), data);
    let appended = store.append(Append::new().event(event)).await;
    let position = appended.unwrap().last();
    // The feed has its turn.
    tokio::time::sleep(Duration::from_millis(1)).await;
    position
}

/// All that is there, as text.
fn drain(frames: &mut FrameStream) -> String {
    let mut text = String::new();
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(frame) = pin!(&mut *frames).poll_next(&mut context) {
        let frame = frame.expect("it goes on").unwrap();
        text.push_str(str::from_utf8(frame.as_bytes()).unwrap());
    }
    text
}

/// What is of one client alone, of a stream that it had for itself.
fn part(feed: &Feed, follow: Follow) -> Part {
    let mut own = feed.follow(follow);
    drain(&mut own);
    own.part()
}

fn of_type(name: &str) -> Query {
    Query::types([EventType::new(name).unwrap()])
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_its_own_until_its_client_knows_a_place_and_when_to_come_back() {
    let (store, feed) = fresh(FeedOptions::default()).await;
    let retry = Duration::from_millis(1500);
    let mut frames = feed.follow(Follow::new(of_type("a")).retry(retry));
    assert!(frames.common().is_none(), "it has not begun");
    assert_eq!(drain(&mut frames), "");
    assert!(frames.common().is_none(), "its client knows no place");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let progress = drain(&mut frames);
    assert!(progress.starts_with("event: eventwire.progress\nid: "));
    assert!(progress.contains("\nretry: 1500\n"), "{progress}");
    assert!(frames.common().is_some());

    // The retry is told once, and an event does as well.
    append(&store, "a", "1").await;
    assert!(!drain(&mut frames).contains("retry"));
    let follow = Follow::new(of_type("a"));
    let mut second = feed.follow(follow.clone().from(From::Beginning).retry(retry));
    assert!(drain(&mut second).contains("\nretry: 1500\n"));
    assert_eq!(second.common(), frames.common());

    let mut other = feed.follow(Follow::new(Query::all()).from(From::Beginning));
    drain(&mut other);
    let mut loud = feed.follow(follow.from(From::Beginning).signals());
    drain(&mut loud);
    for different in [other, loud] {
        assert!(different.common().is_some());
        assert_ne!(different.common(), frames.common());
    }
    let (_store, elsewhere) = fresh(FeedOptions::default()).await;
    let mut elsewhere = elsewhere.follow(Follow::new(of_type("a")));
    drain(&mut elsewhere);
    tokio::time::sleep(Duration::from_secs(1)).await;
    drain(&mut elsewhere);
    assert!(elsewhere.common().is_some());
    assert_ne!(elsewhere.common(), frames.common());
}

#[tokio::test(start_paused = true)]
async fn streams_merge_where_they_are_level() {
    let (store, feed) = fresh(FeedOptions::default()).await;
    append(&store, "a", "1").await;
    let from_beginning = || feed.follow(Follow::new(of_type("a")).from(From::Beginning));
    let (mut shared, mut joining) = (from_beginning(), from_beginning());
    drain(&mut shared);
    append(&store, "a", "2").await;
    assert!(drain(&mut joining).contains("data: 2"));
    assert_eq!(shared.merge(&joining), Merge::Apart, "2 is still to come");
    drain(&mut shared);
    assert_eq!(shared.merge(&joining), Merge::Level(None));

    // What does not match moves both, once they look.
    append(&store, "b", "3").await;
    drain(&mut joining);
    assert_eq!(shared.merge(&joining), Merge::Apart);
    drain(&mut shared);
    assert_eq!(shared.merge(&joining), Merge::Level(None));

    // Clients of the one were told of a place that the other's does not know.
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(drain(&mut shared), "");
    tokio::time::sleep(Duration::from_secs(15)).await;
    let told = drain(&mut shared);
    assert!(told.starts_with("event: eventwire.progress\n"), "{told}");
    let Merge::Level(Some(first)) = shared.merge(&joining) else {
        panic!("it is to be told of that place first");
    };
    assert_eq!(first.as_bytes(), told.as_bytes());
}

#[tokio::test(start_paused = true)]
async fn a_fork_goes_on_after_its_place_however_far_the_ring_has_gone() {
    let ring = NonZeroUsize::new(2).unwrap();
    let (store, feed) = fresh(FeedOptions::default().ring(ring)).await;
    let first = append(&store, "a", "1").await;
    let mut shared = feed.follow(Follow::new(Query::all()).from(From::Beginning));
    drain(&mut shared);
    let everything = Follow::new(Query::all()).from(From::Beginning);
    let part = |follow: Follow| part(&feed, follow);
    let mut waiting = shared.fork(first, part(everything.clone()));
    for data in ["2", "3", "4", "5", "6"] {
        append(&store, "a", data).await;
    }
    let mut late = shared.fork(first, part(everything.clone()));
    for fork in [&mut waiting, &mut late] {
        // Its first polls read the log.
        let text = drain(fork);
        let data: Vec<_> = text
            .lines()
            .filter_map(|l| l.strip_prefix("data: "))
            .collect();
        assert_eq!(data, ["2", "3", "4", "5", "6"]);
    }
    // Its client knows the place: it can join others as soon as it was looked at.
    drain(&mut shared);
    let mut level = shared.fork(shared.cursor(), part(everything.clone()));
    assert_eq!(drain(&mut level), "");
    assert!(level.common().is_some());
    let age = Duration::from_secs(5);
    let end = Instant::now() + age;
    let ending = shared.fork(first, part(everything.max_age(age)));
    let blocks: Vec<_> = ending.collect().await;
    assert_eq!(Instant::now(), end);
    assert!(blocks.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_fork_is_told_how_far_it_is_as_soon_as_any_other() {
    let (store, feed) = fresh(FeedOptions::default()).await;
    append(&store, "a", "1").await;
    let follow = Follow::new(of_type("a")).from(From::Beginning);
    let mut shared = feed.follow(follow.clone());
    drain(&mut shared);
    let mut fork = shared.fork(shared.cursor(), part(&feed, follow));
    append(&store, "b", "2").await;
    let begun = Instant::now();
    let told = fork.next().await.unwrap().unwrap();
    assert!(told.as_bytes().starts_with(b"event: eventwire.progress\n"));
    assert!(begun.elapsed() <= Duration::from_secs(15));
}

#[tokio::test(start_paused = true)]
async fn what_is_shared_says_no_farewell_but_draws_one_for_each() {
    let spread = Duration::from_secs(10);
    let (_store, feed) = fresh(FeedOptions::default().return_within(spread)).await;
    let age = Duration::from_secs(60);
    let mut shared = feed.follow(Follow::new(Query::all()).max_age(age));
    let end = Instant::now() + age;
    drain(&mut shared);
    let part = shared.part();
    assert_eq!(part.ends_at(), Some(end));
    assert_eq!(shared.farewell(), None, "the feed is open");
    feed.close().await;
    assert!(shared.next().await.is_none());
    let [first, second] = [(), ()].map(|()| shared.farewell().unwrap());
    assert!(first.as_bytes().starts_with(b"event: eventwire.busy\n"));
    assert_ne!(first, second, "they come back one after the other");
}
