//! A shard over sockets in memory: whoever is held up, lags, comes and goes, each client gets
//! what it is to get, once, in order, in whole chunks.

mod counted;
mod groups;
mod minutes;
mod random;
mod world;

use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use eventwire_feed::{FeedOptions, Follow, Look, Offer, Present, Views};
use eventwire_sse::Frame;
use eventwire_store::{Query, RecordedEvent};
use tokio::io::AsyncWrite;
use tokio::time::{Instant, sleep, sleep_until};

use self::world::{NO_HEARTBEAT, World, beginning, of_stream, paused, settle};

#[tokio::test(start_paused = true)]
async fn who_does_not_read_holds_one_chunk_and_nobody_up() {
    let ring = NonZeroUsize::new(64).unwrap();
    let mut world = World::new(FeedOptions::default().ring(ring)).await;
    let connect = |room| world.connect(beginning(Query::all()), room, NO_HEARTBEAT);
    let mut stalled = connect(100);
    let mut others: Vec<_> = (0..50).map(|_| connect(1 << 20)).collect();
    settle().await;
    for _ in 0..40 {
        world.append("a", 50).await;
        settle().await;
        for other in &mut others {
            other.read(1 << 20);
        }
    }
    for other in &mut others {
        other.read_all().await;
        assert_eq!(other.numbers(), (1..=2000).collect::<Vec<_>>());
    }
    assert!(stalled.received.is_empty());
    // From the log, long after what it lacks has left the ring.
    stalled.read_all().await;
    assert_eq!(stalled.numbers(), (1..=2000).collect::<Vec<_>>());
    world.append("a", 1).await;
    stalled.read_all().await;
    assert_eq!(stalled.numbers().last(), Some(&2001));
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_for_too_long_is_closed() {
    let mut world = World::new(FeedOptions::default()).await;
    let mut stalled = world.connect(beginning(Query::all()), 40, Duration::from_secs(1));
    let mut slow = world.connect(beginning(Query::all()), 40, Duration::from_secs(1));
    let mut talking = world.connect(beginning(Query::all()), 40, Duration::from_secs(1));
    settle().await;
    world.append("a", 3).await;
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..7 {
        sleep(Duration::from_secs(5)).await;
        slow.read(4);
        let socket = talking.socket.as_mut().unwrap();
        let _written = Pin::new(socket).poll_write(&mut context, b"I am here");
    }
    assert_eq!(world.open(), 1, "one has moved, the others have not");
    stalled.read_all().await;
    assert!(stalled.is_ended && !stalled.blocks().1, "it is cut off");
    slow.read_all().await;
    assert_eq!(slow.numbers(), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn an_idle_stream_is_told_that_it_lives_and_where_it_is() {
    let mut world = World::new(FeedOptions::default()).await;
    let heartbeat = Duration::from_secs(4);
    let connect = || world.connect(Follow::new(of_stream("a")), 1 << 16, heartbeat);
    let mut clients = [connect(), connect(), connect()];
    sleep(Duration::from_millis(1100)).await;
    for client in &mut clients {
        client.read(1 << 16);
        assert_eq!(
            client.count("event: eventwire.progress\nid: "),
            1,
            "within a second"
        );
    }
    // The next is 4 s after that.
    sleep(Duration::from_secs(3)).await;
    for client in &mut clients {
        client.read(1 << 16);
        assert_eq!(client.count(":"), 1, "the first comment");
    }
    world.append("b", 10).await;
    sleep(Duration::from_secs(40)).await;
    for client in &mut clients {
        client.read(1 << 16);
        assert_eq!(
            client.count("event: eventwire.progress\nid: "),
            2,
            "told once, of b"
        );
        let comments = client.count(":");
        assert!((9..=11).contains(&comments), "{comments} comments in 44 s");
    }
    world.append("a", 1).await;
    settle().await;
    for client in &mut clients {
        client.read(1 << 16);
        assert_eq!(client.numbers(), [11]);
    }
}

#[tokio::test(start_paused = true)]
async fn streams_end_at_their_age_each_at_its_own() {
    for begins_with_history in [true, false] {
        end_at_their_age(begins_with_history).await;
    }
}

/// The first event is history for the clients, or wakes them: the first of them makes a group of
/// its own stream as it is admitted, or later.
async fn end_at_their_age(begins_with_history: bool) {
    let mut world = World::new(FeedOptions::default()).await;
    let mut clients: Vec<_> = (1..=3)
        .map(|seconds| {
            let follow = beginning(Query::all()).max_age(Duration::from_secs(10 * seconds));
            world.connect(follow, 1 << 16, NO_HEARTBEAT)
        })
        .collect();
    if !begins_with_history {
        settle().await;
    }
    world.append("a", 1).await;
    sleep(Duration::from_secs(15)).await;
    for (number, client) in clients.iter_mut().enumerate() {
        client.read_all().await;
        assert_eq!(client.blocks().1, number == 0, "client {number}");
        assert_eq!(client.is_ended, number == 0, "client {number}");
    }
    world.append("a", 1).await;
    sleep(Duration::from_secs(20)).await;
    for (number, client) in clients.iter_mut().enumerate() {
        client.read_all().await;
        assert!(client.blocks().1);
        assert_eq!(client.numbers().len(), 1 + usize::from(number > 0));
    }
    assert_eq!(world.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn farewells_differ_and_follow_what_was_acknowledged() {
    let spread = Duration::from_secs(600);
    let mut world = World::new(FeedOptions::default().return_within(spread)).await;
    let connect = || world.connect(beginning(Query::all()), 1 << 16, NO_HEARTBEAT);
    let mut clients: Vec<_> = (0..9).map(|_| connect()).collect();
    world.append("a", 1).await;
    settle().await;
    world.append("a", 1).await;
    let begun = Instant::now();
    world.feed.close().await;
    let mut farewells = std::collections::BTreeSet::new();
    for client in &mut clients {
        client.read_all().await;
        let (blocks, is_whole) = client.blocks();
        assert!(is_whole);
        assert_eq!(client.numbers(), [1, 2]);
        let last = blocks.last().unwrap().clone();
        assert!(last.starts_with("event: eventwire.busy\nretry: "), "{last}");
        assert_eq!(client.count("event: eventwire.busy\n"), 1);
        farewells.insert(last);
    }
    assert!(begun.elapsed() < Duration::from_millis(500));
    assert!(farewells.len() > 6, "they come back one after the other");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_or_talks_too_much_is_let_go() {
    let mut world = World::new(FeedOptions::default()).await;
    let connect = || world.connect(beginning(Query::all()), 1 << 16, NO_HEARTBEAT);
    let mut talkative = connect();
    let mut polite = connect();
    let mut resetting: Vec<_> = (0..100).map(|_| connect()).collect();
    world.append("a", 1).await;
    settle().await;
    resetting.clear();
    settle().await;
    assert_eq!(world.open(), 2);
    let mut context = Context::from_waker(Waker::noop());
    for (client, times) in [(&mut polite, 10), (&mut talkative, 100)] {
        for _ in 0..times {
            let socket = client.socket.as_mut().unwrap();
            let written = Pin::new(socket).poll_write(&mut context, &[b'x'; 1000]);
            assert!(matches!(written, Poll::Ready(Ok(1000) | Err(_))));
            settle().await;
        }
    }
    assert_eq!(world.open(), 1);
    world.append("a", 1).await;
    polite.read_all().await;
    assert_eq!(polite.numbers(), [1, 2]);
}

/// A hook that cannot look at the second event.
struct Fragile;

impl Present for Fragile {
    type View = ();

    fn present(&self, (): &(), event: &RecordedEvent) -> Look {
        assert_ne!(&event.data[..], b"2", "this hook cannot look at it");
        Look::AsWritten
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_ends_the_streams_it_was_asked_for() {
    let mut world = World::new(FeedOptions::default()).await;
    let views = Views::new(Fragile);
    let watched = || beginning(Query::all()).view(views.of(()));
    let connect = |follow| world.connect(follow, 1 << 16, NO_HEARTBEAT);
    let mut shown = [connect(watched()), connect(watched())];
    let mut plain = connect(beginning(Query::all()));
    world.append("a", 1).await;
    settle().await;
    world.append("a", 1).await;
    settle().await;
    let mut late = world.connect(watched(), 1 << 16, NO_HEARTBEAT);
    world.append("a", 1).await;
    plain.read_all().await;
    assert_eq!(plain.numbers(), [1, 2, 3]);
    for client in shown.iter_mut().chain([&mut late]) {
        client.read_all().await;
        assert!(client.is_ended && !client.blocks().1, "it is cut off");
        assert_eq!(client.numbers(), [1]);
    }
    assert_eq!(world.open(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_opens_as_it_was_offered() {
    let mut world = World::new(FeedOptions::default()).await;
    let frames = world.feed.follow(beginning(Query::all()));
    let offer = Offer::new(frames, NO_HEARTBEAT).opening(Frame::comment("hello"));
    let mut client = world.connect_to(&offer, 1 << 16);
    world.append("a", 1).await;
    client.read_all().await;
    let (blocks, _) = client.blocks();
    assert_eq!(blocks[0], ": hello");
    assert_eq!(client.numbers(), [1]);
}

#[tokio::test(start_paused = true)]
async fn what_is_new_does_not_wait_for_all_heartbeats_that_are_due() {
    const CLIENTS: usize = 1000;
    let mut world = World::new(FeedOptions::default()).await;
    let heartbeat = Duration::from_secs(10);
    let connect = |_| world.connect(beginning(Query::all()), 1 << 16, heartbeat);
    let mut clients: Vec<_> = (0..CLIENTS).map(connect).collect();
    settle().await;
    // All fall silent at the same time.
    let silent_since = Instant::now();
    world.append("a", 1).await;
    sleep_until(silent_since + heartbeat).await;
    world.append("a", 1).await;
    let mut told_first = 0;
    for client in &mut clients {
        client.read_all().await;
        assert_eq!(client.numbers(), [1, 2]);
        let (blocks, _) = client.blocks();
        told_first += usize::from(blocks[2] == ":");
    }
    assert!(told_first < CLIENTS / 2, "{told_first}");
}

#[test]
fn who_has_left_leaves_nothing_behind() {
    let counted = allocation_counter::measure(|| {
        paused().block_on(async {
            let world = World::new(FeedOptions::default()).await;
            let hour = Duration::from_secs(3600);
            let connect = || world.connect(beginning(Query::all()), 1 << 16, hour);
            let staying = connect();
            for _ in 0..10_000 {
                let leaving = connect();
                settle().await;
                drop(leaving);
                settle().await;
            }
            assert_eq!(world.open(), 1);
            drop(staying);
        });
    });
    assert!(counted.bytes_max < 200_000, "{counted:?}");
}
