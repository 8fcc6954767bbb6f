use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use foldhash::fast::RandomState;

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
    next: AtomicU64,
}

/// An index that was opened. Two that have the same name, one after the other, are not the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct IndexId(u64);

/// Pages by their index and their number.
type Pages = HashMap<(IndexId, u64), Bytes, RandomState>;

#[derive(Debug, Default)]
struct Generations {
    young: Pages,
    old: Pages,
}

impl PageCache {
    /// A new index.
    pub(super) fn register(&self) -> IndexId {
        IndexId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn get(&self, index: IndexId, page: u64) -> Option<Bytes> {
        let mut generations = self.lock();
        if let Some(data) = generations.young.get(&(index, page)) {
            return Some(data.clone());
        }
        let data = generations.old.remove(&(index, page))?;
        generations.put((index, page), data.clone());
        Some(data)
    }

    pub(super) fn put(&self, index: IndexId, page: u64, data: Bytes) {
        self.lock().put((index, page), data);
    }

    /// Lets go of the pages of an index that nobody has any more.
    pub(super) fn forget(&self, index: IndexId) {
        let Generations { young, old } = &mut *self.lock();
        for pages in [young, old] {
            pages.retain(|&(of, _), _| of != index);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.generations
            .lock()
            .expect("no code panics while it holds the cache")
    }
}

impl Generations {
    fn put(&mut self, key: (IndexId, u64), data: Bytes) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, data);
    }
}
