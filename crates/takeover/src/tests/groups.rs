//! Who is where others are is sent what they are, and is none of them where it is not.

use std::time::Duration;

use eventwire_feed::{FeedOptions, Follow, From};
use eventwire_store::{Cursor, EventStore, Query};
use tokio::runtime::Builder;
use tokio::task::yield_now;
use tokio::time::{advance, sleep};

use super::world::{NO_HEARTBEAT, World, beginning, of_stream, settle};

#[tokio::test(start_paused = true)]
async fn those_at_one_place_have_one_stream() {
    let mut world = World::new(FeedOptions::default()).await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(world.connect(beginning(of_stream("a")), 500, NO_HEARTBEAT));
        // What is not for them moves those who look, and not those who wait.
        world.append("b", 1).await;
        world.append("a", 1).await;
        world.append("b", 1).await;
        settle().await;
    }
    assert_eq!(world.feed.subscribers(), 1);

    // One who is held up has its own until it is where the others are.
    let mut held_up = clients.pop().unwrap();
    for _ in 0..10 {
        world.append("a", 1).await;
        settle().await;
        for client in &mut clients {
            client.read(1 << 16);
        }
    }
    assert_eq!(world.feed.subscribers(), 2);
    held_up.read_all().await;
    settle().await;
    assert_eq!(world.feed.subscribers(), 1);
    assert_eq!(held_up.numbers(), clients[0].numbers());

    clients.clear();
    settle().await;
    assert_eq!(world.feed.subscribers(), 1);
    drop(held_up);
    settle().await;
    assert_eq!(world.feed.subscribers(), 0);
}

#[tokio::test(start_paused = true)]
async fn more_than_is_written_at_once_is_written_in_turns() {
    let mut world = World::new(FeedOptions::default()).await;
    let connect = || world.connect(beginning(Query::all()), 1 << 22, NO_HEARTBEAT);
    let mut clients = [connect(), connect()];
    settle().await;
    world.append("a", 1).await;
    settle().await;
    world.append_long("a", 40, 9000).await;
    let late = world.connect(beginning(Query::all()), 1 << 22, NO_HEARTBEAT);
    for client in clients.iter_mut().chain(&mut [late]) {
        client.read_all().await;
        assert_eq!(client.numbers(), (1..=41).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn who_joins_is_told_the_place_that_the_others_know() {
    let mut world = World::new(FeedOptions::default()).await;
    world.append("a", 1).await;
    let after_first = Cursor {
        epoch: world.store.epoch(),
        position: world.store.head().await.unwrap(),
    };
    let mut early = world.connect(beginning(of_stream("a")), 1 << 16, NO_HEARTBEAT);
    world.append("b", 5).await;
    sleep(Duration::from_secs(31)).await;
    early.read_all().await;
    let progress = "event: eventwire.progress\nid: ";
    assert_eq!(early.count(progress), 1);

    let follow = Follow::new(of_stream("a")).from(From::Cursor(after_first));
    let mut late = world.connect(follow, 1 << 16, NO_HEARTBEAT);
    settle().await;
    assert_eq!(world.feed.subscribers(), 1);
    late.read_all().await;
    assert_eq!(late.count(progress), 1, "at once: it is not said again");
    world.append("a", 1).await;
    late.read_all().await;
    assert_eq!(late.numbers(), [7]);
}

/// Runs a test that has its turn between any two of the shard.
fn between_turns(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .event_interval(1)
        .build();
    runtime.unwrap().block_on(test);
}

#[test]
fn the_last_events_come_before_the_farewell_and_once() {
    between_turns(async {
        let spread = Duration::from_secs(10);
        let mut world = World::new(FeedOptions::default().return_within(spread)).await;
        let connect = || world.connect(beginning(Query::all()), 1 << 16, NO_HEARTBEAT);
        let mut clients = [connect(), connect(), connect()];
        settle().await;
        world.append("a", 1).await;
        settle().await;
        // The shard finds the event and the end at once.
        world.append("a", 1).await;
        world.feed.close().await;
        for client in &mut clients {
            client.read_all().await;
            assert_eq!(client.numbers(), [1, 2]);
            assert_eq!(client.count("event: eventwire.busy\n"), 1);
            assert!(client.blocks().1);
        }
    });
}

#[test]
fn a_heartbeat_in_the_middle_of_a_round_takes_nobody_the_chunk() {
    between_turns(async {
        const HEARTBEAT: Duration = Duration::from_secs(4);
        let mut world = World::new(FeedOptions::default()).await;
        // More than have their turn at once; every other one has but a few bytes of room left.
        let room = |number: usize| {
            if number.is_multiple_of(2) {
                1 << 16
            } else {
                60 + number % 50
            }
        };
        let connect = |number| world.connect(beginning(Query::all()), room(number), HEARTBEAT);
        let mut clients: Vec<_> = (0..200).map(connect).collect();
        settle().await;
        world.append("a", 1).await;
        settle().await;
        advance(HEARTBEAT - Duration::from_millis(10)).await;
        world.append("a", 1).await;
        let mut told = 0;
        while told == 0 {
            yield_now().await;
            for client in clients.iter_mut().step_by(2) {
                client.read(1 << 16);
                told += usize::from(client.numbers().contains(&2));
            }
        }
        assert!(told < 100, "the round is over");
        advance(HEARTBEAT).await;
        for client in &mut clients {
            client.read_all().await;
            assert_eq!(client.numbers(), [1, 2]);
        }
    });
}
