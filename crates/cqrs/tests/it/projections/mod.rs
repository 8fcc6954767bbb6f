//! Views that are killed, rebuilt, competed for, and given what they cannot take in.

mod competing;
mod parked;

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

/// What is called a note, and is none.
async fn unreadable(store: &MemoryStore) -> Position {
    let event = NewEvent::new(EventType::new("Noted").unwrap(), "{}");
    store
        .append(Append::new().event(event))
        .await
        .unwrap()
        .last()
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
        let goes_on = table
            .at
            .is_none_or(|at| at.position <= batch.up_to.position);
        assert!(goes_on, "a checkpoint never goes back");
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

/// A view in a database, and what happens elsewhere once it has been written to.
struct Meanwhile {
    database: Database,
    noted: Option<MemoryStore>,
}

impl Projection for Meanwhile {
    type Event = Noted;
    type Error = Broken;

    async fn checkpoint(&mut self) -> Result<Option<Cursor>, Broken> {
        self.database.checkpoint().await
    }

    async fn apply(&mut self, batch: &Batch<Noted>) -> Result<(), Broken> {
        self.database.apply(batch).await?;
        if let Some(store) = self.noted.take() {
            note(&store, 9).await;
            settle().await;
        }
        Ok(())
    }

    async fn take_over(&mut self, old: &mut Self) -> Result<(), Broken> {
        // The old one went on until now, and this one is as far.
        assert_eq!(self.database.notes(), old.database.notes());
        self.database.0.lock().unwrap().power()
    }
}

#[tokio::test]
async fn a_fresh_view_has_what_came_meanwhile_or_leaves_the_old_one_at_work() {
    for fails in [false, true] {
        let store = MemoryStore::new();
        note(&store, 1).await;
        note(&store, 2).await;
        let (old, fresh) = (Database::default(), Database::default());
        let view = |database: &Database, noted| Meanwhile {
            database: database.clone(),
            noted,
        };
        let projector = Projector::new(store.clone(), "notes", view(&old, None)).unwrap();
        let (progress, steering) = (projector.progress(), projector.steering());
        let running = tokio::spawn(projector.run());
        settle().await;
        // Two writes, before and after each of which the power could go, and the taking over.
        fresh.0.lock().unwrap().fails_in = fails.then_some(4);
        let rebuilt = steering.rebuild(view(&fresh, Some(store.clone()))).await;
        assert_eq!(rebuilt.is_err(), fails, "{rebuilt:?}");
        let last = note(&store, 3).await;
        progress.wait_for(last).await.unwrap();
        let (kept, left) = if fails { (old, fresh) } else { (fresh, old) };
        assert_eq!(kept.notes(), [1, 2, 9, 3]);
        assert_eq!(left.notes(), [1, 2, 9]);
        steering.stop().await;
        running.await.unwrap().unwrap();
    }
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

async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
