use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;

use super::generations::Generations;
use crate::format::PAGE_BYTES;

/// What the cache of pages may hold.
const CACHE_BYTES: usize = 32 << 20;

/// Pages of a generation.
const GENERATION: usize = CACHE_BYTES / PAGE_BYTES / 2;

/// Pages of indexes that were used of late, checked already.
#[derive(Debug)]
pub(crate) struct PageCache {
    /// By their index and their number.
    pages: Mutex<Generations<(IndexId, u64), Bytes>>,
    next: AtomicU64,
}

/// An index that was opened. Two that have the same name, one after the other, are not the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct IndexId(u64);

impl Default for PageCache {
    fn default() -> Self {
        Self {
            pages: Mutex::new(Generations::of(GENERATION)),
            next: AtomicU64::new(0),
        }
    }
}

impl PageCache {
    /// A new index.
    pub(super) fn register(&self) -> IndexId {
        IndexId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn get(&self, index: IndexId, page: u64) -> Option<Bytes> {
        self.lock().renew((index, page))
    }

    pub(super) fn put(&self, index: IndexId, page: u64, data: Bytes) {
        self.lock().put((index, page), data);
    }

    /// Lets go of the pages of an index that nobody has any more.
    pub(super) fn forget(&self, index: IndexId) {
        self.lock().retain(|&(of, _)| of != index);
    }

    fn lock(&self) -> MutexGuard<'_, Generations<(IndexId, u64), Bytes>> {
        self.pages
            .lock()
            .expect("no code panics while it holds the cache")
    }
}
