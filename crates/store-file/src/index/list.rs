use std::cell::{Cell, RefCell};

use super::blocks::{BLOCK_POSTINGS, Block, Listed, Posting};
use super::file::{BadIndex, FileIndex};
use super::memory::Slot;
use super::section::SectionBytes;
use crate::format::{Listing, in_memory, u64_of};

/// Rising positions.
#[derive(Debug)]
pub(super) enum List<'a> {
    Memory(MemoryList<'a>),
    File(FileList<'a>),
}

impl List<'_> {
    /// The lowest position at or above `from`.
    #[inline]
    pub(super) fn first_from(&self, from: u64) -> Result<Option<u64>, BadIndex> {
        match self {
            Self::Memory(list) => Ok(list.positions.get(list.count_below(from)).copied()),
            Self::File(list) => list.first_from(from),
        }
    }

    /// How many positions are at or below this one.
    pub(super) fn count_to(&self, position: u64) -> Result<u64, BadIndex> {
        let above = position.saturating_add(1);
        match self {
            Self::Memory(list) => Ok(u64_of(list.count_below(above))),
            Self::File(list) => list.count_below(above),
        }
    }

    /// Visits the positions up to this one.
    pub(super) fn each_to(
        &self,
        position: u64,
        mut visit: impl FnMut(u64),
    ) -> Result<(), BadIndex> {
        let count = self.count_to(position)?;
        match self {
            Self::Memory(list) => {
                let listed = list.positions.iter().copied();
                listed
                    .take_while(|&found| found <= position)
                    .for_each(visit);
            }
            Self::File(list) => {
                for number in 0..count {
                    list.get(number)?.into_iter().for_each(&mut visit);
                }
            }
        }
        Ok(())
    }

    /// The highest position at or below `to`.
    #[inline]
    pub(super) fn last_to(&self, to: u64) -> Result<Option<u64>, BadIndex> {
        match self {
            Self::Memory(list) => {
                let count = list.count_below(to.saturating_add(1));
                Ok(list.positions[..count].last().copied())
            }
            Self::File(list) => match list.count_below(to.saturating_add(1))?.checked_sub(1) {
                Some(last) => list.get(last),
                None => Ok(None),
            },
        }
    }

    /// The place of the event at a position, where the list has it at hand: it was found last.
    #[inline]
    pub(super) fn slot(&self, position: u64) -> Option<Slot> {
        match self {
            Self::Memory(_) => None,
            Self::File(list) => list.slot(position),
        }
    }
}

/// Rising positions in memory.
#[derive(Debug)]
pub(super) struct MemoryList<'a> {
    positions: &'a [u64],
    /// What was counted last: the next question is mostly about a place near it.
    near: Cell<usize>,
}

impl<'a> MemoryList<'a> {
    pub(super) fn new(positions: &'a [u64]) -> Self {
        Self {
            positions,
            near: Cell::new(0),
        }
    }

    /// How many positions are below this one.
    fn count_below(&self, position: u64) -> usize {
        let near = self.near.get();
        let is_below = |&found: &u64| found < position;
        let count = match self.positions.get(near..) {
            Some(&[first, ref rest @ ..]) if first < position => match rest {
                [next, ..] if is_below(next) => {
                    near + self.positions[near..].partition_point(is_below)
                }
                _ => near + 1,
            },
            _ => self.positions[..near].partition_point(is_below),
        };
        self.near.set(count);
        count
    }
}

/// Rising positions in the file of an index, read block by block.
#[derive(Debug)]
pub(super) struct FileList<'a> {
    first: u64,
    section: SectionBytes<'a>,
    listed: Listed,
    /// The block that was used last: the next question is mostly about it.
    near: RefCell<Near>,
}

#[derive(Debug, Default)]
struct Near {
    block: Block,
    /// The posting that was asked for last.
    at: usize,
}

impl<'a> FileList<'a> {
    pub(super) fn new(index: &'a FileIndex, listing: &Listing) -> Self {
        Self {
            listed: Listed::new(listing),
            ..Self::empty(index)
        }
    }

    pub(super) fn empty(index: &'a FileIndex) -> Self {
        Self {
            first: index.first(),
            section: index.postings(),
            listed: Listed::EMPTY,
            near: RefCell::default(),
        }
    }

    /// The lowest position at or above `from`.
    #[inline]
    fn first_from(&self, from: u64) -> Result<Option<u64>, BadIndex> {
        let distance = from.saturating_sub(self.first);
        {
            let near = &mut *self.near.borrow_mut();
            // Mostly it is the one after that which was found last.
            if let Some([found, next, ..]) = near.block.postings.get(near.at..)
                && u64::from(found.distance) < distance
                && u64::from(next.distance) >= distance
            {
                near.at += 1;
                return Ok(Some(self.first + u64::from(next.distance)));
            }
        }
        self.get(self.count_below(from)?)
    }

    /// Visits the positions from `from` to `to`, both included, with the places of their events.
    /// Stops with the first that is refused, and says which.
    pub(super) fn each_from(
        &self,
        from: u64,
        to: u64,
        mut take: impl FnMut(u64, Slot) -> bool,
    ) -> Result<Option<u64>, BadIndex> {
        let mut number = self.count_below(from)?;
        while number < self.listed.count {
            let near = &mut *self.near.borrow_mut();
            self.stand_on(near, number / BLOCK_POSTINGS)?;
            let within = in_memory(number % BLOCK_POSTINGS).map_err(|_| self.section.bad())?;
            for posting in near.block.postings.get(within..).unwrap_or_default() {
                let position = self.first + u64::from(posting.distance);
                if position > to {
                    return Ok(None);
                }
                if !take(position, posting.slot()) {
                    return Ok(Some(position));
                }
            }
            number = (number / BLOCK_POSTINGS + 1) * BLOCK_POSTINGS;
        }
        Ok(None)
    }

    /// The position with a number.
    fn get(&self, number: u64) -> Result<Option<u64>, BadIndex> {
        if number >= self.listed.count {
            return Ok(None);
        }
        let near = &mut *self.near.borrow_mut();
        self.stand_on(near, number / BLOCK_POSTINGS)?;
        near.at = in_memory(number % BLOCK_POSTINGS).map_err(|_| self.section.bad())?;
        let posting = near.block.postings.get(near.at);
        let distance = posting.ok_or(self.section.bad())?.distance;
        Ok(Some(self.first + u64::from(distance)))
    }

    #[inline]
    fn slot(&self, position: u64) -> Option<Slot> {
        let near = self.near.borrow();
        let posting = near.block.postings.get(near.at)?;
        let is_it = self.first + u64::from(posting.distance) == position;
        is_it.then(|| posting.slot())
    }

    /// How many positions are below this one.
    pub(super) fn count_below(&self, position: u64) -> Result<u64, BadIndex> {
        let distance = position.saturating_sub(self.first);
        if self.listed.count == 0 {
            return Ok(0);
        }
        let near = &mut *self.near.borrow_mut();
        let is_below = |posting: &Posting| u64::from(posting.distance) < distance;
        let number = self.block_of(near, distance)?;
        self.stand_on(near, number)?;
        let within = near.block.postings.partition_point(is_below);
        Ok(number * BLOCK_POSTINGS + u64_of(within))
    }

    /// The last block that begins at or below a distance; the first where none does.
    fn block_of(&self, near: &Near, distance: u64) -> Result<u64, BadIndex> {
        let blocks = self.listed.blocks();
        if let (Some(first), Some(last)) = (near.block.postings.first(), near.block.postings.last())
            && u64::from(first.distance) <= distance
            && distance <= u64::from(last.distance)
        {
            return Ok(near.block.number);
        }
        if blocks == 1 {
            return Ok(0);
        }
        let begins_within = |number| {
            let first = self.listed.first_of(&self.section, number)?;
            Ok(u64::from(first) <= distance)
        };
        // Invariant: the block is not before `low`, and before `high`.
        let (mut low, mut high) = (0, blocks);
        let number = near.block.number;
        if number > 0 && !begins_within(number)? {
            high = number;
        } else {
            low = number;
            let mut step = 1;
            while low + step < high {
                if !begins_within(low + step)? {
                    high = low + step;
                    break;
                }
                low += step;
                step *= 2;
            }
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if begins_within(middle)? {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Has the block with a number at hand.
    #[inline]
    fn stand_on(&self, near: &mut Near, number: u64) -> Result<(), BadIndex> {
        if near.block.postings.is_empty() || near.block.number != number {
            near.at = 0;
            self.listed.load(&self.section, number, &mut near.block)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Noted;
    use crate::index::term::Term;
    use crate::index::{MemoryIndex, Origin, PageCache, SealedIndex, write};
    use crate::segment::{FRAMES_FROM, Segment};
    use crate::storage::simulated::Simulated;
    use eventwire_store::{EventRef, EventType};
    use proptest::prelude::*;
    use std::sync::Arc;

    const FIRST: u64 = 1000;

    /// The index of events of which some are of a type, as a file.
    fn filed(medium: &Simulated, are_of_type: &[bool], lengths: &[u32]) -> FileIndex {
        let mut index = MemoryIndex::new(FIRST);
        let mut offset = 64;
        for (is_of_type, &bytes) in are_of_type.iter().zip(lengths.iter().cycle()) {
            let event = EventRef {
                stream: None,
                event_type: &EventType::new(if *is_of_type { "it" } else { "other" }).unwrap(),
                tags: &[],
            };
            index.push(event, 0, offset, bytes);
            offset += u64::from(bytes) + 56;
        }
        let segment = Arc::new(Segment::for_index(medium, FIRST));
        let sealed = SealedIndex {
            segment: Arc::clone(&segment),
            end: 0,
            origin: Origin::Appended,
            index,
            noted: Noted::default(),
            last_frame: FRAMES_FROM,
        };
        write(medium, &sealed).unwrap();
        let cache = Arc::new(PageCache::default());
        FileIndex::open(medium, &segment, FIRST, &cache).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Lists of no, one and many blocks, on one page and on several, asked in any order.
        #[test]
        fn a_list_in_a_file_is_the_list_that_was_written(
            share in 0.0..1.0f64,
            are_of_type in proptest::collection::vec(0.0..1.0f64, 1..2000),
            lengths in proptest::collection::vec(52u32..5_000_000, 1..9),
            asked in proptest::collection::vec(0u64..2010, 1..60),
        ) {
            let are_of_type: Vec<bool> = are_of_type.iter().map(|at| *at < share).collect();
            let medium = Simulated::new(3);
            let index = filed(&medium, &are_of_type, &lengths);
            let positions: Vec<u64> = (FIRST..)
                .zip(&are_of_type)
                .filter_map(|(position, is_it)| is_it.then_some(position))
                .collect();
            let name = EventType::new("it").unwrap();
            let file = List::File(index.list(Term::Type(&name)).unwrap());
            let memory = List::Memory(MemoryList::new(&positions));
            for list in [&file, &memory] {
                for at in &asked {
                    let at = FIRST + at - 5;
                    let below = positions.partition_point(|&position| position < at);
                    let found = list.first_from(at).unwrap();
                    prop_assert_eq!(found, positions.get(below).copied());
                    if let (Some(found), List::File(_)) = (found, list) {
                        let slot = list.slot(found).expect("it was found last");
                        let expected = index.slots().slot(found - FIRST).unwrap();
                        prop_assert_eq!((slot.offset, slot.bytes), (expected.offset, expected.bytes));
                        prop_assert!(list.slot(found + 1).is_none());
                    }
                    let to = positions.partition_point(|&position| position <= at);
                    prop_assert_eq!(list.count_to(at).unwrap(), u64_of(to));
                    prop_assert_eq!(list.last_to(at).unwrap(), positions[..to].last().copied());
                }
                let mut all = Vec::new();
                list.each_to(u64::MAX, |position| all.push(position)).unwrap();
                prop_assert_eq!(&all, &positions);
            }
        }
    }
}
