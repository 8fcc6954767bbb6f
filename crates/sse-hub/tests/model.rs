//! The hub against one that keeps everything and looks through all of it.

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use eventwire_sse_hub::{Capacity, Hub, Interest, Lagged, Subscription, Topic};
use futures_core::Stream;
use proptest::collection::vec;
use proptest::prelude::*;

/// What is done to a hub, one after the other.
#[derive(Debug, Clone)]
enum Step {
    /// An entry whose key is so far above the last one.
    Publish {
        gap: u64,
        weight: u64,
        topics: Vec<u8>,
    },
    /// One subscriber more, so far below or above the head.
    Subscribe {
        offset: i64,
        interest: Option<Vec<u8>>,
    },
    /// The subscriber of this index, modulo their number, is polled so often.
    Poll {
        subscriber: usize,
        times: usize,
    },
    Drop {
        subscriber: usize,
    },
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let topics = || vec(0..5_u8, 0..4);
    let step = prop_oneof![
        8 => (1..3_u64, 0..12_u64, topics())
            .prop_map(|(gap, weight, topics)| Step::Publish { gap, weight, topics }),
        2 => (-12..6_i64, proptest::option::of(topics()))
            .prop_map(|(offset, interest)| Step::Subscribe { offset, interest }),
        8 => (0..8_usize, 1..6_usize)
            .prop_map(|(subscriber, times)| Step::Poll { subscriber, times }),
        1 => (0..8_usize).prop_map(|subscriber| Step::Drop { subscriber }),
    ];
    let last = prop_oneof![Just(None), Just(Some(Step::Close))];
    (
        vec(step, 0..80),
        last,
        vec((0..8_usize).prop_map(poll_all), 0..8),
    )
        .prop_map(|(steps, last, polls)| steps.into_iter().chain(last).chain(polls).collect())
}

fn poll_all(subscriber: usize) -> Step {
    Step::Poll {
        subscriber,
        times: 20,
    }
}

/// A hub that keeps all, and numbers nothing.
struct Model {
    capacity: usize,
    most_weight: u64,
    floor: u64,
    entries: Vec<(u64, Vec<u8>)>,
    /// Of each entry.
    weights: Vec<u64>,
    is_closed: bool,
}

/// What a subscription of the model knows of itself.
struct Reader {
    began_after: u64,
    /// The last matching entry it was shown, or where it began.
    seen: u64,
    interest: Option<Vec<u8>>,
    began_below: bool,
    has_ended: bool,
    /// Whether it found nothing when it was last polled, and nothing has happened since.
    waits: bool,
    wakes: usize,
}

impl Reader {
    /// What it waits for has happened.
    fn wake(&mut self) {
        self.wakes += usize::from(std::mem::take(&mut self.waits));
    }
}

impl Model {
    fn head(&self) -> u64 {
        self.entries.last().map_or(self.floor, |entry| entry.0)
    }

    /// How many entries are held: as many of the last as there is place for, and the newest.
    fn held(&self) -> usize {
        let mut sum = 0;
        let fit = self.weights.iter().rev().take_while(|weight| {
            sum += **weight;
            sum <= self.most_weight
        });
        fit.count()
            .min(self.capacity)
            .max(1)
            .min(self.weights.len())
    }

    /// Keys up to here have left the ring.
    fn ring_floor(&self) -> u64 {
        let departed = self.entries.len() - self.held();
        departed
            .checked_sub(1)
            .map_or(self.floor, |last| self.entries[last].0)
    }

    fn meets(interest: Option<&Vec<u8>>, topics: &[u8]) -> bool {
        interest.is_none_or(|wanted| topics.iter().any(|topic| wanted.contains(topic)))
    }

    fn reader(&self, after: u64, interest: Option<Vec<u8>>) -> Reader {
        let began_below = after < self.ring_floor();
        Reader {
            began_after: after,
            seen: after,
            interest,
            began_below,
            has_ended: false,
            waits: false,
            wakes: 0,
        }
    }

    /// What the next poll of a subscription yields.
    fn poll(&self, reader: &mut Reader) -> Poll<Option<Result<u64, Lost>>> {
        if reader.has_ended {
            return Poll::Ready(None);
        }
        let waiting = self.entries.iter().filter(|(key, topics)| {
            *key > reader.seen && Self::meets(reader.interest.as_ref(), topics)
        });
        let floor = self.ring_floor();
        let lost = waiting.clone().filter(|(key, _)| *key <= floor).count();
        if reader.began_below {
            reader.has_ended = true;
            return Poll::Ready(Some(Err(Lost::AtMost(lost))));
        }
        if lost > 0 {
            reader.has_ended = true;
            return Poll::Ready(Some(Err(Lost::Exactly(lost))));
        }
        if let Some((key, _)) = waiting.clone().next() {
            reader.seen = *key;
            // Who has the newest is woken by the next without asking again.
            reader.waits = *key == self.head() && !self.is_closed;
            return Poll::Ready(Some(Ok(*key)));
        }
        reader.has_ended = self.is_closed;
        reader.waits = !self.is_closed;
        if self.is_closed {
            Poll::Ready(None)
        } else {
            Poll::Pending
        }
    }
}

/// How many matching entries were lost: what a hub may say.
#[derive(Debug, Clone, Copy)]
enum Lost {
    Exactly(usize),
    AtMost(usize),
}

impl Lost {
    fn allows(self, lagged: Lagged) -> bool {
        let missed = usize::try_from(lagged.missed).expect("a test publishes few");
        match self {
            Self::Exactly(count) => missed == count,
            Self::AtMost(count) => missed <= count,
        }
    }
}

struct Pair {
    reader: Reader,
    subscription: Subscription<u64, u64>,
    wakes: Arc<Wakes>,
}

/// How often a task was woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn topic(name: u8) -> Topic {
    Topic::of(&name)
}

fn check_poll(model: &Model, pair: &mut Pair) {
    let waker = Waker::from(Arc::clone(&pair.wakes));
    let mut context = Context::from_waker(&waker);
    let polled = pin!(&mut pair.subscription).poll_next(&mut context);
    match (model.poll(&mut pair.reader), polled) {
        (Poll::Ready(Some(Ok(key))), Poll::Ready(Some(Ok((shown, value))))) => {
            assert_eq!((shown, value), (key, !key));
            assert_eq!(pair.subscription.cursor(), key);
        }
        (Poll::Ready(Some(Err(lost))), Poll::Ready(Some(Err(lagged)))) => {
            assert!(lost.allows(lagged), "{lost:?} {lagged:?}");
        }
        (Poll::Ready(None), Poll::Ready(None)) => {}
        (Poll::Pending, Poll::Pending) => {
            let looked = model.head().max(pair.reader.began_after);
            assert_eq!(pair.subscription.cursor(), looked);
        }
        (expected, polled) => panic!("expected {expected:?}, got {polled:?}"),
    }
    assert_eq!(pair.subscription.is_waiting(&context), pair.reader.waits);
}

/// A hub and its model, to which the same is done.
struct Trial {
    hub: Hub<u64, u64>,
    model: Model,
    pairs: Vec<Pair>,
}

impl Trial {
    fn new(capacity: usize, most_weight: u64) -> Self {
        const FLOOR: u64 = 50;
        let entries = NonZeroUsize::new(capacity).expect("not zero");
        let hub = Hub::new(Capacity::entries(entries).weight(most_weight), FLOOR);
        let model = Model {
            capacity,
            most_weight,
            floor: FLOOR,
            entries: Vec::new(),
            weights: Vec::new(),
            is_closed: false,
        };
        Self {
            hub,
            model,
            pairs: Vec::new(),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Publish {
                gap,
                weight,
                topics,
            } => self.publish(self.model.head() + gap, weight, topics),
            Step::Subscribe { offset, interest } => {
                self.subscribe(self.model.head().saturating_add_signed(offset), interest);
            }
            Step::Poll { subscriber, times } if !self.pairs.is_empty() => {
                let index = subscriber % self.pairs.len();
                for _ in 0..times {
                    check_poll(&self.model, &mut self.pairs[index]);
                }
            }
            Step::Drop { subscriber } if !self.pairs.is_empty() => {
                self.pairs.remove(subscriber % self.pairs.len());
            }
            Step::Poll { .. } | Step::Drop { .. } => {}
            Step::Close => {
                self.hub.close();
                self.model.is_closed = true;
                self.pairs.iter_mut().for_each(|pair| pair.reader.wake());
            }
        }
    }

    fn publish(&mut self, key: u64, weight: u64, topics: Vec<u8>) {
        let hashed: Vec<_> = topics.iter().copied().map(topic).collect();
        self.hub.publish_weighing(weight, key, &hashed, !key);
        for Pair { reader, .. } in &mut self.pairs {
            if key > reader.began_after && Model::meets(reader.interest.as_ref(), &topics) {
                reader.wake();
            }
        }
        self.model.entries.push((key, topics));
        self.model.weights.push(weight);
    }

    fn subscribe(&mut self, after: u64, interest: Option<Vec<u8>>) {
        let hashed = match &interest {
            None => Interest::All,
            Some(topics) => Interest::any(topics.iter().copied().map(topic)),
        };
        let subscription = self.hub.subscribe(after, hashed);
        let reader = self.model.reader(after, interest);
        self.pairs.push(Pair {
            reader,
            subscription,
            wakes: Arc::default(),
        });
    }

    fn check(&self) {
        let follows = |pair: &&Pair| !pair.reader.has_ended && !pair.reader.began_below;
        assert_eq!(
            self.hub.subscribers(),
            self.pairs.iter().filter(follows).count()
        );
        let held = self.model.held();
        let weights = &self.model.weights[self.model.weights.len() - held..];
        assert_eq!(self.hub.held(), (held, weights.iter().sum()));
        for pair in &self.pairs {
            assert_eq!(pair.wakes.0.load(Ordering::Relaxed), pair.reader.wakes);
        }
    }
}

proptest! {
    #[test]
    fn shows_tells_and_wakes_as_the_model_does(
        capacity in 1..9_usize,
        most_weight in 0..60_u64,
        steps in steps(),
    ) {
        let mut trial = Trial::new(capacity, most_weight);
        for step in steps {
            trial.take(step);
            trial.check();
        }
    }
}
