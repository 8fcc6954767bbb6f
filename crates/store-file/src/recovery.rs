use std::io;
use std::sync::Arc;

use crate::error::{Damage, OpenError};
use crate::format::{Kind, Label, u64_of};
use crate::identity::read_label;
use crate::index::{
    self, FileIndex, Origin, PageCache, Remainder, Sealed, SealedIndex, remainder_name,
};
use crate::notes::Notes;
use crate::parts::Parts;
use crate::scan::{End, Frontier, Scan, Scanned, WholeFrame};
use crate::segment::{self, Growth, Segment, Tail};
use crate::shown::Shown;
use crate::state::State;
use crate::storage::Storage;

/// What opening a store found, and what it did about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Events in the log.
    pub events: u64,
    /// Files of the log.
    pub segments: usize,
    /// Those of them that were read, as far as they have no index. The end of the last one always
    /// is, of the others what has no index, or one that is not theirs.
    pub segments_read: usize,
    /// Events that were read there.
    pub events_read: u64,
    /// Bytes of a commit that was cut off because it had not been written to its end. No
    /// append in it was ever answered.
    pub bytes_cut: u64,
}

/// A log as it was found, ready to be read and written.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) state: State,
    pub(crate) tail: Tail,
    pub(crate) report: Recovery,
}

/// Makes the log known, and its end ready to be written. What has its index in a file is not
/// read.
///
/// # Durability
/// Everything that is in an index is durable on return, and what was cut off is gone for good.
pub(crate) fn recover(
    storage: &dyn Storage,
    indexes: &dyn Storage,
    identity: &Label,
    cache: &Arc<PageCache>,
    growth: Growth,
) -> Result<Recovered, OpenError> {
    let names = storage.list().map_err(OpenError::io("listing", "."))?;
    let mut parts = Parts::of(&names);
    let mut found = Found {
        remainders: parts.open_remainders(storage, identity, cache)?,
        ..Found::default()
    };
    forget_merged(storage, &parts, &found.remainders)?;
    forget_departed(storage, &mut parts, found.next())?;
    let Some((&last, left)) = parts.segments.split_last() else {
        let what = "there is no such file, and so no log";
        let name = segment::name(found.next());
        return Err(OpenError::Damaged(Damage::new(&name, 0, what)));
    };

    for (&first, &next) in left.iter().zip(&parts.segments[1..]) {
        found.refuse_gap(first)?;
        let segment = Arc::new(open_segment(storage, identity, first)?);
        found.take_indexes(indexes, &segment, next, cache);
        if found.next() < next {
            found.read(&segment)?;
        }
        found.segments.push(segment);
    }
    found.refuse_gap(last)?;
    let segment = Arc::new(open_segment(storage, identity, last)?);
    found.take_indexes(indexes, &segment, u64::MAX, cache);
    let mut notes = found.notes()?;
    let scanned = Scan::new(&segment, found.frontier(&segment), &mut notes)?.run()?;
    let last_frame = found.last_frame(&segment);
    let tail = settle(Arc::clone(&segment), &scanned, last_frame, growth)?;
    forget_others(indexes, &found.sealed)?;
    found.segments.push(segment);
    notes
        .dropped
        .be_at_least(found.gone_to(), scanned.index.last());
    let events_read = found.events_read + scanned.index.events();
    let shown = Shown {
        segment: tail.segment.first,
        end: tail.end,
        position: scanned.index.last(),
    };
    let state = State {
        open: scanned.index,
        remainders: found.remainders,
        sealed: found.sealed,
        segments: found.segments,
        notes,
        recent: Arc::default(),
        shown,
    };
    let report = Recovery {
        events: state.last(),
        segments: state.segments.len(),
        segments_read: found.read + 1,
        events_read: u64_of(events_read),
        bytes_cut: match scanned.end {
            End::Clean => 0,
            End::Torn { bytes, .. } => bytes,
        },
    };
    Ok(Recovered {
        state,
        tail,
        report,
    })
}

/// The log as far as it is known, from its beginning.
#[derive(Debug, Default)]
struct Found {
    remainders: Vec<Arc<Remainder>>,
    sealed: Vec<Sealed>,
    /// The segments that were left.
    segments: Vec<Arc<Segment>>,
    /// How many of them had to be read.
    read: usize,
    /// How many events were read in them.
    events_read: usize,
}

impl Found {
    /// The position of the event that comes next.
    fn next(&self) -> u64 {
        self.sealed.last().map_or(self.gone_to(), Sealed::last) + 1
    }

    /// The last position of segments that are gone.
    fn gone_to(&self) -> u64 {
        self.remainders
            .last()
            .map_or(0, |remainder| remainder.last())
    }

    fn refuse_gap(&self, first: u64) -> Result<(), OpenError> {
        let expected = self.next();
        if first == expected {
            return Ok(());
        }
        let what = format!(
            "it begins with position {first}, but position {expected} comes next: events are missing or there twice"
        );
        let damage = Damage::new(&segment::name(first), 0, what);
        Err(OpenError::Damaged(damage))
    }

    /// Takes the indexes of a segment, as far as they follow one another; the next segment begins
    /// with position `end`.
    fn take_indexes(
        &mut self,
        indexes: &dyn Storage,
        segment: &Arc<Segment>,
        end: u64,
        cache: &Arc<PageCache>,
    ) {
        let mut next = segment.first;
        while next < end
            && let Some(index) = FileIndex::open(indexes, segment, next, cache)
            && index.last() < end
        {
            next = index.last() + 1;
            self.sealed.push(Sealed::File(Arc::new(index)));
        }
    }

    /// The last index, where it is of this segment.
    fn last_of(&self, segment: &Segment) -> Option<&Sealed> {
        let last = self.sealed.last();
        last.filter(|sealed| sealed.segment().first == segment.first)
    }

    /// Where the frames of a segment begin that are in no index.
    fn frontier(&self, segment: &Segment) -> Frontier {
        Frontier::after(self.last_of(segment), segment)
    }

    /// Where the last frame of a segment begins that is in an index.
    fn last_frame(&self, segment: &Segment) -> Option<u64> {
        self.last_of(segment).map(Sealed::last_frame)
    }

    /// What the notes came to at the end of what is known. Where an index says it badly, all
    /// segments are read.
    fn notes(&mut self) -> Result<Notes, OpenError> {
        let bad = match Notes::of(&self.remainders, &self.sealed) {
            Ok(notes) => return Ok(notes),
            Err(bad) => bad,
        };
        if let Some(remainder) = self.remainders.iter().find(|it| it.first() == bad.first) {
            return Err(OpenError::Damaged(remainder.damage(bad)));
        }
        self.sealed.clear();
        self.read = 0;
        self.events_read = 0;
        for segment in self.segments.clone() {
            self.read(&segment)?;
        }
        self.notes()
    }

    /// Reads what no index knows of the next segment, which another one follows.
    fn read(&mut self, segment: &Arc<Segment>) -> Result<(), OpenError> {
        let mut notes = self.notes()?;
        let scanned = Scan::new(segment, self.frontier(segment), &mut notes)?.run()?;
        // It was left only once its last commit was durable.
        if let End::Torn { at, .. } = scanned.end {
            let what = "a commit is incomplete, but there is a later segment";
            return Err(OpenError::Damaged(Damage::new(&segment.name, at, what)));
        }
        self.read += 1;
        self.events_read += scanned.index.events();
        let (Some(last_frame), true) = (scanned.last_frame, scanned.index.events() > 0) else {
            // Nothing, or notes alone: the next segment does not follow, and is refused.
            return Ok(());
        };
        let (first, last) = (scanned.index.first(), scanned.index.last());
        self.sealed.push(Sealed::Memory(Arc::new(SealedIndex {
            segment: Arc::clone(segment),
            index: scanned.index,
            noted: notes.noted(first, last),
            last_frame: last_frame.at,
            end: scanned.at,
            origin: Origin::Read,
        })));
        Ok(())
    }
}

/// Removes the remainders that were merged into one before them: the process or the power ended
/// before that was done.
fn forget_merged(
    storage: &dyn Storage,
    parts: &Parts,
    remainders: &[Arc<Remainder>],
) -> Result<(), OpenError> {
    let firsts = parts.remainders.iter();
    let merged = firsts.filter(|&&first| remainders.iter().all(|it| it.first() != first));
    for &first in merged {
        let name = remainder_name(first);
        storage
            .remove(&name)
            .map_err(OpenError::io("removing", &name))?;
    }
    Ok(())
}

/// Removes the segments of which there is a remainder, which was to be done in the same way. A
/// segment is known to end where the next one begins.
fn forget_departed(storage: &dyn Storage, parts: &mut Parts, next: u64) -> Result<(), OpenError> {
    if !parts.segments.contains(&next) {
        // It is no end of a segment: what comes now is refused.
        return Ok(());
    }
    for first in parts.take_departed(next) {
        let name = segment::name(first);
        storage
            .remove(&name)
            .map_err(OpenError::io("removing", &name))?;
    }
    Ok(())
}

/// Removes the indexes that are not of the log as it is: what was merged, and what a repair has
/// left behind, which could fit again by the time it counts.
fn forget_others(indexes: &dyn Storage, sealed: &[Sealed]) -> Result<(), OpenError> {
    let names = indexes
        .list()
        .map_err(OpenError::io("listing", "indexes"))?;
    let is_known = |first: u64| {
        let found = sealed.binary_search_by_key(&first, Sealed::first);
        found.is_ok_and(|number| matches!(sealed[number], Sealed::File(_)))
    };
    let mut are_gone = false;
    for name in names {
        if index::first_in(&name).is_some_and(|first| !is_known(first)) {
            indexes
                .remove(&name)
                .map_err(OpenError::io("removing", &name))?;
            are_gone = true;
        }
    }
    if are_gone {
        indexes
            .sync()
            .map_err(OpenError::io("syncing", "indexes"))?;
    }
    Ok(())
}

fn open_segment(storage: &dyn Storage, identity: &Label, first: u64) -> Result<Segment, OpenError> {
    let name = segment::name(first);
    let file = storage
        .open(&name)
        .map_err(OpenError::io("opening", &name))?;
    let label = read_label(&*file, Kind::Segment, &name)?;
    // The epoch may be another: a repair gives the log a new one, and leaves the segments.
    if (label.store, label.first) != (identity.store, first) {
        let what = "its label is of another store or another place in the log";
        return Err(OpenError::Damaged(Damage::new(&name, 0, what)));
    }
    Ok(Segment::new(&label, file))
}

/// Makes the end of the log what scanning found it to be. What an index has, from before, was
/// durable when that was made; its last frame begins at `indexed`.
fn settle(
    segment: Arc<Segment>,
    scanned: &Scanned,
    indexed: Option<u64>,
    growth: Growth,
) -> Result<Tail, OpenError> {
    let name = segment.name.clone();
    let last_frame = scanned.last_frame.as_ref().map(|frame| frame.at);
    let last_frame = last_frame.or(indexed);
    match (scanned.end, &scanned.last_frame) {
        (End::Torn { at, .. }, _) => {
            segment
                .file
                .set_length(at)
                .and_then(|()| segment.file.sync())
                .map_err(OpenError::io("cutting an incomplete commit off", &name))?;
            Ok(Tail::of_recovered(segment, at, last_frame, at, growth))
        }
        (End::Clean, whole) => {
            // The system may show what it failed to write: a sync that failed leaves the bytes
            // in its cache, marked as written. Writing them again makes the next sync mean them.
            // They are those that were found whole: it may have dropped its own since.
            // Without a frame to write, it is the zeros behind the end that are not durable where
            // the process ended while it made space.
            let made_durable = match whole {
                Some(frame) => rewrite(&segment, frame),
                None => segment.file.sync(),
            };
            made_durable.map_err(OpenError::io("making durable", &name))?;
            Ok(Tail::of_recovered(
                segment,
                scanned.at,
                last_frame,
                scanned.length,
                growth,
            ))
        }
    }
}

fn rewrite(segment: &Segment, frame: &WholeFrame) -> io::Result<()> {
    segment.file.write_at(&frame.bytes, frame.at)?;
    segment.file.sync()
}
