use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;

use crate::format::PAGE_BYTES;

/// What the cache of pages may hold.
const CACHE_BYTES: usize = 32 << 20;

/// Pages of a generation.
const GENERATION: usize = CACHE_BYTES / PAGE_BYTES / 2;

/// Pages of indexes that were used of late, checked already.
///
/// Two generations: a page that is used moves to the young one; when that is full it becomes
/// the old one, and what was old is let go.
#[derive(Debug, Default)]
pub(crate) struct PageCache {
    generations: Mutex<Generations>,
}

/// Pages by the first position of their segment and their number.
type Pages = HashMap<(u64, u64), Bytes>;

#[derive(Debug, Default)]
struct Generations {
    young: Pages,
    old: Pages,
}

impl PageCache {
    pub(super) fn get(&self, segment: u64, page: u64) -> Option<Bytes> {
        let mut generations = self.lock();
        if let Some(data) = generations.young.get(&(segment, page)) {
            return Some(data.clone());
        }
        let data = generations.old.remove(&(segment, page))?;
        generations.put((segment, page), data.clone());
        Some(data)
    }

    pub(super) fn put(&self, segment: u64, page: u64, data: Bytes) {
        self.lock().put((segment, page), data);
    }

    /// Lets go of the pages of an index that is replaced.
    pub(crate) fn forget(&self, segment: u64) {
        let Generations { young, old } = &mut *self.lock();
        for pages in [young, old] {
            pages.retain(|&(of, _), _| of != segment);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.generations
            .lock()
            .expect("no code panics while it holds the cache")
    }
}

impl Generations {
    fn put(&mut self, key: (u64, u64), data: Bytes) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, data);
    }
}
