//! Appending, leading and closing, in every order two or three threads can do them.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p eventwire-store-file --lib --release loom_tests`

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::queue::{Commit, Queue, Refused};
use crate::shift::Shift;

/// Answers each request with how many came before it.
#[derive(Default)]
struct Counter {
    requests: Vec<u32>,
}

impl Commit for Counter {
    type Request = u32;
    type Answer = usize;

    fn bytes(_: &u32) -> usize {
        4
    }

    fn commit(&mut self, requests: &[u32]) -> Vec<usize> {
        let number = |request: &u32| {
            self.requests.push(*request);
            self.requests.len() - 1
        };
        requests.iter().map(number).collect()
    }
}

fn queue() -> Arc<Queue<Counter>> {
    Arc::new(Queue::new(Counter::default()))
}

fn writer(queue: &Arc<Queue<Counter>>) -> thread::JoinHandle<Vec<u32>> {
    let queue = Arc::clone(queue);
    thread::spawn(move || {
        let counter = queue.lead_to_the_end().expect("no commit panics");
        counter.requests
    })
}

#[test]
fn what_is_awaited_is_answered_by_the_writer() {
    loom::model(|| {
        let queue = queue();
        let writer = writer(&queue);
        let first = queue.push(1).expect("it is open");
        let second = queue.push(2).expect("it is open");
        assert_eq!(block_on(first), Some((1, 0)));
        assert_eq!(block_on(second), Some((2, 1)));
        queue.close();
        assert_eq!(writer.join().expect("it does not panic"), [1, 2]);
    });
}

#[test]
fn two_who_block_are_answered_whoever_leads() {
    loom::model(|| {
        let queue = queue();
        let writer = writer(&queue);
        let other = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.push_and_wait(2)
        });
        let one = queue.push_and_wait(1);
        let other = other.join().expect("it does not panic");
        queue.close();
        let mut requests = writer.join().expect("it does not panic");
        for (request, answer) in [(1, one), (2, other)] {
            let (asked, place) = answer.expect("it is open").expect("it is answered");
            assert_eq!((asked, requests[place]), (request, request));
        }
        requests.sort_unstable();
        assert_eq!(requests, [1, 2]);
    });
}

#[test]
fn who_leads_takes_along_what_is_awaited_or_leaves_it_to_the_writer() {
    // All orders are too many; a mistake here needs no more changes of threads than this.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let queue = queue();
        let writer = writer(&queue);
        let awaiting = thread::spawn({
            let queue = Arc::clone(&queue);
            move || block_on(queue.push(2).expect("it is open"))
        });
        let one = queue.push_and_wait(1).expect("it is open");
        let other = awaiting.join().expect("it does not panic");
        queue.close();
        let requests = writer.join().expect("it does not panic");
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[one.expect("it is answered").1], 1);
        assert_eq!(requests[other.expect("it is answered").1], 2);
    });
}

#[test]
fn closing_refuses_or_answers() {
    loom::model(|| {
        let queue = queue();
        let writer = writer(&queue);
        let closer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.close()
        });
        let awaited = queue.push(1);
        let blocked = queue.push_and_wait(2);
        closer.join().expect("it does not panic");
        let requests = writer.join().expect("it does not panic");
        let mut expected = Vec::new();
        match awaited {
            Ok(ticket) => {
                assert_eq!(block_on(ticket), Some((1, expected.len())));
                expected.push(1);
            }
            Err(refused) => assert_eq!(refused, Refused::Closed),
        }
        match blocked {
            Ok(answer) => {
                assert_eq!(answer, Some((2, expected.len())));
                expected.push(2);
            }
            Err(refused) => assert_eq!(refused, Refused::Closed),
        }
        assert_eq!(requests, expected);
    });
}

/// What two ask for is done when both have left, whoever does it, and by one at a time.
#[test]
fn nothing_that_is_asked_for_is_left_undone() {
    #[derive(Default)]
    struct Desk {
        shift: Shift,
        left: AtomicUsize,
        at_work: AtomicUsize,
    }

    impl Desk {
        fn ask_and_work(&self) {
            self.left.fetch_add(1, Ordering::Relaxed);
            if !self.shift.ask() {
                return;
            }
            loop {
                assert_eq!(self.at_work.fetch_add(1, Ordering::Relaxed), 0);
                self.left.swap(0, Ordering::Relaxed);
                self.at_work.fetch_sub(1, Ordering::Relaxed);
                if !self.shift.goes_on() {
                    return;
                }
            }
        }
    }

    loom::model(|| {
        let desk = Arc::new(Desk::default());
        let other = thread::spawn({
            let desk = Arc::clone(&desk);
            move || desk.ask_and_work()
        });
        desk.ask_and_work();
        other.join().expect("it does not panic");
        assert_eq!(desk.left.load(Ordering::Relaxed), 0);
    });
}
