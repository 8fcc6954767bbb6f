use std::hash::Hash;
use std::num::NonZeroU32;

use eventwire_store::{Category, EventType, StreamName, Tag, Version};

use super::names::{Named, Names};
use crate::format::usize_of;

/// The positions of the events of each name.
#[derive(Debug)]
pub(super) struct Postings<K> {
    lists: Names<List<K>>,
    /// The number of the list that was added to last: the next event is often of the same.
    latest: u32,
}

#[derive(Debug)]
struct List<K> {
    name: K,
    positions: Vec<u64>,
}

/// A name that can be kept for long.
pub(super) trait Name: Eq + Hash + Sized {
    fn detached(&self) -> Self;
}

macro_rules! name {
    ($($name:ident),*) => {$(
        impl Name for $name {
            fn detached(&self) -> Self {
                self.detached()
            }
        }
    )*};
}

name!(StreamName, Category, EventType, Tag);

impl<K: Hash + Eq> Named for List<K> {
    type Name = K;

    #[inline]
    fn name(&self) -> &K {
        &self.name
    }
}

impl<K> Default for Postings<K> {
    fn default() -> Self {
        Self {
            lists: Names::default(),
            latest: 0,
        }
    }
}

impl<K: Name> Postings<K> {
    /// No names, with room for as many as these.
    pub(super) fn as_large(&self) -> Self {
        Self {
            lists: self.lists.as_large(),
            latest: 0,
        }
    }

    pub(super) fn push(&mut self, name: &K, position: u64) {
        let number = self.number(name);
        self.push_at(number, position);
    }

    /// The number of a name that is about to have an event.
    pub(super) fn number(&mut self, name: &K) -> u32 {
        let latest = self.lists.iter().as_slice().get(usize_of(self.latest));
        if latest.is_some_and(|latest| latest.name == *name) {
            return self.latest;
        }
        self.lists.find_or_begin(name, || List {
            name: name.detached(),
            positions: Vec::new(),
        })
    }

    /// Adds to the list with a number.
    pub(super) fn push_at(&mut self, number: u32, position: u64) {
        self.lists.get_mut(number).positions.push(position);
        self.latest = number;
    }

    pub(super) fn list(&self, name: &K) -> &[u64] {
        let number = self.lists.find(name);
        number.map_or(&[], |number| &self.lists.get(number).positions)
    }

    /// All names with their positions.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &[u64])> {
        let lists = self.lists.iter();
        lists.map(|list| (&list.name, list.positions.as_slice()))
    }
}

/// The positions of the events of each stream in an index, and a short number for each stream.
///
/// Invariant: no version is left out, so an event's version is its place in its stream's list,
/// after those `before`.
#[derive(Debug, Default)]
pub(super) struct Streams {
    entries: Names<Entry>,
}

/// A stream, counted from 1 in the order in which they began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamNumber(NonZeroU32);

#[derive(Debug)]
struct Entry {
    name: StreamName,
    /// The stream's version before this index.
    before: u64,
    positions: Vec<u64>,
    /// The number of its category, once an event of it has been put in that is no stub.
    category: Option<u32>,
}

impl Named for Entry {
    type Name = StreamName;

    #[inline]
    fn name(&self) -> &StreamName {
        &self.name
    }
}

impl Streams {
    /// No streams, with room for as many as these.
    pub(super) fn as_large(&self) -> Self {
        Self {
            entries: self.entries.as_large(),
        }
    }

    /// The number of a stream that is about to have an event; `before` counts where it is its
    /// first in this index.
    pub(super) fn number(&mut self, name: &StreamName, before: u64) -> StreamNumber {
        let number = self.entries.find_or_begin(name, || Entry {
            name: name.detached(),
            before,
            positions: Vec::new(),
            category: None,
        });
        StreamNumber::of(number)
    }

    /// Puts an event in, and its category's list.
    pub(super) fn push(
        &mut self,
        number: StreamNumber,
        position: u64,
        categories: &mut Postings<Category>,
    ) -> Version {
        let entry = self.entries.get_mut(number.get());
        let category = *entry
            .category
            .get_or_insert_with(|| categories.number(&entry.name.category()));
        categories.push_at(category, position);
        entry.positions.push(position);
        entry.version()
    }

    /// Puts the stub of an event in.
    pub(super) fn push_stub(&mut self, number: StreamNumber, position: u64) -> Version {
        let entry = self.entries.get_mut(number.get());
        entry.positions.push(position);
        entry.version()
    }

    /// The number of a stream and the version of its last event, if it is in this index.
    pub(super) fn find(&self, name: &StreamName) -> Option<(StreamNumber, Version)> {
        let number = self.entries.find(name)?;
        Some((StreamNumber::of(number), self.entries.get(number).version()))
    }

    pub(super) fn list(&self, name: &StreamName) -> &[u64] {
        let number = self.entries.find(name);
        number.map_or(&[], |number| &self.entries.get(number).positions)
    }

    /// All streams in the order of their numbers: names, versions before, positions.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&StreamName, u64, &[u64])> {
        let entries = self.entries.iter();
        entries.map(|entry| (&entry.name, entry.before, entry.positions.as_slice()))
    }

    /// The name and the last version of each stream.
    pub(super) fn versions(&self) -> impl Iterator<Item = (StreamName, Version)> {
        let entries = self.entries.iter();
        entries.map(|entry| (entry.name.clone(), entry.version()))
    }

    /// The name of a stream.
    pub(super) fn name(&self, number: StreamNumber) -> &StreamName {
        &self.entries.get(number.get()).name
    }

    /// The name of a stream, and the version of the event it has at a position.
    pub(super) fn place(&self, number: StreamNumber, position: u64) -> (StreamName, Version) {
        let entry = self.entries.get(number.get());
        let count = entry.positions.partition_point(|&at| at <= position);
        (entry.name.clone(), version_of(entry.before, count))
    }
}

impl Entry {
    fn version(&self) -> Version {
        version_of(self.before, self.positions.len())
    }
}

impl StreamNumber {
    fn of(number: u32) -> Self {
        let number = number.checked_add(1).and_then(NonZeroU32::new);
        Self(number.expect("there are fewer than 2^32 - 1 streams"))
    }

    /// Counted from 0.
    fn get(self) -> u32 {
        self.0.get() - 1
    }

    pub(super) fn index(self) -> usize {
        usize_of(self.get())
    }
}

fn version_of(before: u64, count: usize) -> Version {
    let count = u64::try_from(count).expect("a length fits 64 bits");
    Version::new(before + count).expect("a stream here has an event")
}
