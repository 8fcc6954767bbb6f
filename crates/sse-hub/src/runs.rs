use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::PoisonError;
use std::task::{Context, Poll};

use crate::subscription::{Lagged, Run, RunEnd, Subscription};
use crate::sync::{Mutex, MutexGuard};
use crate::topic::Interest;

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

/// Invariants: `bytes` is the sum of the lengths; `order` has the start and the own number
/// of each run, the oldest first, and maybe of some that are gone.
struct Kept<K, V> {
    runs: HashMap<Beginning, Vec<Joined<K, V>>>,
    order: VecDeque<(Beginning, u64)>,
    bytes: usize,
    next: u64,
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
    /// Runs are numbered as they are put in.
    number: u64,
    interest: Interest,
    end: RunEnd<K>,
    value: V,
    /// Whether it ended for its length, rather than with what there was.
    is_full: bool,
}

/// A run that ended with what there was is joined anew where there is so many times more.
const OUTGROWN: u64 = 4;

impl<K: Copy + Ord, V: Clone + AsRef<[u8]>> Runs<K, V> {
    /// Keeps at most so many bytes of joined values.
    #[must_use]
    pub fn new(most_bytes: usize) -> Self {
        Self {
            kept: Mutex::new(Kept {
                runs: HashMap::new(),
                order: VecDeque::new(),
                bytes: 0,
                next: 0,
            }),
            most_bytes,
        }
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
                        number: 0,
                        interest: subscription.interest().clone(),
                        end,
                        value: value.clone(),
                        is_full: end.count > 1 && value.as_ref().len() > limit / 2,
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
        let mut runs = kept.runs.get(&beginning)?.iter();
        let run = runs.find(|run| run.interest == *interest)?;
        let is_outgrown = !run.is_full && unread / OUTGROWN >= run.end.count;
        (!is_outgrown).then(|| (run.end, run.value.clone()))
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
        let number = self.next;
        self.next += 1;
        self.bytes += joined.len();
        self.order.push_back((beginning, number));
        let runs = self.runs.entry(beginning).or_default();
        let older = runs.iter().position(|run| run.interest == joined.interest);
        let mut gone: Vec<_> = older
            .map(|older| runs.swap_remove(older))
            .into_iter()
            .collect();
        self.bytes -= gone.iter().map(Joined::len).sum::<usize>();
        runs.push(Joined { number, ..joined });
        while self.bytes > most_bytes
            && let Some((beginning, number)) = self.order.pop_front()
        {
            gone.extend(self.remove(beginning, number));
        }
        gone
    }

    fn remove(&mut self, beginning: Beginning, number: u64) -> Option<Joined<K, V>> {
        let runs = self.runs.get_mut(&beginning)?;
        let at = runs.iter().position(|run| run.number == number)?;
        let run = runs.swap_remove(at);
        if runs.is_empty() {
            self.runs.remove(&beginning);
        }
        self.bytes -= run.len();
        Some(run)
    }
}

impl<K, V: AsRef<[u8]>> Joined<K, V> {
    fn len(&self) -> usize {
        self.value.as_ref().len()
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
    use crate::{Hub, Topic};
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

    #[test]
    fn no_more_is_kept_than_was_said() {
        let hub = hub(9);
        let runs = Runs::new(20);
        let mut subscriptions = Vec::new();
        for key in 1..200 {
            publish(&hub, key, "a");
            subscriptions.push(hub.subscribe(key.saturating_sub(3), Interest::All));
            for subscription in &mut subscriptions {
                drop(poll(&runs, subscription, 100));
            }
            let kept = runs.lock();
            let lengths = kept.runs.values().flatten().map(Joined::len);
            assert_eq!(lengths.sum::<usize>(), kept.bytes);
            assert!(kept.bytes <= 20);
            assert!(kept.order.len() <= 10, "{}", kept.order.len());
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
            let runs = Runs::new(60);
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
