use std::cell::Cell;

use super::file::{BadIndex, Column, FileIndex};
use crate::format::{Listing, u64_of};

/// Rising positions.
#[derive(Debug)]
pub(super) enum List<'a> {
    Memory(&'a [u64]),
    File(FileList<'a>),
}

impl List<'_> {
    /// The lowest position at or above `from`.
    pub(super) fn first_from(&self, from: u64) -> Result<Option<u64>, BadIndex> {
        match self {
            Self::Memory(list) => {
                let below = list.partition_point(|&position| position < from);
                Ok(list.get(below).copied())
            }
            Self::File(list) => list.get(list.count_below(from)?),
        }
    }

    /// How many positions are at or below this one.
    pub(super) fn count_to(&self, position: u64) -> Result<u64, BadIndex> {
        match self {
            Self::Memory(list) => {
                let count = list.partition_point(|&found| found <= position);
                Ok(u64_of(count))
            }
            Self::File(list) => list.count_below(position.saturating_add(1)),
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
            Self::Memory(list) => list
                .iter()
                .take_while(|&&found| found <= position)
                .for_each(|&found| visit(found)),
            Self::File(list) => {
                for number in 0..count {
                    list.get(number)?.into_iter().for_each(&mut visit);
                }
            }
        }
        Ok(())
    }

    /// The highest position at or below `to`.
    pub(super) fn last_to(&self, to: u64) -> Result<Option<u64>, BadIndex> {
        match self {
            Self::Memory(list) => {
                let count = list.partition_point(|&position| position <= to);
                Ok(list[..count].last().copied())
            }
            Self::File(list) => match list.count_below(to + 1)?.checked_sub(1) {
                Some(last) => list.get(last),
                None => Ok(None),
            },
        }
    }
}

/// Rising positions in the file of an index.
#[derive(Debug)]
pub(super) struct FileList<'a> {
    first: u64,
    postings: Column<'a>,
    begin: u64,
    count: u64,
    /// What was counted last: the next question is mostly about a place near it.
    near: Cell<u64>,
}

impl<'a> FileList<'a> {
    pub(super) fn new(index: &'a FileIndex, listing: &Listing) -> Self {
        Self {
            begin: listing.begin,
            count: listing.count.into(),
            ..Self::empty(index)
        }
    }

    pub(super) fn empty(index: &'a FileIndex) -> Self {
        Self {
            first: index.first(),
            postings: index.postings(),
            begin: 0,
            count: 0,
            near: Cell::new(0),
        }
    }

    fn get(&self, number: u64) -> Result<Option<u64>, BadIndex> {
        if number >= self.count {
            return Ok(None);
        }
        let distance = self.postings.posting(self.begin + number)?;
        Ok(Some(self.first + u64::from(distance)))
    }

    /// How many positions are below this one.
    pub(super) fn count_below(&self, position: u64) -> Result<u64, BadIndex> {
        let is_below = |number| Ok(self.get(number)?.is_some_and(|found| found < position));
        // Invariant: what is before `low` is below, and nothing from `high` on is.
        let (mut low, mut high) = (0, self.count);
        let near = self.near.get();
        if near > 0 && !is_below(near - 1)? {
            high = near - 1;
        } else {
            low = near;
            let mut step = 1;
            while low < high && is_below((low + step).min(high) - 1)? {
                low = (low + step).min(high);
                step *= 2;
            }
            high = high.min(low + step - 1);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if is_below(middle)? {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        self.near.set(low);
        Ok(low)
    }
}
