use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Entries that are found by their names, numbered from 0 in the order in which they came.
///
/// Invariant: `numbers` holds the number of each entry once, by the hash of its name; no two
/// entries have one name.
#[derive(Debug)]
pub(super) struct Names<E> {
    hasher: RandomState,
    /// Only numbers, so that the table stays small enough for the processor's caches.
    numbers: HashTable<u32>,
    entries: Vec<E>,
}

/// What has a name.
pub(super) trait Named {
    type Name: Hash + Eq;

    fn name(&self) -> &Self::Name;
}

impl<E> Default for Names<E> {
    fn default() -> Self {
        Self {
            hasher: RandomState::default(),
            numbers: HashTable::new(),
            entries: Vec::new(),
        }
    }
}

impl<E: Named> Names<E> {
    /// No entries, with room for as many as these.
    pub(super) fn as_large(&self) -> Self {
        Self {
            hasher: self.hasher.clone(),
            numbers: HashTable::with_capacity(self.entries.len()),
            entries: Vec::with_capacity(self.entries.len()),
        }
    }

    pub(super) fn find(&self, name: &E::Name) -> Option<u32> {
        let hash = self.hasher.hash_one(name);
        let is_it = |&number: &u32| self.entries[index(number)].name() == name;
        self.numbers.find(hash, is_it).copied()
    }

    /// The number of the entry of this name; where there is none, of the one that `begin` makes.
    pub(super) fn find_or_begin(&mut self, name: &E::Name, begin: impl FnOnce() -> E) -> u32 {
        let Self {
            hasher,
            numbers,
            entries,
        } = self;
        let hash = hasher.hash_one(name);
        let is_it = |&number: &u32| entries[index(number)].name() == name;
        let rehash = |&number: &u32| hasher.hash_one(entries[index(number)].name());
        match numbers.entry(hash, is_it, rehash) {
            hashbrown::hash_table::Entry::Occupied(number) => *number.get(),
            hashbrown::hash_table::Entry::Vacant(place) => {
                let number = u32::try_from(entries.len()).expect("an index has fewer names");
                place.insert(number);
                entries.push(begin());
                number
            }
        }
    }

    pub(super) fn get(&self, number: u32) -> &E {
        &self.entries[index(number)]
    }

    pub(super) fn get_mut(&mut self, number: u32) -> &mut E {
        &mut self.entries[index(number)]
    }

    /// All entries, in the order of their numbers.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, E> {
        self.entries.iter()
    }
}

fn index(number: u32) -> usize {
    crate::format::usize_of(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Entry(String);

    impl Named for Entry {
        type Name = String;

        fn name(&self) -> &String {
            &self.0
        }
    }

    #[test]
    fn each_name_has_one_number_however_many_there_are() {
        let mut names = Names::default();
        let text = |number: u32| format!("room-{number}");
        for round in 0..2 {
            for number in 0..1000 {
                let begin = || {
                    assert_eq!(round, 0, "it is there");
                    Entry(text(number))
                };
                assert_eq!(names.find_or_begin(&text(number), begin), number);
            }
        }
        for number in 0..1000 {
            assert_eq!(names.find(&text(number)), Some(number));
            assert_eq!(names.get(number).name(), &text(number));
        }
        assert_eq!(names.find(&text(1000)), None);
        assert_eq!(names.iter().count(), 1000);
        assert_eq!(names.as_large().find(&text(1)), None);
    }
}
