//! What is counted of clients who are sent the same: as much as of streams that are each polled by
//! themselves.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use eventwire_feed::FeedOptions;
use eventwire_store::Query;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio::task::coop::unconstrained;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::world::{Client, NO_HEARTBEAT, World, beginning, paused, settle};

/// Every number by its name and the values of its labels; of a histogram, the sum of its values.
fn counted<T>(scenario: impl AsyncFnOnce() -> T) -> (BTreeMap<String, f64>, T) {
    let recorder = DebuggingRecorder::new();
    let numbers = recorder.snapshotter();
    let scenario = async {
        let result = scenario().await;
        (numbers.snapshot(), result)
    };
    let (snapshot, result) =
        metrics::with_local_recorder(&recorder, || paused().block_on(scenario));
    let number = |(key, _, _, value): (metrics_util::CompositeKey, _, _, DebugValue)| {
        let mut name = key.key().name().to_owned();
        for label in key.key().labels() {
            name = format!("{name} {}", label.value());
        }
        let number = match value {
            DebugValue::Counter(count) => count as f64,
            DebugValue::Gauge(value) => value.0,
            DebugValue::Histogram(values) => values.iter().map(|value| value.0).sum(),
        };
        (name, number)
    };
    (
        snapshot.into_vec().into_iter().map(number).collect(),
        result,
    )
}

fn check(numbers: &BTreeMap<String, f64>, expected: &[(&str, f64)]) {
    for (name, expected) in expected {
        let number = numbers.get(&format!("eventwire_feed_{name}"));
        assert_eq!(number, Some(expected), "{name} in {numbers:#?}");
    }
}

/// What it was sent but comments, which are not the feed's.
fn bytes(client: &Client) -> usize {
    let (blocks, _) = client.blocks();
    let blocks = blocks.iter().filter(|block| !block.starts_with(':'));
    blocks.map(|block| block.len() + "\n\n".len()).sum()
}

#[test]
fn clients_of_one_stream_are_open_and_sent_to_one_by_one() {
    let (numbers, bytes) = counted(async || {
        let mut world = World::new(FeedOptions::default()).await;
        let connect = || world.connect(beginning(Query::all()), 1 << 16, NO_HEARTBEAT);
        let mut clients = [connect(), connect(), connect(), connect()];
        settle().await;
        for _ in 0..8 {
            world.append("a", 1).await;
            settle().await;
        }
        let mut sum = 0;
        for client in &mut clients {
            client.read_all().await;
            assert_eq!(client.numbers(), (1..=8).collect::<Vec<_>>());
            sum += bytes(client);
        }
        sum
    });
    let bytes = bytes as f64;
    check(
        &numbers,
        &[
            ("streams", 4.0),
            ("streams_behind", 0.0),
            ("opened_total", 4.0),
            ("resumed_total", 0.0),
            ("waited_events", 32.0),
            ("frame_bytes", bytes),
            ("sent_bytes_total", bytes),
        ],
    );
    let has_ended = |name: &String| name.starts_with("eventwire_feed_ended_total");
    assert!(!numbers.keys().any(has_ended), "{numbers:#?}");
}

#[test]
fn each_client_ends_once_and_as_it_did() {
    let spread = Duration::from_secs(10);
    let (numbers, bytes) = counted(async || {
        let mut world = World::new(FeedOptions::default().return_within(spread)).await;
        let connect = |follow, room| world.connect(follow, room, NO_HEARTBEAT);
        let long = || beginning(Query::all());
        let leaving = connect(long(), 1 << 16);
        let _stalled = connect(long(), 500);
        let mut ageing = connect(long().max_age(Duration::from_secs(100)), 1 << 16);
        let mut staying = [connect(long(), 1 << 16), connect(long(), 1 << 16)];
        settle().await;
        // All are at one place, and then one cannot go on.
        for _ in 0..20 {
            world.append("a", 1).await;
            settle().await;
        }
        drop(leaving);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(world.open(), 3, "one has left, one was cut off");
        sleep(Duration::from_secs(60)).await;
        assert_eq!(world.open(), 2, "one is as old as it may be");
        ageing.read_all().await;
        assert!(ageing.is_ended);
        world.feed.close().await;
        for client in &mut staying {
            client.read_all().await;
            assert!(client.is_ended);
        }
        sleep(Duration::from_secs(1)).await;
        staying.iter().map(bytes).sum::<usize>()
    });
    check(
        &numbers,
        &[
            ("streams", 0.0),
            ("streams_behind", 0.0),
            ("opened_total", 5.0),
            ("resumed_total", 0.0),
            ("ended_total left", 1.0),
            ("ended_total left_behind", 1.0),
            ("ended_total ended", 3.0),
        ],
    );
    // The farewells among them.
    assert!(numbers["eventwire_feed_sent_bytes_total"] > bytes as f64);
}

#[test]
fn who_goes_while_others_are_written_to_is_behind_or_is_not() {
    const CLIENTS: usize = 300;
    let (numbers, level) = counted(async || {
        let mut world = World::new(FeedOptions::default()).await;
        // All are read in one turn.
        let read = |client: &mut Client| {
            client.read(1 << 16);
            client.numbers() == [1]
        };
        let connect = |_| world.connect(beginning(Query::all()), 1 << 16, NO_HEARTBEAT);
        let mut clients: Vec<_> = (0..CLIENTS).map(connect).collect();
        settle().await;
        world.append("a", 1).await;
        let level = loop {
            yield_now().await;
            let all = async { clients.iter_mut().map(read).filter(|has| *has).count() };
            match unconstrained(all).await {
                0 => {}
                level => break level,
            }
        };
        assert!(level < CLIENTS, "they are written to in several turns");
        drop(clients);
        settle().await;
        level
    });
    let behind = CLIENTS - level;
    check(
        &numbers,
        &[
            ("streams", 0.0),
            ("ended_total left", level as f64),
            ("ended_total left_behind", behind as f64),
        ],
    );
}

#[test]
fn all_clients_of_a_stream_that_falls_behind_do() {
    let (numbers, ()) = counted(async || {
        let ring = NonZeroUsize::new(4).unwrap();
        let mut world = World::new(FeedOptions::default().ring(ring)).await;
        let connect = || world.connect(beginning(Query::all()), 1 << 16, NO_HEARTBEAT);
        let mut clients = [connect(), connect(), connect()];
        settle().await;
        world.append("a", 1).await;
        settle().await;
        world.append("a", 20).await;
        for client in &mut clients {
            client.read_all().await;
            assert_eq!(client.numbers(), (1..=21).collect::<Vec<_>>());
        }
    });
    check(
        &numbers,
        &[
            ("streams", 3.0),
            ("streams_behind", 0.0),
            ("catch_ups_total", 3.0),
            ("opened_total", 3.0),
        ],
    );
}
