use std::hash::BuildHasher;

use eventwire_store::StreamName;
use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Streams that were trimmed, in the order of their last changes.
///
/// There may be a million of them, so that each takes little: some 80 bytes, with a name of up to
/// 23.
///
/// Invariant: the numbers of `entries` rise, and, once they are settled, what they were noted behind
/// does not fall. Those that have a stream are in `places`, by the hash of its name, and no two have
/// the same; the others count for nothing.
#[derive(Debug, Default)]
pub(crate) struct ShortenedStreams {
    hasher: RandomState,
    /// Only places, so that the table stays small.
    places: HashTable<u32>,
    entries: Vec<Shortened>,
    /// Whether a change was noted behind an earlier event than the one before it.
    is_unsettled: bool,
}

/// A stream that was trimmed.
#[derive(Debug, Clone)]
pub(crate) struct Shortened {
    /// None where a later change of it has taken the place of this one.
    stream: Option<StreamName>,
    /// Up to where its events were dropped.
    pub(crate) to: u64,
    pub(crate) is_deleted: bool,
    /// When that was last changed.
    pub(crate) last: Change,
}

/// A change of what is dropped.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) number: u64,
    /// The position of the last event before it was noted.
    pub(crate) behind: u64,
}

/// Fewer entries that count for nothing are left where they are.
const FEW: usize = 64;

impl ShortenedStreams {
    /// Makes room for so many more.
    pub(crate) fn reserve(&mut self, more: usize) {
        let Self {
            hasher,
            places,
            entries,
            ..
        } = self;
        entries.reserve(more);
        places.reserve(more, |&place| entries[index(place)].hash(hasher));
    }

    pub(crate) fn get(&self, stream: &StreamName) -> Option<&Shortened> {
        let hash = self.hasher.hash_one(stream);
        let is_it = |&place: &u32| self.entries[index(place)].stream.as_ref() == Some(stream);
        let place = self.places.find(hash, is_it)?;
        Some(&self.entries[index(*place)])
    }

    /// Notes what was dropped of a stream, beside what was before, in a change later than all
    /// others.
    pub(crate) fn shorten(&mut self, stream: StreamName, to: u64, is_deleted: bool, last: Change) {
        debug_assert!(
            self.entries
                .last()
                .is_none_or(|it| it.last.number < last.number)
        );
        let Self {
            hasher,
            places,
            entries,
            is_unsettled,
        } = self;
        let before = entries.last().map_or(0, |it| it.last.behind);
        *is_unsettled |= last.behind < before;
        let mut next = Shortened {
            stream: None,
            to,
            is_deleted,
            last,
        };
        let place = u32::try_from(entries.len()).expect("memory holds fewer streams");
        let hash = hasher.hash_one(&stream);
        let is_it = |&place: &u32| entries[index(place)].stream.as_ref() == Some(&stream);
        let rehash = |&place: &u32| entries[index(place)].hash(hasher);
        match places.entry(hash, is_it, rehash) {
            hashbrown::hash_table::Entry::Occupied(mut found) => {
                let before = &mut entries[index(*found.get())];
                next.to = to.max(before.to);
                next.is_deleted |= before.is_deleted;
                before.stream = None;
                *found.get_mut() = place;
            }
            hashbrown::hash_table::Entry::Vacant(vacant) => drop(vacant.insert(place)),
        }
        next.stream = Some(stream);
        self.entries.push(next);
        if self.entries.len() > 2 * self.places.len() + FEW {
            self.retain(|_| true);
        }
    }

    /// Forgets the others.
    pub(crate) fn retain(&mut self, mut is_kept: impl FnMut(&Shortened) -> bool) {
        let Self {
            hasher,
            places,
            entries,
            ..
        } = self;
        entries.retain(|entry| entry.stream.is_some() && is_kept(entry));
        places.clear();
        let rehash = |&place: &u32| entries[index(place)].hash(hasher);
        for (place, entry) in (0..).zip(entries.iter()) {
            places.insert_unique(entry.hash(hasher), place, rehash);
        }
    }

    /// Puts in order what was taken in twice: where indexes overlap, the later one says again what
    /// the one before it has said.
    pub(crate) fn settle(&mut self) {
        if !std::mem::take(&mut self.is_unsettled) {
            return;
        }
        self.retain(|_| true);
        let mut behind = 0;
        for entry in &mut self.entries {
            behind = behind.max(entry.last.behind);
            entry.last.behind = behind;
        }
    }

    /// All of them, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&StreamName, &Shortened)> {
        named(&self.entries)
    }

    /// Those whose last change comes after the one of a number.
    pub(crate) fn after(&self, number: u64) -> impl Iterator<Item = (&StreamName, &Shortened)> {
        let known = self
            .entries
            .partition_point(|entry| entry.last.number <= number);
        named(&self.entries[known..])
    }

    /// Those whose last change was noted behind the event at a position.
    pub(crate) fn behind(&self, position: u64) -> impl Iterator<Item = (&StreamName, &Shortened)> {
        let before = self
            .entries
            .partition_point(|entry| entry.last.behind < position);
        named(&self.entries[before..])
    }
}

impl Shortened {
    /// The hash of the name, where it counts for something.
    fn hash(&self, hasher: &RandomState) -> u64 {
        self.stream.as_ref().map_or(0, |name| hasher.hash_one(name))
    }
}

fn named(entries: &[Shortened]) -> impl Iterator<Item = (&StreamName, &Shortened)> {
    let entries = entries.iter();
    entries.filter_map(|entry| Some((entry.stream.as_ref()?, entry)))
}

fn index(place: u32) -> usize {
    crate::format::usize_of(place)
}
