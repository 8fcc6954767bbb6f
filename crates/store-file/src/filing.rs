use std::io;
use std::sync::{Arc, MutexGuard};

use crate::index::{FileIndex, Sealed, SealedIndex, write};
use crate::segment::Segment;
use crate::state::State;
use crate::work::Place;

/// Files of indexes that may wait to be merged. Where upkeep fails, or takes long, indexes stay in
/// memory from then on: each file is open, and a process may have so many.
pub(crate) const MOST_UNMERGED: usize = 64;

/// Whether there is an index that the writer has sealed and that has no file, and may have one.
pub(crate) fn is_due(state: &State) -> bool {
    next(state).is_some()
}

/// The first of them.
fn next(state: &State) -> Option<&Arc<SealedIndex>> {
    let filed = state.sealed.len() - state.unfiled().count();
    let first = state.unfiled().last();
    first.filter(|_| filed < state.segments.len() + MOST_UNMERGED)
}

/// Puts the first of them into a file.
///
/// They are taken in their order, so that no version that is remembered as recent is older than
/// what a file says.
pub(crate) fn step(place: &Place, _turn: MutexGuard<'_, ()>) -> io::Result<bool> {
    let first = next(&place.log.read()).map(Arc::clone);
    let Some(sealed) = first else {
        return Ok(false);
    };
    let filed = file(place, &sealed)?;
    place.log.recent().put(sealed.index.versions());
    let old = Sealed::Memory(sealed);
    place.log.write().replace(&[old], filed);
    Ok(true)
}

/// Writes the file of an index.
pub(crate) fn file(place: &Place, sealed: &SealedIndex) -> io::Result<Sealed> {
    write(&*place.indexes, sealed)?;
    open(place, &sealed.segment, sealed.index.first())
}

/// The index in a file that was just written.
pub(crate) fn open(place: &Place, segment: &Arc<Segment>, first: u64) -> io::Result<Sealed> {
    FileIndex::open(&*place.indexes, segment, first, place.log.cache())
        .map(|index| Sealed::File(Arc::new(index)))
        .ok_or_else(|| io::Error::other("an index is not as it was written"))
}
