//! Views that are killed, rebuilt, competed for, and given what they cannot take in.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventwire_cqrs::projection::{
    Batch, MemoryView, OnFailure, Projection, ProjectionError, Projector,
};
use eventwire_cqrs::testing::SimulatedClock;
use eventwire_cqrs::{Backoff, Clock, DomainEvent, Fold, Lease};
use eventwire_store::{
    Append, Cursor, EventStore, EventType, Keep, MemoryStore, NewEvent, Position, Retention,
    StreamName,
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use thiserror::Error;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Noted {
    Noted(u32),
}

impl DomainEvent for Noted {}

async fn note(store: &MemoryStore, number: u32) -> Position {
    let event = eventwire_cqrs::codec::encode(&Noted::Noted(number)).unwrap();
    let append = Append::to(StreamName::new("notes").unwrap()).event(event);
    store.append(append).await.unwrap().last()
}

/// Something that no projection of notes asks for.
async fn bystander(store: &MemoryStore) -> Position {
    let event = NewEvent::new(EventType::new("Bystander").unwrap(), "null");
    store
        .append(Append::new().event(event))
        .await
        .unwrap()
        .last()
}

/// A database in which notes are kept with their checkpoint, and which may fail.
#[derive(Debug, Clone, Default)]
struct Database(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    notes: Vec<u32>,
    at: Option<Cursor>,
    /// Before and after how many more writes it fails: 2n before the n-th, 2n + 1 after it.
    fails_in: Option<usize>,
    /// Numbers it cannot keep.
    refused: Vec<u32>,
    writes: usize,
}

#[derive(Debug, PartialEq, Error)]
enum Broken {
    #[error("the power went")]
    Power,
    #[error("{0} is no good number")]
    Number(u32),
    #[error("somebody else has written to it")]
    Fenced,
}

impl Database {
    fn notes(&self) -> Vec<u32> {
        self.0.lock().unwrap().notes.clone()
    }
}

impl Table {
    fn power(&mut self) -> Result<(), Broken> {
        match &mut self.fails_in {
            Some(0) => Err(Broken::Power),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Projection for Database {
    type Event = Noted;
    type Error = Broken;

    async fn checkpoint(&mut self) -> Result<Option<Cursor>, Broken> {
        Ok(self.0.lock().unwrap().at)
    }

    async fn apply(&mut self, batch: &Batch<Noted>) -> Result<(), Broken> {
        let mut table = self.0.lock().unwrap();
        if batch.after != table.at {
            return Err(Broken::Fenced);
        }
        table.power()?;
        let numbers = batch.events.iter().map(|seen| {
            let Noted::Noted(number) = seen.event;
            number
        });
        let numbers: Vec<_> = numbers.collect();
        if let Some(bad) = numbers.iter().find(|number| table.refused.contains(number)) {
            return Err(Broken::Number(*bad));
        }
        table.notes.extend(numbers);
        table.at = Some(batch.up_to);
        table.writes += 1;
        table.power()
    }

    async fn take_over(&mut self, old: &mut Self) -> Result<(), Broken> {
        std::mem::swap(&mut *self.0.lock().unwrap(), &mut *old.0.lock().unwrap());
        std::mem::swap(self, old);
        Ok(())
    }
}

fn projector(store: &MemoryStore, database: &Database) -> Projector<Database> {
    Projector::new(store.clone(), "notes", database.clone())
        .unwrap()
        .clock(SimulatedClock::hasty())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

proptest! {
    /// Killed at any point and resumed, a projection gives the view that one pass gives.
    #[test]
    fn a_projection_that_is_killed_and_resumed_gives_what_one_pass_gives(
        numbers in prop::collection::vec(any::<u32>(), 1..40),
        kills in prop::collection::vec(0..6usize, 0..12),
        batch in 1..7usize,
    ) {
        runtime().block_on(async {
            let store = MemoryStore::new();
            for number in &numbers {
                note(&store, *number).await;
                bystander(&store).await;
            }
            let database = Database::default();
            for kill in kills {
                database.0.lock().unwrap().fails_in = Some(kill);
                let projector = projector(&store, &database).batch(batch).retries(Backoff::at_once(0));
                let _killed = { projector }.catch_up().await;
            }
            database.0.lock().unwrap().fails_in = None;
            let mut last = projector(&store, &database).batch(batch);
            let head = last.catch_up().await.unwrap();
            assert_eq!(database.notes(), numbers);
            assert_eq!(head, store.head().await.unwrap());
        });
    }
}

#[tokio::test]
async fn events_come_in_batches_and_a_view_is_asked_where_it_is() {
    let store = MemoryStore::new();
    for number in 0..10 {
        note(&store, number).await;
    }
    let database = Database::default();
    projector(&store, &database)
        .batch(4)
        .catch_up()
        .await
        .unwrap();
    assert_eq!(database.0.lock().unwrap().writes, 3);
    note(&store, 10).await;
    let mut again = projector(&store, &database);
    assert_eq!(again.catch_up().await.unwrap(), store.head().await.unwrap());
    assert_eq!(again.catch_up().await.unwrap(), store.head().await.unwrap());
    assert_eq!(database.0.lock().unwrap().writes, 4);
    assert_eq!(database.notes(), (0..=10).collect::<Vec<_>>());
}

#[tokio::test]
async fn progress_is_told_and_waited_for_also_past_what_does_not_match() {
    let store = MemoryStore::new();
    let database = Database::default();
    let projector = projector(&store, &database);
    let (progress, steering) = (projector.progress(), projector.steering());
    let first = note(&store, 1).await;
    let now = std::time::SystemTime::now() + Duration::from_secs(60);
    let lag = progress.lag(&store, now).await.unwrap();
    assert_eq!(
        (lag.position, lag.head, lag.age, lag.is_none()),
        (Position::ORIGIN, first, None, false)
    );

    let running = tokio::spawn(projector.run());
    progress.wait_for(first).await.unwrap();
    assert_eq!(database.notes(), [1]);
    let beside = bystander(&store).await;
    progress.wait_for(beside).await.unwrap();
    assert!(progress.lag(&store, now).await.unwrap().is_none());
    steering.stop().await;
    running.await.unwrap().unwrap();

    let late = note(&store, 2).await;
    let stopped = progress.wait_for(late).await.unwrap_err();
    assert_eq!(stopped.at, beside);
    let lag = progress.lag(&store, now).await.unwrap();
    assert!(lag.age.unwrap() > Duration::from_secs(50), "{lag:?}");
}

#[tokio::test]
async fn an_event_that_cannot_be_taken_in_stops_the_projection_where_it_is() {
    let store = MemoryStore::new();
    for number in 0..6 {
        note(&store, number).await;
    }
    let database = Database::default();
    database.0.lock().unwrap().refused = vec![3];
    let error = projector(&store, &database).catch_up().await.unwrap_err();
    assert!(
        matches!(&error, ProjectionError::Apply { position, cause }
            if position.to_string() == "4" && cause.to_string() == "3 is no good number"),
        "{error:?}"
    );
    assert_eq!(database.notes(), [0, 1, 2]);
    database.0.lock().unwrap().refused.clear();
    projector(&store, &database).catch_up().await.unwrap();
    assert_eq!(database.notes(), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_view_that_is_out_for_a_while_is_tried_again() {
    let store = MemoryStore::new();
    note(&store, 1).await;
    let database = Database::default();
    database.0.lock().unwrap().fails_in = Some(0);
    let clock = SimulatedClock::new();
    let mut projector = projector(&store, &database).clock(clock.clone());
    let caught_up = tokio::spawn(async move { projector.catch_up().await });
    tokio::task::yield_now().await;
    assert!(database.notes().is_empty());
    database.0.lock().unwrap().fails_in = None;
    clock.advance(Duration::from_secs(1));
    caught_up.await.unwrap().unwrap();
    assert_eq!(database.notes(), [1]);
}

#[tokio::test]
async fn what_is_put_aside_can_be_replayed() {
    let store = MemoryStore::new();
    for number in 0..6 {
        note(&store, number).await;
    }
    let unreadable = NewEvent::new(EventType::new("Noted").unwrap(), "{}");
    store.append(Append::new().event(unreadable)).await.unwrap();
    note(&store, 6).await;
    let database = Database::default();
    database.0.lock().unwrap().refused = vec![1, 4];
    let parking = projector(&store, &database)
        .on_failure(OnFailure::Park)
        .retries(Backoff::at_once(1));
    let (progress, steering) = (parking.progress(), parking.steering());
    let parked = parking.parked().clone();
    let head = store.head().await.unwrap();
    let running = tokio::spawn(parking.run());
    progress.wait_for(head).await.unwrap();
    assert_eq!(database.notes(), [0, 2, 3, 5, 6]);
    let listed = parked.list().await.unwrap();
    let told: Vec<_> = listed
        .iter()
        .map(|event| {
            (
                event.position.to_string(),
                event.event_type.as_str(),
                event.reason.as_str(),
            )
        })
        .collect();
    let unreadable = "event of type \"Noted\" at position 7 cannot be read: \
                      invalid type: map, expected u32 at line 1 column 0";
    assert_eq!(
        told,
        [
            ("2".to_owned(), "Noted", "1 is no good number"),
            ("5".to_owned(), "Noted", "4 is no good number"),
            ("7".to_owned(), "Noted", unreadable),
        ]
    );

    database.0.lock().unwrap().refused = vec![4];
    let error = steering.replay_parked().await.unwrap_err();
    assert!(matches!(error, ProjectionError::Apply { .. }), "{error:?}");
    assert_eq!(database.notes(), [0, 2, 3, 5, 6, 1]);
    database.0.lock().unwrap().refused.clear();
    // The one that cannot be read stays, and the projector goes on.
    let error = steering.replay_parked().await.unwrap_err();
    assert!(matches!(error, ProjectionError::Codec(_)), "{error:?}");
    let left = parked.list().await.unwrap();
    assert_eq!(left.len(), 1);
    let last = note(&store, 7).await;
    progress.wait_for(last).await.unwrap();
    assert_eq!(database.notes(), [0, 2, 3, 5, 6, 1, 4, 7]);
    steering.stop().await;
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_was_written_although_it_failed_is_neither_written_again_nor_put_aside() {
    let store = MemoryStore::new();
    for number in 0..3 {
        note(&store, number).await;
    }
    let database = Database::default();
    // The power goes after the first write.
    database.0.lock().unwrap().fails_in = Some(1);
    let mut parking = projector(&store, &database)
        .on_failure(OnFailure::Park)
        .retries(Backoff::at_once(2));
    parking.catch_up().await.unwrap();
    assert_eq!(database.notes(), [0, 1, 2]);
    assert_eq!(parking.parked().list().await.unwrap(), []);
}

#[tokio::test]
async fn two_who_run_without_a_lease_keep_one_view_and_put_nothing_aside() {
    let store = MemoryStore::new();
    let database = Database::default();
    let mut running = Vec::new();
    for batch in [2, 3] {
        let projector = projector(&store, &database)
            .batch(batch)
            .on_failure(OnFailure::Park)
            .retries(Backoff::at_once(1));
        let (parked, steering) = (projector.parked().clone(), projector.steering());
        running.push((parked, steering, tokio::spawn(projector.run())));
    }
    let numbers: Vec<_> = (0..100).collect();
    for number in &numbers {
        note(&store, *number).await;
        if number % 7 == 0 {
            settle().await;
        }
    }
    settle().await;
    for (parked, steering, running) in running {
        assert_eq!(parked.list().await.unwrap(), []);
        steering.stop().await;
        running.await.unwrap().unwrap();
    }
    assert_eq!(database.notes(), numbers);
}

#[derive(Debug, Default, PartialEq)]
struct Sum {
    total: u64,
    count: u64,
}

impl Fold for Sum {
    type Event = Noted;

    fn evolve(&mut self, Noted::Noted(number): &Noted) {
        self.total += u64::from(*number);
        self.count += 1;
    }
}

#[tokio::test]
async fn a_view_that_is_rebuilt_equals_the_one_that_was_kept_live() {
    let store = MemoryStore::new();
    for number in 0..100 {
        note(&store, number).await;
    }
    let view = MemoryView::<Sum>::new();
    let projector = Projector::new(store.clone(), "sum", view.clone()).unwrap();
    let (progress, steering) = (projector.progress(), projector.steering());
    let running = tokio::spawn(projector.run());
    let writing = {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 100..200 {
                note(&store, number).await;
                tokio::task::yield_now().await;
            }
        })
    };
    for _ in 0..5 {
        let fresh = MemoryView::<Sum>::new();
        let before = view.read(|sum| sum.count);
        steering.rebuild(fresh.clone()).await.unwrap();
        // Who looked at the old one looks at the fresh one, which is no further behind.
        assert!(view.read(|sum| sum.count) >= before);
        assert!(view.read(|sum| sum.total == (0..sum.count).sum::<u64>()));
    }
    writing.await.unwrap();
    progress
        .wait_for(store.head().await.unwrap())
        .await
        .unwrap();
    let once = MemoryView::<Sum>::new();
    Projector::new(store, "once", once.clone())
        .unwrap()
        .catch_up()
        .await
        .unwrap();
    view.read(|live| once.read(|once| assert_eq!(live, once)));
    assert_eq!(view.read(|sum| sum.count), 200);
    steering.stop().await;
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_view_that_cannot_be_rebuilt_is_kept() {
    let store = MemoryStore::new();
    note(&store, 1).await;
    let database = Database::default();
    let projector = projector(&store, &database);
    let (progress, steering) = (projector.progress(), projector.steering());
    let running = tokio::spawn(projector.run());
    progress
        .wait_for(store.head().await.unwrap())
        .await
        .unwrap();
    let fresh = Database::default();
    fresh.0.lock().unwrap().refused = vec![1];
    assert!(steering.rebuild(fresh).await.is_err());
    let second = note(&store, 2).await;
    progress.wait_for(second).await.unwrap();
    assert_eq!(database.notes(), [1, 2]);

    let fresh = Database::default();
    steering.rebuild(fresh).await.unwrap();
    let third = note(&store, 3).await;
    progress.wait_for(third).await.unwrap();
    assert_eq!(database.notes(), [1, 2, 3]);
    steering.stop().await;
    running.await.unwrap().unwrap();
    assert!(matches!(
        steering.replay_parked().await,
        Err(ProjectionError::Stopped)
    ));
}

#[tokio::test]
async fn a_view_of_another_log_or_with_a_hole_is_not_gone_on_with() {
    let store = MemoryStore::new();
    note(&store, 1).await;
    let database = Database::default();
    projector(&store, &database).catch_up().await.unwrap();
    for number in 2..5 {
        note(&store, number).await;
    }
    store.trim_log(Keep::all().max_events(1)).await.unwrap();
    let error = projector(&store, &database).catch_up().await.unwrap_err();
    assert!(matches!(error, ProjectionError::Missed { .. }), "{error:?}");
    // From scratch it is a view of what is left.
    let fresh = Database::default();
    projector(&store, &fresh).catch_up().await.unwrap();
    assert_eq!(fresh.notes(), [4]);

    let other = MemoryStore::new();
    note(&other, 1).await;
    let error = projector(&other, &database).catch_up().await.unwrap_err();
    assert!(matches!(error, ProjectionError::OtherLog(_)), "{error:?}");
    assert_eq!(database.notes(), [1]);
}

fn lease(store: &MemoryStore, worker: &str, clock: &SimulatedClock) -> Lease {
    Lease::new(store.clone(), "notes", worker)
        .unwrap()
        .term(Duration::from_secs(30))
        .clock(clock.clone())
}

async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn of_two_who_compete_one_works_and_the_other_takes_over() {
    let store = MemoryStore::new();
    let clock = SimulatedClock::new();
    let database = Database::default();
    let start = |worker: &str| {
        let projector = projector(&store, &database)
            .clock(clock.clone())
            .lease(lease(&store, worker, &clock));
        let steering = projector.steering();
        (
            projector.progress(),
            steering,
            tokio::spawn(projector.run()),
        )
    };
    let (first, _, first_running) = start("first");
    settle().await;
    let (second, second_steering, second_running) = start("second");
    for number in 0..5 {
        let position = note(&store, number).await;
        first.wait_for(position).await.unwrap();
    }
    settle().await;
    assert_eq!(second.position(), Position::ORIGIN);
    assert!(matches!(
        second_steering.replay_parked().await,
        Err(ProjectionError::StandingBy)
    ));

    // It renews before its term is over, so that the second gets no turn.
    for _ in 0..10 {
        clock.advance(Duration::from_secs(10));
        settle().await;
    }
    let position = note(&store, 5).await;
    first.wait_for(position).await.unwrap();
    assert_eq!(second.position(), Position::ORIGIN);

    // Killed, it renews no more. The second begins where the view is.
    first_running.abort();
    let position = note(&store, 6).await;
    settle().await;
    assert_eq!(database.notes().len(), 6);
    clock.advance(Duration::from_secs(31));
    second.wait_for(position).await.unwrap();
    assert_eq!(database.notes(), (0..7).collect::<Vec<_>>());

    // Told to stop, it gives the lease up, and a third need not wait.
    second_steering.stop().await;
    second_running.await.unwrap().unwrap();
    let (third, third_steering, third_running) = start("third");
    let position = note(&store, 7).await;
    third.wait_for(position).await.unwrap();
    assert_eq!(database.notes(), (0..8).collect::<Vec<_>>());
    third_steering.stop().await;
    third_running.await.unwrap().unwrap();
    assert!(clock.now() > std::time::SystemTime::UNIX_EPOCH);
}

#[tokio::test]
async fn competitors_without_a_lease_are_kept_apart_by_the_view() {
    let store = MemoryStore::new();
    let numbers: Vec<_> = (0..200).collect();
    let database = Database::default();
    let compete = |batch: usize| {
        let (store, database) = (store.clone(), database.clone());
        tokio::spawn(async move {
            let mut kept_out = 0;
            while database.notes().len() < 200 {
                let mut projector = projector(&store, &database)
                    .batch(batch)
                    .retries(Backoff::retries(1));
                kept_out += usize::from(projector.catch_up().await.is_err());
                tokio::task::yield_now().await;
            }
            kept_out
        })
    };
    let (one, other) = (compete(3), compete(5));
    for number in &numbers {
        note(&store, *number).await;
        tokio::task::yield_now().await;
    }
    one.await.unwrap();
    other.await.unwrap();
    assert_eq!(database.notes(), numbers);
}
