use std::collections::VecDeque;
use std::num::NonZeroUsize;

use crate::topic::{Interest, Topic};

/// What was published, and about what.
pub(crate) struct Entry<K, T> {
    pub(crate) key: K,
    pub(crate) topics: Box<[Topic]>,
    pub(crate) value: T,
}

/// The last entries published, each with a number: 1 for the first, rising by one.
///
/// ```text
///   left the ring | entries[0] ..= entries[len - 1] | not yet published
///                 | number: first                   | number: first + len
///    ..= floor    | keys: floor < .. <= head        |
/// ```
pub(crate) struct Ring<K, T> {
    entries: VecDeque<Entry<K, T>>,
    capacity: NonZeroUsize,
    /// The number of `entries[0]`, or of the next entry where there is none.
    first: u64,
    /// The key of the last entry that left; before any has, where the ring began.
    floor: K,
}

impl<K: Copy + Ord, T> Ring<K, T> {
    pub(crate) fn new(capacity: NonZeroUsize, floor: K) -> Self {
        Self {
            entries: VecDeque::new(),
            capacity,
            first: 1,
            floor,
        }
    }

    pub(crate) fn capacity(&self) -> NonZeroUsize {
        self.capacity
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

    /// Adds the newest entry; the oldest comes back where there was no place left for both.
    ///
    /// # Panics
    /// Where its key is not above all before it.
    pub(crate) fn push(&mut self, entry: Entry<K, T>) -> Option<Entry<K, T>> {
        assert!(
            entry.key > self.head(),
            "the keys that are published rise strictly"
        );
        let departed = if self.entries.len() == self.capacity.get() {
            self.entries.pop_front()
        } else {
            None
        };
        if let Some(departed) = &departed {
            self.floor = departed.key;
            self.first += 1;
        }
        self.entries.push_back(entry);
        departed
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

    /// The numbers of the entries held that an interest meets, from `number` on.
    pub(crate) fn matching(&self, number: u64, interest: &Interest) -> impl Iterator<Item = u64> {
        let begin = self.index(number).unwrap_or(0).min(self.entries.len());
        (self.first + length(begin)..)
            .zip(self.entries.range(begin..))
            .filter(|(_, entry)| interest.meets(&entry.topics))
            .map(|(number, _)| number)
    }

    /// How many entries from `number` on an interest meets.
    pub(crate) fn count(&self, number: u64, interest: &Interest) -> u64 {
        match interest {
            Interest::All => self.end() - number.clamp(self.first, self.end()),
            Interest::Any(_) => length(self.matching(number, interest).count()),
        }
    }

    /// None where the entry has left.
    fn index(&self, number: u64) -> Option<usize> {
        let index = number.checked_sub(self.first)?;
        Some(usize::try_from(index).unwrap_or(usize::MAX))
    }
}

fn length(entries: usize) -> u64 {
    u64::try_from(entries).expect("a length in memory fits 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(capacity: usize, keys: impl IntoIterator<Item = u32>) -> Ring<u32, ()> {
        let mut ring = Ring::new(NonZeroUsize::new(capacity).expect("not zero"), 100);
        for key in keys {
            ring.push(entry(key));
        }
        ring
    }

    fn entry(key: u32) -> Entry<u32, ()> {
        Entry {
            key,
            topics: [Topic::of(&(key % 2))].into(),
            value: (),
        }
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
        assert_eq!(ring.push(entry(106)).map(|entry| entry.key), Some(101));
        assert_eq!(
            (ring.floor(), ring.head(), ring.departed(), ring.end()),
            (101, 106, 1, 4)
        );
        assert_eq!(ring.entry(1).map(|entry| entry.key), None);
        assert_eq!(ring.entry(2).map(|entry| entry.key), Some(105));
        assert_eq!(ring.entry(4).map(|entry| entry.key), None);
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
    fn matching_entries_are_numbered_and_counted() {
        let ring = ring(4, [101, 102, 103, 104, 105, 106]);
        let odd = Interest::any([Topic::of(&1_u32)]);
        let cases = [
            (0, vec![3, 5], 4),
            (3, vec![3, 5], 4),
            (4, vec![5], 3),
            (6, vec![], 1),
            (7, vec![], 0),
            (90, vec![], 0),
        ];
        for (from, numbers, all) in cases {
            assert_eq!(
                ring.matching(from, &odd).collect::<Vec<_>>(),
                numbers,
                "from {from}"
            );
            assert_eq!(ring.count(from, &odd), length(numbers.len()), "from {from}");
            assert_eq!(ring.count(from, &Interest::All), all, "from {from}");
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
