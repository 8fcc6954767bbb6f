use std::collections::{BTreeSet, VecDeque};

use crate::ring::{Ring, length};
use crate::roster::SeatId;
use crate::topic::Topic;

/// Who listens for a topic, and which entries are about it, so that each finds its next without
/// a look at the others.
///
/// Invariant: `numbers` has, rising, exactly the entries of the ring from `since` on that are
/// about the topic; `since` is not above the place of any who listen.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) seats: BTreeSet<SeatId>,
    numbers: VecDeque<u64>,
    since: u64,
}

impl Listing {
    /// Of entries yet to come, from `end` on.
    pub(crate) fn from(end: u64) -> Self {
        Self {
            seats: BTreeSet::new(),
            numbers: VecDeque::new(),
            since: end,
        }
    }

    /// Takes in the entries from `number` on.
    pub(crate) fn reach_back<K: Copy + Ord, T>(
        &mut self,
        number: u64,
        topic: Topic,
        ring: &Ring<K, T>,
    ) {
        if number >= self.since {
            return;
        }
        for (number, entry) in ring.range(number..self.since).rev() {
            if entry.topics.contains(&topic) {
                self.numbers.push_front(number);
            }
        }
        self.since = number;
    }

    /// Takes in the newest entry, which is about the topic: perhaps twice.
    pub(crate) fn push(&mut self, number: u64) {
        if self.numbers.back() != Some(&number) {
            self.numbers.push_back(number);
        }
    }

    /// Leaves out an entry that has left the ring.
    pub(crate) fn depart(&mut self, number: u64) {
        if self.numbers.front() == Some(&number) {
            self.numbers.pop_front();
            if self.numbers.is_empty() {
                self.numbers = VecDeque::new();
            }
        }
    }

    /// The first entry from `number` on.
    pub(crate) fn next(&self, number: u64) -> Option<u64> {
        self.numbers.get(self.index(number)).copied()
    }

    /// How many entries there are from `number` on.
    pub(crate) fn count(&self, number: u64) -> u64 {
        length(self.numbers.len() - self.index(number))
    }

    /// The entries from `number` on.
    pub(crate) fn at_least(&self, number: u64) -> impl Iterator<Item = u64> {
        self.numbers.range(self.index(number)..).copied()
    }

    fn index(&self, number: u64) -> usize {
        self.numbers.partition_point(|listed| *listed < number)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::ring::Entry;

    fn ring(topics: &[&[Topic]]) -> Ring<u64, ()> {
        let capacity = NonZeroUsize::new(4).expect("not zero");
        let mut ring = Ring::new(capacity.into(), 0);
        for (topics, key) in topics.iter().zip(1..) {
            ring.push(Entry {
                key,
                topics: (*topics).into(),
                weight: 0,
                value: (),
            });
        }
        ring
    }

    #[test]
    fn it_reaches_back_as_far_as_the_ring_and_no_entry_is_in_it_twice() {
        let [a, b] = ["a", "b"].map(Topic::of);
        let ring = ring(&[&[a], &[a], &[b], &[a, a], &[b], &[a, b]]);
        let mut listing = Listing::from(7);
        for (back_to, listed) in [
            (6, vec![6]),
            (4, vec![4, 6]),
            (5, vec![4, 6]),
            (0, vec![4, 6]),
        ] {
            listing.reach_back(back_to, a, &ring);
            assert_eq!(
                listing.at_least(0).collect::<Vec<_>>(),
                listed,
                "to {back_to}"
            );
        }
        listing.push(7);
        listing.push(7);
        assert_eq!(listing.count(0), 3);
        assert_eq!(listing.count(5), 2);
        assert_eq!(listing.count(8), 0);
    }

    #[test]
    fn what_has_left_is_not_listed() {
        let mut listing = Listing::from(1);
        for number in [1, 4, 5] {
            listing.push(number);
        }
        for (departed, next) in [
            (1, Some(4)),
            (2, Some(4)),
            (3, Some(4)),
            (4, Some(5)),
            (5, None),
        ] {
            listing.depart(departed);
            assert_eq!(listing.next(0), next, "without {departed}");
        }
        assert_eq!(listing.numbers.capacity(), 0, "memory is given back");
    }
}
