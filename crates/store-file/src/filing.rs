use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::format::Label;
use crate::index::{
    self, FileIndex, MergeError, Remainder, Sealed, SealedIndex, due, merge, remainder_name, write,
    write_remainder,
};
use crate::log::SharedLog;
use crate::segment::{self, Segment};
use crate::state::State;
use crate::storage::Storage;
use crate::sweep::Sweep;

/// Where the files are that are worked on beside the writer, and what they are of.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The store's own directory.
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) indexes: Arc<dyn Storage>,
    pub(crate) identity: Label,
    pub(crate) log: Arc<SharedLog>,
    /// Indexes of one segment that are merged at a time while it is written to.
    pub(crate) fan: usize,
    /// Held by the one who works on the files.
    pub(crate) work: Arc<Mutex<()>>,
    /// Where the store compacts itself.
    pub(crate) sweep: Option<Arc<Sweep>>,
}

impl Place {
    /// Waits until nobody else works on the files.
    pub(crate) fn alone(&self) -> MutexGuard<'_, ()> {
        self.work
            .lock()
            .expect("no code panics while it works on the files")
    }
}

/// Work on the files of indexes, and of segments that were left. Nobody waits for it: what is
/// there serves as well, and where the process ends first it is done again.
#[derive(Debug)]
pub(crate) struct Filing {
    place: Place,
}

#[derive(Debug)]
enum Task {
    /// Put an index into a file.
    File(Arc<SealedIndex>),
    /// Make one index of several of one segment.
    Merge(Vec<Arc<FileIndex>>),
    /// Remove the segments that have these indexes, for all their events were dropped.
    Remove(Vec<Arc<FileIndex>>),
}

impl Filing {
    /// What is to be done next.
    pub(crate) fn next(place: &Place) -> Option<Self> {
        let state = place.log.read();
        let is_due = |sweep: &Arc<Sweep>| sweep.is_due(&state);
        let is_work =
            Task::next(&state, place.fan).is_some() || place.sweep.as_ref().is_some_and(is_due);
        is_work.then(|| Self {
            place: place.clone(),
        })
    }

    /// Does it, and then what is next, until there is nothing to be done.
    ///
    /// # Errors
    /// As of `run`; the rest is not begun.
    pub(crate) fn run_all(self) -> io::Result<()> {
        let place = self.place.clone();
        let mut next = Some(self);
        while let Some(filing) = next {
            filing.run()?;
            next = Self::next(&place);
        }
        Ok(())
    }

    /// Does it, and lets readers use what comes of it.
    ///
    /// # Errors
    /// Of the medium. It is no failure of the log: the indexes stay as they are.
    pub(crate) fn run(self) -> io::Result<()> {
        let alone = self.place.alone();
        // Another may have done it meanwhile.
        let task = Task::next(&self.place.log.read(), self.place.fan);
        match task {
            None => {
                drop(alone);
                if let Some(sweep) = &self.place.sweep {
                    sweep.step(&self.place);
                }
                Ok(())
            }
            Some(Task::File(sealed)) => self.file(&sealed),
            Some(Task::Merge(parts)) => self.merge(&parts),
            Some(Task::Remove(indexes)) => self.remove(&indexes),
        }
    }

    fn file(&self, sealed: &Arc<SealedIndex>) -> io::Result<()> {
        write(&*self.place.indexes, sealed)?;
        let filed = self.open(&sealed.segment, sealed.index.first())?;
        let old = Sealed::Memory(Arc::clone(sealed));
        // One that was made again, with later ones in files, has versions that are not the last.
        let is_latest = {
            let state = self.place.log.read();
            let later = state.sealed.iter().rev();
            let mut later = later.take_while(|later| !later.is(&old));
            later.all(|later| matches!(later, Sealed::Memory(_)))
        };
        if is_latest {
            self.place.log.recent().put(sealed.index.versions());
        }
        self.place.log.write().replace(&[old], filed);
        Ok(())
    }

    fn merge(&self, parts: &[Arc<FileIndex>]) -> io::Result<()> {
        match merge(&*self.place.indexes, parts) {
            Ok(()) => {}
            Err(MergeError::Io(error)) => return Err(error),
            Err(MergeError::Bad(bad)) => {
                return self.place.log.mend(bad).map_err(io::Error::other);
            }
        }
        // Its name has to be durable before the others go, or they would be made again.
        self.place.indexes.sync()?;
        let merged = self.open(parts[0].segment(), parts[0].first())?;
        let old: Vec<Sealed> = parts.iter().cloned().map(Sealed::File).collect();
        if self.place.log.write().replace(&old, merged) {
            for part in &parts[1..] {
                self.place.indexes.remove(&index::name(part.first()))?;
            }
        }
        Ok(())
    }

    /// What must stay goes into a remainder first. It is durable, name and all, before a segment
    /// goes.
    fn remove(&self, indexes: &[Arc<FileIndex>]) -> io::Result<()> {
        let Place {
            storage,
            identity,
            log,
            ..
        } = &self.place;
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
            drop(self.place.indexes.remove(&index::name(index.first())));
        }
        storage.sync()
    }

    fn open(&self, segment: &Arc<Segment>, first: u64) -> io::Result<Sealed> {
        FileIndex::open(&*self.place.indexes, segment, first, self.place.log.cache())
            .map(|index| Sealed::File(Arc::new(index)))
            .ok_or_else(|| io::Error::other("an index is not as it was written"))
    }
}

impl Task {
    /// Indexes in memory first; then, of a segment that was left, all, and of the one that is
    /// written to, as many as `fan`.
    fn next(state: &State, fan: usize) -> Option<Self> {
        let departing = state.departing();
        if !departing.is_empty() {
            return Some(Self::Remove(departing));
        }
        let mut in_memory = state.sealed.iter().filter_map(Sealed::in_memory);
        if let Some(sealed) = in_memory.next() {
            return Some(Self::File(Arc::clone(sealed)));
        }
        let open = state.segments.last()?.first;
        let sealed = &state.sealed;
        let mut of_segments =
            sealed.chunk_by(|one, other| one.segment().first == other.segment().first);
        of_segments.find_map(|parts| {
            let due = if parts[0].segment().first == open {
                let events = parts.iter().map(|part| part.last() + 1 - part.first());
                due(&events.collect::<Vec<_>>(), fan)?
            } else {
                (parts.len() > 1).then_some(0..parts.len())?
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
