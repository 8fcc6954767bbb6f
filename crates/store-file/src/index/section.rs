use std::cell::RefCell;

use bytes::Bytes;

use super::file::{BadIndex, FileIndex};
use super::memory::Slot;
use crate::format::{PAGE_DATA_BYTES, Section, in_memory, u64_of};

/// The width of a slot: where the record begins, its length, and the number of the listing of
/// its stream, counted from 1.
pub(super) const SLOT_BYTES: usize = 16;

/// The pages of an index, of which the last one that was looked at is at hand.
#[derive(Debug)]
struct Pages<'a> {
    index: &'a FileIndex,
    /// Where pages come from.
    load: Load,
    last: RefCell<Option<(u64, Bytes)>>,
}

type Load = fn(&FileIndex, u64) -> Result<Bytes, BadIndex>;

impl<'a> Pages<'a> {
    fn new(index: &'a FileIndex) -> Self {
        Self {
            index,
            load: FileIndex::page,
            last: RefCell::new(None),
        }
    }

    /// The same pages, to be gone through once: what others need stays in the cache.
    fn past_the_cache(self) -> Self {
        Self {
            load: FileIndex::read_page,
            ..self
        }
    }

    /// Looks at the data of a page.
    #[inline]
    fn with<T>(&self, page: u64, look: impl FnOnce(&[u8]) -> T) -> Result<T, BadIndex> {
        if let Some(data) = self.index.mapped_page(page) {
            return data.map(look);
        }
        let mut last = self.last.borrow_mut();
        let data = match &*last {
            Some((number, data)) if *number == page => data,
            _ => &last.insert((page, (self.load)(self.index, page)?)).1,
        };
        Ok(look(data))
    }
}

/// Items of one width, one after the other, none of them on two pages.
#[derive(Debug)]
pub(super) struct Column<'a> {
    pages: Pages<'a>,
    section: Section,
    width: usize,
}

impl<'a> Column<'a> {
    pub(super) fn new(index: &'a FileIndex, section: Section, width: usize) -> Self {
        Self {
            pages: Pages::new(index),
            section,
            width,
        }
    }

    /// The same column, to be gone through once: what others need stays in the cache.
    pub(super) fn past_the_cache(self) -> Self {
        Self {
            pages: self.pages.past_the_cache(),
            ..self
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.section.bytes / u64_of(self.width)
    }

    /// The item with a number.
    pub(super) fn bytes<const WIDTH: usize>(&self, number: u64) -> Result<[u8; WIDTH], BadIndex> {
        debug_assert_eq!(WIDTH, self.width);
        let index = self.pages.index;
        if number >= self.count() {
            return Err(index.bad());
        }
        let per_page = u64_of(PAGE_DATA_BYTES / WIDTH);
        let page = self.section.page + number / per_page;
        let within = in_memory(number % per_page).map_err(|_| index.bad())? * WIDTH;
        let item = self
            .pages
            .with(page, |data| data.get(within..)?.first_chunk().copied())?;
        item.ok_or(index.bad())
    }

    /// The place of an event, as a column of slots has it.
    pub(super) fn slot(&self, number: u64) -> Result<Slot, BadIndex> {
        self.numbered_slot(number).map(|(slot, _)| slot)
    }

    /// The place of an event, and the number of its stream's listing, counted from 1; zero
    /// where it is in none.
    pub(super) fn numbered_slot(&self, number: u64) -> Result<(Slot, u32), BadIndex> {
        let [
            o0,
            o1,
            o2,
            o3,
            o4,
            o5,
            o6,
            o7,
            b0,
            b1,
            b2,
            b3,
            s0,
            s1,
            s2,
            s3,
        ] = self.bytes::<SLOT_BYTES>(number)?;
        let slot = Slot {
            offset: u64::from_le_bytes([o0, o1, o2, o3, o4, o5, o6, o7]),
            bytes: u32::from_le_bytes([b0, b1, b2, b3]),
            stream: None,
        };
        Ok((slot, u32::from_le_bytes([s0, s1, s2, s3])))
    }
}

/// The bytes of a section, wherever its pages end.
#[derive(Debug)]
pub(super) struct SectionBytes<'a> {
    pages: Pages<'a>,
    section: Section,
}

impl<'a> SectionBytes<'a> {
    pub(super) fn new(index: &'a FileIndex, section: Section) -> Self {
        Self {
            pages: Pages::new(index),
            section,
        }
    }

    /// The same bytes, to be gone through once: what others need stays in the cache.
    pub(super) fn past_the_cache(self) -> Self {
        Self {
            pages: self.pages.past_the_cache(),
            ..self
        }
    }

    /// How many bytes lie on the page of a place, from there on.
    pub(super) fn on_page(at: u64) -> u64 {
        u64_of(PAGE_DATA_BYTES) - at % u64_of(PAGE_DATA_BYTES)
    }

    /// The bytes from a place on, in `out`: so many, or fewer where the section ends before.
    pub(super) fn read(&self, at: u64, length: u64, out: &mut Vec<u8>) -> Result<(), BadIndex> {
        out.clear();
        let end = at.saturating_add(length).min(self.section.bytes);
        let mut at = at;
        while at < end {
            let page = self.section.page + at / u64_of(PAGE_DATA_BYTES);
            let within = in_memory(at % u64_of(PAGE_DATA_BYTES)).map_err(|_| self.bad())?;
            let now = Self::on_page(at).min(end - at);
            let length = in_memory(now).map_err(|_| self.bad())?;
            self.pages.with(page, |data| {
                out.extend_from_slice(&data[within..within + length]);
            })?;
            at += now;
        }
        Ok(())
    }

    /// So many bytes from a place on.
    pub(super) fn array<const LENGTH: usize>(&self, at: u64) -> Result<[u8; LENGTH], BadIndex> {
        let mut bytes = Vec::new();
        self.read(at, u64_of(LENGTH), &mut bytes)?;
        bytes.first_chunk().copied().ok_or(self.bad())
    }

    pub(super) fn bad(&self) -> BadIndex {
        self.pages.index.bad()
    }
}
