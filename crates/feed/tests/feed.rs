//! What a subscriber is sent, through hand-over, lag, filters, gaps and the end.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use eventwire_feed::{Feed, FeedError, FeedOptions, Follow, From};
use eventwire_store::{
    Append, Cursor, Epoch, EventStore, EventType, Keep, MemoryStore, NewEvent, Position, Query,
    Retention, StreamName,
};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::task::coop::poll_proceed;
use tokio::time::Instant;

/// An empty store and a feed over it.
async fn fresh() -> (MemoryStore, Feed) {
    let store = MemoryStore::new();
    let feed = Feed::start(store.clone(), FeedOptions::default()).await;
    (store, feed.unwrap())
}

fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

async fn append(
    store: &MemoryStore,
    to: &str,
    event_type: &str,
    data: impl Into<bytes::Bytes>,
) -> Position {
    let event = NewEvent::new(EventType::new(event_type).unwrap(), data);
    store
        .append(Append::to(stream(to)).event(event))
        .await
        .unwrap()
        .last()
}

fn from_beginning(query: Query) -> Follow {
    Follow::new(query).from(From::Beginning)
}

/// What one subscriber is sent, block by block, as text.
type Blocks = BoxStream<'static, Result<String, FeedError>>;

/// A frame holds as many events as there were.
fn blocks(feed: &Feed, follow: Follow) -> Blocks {
    let frames = feed.follow(follow);
    let blocks = frames.flat_map(|frame| {
        let blocks: Vec<_> = match frame {
            Ok(frame) => {
                let text = String::from_utf8(frame.as_bytes().to_vec()).unwrap();
                let blocks = text.split_inclusive("\n\n").map(str::to_owned);
                blocks.map(Ok).collect()
            }
            Err(error) => vec![Err(error)],
        };
        futures_util::stream::iter(blocks)
    });
    blocks.boxed()
}

/// The next block.
async fn next(blocks: &mut Blocks) -> String {
    blocks.next().await.expect("the stream goes on").unwrap()
}

fn field<'a>(frame: &'a str, name: &str) -> Option<&'a str> {
    frame
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// The data of the next `count` blocks.
async fn data(frames: &mut Blocks, count: usize) -> Vec<String> {
    let mut data = Vec::new();
    for _ in 0..count {
        data.push(field(&next(frames).await, "data").unwrap().to_owned());
    }
    data
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

fn ring(events: usize) -> FeedOptions {
    FeedOptions::default().ring(NonZeroUsize::new(events).unwrap())
}

#[tokio::test]
async fn history_and_live_are_one_sequence_however_they_meet() {
    const EVENTS: usize = 2_000;
    for ring_size in [1, 7, 4096] {
        let store = MemoryStore::new();
        let feed = Feed::start(store.clone(), ring(ring_size)).await.unwrap();
        let writer = tokio::spawn(async move {
            for number in 0..EVENTS {
                append(&store, "s", "t", number.to_string()).await;
                if number % 3 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
        let mut followers = Vec::new();
        for _ in 0..4 {
            let mut frames = blocks(&feed, from_beginning(Query::all()));
            followers.push(tokio::spawn(async move { data(&mut frames, EVENTS).await }));
            tokio::task::yield_now().await;
        }
        writer.await.unwrap();
        for follower in followers {
            assert_eq!(
                follower.await.unwrap(),
                numbers(0..EVENTS),
                "ring of {ring_size}"
            );
        }
    }
}

#[tokio::test]
async fn a_subscriber_that_lags_behind_the_ring_is_shown_everything_from_the_log() {
    let store = MemoryStore::new();
    let feed = Feed::start(store.clone(), ring(4)).await.unwrap();
    let mut frames = blocks(&feed, from_beginning(Query::all()));
    append(&store, "s", "t", "0").await;
    assert_eq!(data(&mut frames, 1).await, numbers(0..1));
    for number in 1..100 {
        append(&store, "s", "t", number.to_string()).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(data(&mut frames, 99).await, numbers(1..100));
}

#[tokio::test]
async fn live_subscribers_share_the_bytes_of_one_encoding() {
    let (store, feed) = fresh().await;
    let mut followers =
        [Query::all(), Query::stream(stream("s"))].map(|query| feed.follow(from_beginning(query)));
    for frames in &mut followers {
        assert!(futures_util::poll!(frames.next()).is_pending());
    }
    append(&store, "s", "t", "0").await;
    let mut shown = Vec::new();
    for frames in &mut followers {
        let frame = frames.next().await.unwrap().unwrap();
        shown.push(frame);
    }
    let places = shown.iter().map(|frame| frame.as_bytes().as_ptr());
    let places: Vec<_> = places.collect();
    assert_eq!(places[0], places[1], "two encodings lie in two places");
}

#[tokio::test]
async fn what_came_together_is_one_frame_for_all_who_waited() {
    let (store, feed) = fresh().await;
    let room = Query::stream(stream("s"));
    let mut followers = [Query::all(), Query::all(), room.clone(), room]
        .map(|query| feed.follow(from_beginning(query)));
    for frames in &mut followers {
        assert!(futures_util::poll!(frames.next()).is_pending());
    }
    for (number, name) in ["s", "other", "s"].into_iter().enumerate() {
        append(&store, name, "t", number.to_string()).await;
    }
    tokio::task::yield_now().await;
    let mut shown = Vec::new();
    for frames in &mut followers {
        let frame = frames.next().await.unwrap().unwrap();
        let text = String::from_utf8(frame.as_bytes().to_vec()).unwrap();
        let events = text.matches("\ndata: ").count();
        shown.push((events, frame.as_bytes().as_ptr()));
    }
    assert_eq!(
        shown.iter().map(|shown| shown.0).collect::<Vec<_>>(),
        [3, 3, 2, 2]
    );
    assert_eq!(
        shown[0].1, shown[1].1,
        "one concatenation for those who read all"
    );
    assert_eq!(shown[2].1, shown[3].1, "and one for those in the room");
}

#[tokio::test(start_paused = true)]
async fn the_first_event_waits_for_others_where_it_is_told_to() {
    const GATHER: Duration = Duration::from_millis(5);
    let store = MemoryStore::new();
    let options = FeedOptions::default().gather(GATHER);
    let feed = Feed::start(store.clone(), options).await.unwrap();
    let mut frames = feed.follow(from_beginning(Query::all()));
    assert!(futures_util::poll!(frames.next()).is_pending());
    for _ in 0..2 {
        let begun = Instant::now();
        for milliseconds in [0, 2, 2] {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            append(&store, "s", "t", "together").await;
        }
        let frame = frames.next().await.unwrap().unwrap();
        assert_eq!(begun.elapsed(), GATHER);
        let text = str::from_utf8(frame.as_bytes()).unwrap();
        assert_eq!(text.matches("data: together\n").count(), 3, "{text}");
        // One that comes right after them waits no longer than they have.
        let begun = Instant::now();
        append(&store, "s", "t", "next").await;
        frames.next().await.unwrap().unwrap();
        assert_eq!(begun.elapsed(), GATHER);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(futures_util::poll!(frames.next()).is_pending());
    }
    append(&store, "s", "t", "last").await;
    feed.close().await;
    let last = frames.next().await.unwrap().unwrap();
    assert!(last.as_bytes().ends_with(b"data: last\n\n"));
    assert!(frames.next().await.is_none());
}

#[tokio::test]
async fn a_cursor_resumes_after_the_event_it_names() {
    let (store, feed) = fresh().await;
    for number in 0..10 {
        append(&store, "s", "t", number.to_string()).await;
    }
    let mut first = blocks(&feed, from_beginning(Query::all()));
    for _ in 0..4 {
        next(&mut first).await;
    }
    let id = field(&next(&mut first).await, "id").unwrap().to_owned();
    let mut second = blocks(
        &feed,
        Follow::new(Query::all()).from(From::Cursor(id.parse().unwrap())),
    );
    assert_eq!(data(&mut second, 5).await, numbers(5..10));
}

#[tokio::test]
async fn from_the_end_shows_only_what_comes() {
    let (store, feed) = fresh().await;
    append(&store, "s", "t", "before").await;
    let mut frames = blocks(&feed, Follow::new(Query::all()));
    assert!(futures_util::poll!(frames.next()).is_pending());
    append(&store, "s", "t", "after").await;
    assert_eq!(data(&mut frames, 1).await, ["after"]);
}

#[tokio::test]
async fn a_cursor_of_another_epoch_is_told_of_the_gap_and_begins_at_the_beginning() {
    let (store, feed) = fresh().await;
    append(&store, "s", "t", "0").await;
    let other = Cursor {
        epoch: Epoch::new(store.epoch().get() ^ 1),
        position: Position::from_parts(0, 7),
    };
    let mut frames = blocks(&feed, Follow::new(Query::all()).from(From::Cursor(other)));
    let gap = next(&mut frames).await;
    let begin = format!("{}.0", store.epoch());
    assert_eq!(field(&gap, "event"), Some("eventwire.gap"));
    assert_eq!(field(&gap, "id"), Some(begin.as_str()));
    let data_of_gap =
        format!(r#"{{"requested":"{other}","resumed_at":"{begin}","reason":"epoch"}}"#);
    assert_eq!(field(&gap, "data"), Some(data_of_gap.as_str()));
    assert_eq!(data(&mut frames, 1).await, numbers(0..1));
}

#[tokio::test(start_paused = true)]
async fn a_cursor_beyond_the_end_of_the_log_is_a_gap_too() {
    let (store, feed) = fresh().await;
    append(&store, "s", "t", "0").await;
    let ahead = Cursor {
        epoch: store.epoch(),
        position: Position::from_parts(0, 7),
    };
    let mut frames = blocks(&feed, Follow::new(Query::all()).from(From::Cursor(ahead)));
    let gap = next(&mut frames).await;
    assert_eq!(field(&gap, "event"), Some("eventwire.gap"));
    assert!(gap.contains(r#""reason":"ahead""#), "{gap}");
    assert_eq!(data(&mut frames, 1).await, numbers(0..1));
}

#[tokio::test(start_paused = true)]
async fn a_cursor_that_this_instance_reaches_in_a_moment_is_waited_for() {
    let (store, feed) = fresh().await;
    let first = Cursor {
        epoch: store.epoch(),
        position: Position::from_parts(0, 1),
    };
    let mut frames = blocks(&feed, Follow::new(Query::all()).from(From::Cursor(first)));
    assert!(futures_util::poll!(frames.next()).is_pending());
    append(&store, "s", "t", "0").await;
    append(&store, "s", "t", "1").await;
    assert_eq!(data(&mut frames, 1).await, numbers(1..2));
}

#[tokio::test]
async fn a_cursor_older_than_what_is_held_is_told_of_the_gap() {
    let (store, feed) = fresh().await;
    for number in 0..10 {
        append(&store, "s", "t", number.to_string()).await;
    }
    store.trim_log(Keep::all().max_events(3)).await.unwrap();
    let cursor = |position| Cursor {
        epoch: store.epoch(),
        position: Position::from_parts(0, position),
    };
    let mut frames = blocks(
        &feed,
        Follow::new(Query::all()).from(From::Cursor(cursor(2))),
    );
    let gap = next(&mut frames).await;
    let (requested, resumed_at) = (cursor(2), cursor(7).to_string());
    let told = format!(
        r#"{{"requested":"{requested}","resumed_at":"{resumed_at}","reason":"retention"}}"#
    );
    assert_eq!(field(&gap, "event"), Some("eventwire.gap"));
    assert_eq!(field(&gap, "id"), Some(resumed_at.as_str()));
    assert_eq!(field(&gap, "data"), Some(told.as_str()));
    assert_eq!(data(&mut frames, 3).await, numbers(7..10));

    let mut held = blocks(&feed, from_beginning(Query::all()));
    assert_eq!(data(&mut held, 3).await, numbers(7..10), "all that is held");
}

#[tokio::test]
async fn events_that_are_dropped_before_they_were_published_are_a_gap_for_live_subscribers() {
    let (store, feed) = fresh().await;
    append(&store, "s", "t", "0").await;
    let query = Query::stream(stream("s"));
    let mut frames = blocks(&feed, from_beginning(query));
    assert_eq!(data(&mut frames, 1).await, numbers(0..1));
    assert!(futures_util::poll!(frames.next()).is_pending());
    // Nothing else runs in between, so the feed sees none of these before they are dropped.
    for number in 1..5 {
        append(&store, "s", "t", number.to_string()).await;
    }
    store.trim_log(Keep::all().max_events(1)).await.unwrap();
    assert_eq!(
        field(&next(&mut frames).await, "event"),
        Some("eventwire.gap")
    );
    assert_eq!(data(&mut frames, 1).await, numbers(4..5));
    append(&store, "s", "t", "5").await;
    assert_eq!(data(&mut frames, 1).await, numbers(5..6));
}

#[tokio::test]
async fn filters_hold_in_history_and_live() {
    let (store, feed) = fresh().await;
    let query = Query::stream(stream("room-1")).of_types([EventType::new("posted").unwrap()]);
    let write = async |round: &str| {
        append(&store, "room-1", "posted", format!("{round} yes")).await;
        append(&store, "room-1", "joined", "no").await;
        append(&store, "room-2", "posted", "no").await;
    };
    write("history").await;
    let mut frames = blocks(&feed, from_beginning(query));
    assert_eq!(data(&mut frames, 1).await, ["history yes"]);
    assert!(futures_util::poll!(frames.next()).is_pending());
    write("live").await;
    assert_eq!(data(&mut frames, 1).await, ["live yes"]);
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_matches_nothing_reports_how_far_the_log_was_looked_at() {
    let (store, feed) = fresh().await;
    let mut frames = blocks(&feed, Follow::new(Query::stream(stream("quiet"))));
    assert!(futures_util::poll!(frames.next()).is_pending());
    let last = append(&store, "loud", "t", "x").await;
    let progress = next(&mut frames).await;
    let cursor = Cursor {
        epoch: store.epoch(),
        position: last,
    }
    .to_string();
    assert_eq!(field(&progress, "event"), Some("eventwire.progress"));
    assert_eq!(field(&progress, "id"), Some(cursor.as_str()));
    let again = tokio::time::timeout(Duration::from_secs(60), frames.next()).await;
    assert!(again.is_err(), "progress is told once: {again:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_polled_last_is_woken_even_after_a_turn_that_was_used_up() {
    let (store, feed) = fresh().await;
    let mut frames = blocks(&feed, Follow::new(Query::stream(stream("quiet"))));
    let mut elsewhere = Context::from_waker(Waker::noop());
    assert!(frames.poll_next_unpin(&mut elsewhere).is_pending());
    append(&store, "loud", "t", "x").await;
    while feed.held().0 == 0 {
        tokio::task::yield_now().await;
    }
    let mut turns = 0;
    let progress = poll_fn(|context| {
        turns += 1;
        if turns == 1 {
            // Timers are not even asked in the rest of the turn.
            while let Poll::Ready(turn) = poll_proceed(context) {
                turn.made_progress();
            }
        }
        match frames.poll_next_unpin(context) {
            Poll::Pending => frames.poll_next_unpin(context),
            ready => ready,
        }
    });
    let begun = Instant::now();
    let progress = tokio::time::timeout(Duration::from_secs(60), progress).await;
    let progress = progress.expect("in time").expect("no end").unwrap();
    assert_eq!(field(&progress, "event"), Some("eventwire.progress"));
    // By its own timer, and not by the one around it.
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_came_for_what_is_next_learns_where_it_is() {
    let (store, feed) = fresh().await;
    let position = append(&store, "s", "t", "x").await;
    let mut frames = blocks(&feed, Follow::new(Query::all()));
    let progress = next(&mut frames).await;
    let cursor = Cursor {
        epoch: store.epoch(),
        position,
    }
    .to_string();
    assert_eq!(field(&progress, "event"), Some("eventwire.progress"));
    assert_eq!(field(&progress, "id"), Some(cursor.as_str()));
}

#[tokio::test(start_paused = true)]
async fn signals_are_sent_where_they_were_asked_for() {
    let (store, feed) = fresh().await;
    append(&store, "s", "t", "0").await;
    let mut frames = blocks(&feed, from_beginning(Query::all()).signals());
    for expected in [
        "t",
        "eventwire.caught-up",
        "eventwire.heartbeat",
        "eventwire.heartbeat",
    ] {
        assert_eq!(field(&next(&mut frames).await, "event"), Some(expected));
    }

    // Where there was no event it tells a place, which is not told again.
    let nothing = Query::stream(stream("nothing"));
    let mut frames = blocks(&feed, from_beginning(nothing).signals());
    for expected in ["eventwire.caught-up", "eventwire.heartbeat"] {
        assert_eq!(field(&next(&mut frames).await, "event"), Some(expected));
    }
}

#[tokio::test]
async fn the_reconnection_time_rides_on_the_first_event_alone() {
    let (store, feed) = fresh().await;
    append(&store, "s", "t", "0").await;
    let mut frames = blocks(
        &feed,
        from_beginning(Query::all()).retry(Duration::from_millis(1500)),
    );
    let first = next(&mut frames).await;
    let id = format!("{}.1", store.epoch());
    assert_eq!(
        first,
        format!("event: t\nid: {id}\nretry: 1500\ndata: 0\n\n")
    );
    append(&store, "s", "t", "1").await;
    assert_eq!(field(&next(&mut frames).await, "retry"), None);
}

#[tokio::test(start_paused = true)]
async fn the_reconnection_time_rides_on_the_first_live_event_too() {
    let (store, feed) = fresh().await;
    let retry = Duration::from_millis(7);
    let mut frames = blocks(&feed, Follow::new(Query::all()).retry(retry));
    assert!(futures_util::poll!(frames.next()).is_pending());
    for _ in 0..2 {
        append(&store, "s", "t", "0").await;
    }
    assert_eq!(field(&next(&mut frames).await, "retry"), Some("7"));
    assert_eq!(field(&next(&mut frames).await, "retry"), None);
}

#[tokio::test]
async fn payloads_and_types_the_wire_cannot_carry_are_presented_so_that_it_can() {
    let (store, feed) = fresh().await;
    append(&store, "s", "error", &b"\xff\x00"[..]).await;
    append(&store, "s", "open", "a\r\nid: 9").await;
    let mut frames = blocks(&feed, from_beginning(Query::all()));
    let binary = next(&mut frames).await;
    assert_eq!(
        (field(&binary, "event"), field(&binary, "data")),
        (Some("event.error"), Some("/wA="))
    );
    let lines = next(&mut frames).await;
    let id = format!("{}.2", store.epoch());
    assert_eq!(
        lines,
        format!("event: event.open\nid: {id}\ndata: a\ndata: id: 9\n\n")
    );
}

#[tokio::test]
async fn closing_ends_streams_after_what_was_acknowledged() {
    let (store, feed) = fresh().await;
    let mut frames = blocks(&feed, from_beginning(Query::all()));
    assert!(futures_util::poll!(frames.next()).is_pending());
    append(&store, "s", "t", "0").await;
    feed.close().await;
    assert_eq!(data(&mut frames, 1).await, numbers(0..1));
    assert!(frames.next().await.is_none());
    assert!(frames.next().await.is_none(), "an ended stream stays ended");
    assert!(
        blocks(&feed, from_beginning(Query::all()))
            .next()
            .await
            .is_none()
    );
    assert_eq!(feed.subscribers(), 0);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_who_is_still_looking_for_its_place() {
    let (store, feed) = fresh().await;
    let ahead = Cursor {
        epoch: store.epoch(),
        position: Position::from_parts(0, 7),
    };
    let mut frames = blocks(&feed, Follow::new(Query::all()).from(From::Cursor(ahead)));
    assert!(futures_util::poll!(frames.next()).is_pending());
    feed.close().await;
    assert!(frames.next().await.is_none(), "it is no failure");
}

#[tokio::test]
async fn a_store_that_closes_ends_every_stream() {
    let (store, feed) = fresh().await;
    let mut frames = blocks(&feed, from_beginning(Query::all()));
    assert!(futures_util::poll!(frames.next()).is_pending());
    store.close();
    assert!(frames.next().await.is_none());
}

#[tokio::test]
async fn closing_tells_clients_to_come_back_one_after_the_other() {
    let store = MemoryStore::new();
    let options = FeedOptions::default().return_within(Duration::from_secs(10));
    let feed = Feed::start(store.clone(), options).await.unwrap();
    let mut all: Vec<_> = (0..20)
        .map(|_| blocks(&feed, from_beginning(Query::all())))
        .collect();
    for frames in &mut all {
        assert!(futures_util::poll!(frames.next()).is_pending());
    }
    append(&store, "s", "t", "0").await;
    feed.close().await;
    let mut times = std::collections::BTreeSet::new();
    for frames in &mut all {
        assert_eq!(data(frames, 1).await, numbers(0..1));
        let farewell = next(frames).await;
        assert_eq!(field(&farewell, "event"), Some("eventwire.busy"));
        assert_eq!(
            field(&farewell, "id"),
            None,
            "the place stays the last event's"
        );
        let retry: u64 = field(&farewell, "retry").unwrap().parse().unwrap();
        assert!((1_000..=11_000).contains(&retry), "{retry}");
        times.insert(retry);
        assert!(frames.next().await.is_none());
    }
    assert!(times.len() > 10, "they are spread: {times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_old_enough_ends_between_two_events() {
    let (store, feed) = fresh().await;
    let age = Duration::from_secs(60);
    let mut frames = blocks(&feed, from_beginning(Query::all()).max_age(age));
    let begun = Instant::now();
    append(&store, "s", "t", "0").await;
    assert_eq!(data(&mut frames, 1).await, numbers(0..1));
    assert!(frames.next().await.is_none(), "idle, and past its time");
    assert_eq!(begun.elapsed().as_secs(), 60);

    // One that always has something to say ends as well.
    let mut frames = blocks(&feed, from_beginning(Query::all()).max_age(age));
    let mut shown = 0;
    while let Some(block) = frames.next().await {
        block.unwrap();
        shown += 1;
        append(&store, "s", "t", shown.to_string()).await;
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(shown < 100, "it goes on for ever");
    }
    assert!((55..=62).contains(&shown), "{shown}");
}
