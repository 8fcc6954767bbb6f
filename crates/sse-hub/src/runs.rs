use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::PoisonError;
use std::task::{Context, Poll};

use crate::subscription::{Lagged, Run, RunEnd, Subscription};
use crate::sync::{Mutex, MutexGuard};
use crate::topic::{Interest, Topic};

/// What subscribers have not seen, joined once for all who read the same.
///
/// A subscriber that is several entries behind takes them as one value: one write in place of
/// many. Who stands at the same place, with the same interest, gets the same value, and stands at
/// the same place again: as long as they keep up they share everything they are sent.
///
/// ```
/// use std::future::poll_fn;
/// use std::num::NonZeroUsize;
///
/// use eventwire_sse_hub::{Hub, Interest, Runs};
///
/// # futures_executor::block_on(async {
/// let hub = Hub::new(NonZeroUsize::new(4096).expect("not zero"), 0);
/// let runs = Runs::new(1 << 20);
/// let mut subscription = hub.subscribe(0, Interest::All);
/// hub.publish(1, &[], "ready, ");
/// hub.publish(2, &[], "steady, ");
/// hub.publish(3, &[], "go");
/// let joined = poll_fn(|context| {
///     runs.poll_next(&mut subscription, context, 64 << 10, 0, |entries| entries.concat())
/// });
/// assert_eq!(joined.await, Some(Ok((3, "ready, steady, go".to_owned()))));
/// # });
/// ```
///
/// It is for the subscriptions of one hub, and joins in one way for each class.
pub struct Runs<K, V> {
    kept: Mutex<Kept<K, V>>,
    most_bytes: usize,
}

/// Invariants: `bytes` is what the runs take; `order` has where each begins, the oldest first.
struct Kept<K, V> {
    runs: HashMap<Beginning, Joined<K, V>>,
    order: VecDeque<Beginning>,
    bytes: usize,
}

/// The number of a run's first entry, the class of those it is for, and the digest of their
/// interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Beginning {
    first: u64,
    class: u64,
    digest: u64,
}

impl Beginning {
    fn of(first: u64, class: u64, interest: &Interest) -> Self {
        Self {
            first,
            class,
            digest: interest.digest(),
        }
    }
}

struct Joined<K, V> {
    interest: Interest,
    end: RunEnd<K>,
    value: V,
}

/// A run that ended with what there was is joined anew where there is so many times more.
const OUTGROWN: u64 = 4;

impl<K: Copy + Ord, V: Clone + AsRef<[u8]>> Runs<K, V> {
    /// Keeps joined values that take at most so many bytes, about: their own, and several hundred
    /// for what is kept about each.
    #[must_use]
    pub fn new(most_bytes: usize) -> Self {
        Self {
            kept: Mutex::new(Kept {
                runs: HashMap::new(),
                order: VecDeque::new(),
                bytes: 0,
            }),
            most_bytes,
        }
    }

    /// How many bytes what is kept takes now, about.
    #[must_use]
    pub fn held(&self) -> usize {
        self.lock().bytes
    }

    /// The next entries of a subscription as one value, and the key of the last of them: all that
    /// wait, up to `limit` bytes; one that is longer alone.
    ///
    /// `join` is given one entry or more, in order; what it makes of them must depend on them and
    /// on `class` alone: subscribers of one class share what was joined, others do not. It runs
    /// outside all locks.
    ///
    /// Yields [`Lagged`] and ends as the subscription does.
    ///
    /// # Cancel safety
    /// As for the subscription: what is taken is yielded by the same poll.
    pub fn poll_next<T: Clone + AsRef<[u8]>>(
        &self,
        subscription: &mut Subscription<K, T>,
        context: &mut Context<'_>,
        limit: usize,
        class: u64,
        join: impl FnOnce(&[T]) -> V,
    ) -> Poll<Option<Result<(K, V), Lagged>>> {
        let known = |interest: &Interest, first, unread| {
            self.find(Beginning::of(first, class, interest), interest, unread)
        };
        subscription.poll_run(context, limit, known).map(|taken| {
            taken.map(|run| match run? {
                Run::One(key, value) => Ok((key, join(&[value]))),
                Run::Known(key, value) => Ok((key, value)),
                Run::Several { first, end, values } => {
                    let value = join(&values);
                    let joined = Joined {
                        interest: subscription.interest().clone(),
                        end,
                        value: value.clone(),
                    };
                    let beginning = Beginning::of(first, class, subscription.interest());
                    self.keep(beginning, joined);
                    Ok((end.key, value))
                }
            })
        })
    }

    fn find(
        &self,
        beginning: Beginning,
        interest: &Interest,
        unread: u64,
    ) -> Option<(RunEnd<K>, V)> {
        let kept = self.lock();
        let run = kept.runs.get(&beginning)?;
        let is_outgrown = !run.end.is_full && unread / OUTGROWN >= run.end.count;
        // Of two interests of one digest, which hardly are, the last that was joined is kept.
        (run.interest == *interest && !is_outgrown).then(|| (run.end, run.value.clone()))
    }

    fn keep(&self, beginning: Beginning, joined: Joined<K, V>) {
        let gone = self.lock().put(beginning, joined, self.most_bytes);
        // What is let go may be the last of its kind, and is dropped outside the lock.
        drop(gone);
    }

    fn lock(&self) -> MutexGuard<'_, Kept<K, V>> {
        // A clone that panics does so before anything was changed.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V: AsRef<[u8]>> Kept<K, V> {
    /// Puts a run in, in place of one that is shorter; what comes back is gone.
    fn put(
        &mut self,
        beginning: Beginning,
        joined: Joined<K, V>,
        most_bytes: usize,
    ) -> Vec<Joined<K, V>> {
        self.bytes += joined.bytes();
        let mut gone = Vec::new();
        match self.runs.insert(beginning, joined) {
            Some(shorter) => {
                self.bytes -= shorter.bytes();
                gone.push(shorter);
            }
            None => self.order.push_back(beginning),
        }
        while self.bytes > most_bytes
            && let Some(oldest) = self.order.pop_front()
        {
            let oldest = self
                .runs
                .remove(&oldest)
                .expect("what is in the order is kept");
            self.bytes -= oldest.bytes();
            gone.push(oldest);
        }
        gone
    }
}

impl<K, V: AsRef<[u8]>> Joined<K, V> {
    /// What it takes: its place in the map and in the queue, its topics, and its bytes with what
    /// counts who shares them.
    fn bytes(&self) -> usize {
        // Where entries come and go, a map has up to four and a half times the room they need, and
        // a queue has twice.
        let in_map = 4 * (size_of::<Beginning>() + size_of::<Self>());
        let in_queue = 2 * size_of::<Beginning>();
        let topics = self.interest.len() * size_of::<Topic>();
        const COUNT: usize = 32;
        in_map + in_queue + topics + COUNT + self.value.as_ref().len()
    }
}

impl<K, V> fmt::Debug for Runs<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runs")
            .field("most_bytes", &self.most_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Hub;
    use futures_core::Stream;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::num::NonZeroUsize;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::Waker;

    type Value = Arc<[u8]>;

    fn hub(capacity: usize) -> Hub<u32, Value> {
        Hub::new(NonZeroUsize::new(capacity).expect("not zero"), 0)
    }

    fn publish(hub: &Hub<u32, Value>, key: u32, topic: &str) {
        hub.publish(
            key,
            &[Topic::of(topic)],
            format!("{topic}{key} ").into_bytes().into(),
        );
    }

    fn poll(
        runs: &Runs<u32, Value>,
        subscription: &mut Subscription<u32, Value>,
        limit: usize,
    ) -> Option<Result<(u32, Value), Lagged>> {
        let mut context = Context::from_waker(Waker::noop());
        match runs.poll_next(subscription, &mut context, limit, 0, |run| {
            run.concat().into()
        }) {
            Poll::Ready(item) => item,
            Poll::Pending => None,
        }
    }

    #[test]
    fn who_stands_at_the_same_place_gets_the_same_value() {
        let hub = hub(99);
        let runs = Runs::new(1000);
        let mut all: Vec<_> = (0..3).map(|_| hub.subscribe(0, Interest::All)).collect();
        let some = Interest::any([Topic::of("a")]);
        let mut some = [hub.subscribe(0, some.clone()), hub.subscribe(0, some)];
        for (key, topic) in [(1, "a"), (2, "b"), (3, "a")] {
            publish(&hub, key, topic);
        }
        let [first, second] = [0, 1].map(|at| poll(&runs, &mut all[at], 100).unwrap().unwrap());
        assert_eq!((first.0, &*first.1), (3, &b"a1 b2 a3 "[..]));
        assert!(Arc::ptr_eq(&first.1, &second.1));
        // One more has come: who is behind gets what the others got, and is where they are.
        publish(&hub, 4, "b");
        let third = poll(&runs, &mut all[2], 100).unwrap().unwrap();
        assert!(Arc::ptr_eq(&first.1, &third.1));
        for subscription in &mut all {
            assert_eq!(
                poll(&runs, subscription, 100),
                Some(Ok((4, b"b4 "[..].into())))
            );
        }
        let [first, second] = some
            .each_mut()
            .map(|some| poll(&runs, some, 100).unwrap().unwrap());
        assert_eq!((first.0, &*first.1), (3, &b"a1 a3 "[..]));
        assert!(Arc::ptr_eq(&first.1, &second.1));
    }

    #[test]
    fn who_is_of_another_class_gets_another_value() {
        let hub = hub(99);
        let runs = Runs::new(1000);
        let mut all: Vec<_> = (0..4).map(|_| hub.subscribe(0, Interest::All)).collect();
        publish(&hub, 1, "a");
        publish(&hub, 2, "a");
        let mut context = Context::from_waker(Waker::noop());
        let mut joined = Vec::new();
        for (subscription, class) in all.iter_mut().zip([0, 1, 0, 1]) {
            let join = |run: &[Value]| format!("{class}: {}", run.len()).into_bytes().into();
            let polled = runs.poll_next(subscription, &mut context, 100, class, join);
            let Poll::Ready(Some(Ok((2, value)))) = polled else {
                panic!("not {polled:?}");
            };
            joined.push(value);
        }
        let joined: [Value; 4] = joined.try_into().unwrap();
        assert_eq!(joined.each_ref().map(|value| value[0]), *b"0101");
        assert!(Arc::ptr_eq(&joined[0], &joined[2]));
        assert!(Arc::ptr_eq(&joined[1], &joined[3]));
    }

    #[test]
    fn a_run_that_was_outgrown_is_joined_anew() {
        let hub = hub(99);
        let runs = Runs::new(1000);
        let mut all: Vec<_> = (0..3).map(|_| hub.subscribe(0, Interest::All)).collect();
        publish(&hub, 1, "a");
        publish(&hub, 2, "a");
        assert_eq!(
            poll(&runs, &mut all[0], 100),
            Some(Ok((2, b"a1 a2 "[..].into())))
        );
        for key in 3..=9 {
            publish(&hub, key, "a");
        }
        let [first, second] = [1, 2].map(|at| poll(&runs, &mut all[at], 100).unwrap().unwrap());
        assert_eq!(first.0, 9);
        assert!(Arc::ptr_eq(&first.1, &second.1));
    }

    /// What is joined may be nothing at all, where a class is shown none of it.
    #[test]
    fn a_run_that_ended_for_its_length_is_shared_however_little_is_made_of_it() {
        let hub = hub(99);
        let runs = Runs::<u32, Value>::new(1000);
        let mut all: Vec<_> = (0..3).map(|_| hub.subscribe(0, Interest::All)).collect();
        for key in 10..30 {
            publish(&hub, key, "a");
        }
        let mut joined = 0;
        for subscription in &mut all {
            let mut context = Context::from_waker(Waker::noop());
            // Two of four bytes are as many as may leave together.
            let polled = runs.poll_next(subscription, &mut context, 8, 0, |run| {
                joined += run.len();
                Value::default()
            });
            assert_eq!(polled, Poll::Ready(Some(Ok((11, Value::default())))));
        }
        assert_eq!(joined, 2);
    }

    #[test]
    fn no_more_is_kept_than_was_said() {
        let hub = hub(9);
        // Room for a few.
        const MOST: usize = 3_000;
        let runs = Runs::new(MOST);
        let mut subscriptions = Vec::new();
        for key in 1..200 {
            publish(&hub, key, "a");
            subscriptions.push(hub.subscribe(key.saturating_sub(3), Interest::All));
            for subscription in &mut subscriptions {
                drop(poll(&runs, subscription, 100));
            }
            let kept = runs.lock();
            let each = kept.runs.values().map(Joined::bytes);
            assert_eq!(each.sum::<usize>(), kept.bytes);
            assert!(kept.bytes <= MOST);
            assert!(kept.order.iter().all(|run| kept.runs.contains_key(run)));
            assert_eq!(kept.order.len(), kept.runs.len());
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Publish(u8),
        Subscribe(BTreeSet<u8>),
        Poll(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0u8..3).prop_map(Step::Publish),
            1 => proptest::collection::btree_set(0u8..3, 0..3).prop_map(Step::Subscribe),
            4 => (0usize..6, 0usize..40).prop_map(|(who, limit)| Step::Poll(who, limit)),
        ]
    }

    proptest! {
        /// Joined or one by one: the same entries, in the same order, and the same lag.
        #[test]
        fn runs_are_what_the_entries_are(steps in proptest::collection::vec(step(), 1..120)) {
            let hub = hub(8);
            let runs = Runs::new(3_000);
            let mut key = 0;
            let mut pairs = Vec::new();
            for step in steps {
                match step {
                    Step::Publish(topic) => {
                        key += 1;
                        publish(&hub, key, &topic.to_string());
                    }
                    Step::Subscribe(topics) => {
                        let topics = topics.iter().map(|topic| Topic::of(&*topic.to_string()));
                        let interest = match topics.len() {
                            0 => Interest::All,
                            _ => Interest::any(topics),
                        };
                        let after = key.saturating_sub(4);
                        pairs.push((
                            hub.subscribe(after, interest.clone()),
                            hub.subscribe(after, interest),
                        ));
                    }
                    Step::Poll(who, limit) => {
                        let Some((joined, single)) = pairs.get_mut(who) else {
                            continue;
                        };
                        let item = poll(&runs, joined, limit);
                        let mut context = Context::from_waker(Waker::noop());
                        let mut next = || match Pin::new(&mut *single).poll_next(&mut context) {
                            Poll::Ready(item) => item,
                            Poll::Pending => None,
                        };
                        match item {
                            Some(Ok((last, value))) => {
                                let mut expected = Vec::new();
                                loop {
                                    let (key, value) = next().unwrap().unwrap();
                                    expected.extend_from_slice(&value);
                                    if key == last {
                                        break;
                                    }
                                }
                                prop_assert_eq!(&*value, expected);
                            }
                            other => prop_assert_eq!(next(), other),
                        }
                        prop_assert_eq!(joined.cursor(), single.cursor());
                    }
                }
            }
        }
    }
}
