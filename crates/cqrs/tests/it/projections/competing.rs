//! Several who keep the same view, with a lease and without.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use super::*;
use crate::stores::Interposed;

fn lease(store: impl EventStore + 'static, worker: &str, clock: &SimulatedClock) -> Lease {
    Lease::new(store, "notes", worker)
        .unwrap()
        .term(Duration::from_secs(30))
        .clock(clock.clone())
}

#[tokio::test]
async fn of_two_who_compete_one_works_and_the_other_takes_over() {
    let store = MemoryStore::new();
    let clock = SimulatedClock::new();
    let database = Database::default();
    let start = |worker: &str| {
        let projector = projector(&store, &database)
            .clock(clock.clone())
            .lease(lease(store.clone(), worker, &clock));
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

#[tokio::test]
async fn of_two_who_want_a_lease_at_once_one_has_it() {
    let store = MemoryStore::new();
    let clock = SimulatedClock::new();
    // Both have seen that nobody has it before either takes it.
    let projectors = ["first", "second"].map(|worker| {
        let lease = lease(Interposed::new(store.clone()), worker, &clock);
        projector(&store, &Database::default()).lease(lease)
    });
    let steerings = projectors.each_ref().map(Projector::steering);
    let running = projectors.map(|projector| tokio::spawn(projector.run()));
    settle().await;
    let mut at_work = 0;
    for steering in &steerings {
        match steering.replay_parked().await {
            Err(ProjectionError::StandingBy) => {}
            replayed => {
                assert_eq!(replayed.unwrap(), 0);
                at_work += 1;
            }
        }
    }
    assert_eq!(at_work, 1);
    for steering in steerings {
        steering.stop().await;
    }
    for running in running {
        running.await.unwrap().unwrap();
    }
}

/// Lets something that never ends by itself do what it can.
fn let_run<F: Future>(mut future: Pin<&mut F>) {
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..50 {
        assert!(future.as_mut().poll(&mut context).is_pending());
    }
}

#[test]
fn who_has_slept_through_its_term_works_no_more() {
    let store = MemoryStore::new();
    let clock = SimulatedClock::new();
    let [first, second] = ["first", "second"].map(|worker| {
        let lease = lease(store.clone(), worker, &clock);
        projector(&store, &Database::default())
            .clock(clock.clone())
            .lease(lease)
    });
    let steering = first.steering();
    let (mut first, mut second) = (pin!(first.run()), pin!(second.run()));
    let_run(first.as_mut());
    let_run(second.as_mut());
    clock.advance(Duration::from_secs(31));
    let_run(second.as_mut());
    let_run(first.as_mut());
    let mut asked = pin!(steering.replay_parked());
    let mut context = Context::from_waker(Waker::noop());
    let answer = loop {
        if let Poll::Ready(answer) = asked.as_mut().poll(&mut context) {
            break answer;
        }
        let_run(first.as_mut());
    };
    assert!(
        matches!(answer, Err(ProjectionError::StandingBy)),
        "{answer:?}"
    );
}
