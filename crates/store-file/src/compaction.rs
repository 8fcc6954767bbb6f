use std::io;
use std::sync::Arc;
use std::vec;

use eventwire_store::Query;

use crate::index::{BadIndex, Hidden, Origin, Sealed, SealedIndex, Search, View};
use crate::notes::Notes;
use crate::report::Progress;
use crate::rewriting::Rewriting;
use crate::scan::{Frontier, Scan};
use crate::segment::Segment;
use crate::state::State;
use crate::work::{Place, Work, catch_up};

/// What compacting a store came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compacted {
    /// Files of the log that were removed, because all their events were dropped.
    pub segments_removed: usize,
    /// Files of the log that were written again without what was dropped of them.
    pub segments_rewritten: usize,
    /// Bytes of the log that were given back.
    pub bytes: u64,
    /// Whether nothing that was dropped is left in any file. The last file can be left only with
    /// an event that no index has yet: where it holds something still, compact again after the
    /// next append.
    pub is_complete: bool,
}

/// Takes out of the files of a log what was dropped, but for the last one: file by file, so that
/// whoever lets it go on may do anything between two of them.
///
/// Another may compact the same files, or remove them, meanwhile: what is done already is not done
/// again.
pub(crate) struct Compaction {
    /// The files there were.
    before: Vec<(u64, u64)>,
    /// The segments that were not looked at yet.
    left: vec::IntoIter<Arc<Segment>>,
    progress: Progress,
    rewritten: usize,
}

impl Compaction {
    /// Removes whole segments, and looks what there is to be done about the others.
    ///
    /// # Errors
    /// Of the medium, and of damage, as of all that follows. What was done before stays done, and
    /// all is as it was else.
    pub(crate) fn begin(place: &Place) -> io::Result<Self> {
        let before = files(&place.log.read())?;
        catch_up(place)?;
        let left = left(&place.log.read());
        let of = bytes_of(&left)?;
        Ok(Self {
            before,
            left: left.into_iter(),
            progress: Progress { bytes: 0, of },
            rewritten: 0,
        })
    }

    /// How far it has come.
    pub(crate) fn progress(&self) -> Progress {
        self.progress
    }

    /// Does what is to be done about the next file; false where there is none.
    pub(crate) fn step(&mut self, place: &Place) -> io::Result<bool> {
        let Some(segment) = self.left.next() else {
            return Ok(false);
        };
        // Before it is rewritten, which makes it shorter.
        let length = segment.file.length()?;
        if rewrite(place, &segment)? {
            self.rewritten += 1;
            catch_up(place)?;
        }
        self.progress.bytes += length;
        Ok(true)
    }

    /// Says what it came to.
    pub(crate) fn end(self, place: &Place) -> io::Result<Compacted> {
        let mut compacted = Compacted {
            segments_rewritten: self.rewritten,
            is_complete: !is_anything_left(place)?,
            ..Compacted::default()
        };
        let after = files(&place.log.read())?;
        for (first, bytes) in self.before {
            let left = after.iter().find(|&&(other, _)| other == first);
            compacted.segments_removed += usize::from(left.is_none());
            compacted.bytes += bytes.saturating_sub(left.map_or(0, |&(_, bytes)| bytes));
        }
        Ok(compacted)
    }
}

/// Whether the last segment has anything that was dropped.
pub(crate) fn is_last_concerned(state: &State) -> Result<bool, BadIndex> {
    let first = state.segments.last().map_or(1, |segment| segment.first);
    let mut views = state.views().filter(|view| view.first() >= first);
    let log_to = state.notes.dropped.log_to();
    let is_concerned = |view: View<'_>| {
        let count = state.hidden(view)?.count(0, view.last());
        Ok(count > 0 || log_to >= view.first())
    };
    views.try_fold(false, |found, view| Ok(found || is_concerned(view)?))
}

/// The segments that were left.
fn left(state: &State) -> Vec<Arc<Segment>> {
    let (_, left) = state.segments.split_last().expect("a log has a segment");
    left.to_vec()
}

fn bytes_of(segments: &[Arc<Segment>]) -> io::Result<u64> {
    let lengths = segments.iter().map(|segment| segment.file.length());
    lengths.sum()
}

/// The first positions of the segments that were left, and the lengths of their files.
fn files(state: &State) -> io::Result<Vec<(u64, u64)>> {
    let files = left(state).into_iter();
    files
        .map(|segment| Ok((segment.first, segment.file.length()?)))
        .collect()
}

/// How many events of an index were dropped, with the log or with single streams.
pub(crate) fn count_dropped(view: View<'_>, hidden: &Hidden, log_to: u64) -> u64 {
    let before = view.first() - 1;
    let with_log = log_to.clamp(before, view.last());
    with_log - before + hidden.count(with_log, view.last())
}

/// How many bytes of the names, metadata and payloads of an index's events were dropped and are
/// still there.
pub(crate) fn dropped_bytes(view: View<'_>, hidden: &Hidden, log_to: u64) -> Result<u64, BadIndex> {
    let search = Search::new(view, &Query::all())?;
    let mut bytes = 0;
    for at in view.first()..=view.last() {
        if at <= log_to || hidden.shown_from(at) != at {
            bytes += search.slot(at)?.content_bytes();
        }
    }
    Ok(bytes)
}

/// Writes a segment again, where it has anything that was dropped; says whether it had.
pub(crate) fn rewrite(place: &Place, segment: &Arc<Segment>) -> io::Result<bool> {
    let _turn = place.turns.take(Work::Upkeep);
    let log = &place.log;
    let state = log.read();
    let of_segment = |sealed: &&Sealed| Arc::ptr_eq(sealed.segment(), segment);
    let indexes: Vec<Sealed> = state.sealed.iter().filter(of_segment).cloned().collect();
    let mut unfiled = state.unfiled();
    let is_unfiled = unfiled.any(|index| Arc::ptr_eq(&index.segment, segment));
    drop(unfiled);
    let log_to = state.notes.dropped.log_to();
    drop(state);
    let ([index], false) = (&indexes[..], is_unfiled) else {
        // It is gone, or an index of it has just been made again or sealed.
        return Ok(false);
    };
    let hidden = log.look_at(index.last(), |_, _, hidden| Ok(hidden));
    let Some(hidden) = hidden.map_err(io::Error::other)? else {
        return Ok(false);
    };
    if !is_concerned(place, index.last(), log_to)? {
        return Ok(false);
    }
    let noted = index.noted().map_err(|bad| mended(place, bad))?;
    let rewriting = Rewriting::new(segment, index.end(), log_to, &hidden);
    let rewritten = Arc::new(rewriting.run(&*place.storage)?);
    let scanned = Scan::new(
        &rewritten,
        Frontier::after(None, &rewritten),
        &mut Notes::default(),
    )
    .and_then(Scan::run)
    .map_err(io::Error::other)?;
    let last_frame = scanned.last_frame.expect("an index is of frames");
    let sealed = Sealed::Memory(Arc::new(SealedIndex {
        segment: Arc::clone(&rewritten),
        index: scanned.index,
        noted,
        last_frame: last_frame.at,
        end: scanned.at,
        origin: Origin::Read,
    }));
    log.write().exchange(segment, rewritten, sealed);
    place.storage.sync()?;
    Ok(true)
}

/// Whether the index of the events around a position has any that was dropped and is no stub.
fn is_concerned(place: &Place, at: u64, log_to: u64) -> io::Result<bool> {
    let looked = place.log.look_at(at, |view, _, hidden| {
        let search = Search::new(view, &Query::all())?;
        for at in view.first()..=view.last() {
            let is_held = at > log_to && hidden.shown_from(at) == at;
            if !is_held && !search.slot(at)?.is_stub() {
                return Ok(true);
            }
        }
        Ok(false)
    });
    Ok(looked.map_err(io::Error::other)?.unwrap_or(false))
}

/// Whether any index has an event that was dropped and is no stub.
fn is_anything_left(place: &Place) -> io::Result<bool> {
    let state = place.log.read();
    let lasts: Vec<u64> = state.sealed.iter().map(Sealed::last).collect();
    let log_to = state.notes.dropped.log_to();
    drop(state);
    let mut found = place
        .log
        .mending(is_last_concerned)
        .map_err(io::Error::other)?;
    for last in lasts {
        found = found || is_concerned(place, last, log_to)?;
    }
    Ok(found)
}

/// An index is bad: it is made again, for the next time.
fn mended(place: &Place, bad: BadIndex) -> io::Error {
    match place.log.mend(bad) {
        Ok(()) => io::Error::other("an index had to be made again; compact once more"),
        Err(error) => io::Error::other(error),
    }
}
