use std::io;
use std::sync::{Arc, MutexGuard};

use crate::filing::{file, open};
use crate::index::{
    self, FileIndex, MergeError, Remainder, Sealed, SealedIndex, due, merge, remainder_name,
    write_remainder,
};
use crate::segment;
use crate::state::State;
use crate::work::Place;

#[derive(Debug)]
enum Task {
    /// Put an index into a file that was made again.
    File(Arc<SealedIndex>),
    /// Make one index of several of one segment.
    Merge(Vec<Arc<FileIndex>>),
    /// Remove the segments that have these indexes, for all their events were dropped.
    Remove(Vec<Arc<FileIndex>>),
}

/// Whether anything is to be done.
pub(crate) fn is_due(place: &Place, state: &State) -> bool {
    let is_due = |sweep| crate::sweep::Sweep::is_due(sweep, state);
    Task::next(state, place.fan).is_some() || place.sweep.as_deref().is_some_and(is_due)
}

/// Does what is next. The turn is over before a segment is rewritten, which takes one of its own.
pub(crate) fn step(place: &Place, turn: MutexGuard<'_, ()>) -> io::Result<bool> {
    let task = Task::next(&place.log.read(), place.fan);
    match task {
        None => {
            drop(turn);
            let swept = place.sweep.as_ref().map(|sweep| sweep.step(place));
            return Ok(swept.unwrap_or(false));
        }
        Some(Task::File(sealed)) => {
            let filed = file(place, &sealed)?;
            // Versions of its streams are not put among the recent ones: there may be later ones.
            let old = Sealed::Memory(sealed);
            place.log.write().replace(&[old], filed);
        }
        Some(Task::Merge(parts)) => merge_parts(place, &parts)?,
        Some(Task::Remove(indexes)) => remove(place, &indexes)?,
    }
    Ok(true)
}

fn merge_parts(place: &Place, parts: &[Arc<FileIndex>]) -> io::Result<()> {
    match merge(&*place.indexes, parts) {
        Ok(()) => {}
        Err(MergeError::Io(error)) => return Err(error),
        Err(MergeError::Bad(bad)) => return place.log.mend(bad).map_err(io::Error::other),
    }
    // Its name has to be durable before the others go, or they would be made again.
    place.indexes.sync()?;
    let merged = open(place, parts[0].segment(), parts[0].first())?;
    let old: Vec<Sealed> = parts.iter().cloned().map(Sealed::File).collect();
    if place.log.write().replace(&old, merged) {
        for part in &parts[1..] {
            place.indexes.remove(&index::name(part.first()))?;
        }
    }
    Ok(())
}

/// What must stay goes into a remainder first. It is durable, name and all, before a segment goes.
fn remove(place: &Place, indexes: &[Arc<FileIndex>]) -> io::Result<()> {
    let Place {
        storage,
        identity,
        log,
        ..
    } = place;
    let before = log.read().remainders.clone();
    let bytes = indexes.iter().map(|index| index.bytes()).sum();
    let kept = count_kept(&before, bytes);
    let (kept, merged) = before.split_at(kept);
    match write_remainder(&**storage, identity, merged, indexes) {
        Ok(()) => {}
        Err(MergeError::Io(error)) => return Err(error),
        Err(MergeError::Bad(bad)) => return log.mend(bad).map_err(io::Error::other),
    }
    storage.sync()?;
    let first = merged
        .first()
        .map_or(indexes[0].first(), |first| first.first());
    let remainder =
        Remainder::open(&**storage, identity, first, log.cache()).map_err(io::Error::other)?;
    let remainders = kept.iter().cloned().chain([Arc::new(remainder)]);
    let gone = log.write().depart(indexes, remainders.collect());
    for segment in gone {
        storage.remove(&segment::name(segment.first))?;
    }
    for remainder in merged.iter().skip(1) {
        storage.remove(&remainder_name(remainder.first()))?;
    }
    for index in indexes {
        // One that stays is removed on opening.
        drop(place.indexes.remove(&index::name(index.first())));
    }
    storage.sync()
}

impl Task {
    /// Segments that go first; then indexes that were made again; then, of a segment that was left,
    /// all its indexes, and of the one that is written to, as many as `fan`. Those that are on
    /// their way to their first file are not waited for.
    fn next(state: &State, fan: usize) -> Option<Self> {
        let departing = state.departing();
        if !departing.is_empty() {
            return Some(Self::Remove(departing));
        }
        let unfiled = state.unfiled().count();
        let (sealed, unfiled) = state.sealed.split_at(state.sealed.len() - unfiled);
        if let Some(sealed) = sealed.iter().find_map(Sealed::in_memory) {
            return Some(Self::File(Arc::clone(sealed)));
        }
        let open = state.segments.last()?.first;
        let unfiled = unfiled.first().map(|index| index.segment().first);
        let mut of_segments =
            sealed.chunk_by(|one, other| one.segment().first == other.segment().first);
        of_segments.find_map(|parts| {
            let segment = parts[0].segment().first;
            let due = if segment == open {
                let events = parts.iter().map(|part| part.last() + 1 - part.first());
                due(&events.collect::<Vec<_>>(), fan)?
            } else {
                (parts.len() > 1 && unfiled != Some(segment)).then_some(0..parts.len())?
            };
            let parts = parts[due].iter().filter_map(Sealed::in_file).cloned();
            Some(Self::Merge(parts.collect()))
        })
    }
}

/// How many of the remainders stay as they are, where what so many bytes of indexes hold is to be
/// kept: each that stays is at least twice as large as the next, so that they are few, and what is
/// in one is written again but for each doubling of what comes after it.
fn count_kept(remainders: &[Arc<Remainder>], mut bytes: u64) -> usize {
    let mut kept = remainders.len();
    while let Some(last) = kept.checked_sub(1)
        && remainders[last].bytes() < 2 * bytes
    {
        bytes += remainders[last].bytes();
        kept = last;
    }
    kept
}
