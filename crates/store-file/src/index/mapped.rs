use std::sync::atomic::{AtomicBool, Ordering};

use crate::format::{PAGE_BYTES, PAGE_DATA_BYTES, Seed, checked_page};
use crate::storage::Mapping;

/// The pages of an index that is mapped. Each is checked when it is first looked at, and needs no
/// place in the cache.
#[derive(Debug)]
pub(super) struct MappedPages {
    mapping: Mapping,
    /// Which pages are as they were written.
    are_whole: Box<[AtomicBool]>,
}

impl MappedPages {
    pub(super) fn new(mapping: Mapping) -> Self {
        let pages = mapping.as_ref().len() / PAGE_BYTES;
        Self {
            mapping,
            are_whole: (0..pages).map(|_| AtomicBool::new(false)).collect(),
        }
    }

    /// The data of a page; none where it is not as it was written.
    pub(super) fn get(&self, number: u64, place: u64, seed: Seed) -> Option<&[u8]> {
        let number = usize::try_from(number).ok()?;
        let is_whole = self.are_whole.get(number)?;
        let (pages, _) = self.mapping.as_ref().as_chunks::<PAGE_BYTES>();
        let page = pages.get(number)?;
        let data = page.get(..PAGE_DATA_BYTES)?;
        // The bytes do not change: whoever sees the mark sees what was checked.
        if !is_whole.load(Ordering::Relaxed) {
            checked_page(page, place, seed)?;
            is_whole.store(true, Ordering::Relaxed);
        }
        Some(data)
    }
}
