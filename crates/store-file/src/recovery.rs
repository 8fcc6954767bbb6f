use std::io;
use std::sync::Arc;

use crate::error::{Damage, OpenError};
use crate::format::{Kind, Label};
use crate::identity::read_label;
use crate::index::{self, FileIndex, PageCache, Sealed, SealedIndex};
use crate::notes::Notes;
use crate::scan::{End, Scan, Scanned, WholeFrame};
use crate::segment::{self, Growth, Segment, Tail};
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
    /// Those of them that were read. The last one always is, the others where they have no
    /// index, or one that is not theirs.
    pub segments_read: usize,
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

/// Makes the log known, and its end ready to be written. A segment that was left and has its
/// index in a file is not read.
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
    let mut firsts: Vec<u64> = names
        .iter()
        .filter_map(|name| segment::first_in(name))
        .collect();
    firsts.sort_unstable();
    let Some((&last, left)) = firsts.split_last() else {
        let what = "there is no such file, and so no log";
        return Err(OpenError::Damaged(Damage::new(&segment::name(1), 0, what)));
    };

    let mut found = Found::default();
    for &first in left {
        found.refuse_gap(first)?;
        let segment = Arc::new(open_segment(storage, identity, first)?);
        match FileIndex::open(indexes, &segment, cache) {
            Some(index) => found.sealed.push(Sealed::File(Arc::new(index))),
            None => found.read(&segment)?,
        }
        found.segments.push(segment);
    }
    found.refuse_gap(last)?;
    let segment = Arc::new(open_segment(storage, identity, last)?);
    forget_index(indexes, last)?;
    let mut notes = found.notes()?;
    let scanned = Scan::new(&segment, &mut notes)?.run()?;
    found.segments.push(Arc::clone(&segment));
    let tail = settle(segment, &scanned, growth)?;
    let state = State {
        open: scanned.index,
        sealed: found.sealed,
        segments: found.segments,
        notes,
    };
    let report = Recovery {
        events: state.last(),
        segments: state.segments.len(),
        segments_read: found.read + 1,
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

/// The segments that were left, as far as they are known.
#[derive(Debug, Default)]
struct Found {
    sealed: Vec<Sealed>,
    segments: Vec<Arc<Segment>>,
    /// How many had to be read.
    read: usize,
}

impl Found {
    fn refuse_gap(&self, first: u64) -> Result<(), OpenError> {
        let last = self.sealed.last().map_or(0, |sealed| sealed.view().last());
        let expected = last + 1;
        if first == expected {
            return Ok(());
        }
        let what = format!(
            "it begins with position {first}, but position {expected} comes next: events are missing or there twice"
        );
        let damage = Damage::new(&segment::name(first), 0, what);
        Err(OpenError::Damaged(damage))
    }

    /// What the notes in these segments came to. Where an index says it badly, all segments are
    /// read.
    fn notes(&mut self) -> Result<Notes, OpenError> {
        let Some(last) = self.sealed.last() else {
            return Ok(Notes::default());
        };
        if let Ok(notes) = last.notes() {
            return Ok(Notes::of(notes));
        }
        self.sealed.clear();
        self.read = 0;
        for segment in self.segments.clone() {
            self.read(&segment)?;
        }
        self.notes()
    }

    /// Reads the next segment, which another one follows.
    fn read(&mut self, segment: &Arc<Segment>) -> Result<(), OpenError> {
        let mut notes = self.notes()?;
        let scanned = Scan::new(segment, &mut notes)?.run()?;
        // It was left only once its last commit was durable.
        if let End::Torn { at, .. } = scanned.end {
            let what = "a commit is incomplete, but there is a later segment";
            return Err(OpenError::Damaged(Damage::new(&segment.name, at, what)));
        }
        let sealed = SealedIndex::of(scanned, &mut notes);
        self.sealed.push(Sealed::Memory(Arc::new(sealed)));
        self.read += 1;
        Ok(())
    }
}

/// Removes the index of the segment that will be written to, which a repair may have made the
/// last: it will be of another segment by the time it counts.
fn forget_index(indexes: &dyn Storage, first: u64) -> Result<(), OpenError> {
    let name = index::name(first);
    let removed = match indexes.remove(&name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
        Ok(()) => indexes.sync(),
    };
    removed.map_err(OpenError::io("removing", &name))
}

fn open_segment(storage: &dyn Storage, identity: &Label, first: u64) -> Result<Segment, OpenError> {
    let name = segment::name(first);
    let file = storage
        .open(&name)
        .map_err(OpenError::io("opening", &name))?;
    let label = read_label(&*file, Kind::Segment, &name)?;
    let expected = Label {
        kind: Kind::Segment,
        first,
        ..*identity
    };
    if label != expected {
        let what = "its label is of another store or another place in the log";
        return Err(OpenError::Damaged(Damage::new(&name, 0, what)));
    }
    Ok(Segment::new(&label, file))
}

/// Makes the end of the log what the index says it is.
fn settle(segment: Arc<Segment>, scanned: &Scanned, growth: Growth) -> Result<Tail, OpenError> {
    let name = segment.name.clone();
    let last_frame = scanned.last_frame.as_ref().map(|frame| frame.at);
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
            if let Some(frame) = whole {
                rewrite(&segment, frame).map_err(OpenError::io("making durable", &name))?;
            }
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
