use std::hash::Hash;

use bytes::Bytes;
use eventwire_store::{Category, EventType, StreamName, Tag, Version};
use foldhash::HashMap;

/// The positions of the events of each key.
#[derive(Debug)]
pub(super) struct Postings<K> {
    lists: HashMap<K, Vec<u64>>,
}

/// A name that can be kept for long.
pub(super) trait Name: Eq + Hash + Sized {
    /// The same name on bytes of its own: a name read from the log is a slice of a large
    /// buffer, and one from a caller of a request, which keeping it would keep.
    fn detached(&self) -> Self;
}

macro_rules! name {
    ($($name:ident),*) => {$(
        impl Name for $name {
            fn detached(&self) -> Self {
                let bytes = Bytes::copy_from_slice(self.as_str().as_bytes());
                Self::from_bytes(bytes).expect("the bytes of a name are a name")
            }
        }
    )*};
}

name!(StreamName, Category, EventType, Tag);

impl<K> Default for Postings<K> {
    fn default() -> Self {
        Self {
            lists: HashMap::default(),
        }
    }
}

impl<K: Name> Postings<K> {
    pub(super) fn push(&mut self, key: &K, position: u64) {
        match self.lists.get_mut(key) {
            Some(list) => list.push(position),
            None => {
                self.lists.insert(key.detached(), vec![position]);
            }
        }
    }

    pub(super) fn list(&self, key: &K) -> &[u64] {
        self.lists.get(key).map_or(&[], Vec::as_slice)
    }

    /// All keys with their positions.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &[u64])> {
        self.lists.iter().map(|(key, list)| (key, list.as_slice()))
    }
}

/// The positions of the events of each stream in an index, and a short number for each stream.
///
/// Invariant: `numbers` maps the name of `entries[n]` to `n`, and nothing else. No version is
/// left out, so an event's version is its place in its stream's list, after those `before`.
#[derive(Debug, Default)]
pub(super) struct Streams {
    numbers: HashMap<StreamName, StreamNumber>,
    entries: Vec<Entry>,
}

/// A stream, counted from 1 in the order in which they began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StreamNumber(std::num::NonZeroU32);

#[derive(Debug)]
struct Entry {
    name: StreamName,
    /// The stream's version before this index.
    before: u64,
    positions: Vec<u64>,
}

impl Streams {
    /// Puts an event in; `before` counts where it is its stream's first in this index.
    pub(super) fn push(
        &mut self,
        name: &StreamName,
        position: u64,
        before: u64,
    ) -> (StreamNumber, Version) {
        let number = self.number(name, before);
        let entry = &mut self.entries[number.index()];
        entry.positions.push(position);
        (number, entry.version())
    }

    fn number(&mut self, name: &StreamName, before: u64) -> StreamNumber {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let name = name.detached();
        self.entries.push(Entry {
            name: name.clone(),
            before,
            positions: Vec::new(),
        });
        let number = StreamNumber::of_count(self.entries.len());
        self.numbers.insert(name, number);
        number
    }

    /// The version of a stream's last event, if it is in this index.
    pub(super) fn version(&self, name: &StreamName) -> Option<Version> {
        let number = self.numbers.get(name)?;
        Some(self.entries[number.index()].version())
    }

    pub(super) fn list(&self, name: &StreamName) -> &[u64] {
        self.numbers
            .get(name)
            .map_or(&[], |number| &self.entries[number.index()].positions)
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
        &self.entries[number.index()].name
    }

    /// The name of a stream, and the version of the event it has at a position.
    pub(super) fn place(&self, number: StreamNumber, position: u64) -> (StreamName, Version) {
        let entry = &self.entries[number.index()];
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
    fn of_count(count: usize) -> Self {
        let number = u32::try_from(count)
            .ok()
            .and_then(std::num::NonZeroU32::new);
        Self(number.expect("there are between 1 and 2^32 - 1 streams"))
    }

    pub(super) fn index(self) -> usize {
        usize::try_from(self.0.get()).expect("the platform's addresses have 32 bits or more") - 1
    }
}

fn version_of(before: u64, count: usize) -> Version {
    let count = u64::try_from(count).expect("a length fits 64 bits");
    Version::new(before + count).expect("a stream here has an event")
}
