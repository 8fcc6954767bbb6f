//! Publishing, polling, closing and leaving, in every order two threads can do them.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p eventwire-sse-hub --lib --release loom_tests`

use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::Poll;

use futures_core::Stream;
use loom::future::block_on;
use loom::thread;

use crate::{Hub, Interest, Lagged, Runs, Subscription, Topic};

fn hub(capacity: usize) -> Hub<u64, u64> {
    Hub::new(NonZeroUsize::new(capacity).expect("not zero"), 0)
}

fn next(subscription: &mut Subscription<u64, u64>) -> Option<Result<(u64, u64), Lagged>> {
    block_on(poll_fn(|context| {
        Pin::new(&mut *subscription).poll_next(context)
    }))
}

#[test]
fn nothing_published_is_missed() {
    loom::model(|| {
        let hub = hub(2);
        let mut all = hub.subscribe(0, Interest::All);
        let publisher = thread::spawn(move || {
            hub.publish(1, &[], 10);
            hub.publish(2, &[], 20);
            hub.close();
        });
        assert_eq!(next(&mut all), Some(Ok((1, 10))));
        assert_eq!(next(&mut all), Some(Ok((2, 20))));
        assert_eq!(next(&mut all), None);
        publisher.join().expect("the publisher does not panic");
    });
}

#[test]
fn who_knows_that_it_waits_is_woken() {
    loom::model(|| {
        let hub = hub(2);
        let mut all = hub.subscribe(0, Interest::All);
        let publisher = thread::spawn(move || {
            hub.publish(1, &[], 10);
            hub.publish(2, &[], 20);
            hub
        });
        let mut shown = Vec::new();
        block_on(poll_fn(|context| {
            while !all.is_waiting(context) {
                if let Poll::Ready(next) = Pin::new(&mut all).poll_next(context) {
                    shown.push(next);
                }
                if shown.len() == 2 {
                    return Poll::Ready(());
                }
            }
            Poll::Pending
        }));
        assert_eq!(shown, [Some(Ok((1, 10))), Some(Ok((2, 20)))]);
        drop(publisher.join().expect("the publisher does not panic"));
    });
}

#[test]
fn a_waiting_subscriber_is_woken_past_what_it_does_not_want() {
    loom::model(|| {
        let hub = hub(1);
        let wanted = Topic::of("wanted");
        let mut some = hub.subscribe(0, Interest::any([wanted]));
        let publisher = thread::spawn(move || {
            hub.publish(1, &[Topic::of("other")], 10);
            hub.publish(2, &[wanted], 20);
            hub
        });
        assert_eq!(next(&mut some), Some(Ok((2, 20))));
        drop(publisher.join().expect("the publisher does not panic"));
        assert_eq!(next(&mut some), None);
    });
}

#[test]
fn what_is_not_shown_is_counted() {
    loom::model(|| {
        let hub = hub(1);
        let mut all = hub.subscribe(0, Interest::All);
        let publisher = thread::spawn(move || {
            for key in 1..=3 {
                hub.publish(key, &[], key * 10);
            }
        });
        let mut told = 0;
        loop {
            match next(&mut all) {
                Some(Ok((key, value))) => {
                    assert_eq!((key, value), (told + 1, key * 10));
                    told += 1;
                }
                Some(Err(lagged)) => {
                    assert!(lagged.missed > 0 && told + lagged.missed < 3, "{lagged:?}");
                    assert_eq!(next(&mut all), None);
                    break;
                }
                None => {
                    assert_eq!(told, 3);
                    break;
                }
            }
        }
        publisher.join().expect("the publisher does not panic");
    });
}

#[test]
fn the_lists_of_topics_are_whole_whoever_joins_and_leaves() {
    loom::model(|| {
        let hub = hub(2);
        let [wanted, other] = ["wanted", "other"].map(Topic::of);
        hub.publish(1, &[wanted], 10);
        let publisher = {
            let hub = hub.clone();
            thread::spawn(move || {
                hub.publish(2, &[other], 20);
                hub.publish(3, &[wanted], 30);
            })
        };
        let first = hub.subscribe(1, Interest::any([wanted]));
        drop(first);
        let mut second = hub.subscribe(1, Interest::any([wanted, other]));
        assert_eq!(next(&mut second), Some(Ok((2, 20))));
        assert_eq!(next(&mut second), Some(Ok((3, 30))));
        publisher.join().expect("the publisher does not panic");
        let mut third = hub.subscribe(1, Interest::any([wanted]));
        assert_eq!(next(&mut third), Some(Ok((3, 30))));
    });
}

#[test]
fn joining_and_leaving_meet_publishing() {
    loom::model(|| {
        let hub = hub(2);
        let publisher = {
            let hub = hub.clone();
            thread::spawn(move || hub.publish(1, &[], 10))
        };
        let left = hub.subscribe(0, Interest::All);
        let mut stayed = hub.subscribe(0, Interest::All);
        drop(left);
        assert_eq!(next(&mut stayed), Some(Ok((1, 10))));
        publisher.join().expect("the publisher does not panic");
        assert_eq!(hub.subscribers(), 1);
    });
}

#[test]
fn runs_hold_what_was_published_whoever_joins_it_first() {
    loom::model(|| {
        let hub: Hub<u64, &'static str> = Hub::new(NonZeroUsize::new(2).expect("not zero"), 0);
        let runs = loom::sync::Arc::new(Runs::new(100));
        let read = |mut all: Subscription<u64, &'static str>, runs: &Runs<u64, String>| {
            let mut text = String::new();
            while let Some(run) = block_on(poll_fn(|context| {
                runs.poll_next(&mut all, context, 100, 0, |run| run.concat())
            })) {
                text.push_str(&run.expect("nothing leaves the ring").1);
            }
            text
        };
        let (one, other) = (
            hub.subscribe(0, Interest::All),
            hub.subscribe(0, Interest::All),
        );
        hub.publish(1, &[], "a");
        let reader = {
            let runs = loom::sync::Arc::clone(&runs);
            thread::spawn(move || read(one, &runs))
        };
        hub.publish(2, &[], "b");
        hub.close();
        assert_eq!(read(other, &runs), "ab");
        assert_eq!(reader.join().expect("a reader does not panic"), "ab");
    });
}
