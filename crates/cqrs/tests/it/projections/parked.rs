//! What a view cannot take in is put aside, and nothing else is.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use futures_executor::block_on;

use super::*;

/// A database whose user can be killed before and after each write.
#[derive(Debug, Clone)]
struct Remote(Database);

impl Projection for Remote {
    type Event = Noted;
    type Error = Broken;

    async fn checkpoint(&mut self) -> Result<Option<Cursor>, Broken> {
        self.0.checkpoint().await
    }

    async fn apply(&mut self, batch: &Batch<Noted>) -> Result<(), Broken> {
        tokio::task::yield_now().await;
        let applied = self.0.apply(batch).await;
        tokio::task::yield_now().await;
        applied
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Quality {
    Good,
    Refused,
    Unreadable,
}

proptest! {
    /// Killed at any point, a projection puts each event aside that it cannot take in, once, and
    /// takes every other one in, once.
    #[test]
    fn what_is_put_aside_is_so_once_and_nothing_else_is_missing(
        events in prop::collection::vec(
            prop_oneof![Just(Quality::Good), Just(Quality::Refused), Just(Quality::Unreadable)],
            1..30,
        ),
        kills in prop::collection::vec(1..12usize, 0..20),
        batch in 1..7usize,
    ) {
        let runtime = runtime();
        let _entered = runtime.enter();
        let store = MemoryStore::new();
        let database = Database::default();
        let (mut taken_in, mut put_aside) = (Vec::new(), Vec::new());
        for (number, quality) in (0..).zip(&events) {
            let position = match quality {
                Quality::Unreadable => block_on(unreadable(&store)),
                Quality::Good | Quality::Refused => block_on(note(&store, number)),
            };
            match quality {
                Quality::Good => taken_in.push(number),
                Quality::Refused => database.0.lock().unwrap().refused.push(number),
                Quality::Unreadable => {}
            }
            if *quality != Quality::Good {
                put_aside.push(position);
            }
        }
        let begin = || {
            Projector::new(store.clone(), "notes", Remote(database.clone()))
                .unwrap()
                .batch(batch)
                .retries(Backoff::at_once(0))
                .on_failure(OnFailure::Park)
                .clock(SimulatedClock::hasty())
        };
        for polls in kills {
            let mut killed = begin();
            let mut work = pin!(killed.catch_up());
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..polls {
                if let Poll::Ready(caught_up) = work.as_mut().poll(&mut context) {
                    caught_up.unwrap();
                    break;
                }
            }
        }
        let mut last = begin();
        block_on(last.catch_up()).unwrap();
        prop_assert_eq!(database.notes(), taken_in);
        let parked = block_on(last.parked().list()).unwrap();
        let parked: Vec<_> = parked.into_iter().map(|event| event.position).collect();
        prop_assert_eq!(parked, put_aside);
    }
}

#[tokio::test]
async fn what_is_put_aside_can_be_replayed() {
    let store = MemoryStore::new();
    for number in 0..6 {
        note(&store, number).await;
    }
    unreadable(&store).await;
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
