//! Commands that meet: one effect each, and an end to every race.

use std::future::{Future, ready};
use std::pin::pin;
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, SystemTime};

use eventwire_cqrs::{Backoff, Clock, CommandError, CommandOptions, Dispatcher, Receipt, Sleep};
use eventwire_store::{Actual, Expect, MemoryStore, Version};
use futures_executor::block_on;
use futures_util::future::join_all;

use crate::history::{Account, Name, register};
use crate::room::{Room, RoomRefusal, open, post};
use crate::stores::{Before, Interposed, Trailing, events};

type Outcome = Result<Receipt, CommandError>;

fn texts(store: &MemoryStore) -> Vec<String> {
    let mut texts: Vec<_> = block_on(events(store))
        .into_iter()
        .map(|event| String::from_utf8(event.data.to_vec()).unwrap())
        .collect();
    texts.sort();
    texts
}

/// The room's opening and one message for each number.
fn opened_and(numbers: impl Iterator<Item = usize>) -> Vec<String> {
    let mut texts: Vec<_> = numbers.map(|n| format!(r#"{{"text":"{n}"}}"#)).collect();
    texts.push("null".to_owned());
    texts.sort();
    texts
}

fn opened() -> MemoryStore {
    let store = MemoryStore::new();
    let dispatcher = Dispatcher::builder(store.clone()).build();
    block_on(dispatcher.execute::<Room>(open())).unwrap();
    store
}

/// A hundred messages, each posted by a command that has read before any has appended.
fn post_in_lockstep(store: &MemoryStore, retries: u32) -> Vec<Outcome> {
    let dispatcher = Dispatcher::builder(Interposed::new(store.clone()))
        .conflict_retries(Backoff::at_once(retries))
        .build();
    let posts = (0..100).map(|n| dispatcher.execute::<Room>(post(&n.to_string())));
    block_on(join_all(posts))
}

/// A clock that writes down how long somebody sleeps, and wakes them at once.
#[derive(Debug, Clone, Default)]
struct Sleepless(Arc<Mutex<Vec<Duration>>>);

impl Clock for Sleepless {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.0.lock().unwrap().push(duration);
        Box::pin(ready(()))
    }
}

#[test]
fn a_hundred_at_once_have_one_effect_each() {
    let store = opened();
    let outcomes = post_in_lockstep(&store, 99);
    let mut attempts: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap().attempts)
        .collect();
    attempts.sort_unstable();
    // One gets through in each round, and the others decide again.
    assert!(attempts.into_iter().eq(1..=100));
    assert_eq!(texts(&store), opened_and(0..100));
}

#[test]
fn who_loses_again_waits_longer_and_never_as_long_as_another() {
    let clock = Sleepless::default();
    let seconds = Duration::from_secs;
    let dispatcher = Dispatcher::builder(Interposed::new(opened()))
        .conflict_retries(Backoff::retries(8).first(seconds(1)).most(seconds(4)))
        .clock(clock.clone())
        .build();
    let posts = (0..6).map(|n| dispatcher.execute::<Room>(post(&n.to_string())));
    for outcome in block_on(join_all(posts)) {
        outcome.unwrap();
    }
    // Of six in lockstep the one that is last has lost five times, and does not wait before its
    // first retry.
    let mut slept = clock.0.lock().unwrap().clone();
    slept.sort();
    assert_eq!(slept.len(), 1 + 2 + 3 + 4, "{slept:?}");
    assert!(slept.iter().all(|&wait| wait >= seconds(2)), "{slept:?}");
    let longer = slept.iter().filter(|&&wait| wait >= seconds(4));
    assert!(longer.count() >= 1 + 2 + 3, "{slept:?}");
    assert!(slept.iter().all(|&wait| wait <= seconds(8)), "{slept:?}");
    slept.dedup();
    assert_eq!(slept.len(), 10);
}

#[test]
fn a_race_ends_after_the_retries_with_what_was_found() {
    let store = opened();
    let outcomes = post_in_lockstep(&store, 8);
    let (written, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((written.len(), lost.len()), (9, 91));
    for outcome in lost {
        let error = outcome.unwrap_err();
        assert!(matches!(&error, CommandError::Conflict(contention)
            if contention.attempts == 9 && matches!(contention.actual, Actual::Version(_))));
        assert_eq!(
            error.to_string(),
            "gave up: lost the race to other writers 9 times, \
             the last time because the stream is at version 10 now"
        );
    }
    assert_eq!(block_on(events(&store)).len(), 10);
}

fn from_a_hundred_threads(call: impl Fn(usize) -> Outcome + Send + Sync + 'static) -> Vec<Outcome> {
    let call = Arc::new(call);
    let start = Arc::new(Barrier::new(100));
    let threads: Vec<_> = (0..100)
        .map(|n| {
            let (call, start) = (Arc::clone(&call), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                call(n)
            })
        })
        .collect();
    threads.into_iter().map(|one| one.join().unwrap()).collect()
}

#[test]
fn a_hundred_threads_have_one_effect_each() {
    let store = opened();
    let dispatcher = Dispatcher::builder(store.clone())
        .conflict_retries(Backoff::at_once(99))
        .build();
    let outcomes =
        from_a_hundred_threads(move |n| block_on(dispatcher.execute::<Room>(post(&n.to_string()))));
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(texts(&store), opened_and(0..100));
}

#[test]
fn of_a_hundred_threads_that_want_to_be_the_first_one_is() {
    let store = MemoryStore::new();
    let dispatcher = Dispatcher::builder(store.clone())
        .conflict_retries(Backoff::at_once(99))
        .build();
    let outcomes = from_a_hundred_threads(move |_| block_on(dispatcher.execute::<Room>(open())));
    let (first, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((first.len(), refused.len()), (1, 99));
    for outcome in refused {
        assert_eq!(
            outcome.unwrap_err().refusal(),
            Some(&RoomRefusal::AlreadyOpen)
        );
    }
    assert_eq!(block_on(events(&store)).len(), 1);
}

/// The outcome of a post under an expectation, where somebody else posts in between.
fn post_overtaken(expect: Expect) -> Outcome {
    let store = opened();
    let other = Dispatcher::builder(store.clone()).build();
    let overtaken = Interposed::once(store, Before::Append, async move {
        other.execute::<Room>(post("first")).await.unwrap();
    });
    let options = CommandOptions::default().expect(expect);
    let dispatcher = Dispatcher::builder(overtaken).build();
    block_on(dispatcher.execute_with::<Room>(post("second"), options))
}

#[test]
fn an_expectation_that_a_race_fails_is_not_retried() {
    let version = |number| Version::new(number).unwrap();
    let outcome = post_overtaken(Expect::Exact(version(1)));
    assert!(matches!(outcome, Err(CommandError::Precondition(unmet))
        if unmet.actual == Some(version(2))));
}

#[test]
fn an_expectation_that_a_race_leaves_standing_does_not_forbid_the_retry() {
    for expect in [Expect::Any, Expect::Exists] {
        assert_eq!(post_overtaken(expect).unwrap().attempts, 2, "{expect:?}");
    }
}

#[test]
fn an_expectation_that_a_race_fails_is_told_even_when_no_retry_is_left() {
    let store = MemoryStore::new();
    let other = Dispatcher::builder(store.clone()).build();
    let overtaken = Interposed::once(store, Before::Append, async move {
        other.execute::<Room>(open()).await.unwrap();
    });
    let dispatcher = Dispatcher::builder(overtaken)
        .conflict_retries(Backoff::at_once(0))
        .build();
    let options = CommandOptions::default().expect(Expect::NoStream);
    let outcome = block_on(dispatcher.execute_with::<Room>(open(), options));
    assert!(matches!(outcome, Err(CommandError::Precondition(_))));
}

/// Polls once.
fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_command_that_lost_to_what_readers_are_not_yet_shown_waits_for_it() {
    let trailing = Trailing::new(opened());
    block_on(trailing.show());
    let dispatcher = Dispatcher::builder(trailing.clone()).build();
    block_on(dispatcher.execute::<Room>(post("first"))).unwrap();

    let mut second = pin!(dispatcher.execute::<Room>(post("second")));
    assert!(poll(second.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());
    block_on(trailing.show());
    assert_eq!(block_on(second).unwrap().attempts, 2);
}

#[test]
fn so_does_one_that_lost_to_an_event_its_query_matches() {
    let trailing = Trailing::new(MemoryStore::new());
    let dispatcher = Dispatcher::builder(trailing.clone()).build();
    block_on(dispatcher.execute::<Name>(register("user-1", "ada"))).unwrap();

    let mut second = pin!(dispatcher.execute::<Name>(register("user-2", "ada")));
    assert!(poll(second.as_mut()).is_pending());
    block_on(trailing.show());
    let error = block_on(second).unwrap_err();
    assert_eq!(error.to_string(), "refused: the name is taken");
}

#[test]
fn of_many_who_want_one_name_one_gets_it() {
    fn race<D>() -> (MemoryStore, Vec<Outcome>)
    where
        D: eventwire_cqrs::Decider<Command = crate::history::Register>,
    {
        let store = MemoryStore::new();
        let dispatcher = Dispatcher::builder(Interposed::new(store.clone())).build();
        let registers = (0..20).map(|n| {
            let user = format!("user-{n}");
            dispatcher.execute::<D>(register(&user, "ada"))
        });
        let outcomes = block_on(join_all(registers));
        (store, outcomes)
    }
    for (store, outcomes) in [race::<Name>(), race::<Account>()] {
        let refused = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Err(CommandError::Refused(_))));
        assert_eq!(refused.count(), 19);
        assert_eq!(block_on(events(&store)).len(), 1);
    }
}
