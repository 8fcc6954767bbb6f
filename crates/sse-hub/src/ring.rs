use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::ops::Range;

use crate::topic::{Interest, Topic};

/// How much a [`Hub`](crate::Hub) holds of what was published: so many entries, and no more than
/// so much weight.
///
/// What one entry weighs is said when it is published; the newest is held however heavy it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    pub(crate) entries: NonZeroUsize,
    pub(crate) weight: u64,
}

impl Capacity {
    /// So many entries, whatever they weigh.
    #[must_use]
    pub const fn entries(entries: NonZeroUsize) -> Self {
        Self {
            entries,
            weight: u64::MAX,
        }
    }

    /// No more than so much weight.
    #[must_use]
    pub const fn weight(mut self, weight: u64) -> Self {
        self.weight = weight;
        self
    }

    /// The most weight that is held; without a limit unless set.
    #[must_use]
    pub const fn most_weight(self) -> u64 {
        self.weight
    }
}

impl From<NonZeroUsize> for Capacity {
    fn from(entries: NonZeroUsize) -> Self {
        Self::entries(entries)
    }
}

/// What was published, and about what.
pub(crate) struct Entry<K, T> {
    pub(crate) key: K,
    pub(crate) topics: Box<[Topic]>,
    pub(crate) weight: u64,
    pub(crate) value: T,
}

/// The last entries published, each with a number: 1 for the first, rising by one.
///
/// ```text
///   left the ring | entries[0] ..= entries[len - 1] | not yet published
///                 | number: first                   | number: first + len
///    ..= floor    | keys: floor < .. <= head        |
/// ```
///
/// Invariant: `weight` is the sum of the entries' weights, and within the capacity where there
/// is more than one.
pub(crate) struct Ring<K, T> {
    entries: VecDeque<Entry<K, T>>,
    capacity: Capacity,
    weight: u64,
    /// The number of `entries[0]`, or of the next entry where there is none.
    first: u64,
    /// The key of the last entry that left; before any has, where the ring began.
    floor: K,
}

impl<K: Copy + Ord, T> Ring<K, T> {
    pub(crate) fn new(capacity: Capacity, floor: K) -> Self {
        Self {
            entries: VecDeque::new(),
            capacity,
            weight: 0,
            first: 1,
            floor,
        }
    }

    pub(crate) fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// How many entries are held, and what they weigh.
    pub(crate) fn held(&self) -> (usize, u64) {
        (self.entries.len(), self.weight)
    }

    /// Everything up to here has left the ring, or was before its time.
    pub(crate) fn floor(&self) -> K {
        self.floor
    }

    /// The key of the newest entry, or of the last one before the ring's time.
    pub(crate) fn head(&self) -> K {
        self.entries.back().map_or(self.floor, |entry| entry.key)
    }

    /// How many entries have left.
    pub(crate) fn departed(&self) -> u64 {
        self.first - 1
    }

    /// The number the next entry will have.
    pub(crate) fn end(&self) -> u64 {
        self.first + length(self.entries.len())
    }

    /// Adds the newest entry; those for whom there is no place left beside it come back, the
    /// oldest first.
    ///
    /// # Panics
    /// Where its key is not above all before it.
    pub(crate) fn push(&mut self, entry: Entry<K, T>) -> Vec<Entry<K, T>> {
        assert!(
            entry.key > self.head(),
            "the keys that are published rise strictly"
        );
        let mut departed = Vec::new();
        while self.has_no_place_for(entry.weight)
            && let Some(oldest) = self.entries.pop_front()
        {
            self.floor = oldest.key;
            self.first += 1;
            self.weight -= oldest.weight;
            departed.push(oldest);
        }
        // Only where it is alone can the sum pass what 64 bits hold, and then it does not.
        self.weight += entry.weight;
        self.entries.push_back(entry);
        departed
    }

    fn has_no_place_for(&self, weight: u64) -> bool {
        let sum = self.weight.checked_add(weight);
        self.entries.len() == self.capacity.entries.get()
            || sum.is_none_or(|sum| sum > self.capacity.weight)
    }

    /// The entry of a number; none where it has left or is to come.
    pub(crate) fn entry(&self, number: u64) -> Option<&Entry<K, T>> {
        self.entries.get(self.index(number)?)
    }

    /// The number of the first entry above `key` that is held.
    pub(crate) fn first_above(&self, key: K) -> u64 {
        let below = self.entries.partition_point(|entry| entry.key <= key);
        self.first + length(below)
    }

    /// The number of the oldest entry that is held, or of the next where there is none.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The first of the entries held among `numbers` that has one of these topics.
    pub(crate) fn find(&self, numbers: Range<u64>, interest: &Interest) -> Option<u64> {
        self.range(numbers)
            .find(|(_, entry)| interest.meets(&entry.topics))
            .map(|(number, _)| number)
    }

    /// The entries held among `numbers`, with theirs.
    pub(crate) fn range(
        &self,
        numbers: Range<u64>,
    ) -> impl DoubleEndedIterator<Item = (u64, &Entry<K, T>)> {
        let end = self.index(numbers.end).unwrap_or(0).min(self.entries.len());
        let begin = self.index(numbers.start).unwrap_or(0).min(end);
        let first = self.first;
        self.entries
            .range(begin..end)
            .enumerate()
            .map(move |(offset, entry)| (first + length(begin + offset), entry))
    }

    /// None where the entry has left.
    fn index(&self, number: u64) -> Option<usize> {
        let index = number.checked_sub(self.first)?;
        Some(usize::try_from(index).unwrap_or(usize::MAX))
    }
}

pub(crate) fn length(entries: usize) -> u64 {
    u64::try_from(entries).expect("a length in memory fits 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(capacity: usize, keys: impl IntoIterator<Item = u32>) -> Ring<u32, ()> {
        let entries = NonZeroUsize::new(capacity).expect("not zero");
        let mut ring = Ring::new(entries.into(), 100);
        for key in keys {
            ring.push(entry(key, 0));
        }
        ring
    }

    fn entry(key: u32, weight: u64) -> Entry<u32, ()> {
        Entry {
            key,
            topics: [Topic::of(&(key % 2))].into(),
            weight,
            value: (),
        }
    }

    fn keys(departed: &[Entry<u32, ()>]) -> Vec<u32> {
        departed.iter().map(|entry| entry.key).collect()
    }

    #[test]
    fn an_empty_ring_stands_at_its_floor() {
        let ring = ring(2, []);
        assert_eq!(
            (ring.floor(), ring.head(), ring.departed(), ring.end()),
            (100, 100, 0, 1)
        );
        assert!(ring.entry(1).is_none());
        assert_eq!(ring.first_above(100), 1);
    }

    #[test]
    fn the_oldest_leaves_when_full() {
        let mut ring = ring(2, [101, 105]);
        assert_eq!((ring.floor(), ring.departed()), (100, 0));
        assert_eq!(keys(&ring.push(entry(106, 0))), [101]);
        assert_eq!(
            (ring.floor(), ring.head(), ring.departed(), ring.end()),
            (101, 106, 1, 4)
        );
        assert_eq!(ring.entry(1).map(|entry| entry.key), None);
        assert_eq!(ring.entry(2).map(|entry| entry.key), Some(105));
        assert_eq!(ring.entry(4).map(|entry| entry.key), None);
    }

    #[test]
    fn the_oldest_leave_for_their_weight() {
        let capacity = Capacity::entries(NonZeroUsize::new(4).expect("not zero")).weight(10);
        let mut ring = Ring::new(capacity, 100);
        let cases = [
            (101, 4, vec![], (1, 4)),
            (102, 4, vec![], (2, 8)),
            (103, 2, vec![], (3, 10)),
            (104, 1, vec![101], (3, 7)),
            (105, 9, vec![102, 103], (2, 10)),
            (106, 0, vec![], (3, 10)),
            (107, 99, vec![104, 105, 106], (1, 99)),
            (108, u64::MAX, vec![107], (1, u64::MAX)),
            (109, 1, vec![108], (1, 1)),
            (110, 0, vec![], (2, 1)),
            (111, 0, vec![], (3, 1)),
            (112, 0, vec![], (4, 1)),
            (113, 0, vec![109], (4, 0)),
        ];
        for (key, weight, departed, held) in cases {
            assert_eq!(keys(&ring.push(entry(key, weight))), departed, "for {key}");
            assert_eq!(ring.held(), held, "with {key}");
        }
        assert_eq!((ring.floor(), ring.first()), (109, 10));
    }

    #[test]
    fn a_key_is_found_between_entries() {
        let ring = ring(3, [101, 105, 109, 113]);
        let cases = [
            (0, 2),
            (104, 2),
            (105, 3),
            (108, 3),
            (112, 4),
            (113, 5),
            (200, 5),
        ];
        for (key, number) in cases {
            assert_eq!(ring.first_above(key), number, "above {key}");
        }
    }

    #[test]
    fn matching_entries_are_found_among_those_held() {
        let ring = ring(4, [101, 102, 103, 104, 105, 106]);
        let odd = Interest::any([Topic::of(&1_u32)]);
        let cases = [
            (0..7, Some(3)),
            (0..3, None),
            (0..4, Some(3)),
            (4..5, None),
            (4..99, Some(5)),
            (6..99, None),
            (90..99, None),
            (0..u64::MAX, Some(3)),
        ];
        for (numbers, found) in cases {
            assert_eq!(ring.find(numbers.clone(), &odd), found, "{numbers:?}");
        }
    }

    #[test]
    #[should_panic(expected = "rise strictly")]
    fn a_key_twice_is_refused() {
        ring(2, [101, 101]);
    }

    #[test]
    #[should_panic(expected = "rise strictly")]
    fn a_key_at_the_floor_is_refused() {
        ring(2, [100]);
    }
}
