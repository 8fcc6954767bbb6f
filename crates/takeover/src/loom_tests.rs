//! Telling a shard and its looking, in every order two or three threads can do them.
//!
//! `RUSTFLAGS="--cfg loom_takeover" cargo test -p eventwire-takeover --lib --release loom_tests`

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::thread;

use crate::inbox::{Inbox, News, Target, waker};

/// Looks, and waits to be woken, until so many have come of each.
fn look_until(inbox: &Inbox<u32>, arrivals: usize, woken: usize) -> News<u32> {
    let mut all = News::default();
    block_on(poll_fn(|context| {
        let News {
            arrivals: came,
            woken: told,
        } = inbox.take(context);
        all.arrivals.extend(came);
        all.woken.extend(told);
        match all.arrivals.len() >= arrivals && all.woken.len() >= woken {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }));
    all
}

#[test]
fn who_comes_while_the_shard_looks_is_taken_in() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::default());
        let acceptor = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || {
                inbox.arrive(1);
                inbox.arrive(2);
            })
        };
        assert_eq!(look_until(&inbox, 2, 0).arrivals, [1, 2]);
        acceptor.join().expect("it does not panic");
    });
}

#[test]
fn a_stream_that_has_something_while_the_shard_looks_gets_its_turn() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::default());
        let [member, group] = [Target::Member(3), Target::Group(5)];
        let wakers = [waker(&inbox, member), waker(&inbox, group)];
        let publisher = thread::spawn(move || {
            let [member, group] = wakers;
            member.wake_by_ref();
            group.wake();
        });
        assert_eq!(look_until(&inbox, 0, 2).woken, [member, group]);
        publisher.join().expect("it does not panic");
    });
}

#[test]
fn an_acceptor_and_a_publisher_do_not_take_each_others_wake() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::default());
        let acceptor = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || inbox.arrive(1))
        };
        let group = waker(&inbox, Target::Group(0));
        let publisher = thread::spawn(move || group.wake());
        let news = look_until(&inbox, 1, 1);
        assert_eq!(news.arrivals, [1]);
        assert_eq!(news.woken, [Target::Group(0)]);
        acceptor.join().expect("it does not panic");
        publisher.join().expect("it does not panic");
    });
}

#[test]
fn a_shard_that_moves_to_another_task_is_woken_there() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::default());
        // A first look, by a task that is not there any more.
        let _nothing = inbox.take(&Context::from_waker(Waker::noop()));
        let acceptor = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || inbox.arrive(1))
        };
        assert_eq!(look_until(&inbox, 1, 0).arrivals, [1]);
        acceptor.join().expect("it does not panic");
    });
}
