use std::ops::Range;
use std::sync::Arc;

use crate::error::{Damage, OpenError};
use crate::format::{Kind, Label, in_memory};
use crate::identity::read_label;
use crate::index::Index;
use crate::log::State;
use crate::scan::{End, Scan, Scanned};
use crate::segment::{self, Growth, Segment, Tail};
use crate::storage::Storage;

/// What opening a store found, and what it did about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Events in the log.
    pub events: u64,
    /// Files of the log.
    pub segments: usize,
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

/// Reads the log, puts it into the index and makes its end ready to be written.
///
/// # Durability
/// Everything that is in the index is durable on return, and what was cut off is gone for good.
pub(crate) fn recover(
    storage: &dyn Storage,
    identity: &Label,
    growth: Growth,
) -> Result<Recovered, OpenError> {
    let names = storage.list().map_err(OpenError::io("listing", "."))?;
    let mut firsts: Vec<u64> = names
        .iter()
        .filter_map(|name| segment::first_in(name))
        .collect();
    firsts.sort_unstable();

    let mut state = State::default();
    let mut last = None;
    for &first in &firsts {
        if let Some(Scanned { end, .. }) = last {
            refuse_unless_whole(&state, end)?;
        }
        refuse_gap(&state.index, first)?;
        let segment = Arc::new(open_segment(storage, identity, first)?);
        last = Some(Scan::new(&segment, &mut state)?.run()?);
        state.segments.push(segment);
    }
    let (Some(scanned), Some(segment)) = (last, state.segments.last()) else {
        let what = "there is no such file, and so no log";
        return Err(OpenError::Damaged(Damage::new(&segment::name(1), 0, what)));
    };
    let tail = settle(Arc::clone(segment), &scanned, growth)?;
    let report = Recovery {
        events: state.index.last(),
        segments: state.segments.len(),
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

fn refuse_gap(index: &Index, first: u64) -> Result<(), OpenError> {
    let expected = index.last() + 1;
    if first == expected {
        return Ok(());
    }
    let what = format!(
        "it begins with position {first}, but position {expected} comes next: events are missing or there twice"
    );
    Err(OpenError::Damaged(Damage::new(
        &segment::name(first),
        0,
        what,
    )))
}

/// A segment that another one follows was left only once its last commit was durable.
fn refuse_unless_whole(state: &State, end: End) -> Result<(), OpenError> {
    match (end, state.segments.last()) {
        (End::Torn { at, .. }, Some(segment)) => Err(OpenError::Damaged(Damage::new(
            &segment.name,
            at,
            "a commit is incomplete, but there is a later segment",
        ))),
        _ => Ok(()),
    }
}

/// Makes the end of the log what the index says it is.
fn settle(segment: Arc<Segment>, scanned: &Scanned, growth: Growth) -> Result<Tail, OpenError> {
    let name = segment.name.clone();
    match (scanned.end, &scanned.last_frame) {
        (End::Torn { at, .. }, _) => {
            segment
                .file
                .set_length(at)
                .and_then(|()| segment.file.sync())
                .map_err(OpenError::io("cutting an incomplete commit off", &name))?;
            Ok(Tail::of_recovered(segment, at, at, growth))
        }
        (End::Clean, last_frame) => {
            // The system may show what it failed to write: a sync that failed leaves the bytes
            // in its cache, marked as written. Writing them again makes the next sync mean them.
            if let Some(frame) = last_frame {
                rewrite(&segment, frame).map_err(OpenError::io("making durable", &name))?;
            }
            Ok(Tail::of_recovered(
                segment,
                scanned.at,
                scanned.length,
                growth,
            ))
        }
    }
}

fn rewrite(segment: &Segment, frame: &Range<u64>) -> std::io::Result<()> {
    let length = in_memory(frame.end - frame.start).map_err(std::io::Error::other)?;
    let mut bytes = vec![0; length];
    segment.file.read_at(&mut bytes, frame.start)?;
    segment.file.write_at(&bytes, frame.start)?;
    segment.file.sync()
}
