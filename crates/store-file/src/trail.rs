use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eventwire_store::backend::Log;

use crate::engine::INDEXES;
use crate::error::{Damage, OpenError};
use crate::format::{Kind, Label};
use crate::identity::{self, read_label};
use crate::index::{FileIndex, MemoryIndex, Origin, PageCache, Sealed, SealedIndex};
use crate::log::SharedLog;
use crate::notes::Notes;
use crate::number;
use crate::options::FileOptions;
use crate::parts::Parts;
use crate::recovery::{Recovered, recover};
use crate::scan::{End, Frontier, Scan};
use crate::segment::{self, FRAMES_FROM, Segment};
use crate::shown::{self, SHOWN, Shown};
use crate::state::State;
use crate::storage::{Beginning, Followed, LockError, Sight, Storage};

/// Bytes of the log taken in while readers wait.
const STRIDE_BYTES: u64 = 1 << 20;

/// How often a directory is looked at anew that its writer changes meanwhile.
const TRIES: usize = 8;

/// A log that another process writes, taken in as far as it is shown.
#[derive(Debug)]
pub(crate) struct Trail {
    storage: Arc<dyn Storage>,
    indexes: Arc<dyn Storage>,
    pub(crate) identity: Label,
    pub(crate) log: Arc<SharedLog>,
    /// Where the last frame begins that was taken in, where there is one in the last segment.
    last_frame: Option<u64>,
    /// How often it has looked around.
    looks: usize,
}

/// What has become of a log since it was last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing.
    Same,
    /// More is shown.
    Moved,
    /// It has another epoch: this is the log no longer.
    Ended,
}

impl Trail {
    /// Takes in what is shown now.
    pub(crate) fn open(storage: &Arc<dyn Storage>) -> Result<Self, OpenError> {
        let cache = Arc::new(PageCache::default());
        let found = Found::look(storage, &cache)?;
        Ok(Self {
            storage: Arc::clone(storage),
            indexes: found.indexes,
            identity: found.identity,
            log: Arc::new(SharedLog::new(found.state, cache)),
            last_frame: found.last_frame,
            looks: 0,
        })
    }

    /// Looks at one of the segments that were left, the next one each time. Where it has become
    /// another file, or none, all files that are no more are let go of.
    ///
    /// Where that cannot be done, they serve as before.
    pub(crate) fn look_around(&mut self) {
        let state = self.log.read();
        let (_, left) = state.segments.split_last().expect("a log has a segment");
        let next = left.get(self.looks % left.len().max(1)).cloned();
        drop(state);
        self.looks = self.looks.wrapping_add(1);
        if next.is_some_and(|segment| !self.is_there(&segment)) {
            drop(self.begin_anew());
        }
    }

    /// Looks at all segments that were left, in the same way.
    pub(crate) fn look_everywhere(&mut self) {
        if self.is_outdated() {
            drop(self.begin_anew());
        }
    }

    /// Takes in what is shown since.
    ///
    /// # Errors
    /// Where what is shown is not there as it was written.
    pub(crate) fn step(&mut self) -> Result<Step, OpenError> {
        let Some(shown) = shown::read(&*self.storage, &self.identity) else {
            // It is being written, or of another epoch, or there is none.
            let identity = identity::read(&*self.storage)?;
            return Ok(if identity == self.identity {
                Step::Same
            } else {
                Step::Ended
            });
        };
        let before = self.log.read().shown;
        if (shown.segment, shown.end) <= (before.segment, before.end) {
            return Ok(Step::Same);
        }
        // A segment that follows may be rewritten, or gone, before it is opened here.
        if self.go_to(shown).is_err() {
            return self.begin_anew();
        }
        self.show();
        // What was rewritten or is gone among those that are open keeps its room until it is let go.
        if shown.segment > before.segment {
            self.look_everywhere();
        }
        Ok(Step::Moved)
    }

    fn show(&self) {
        let last = self.log.read().last();
        self.log.watermark().advance(number::position(last));
    }

    /// Takes in frame after frame, up to what is shown.
    fn go_to(&mut self, shown: Shown) -> Result<(), OpenError> {
        loop {
            let at = self.log.read().shown.segment;
            if at == shown.segment {
                return self.take_in(Some(shown.end));
            }
            self.take_in(None)?;
            self.roll()?;
        }
    }

    /// Whether a segment that was left has become another file, or none.
    fn is_outdated(&self) -> bool {
        let segments = self.log.read().segments.clone();
        let (_, left) = segments.split_last().expect("a log has a segment");
        !left.iter().all(|segment| self.is_there(segment))
    }

    /// Whether the name of a segment is still that of the same file.
    fn is_there(&self, segment: &Segment) -> bool {
        let file = self.storage.open(&segment.name);
        let label = file.map(|file| read_label(&*file, Kind::Segment, &segment.name));
        matches!(label, Ok(Ok(label)) if label == segment.label)
    }

    /// Looks at the directory as if for the first time, and goes on from there.
    fn begin_anew(&mut self) -> Result<Step, OpenError> {
        let found = Found::look(&self.storage, self.log.cache())?;
        if found.identity != self.identity {
            return Ok(Step::Ended);
        }
        if found.state.last() < self.log.read().last() {
            return Ok(Step::Same);
        }
        self.log.go_on_with(found.state);
        self.last_frame = found.last_frame;
        self.show();
        Ok(Step::Moved)
    }

    /// Takes in the frames of the last segment up to a place, or all where another one follows.
    fn take_in(&mut self, end: Option<u64>) -> Result<(), OpenError> {
        let segment = self.last_segment();
        loop {
            let from = self.log.read().shown.end;
            if end == Some(from) {
                return Ok(());
            }
            let mut state = self.log.write();
            let to = end.unwrap_or(u64::MAX);
            let stop = to.min(from + STRIDE_BYTES);
            let is_at_end = stretch(&mut state, &segment, to, stop, &mut self.last_frame)?;
            if is_at_end {
                let found = Damage::new(
                    &segment.name,
                    state.shown.end,
                    "it ends before what is shown",
                );
                return end.map_or(Ok(()), |_| Err(OpenError::Damaged(found)));
            }
        }
    }

    fn last_segment(&self) -> Arc<Segment> {
        let state = self.log.read();
        Arc::clone(state.segments.last().expect("a log has a segment"))
    }

    /// Goes on to the next segment.
    fn roll(&mut self) -> Result<(), OpenError> {
        let first = self.log.read().last() + 1;
        let name = segment::name(first);
        let file = self
            .storage
            .open(&name)
            .map_err(OpenError::io("opening", &name))?;
        let label = read_label(&*file, Kind::Segment, &name)?;
        if (label.store, label.first) != (self.identity.store, first) {
            let what = "its label is of another store or another place in the log";
            return Err(OpenError::Damaged(Damage::new(&name, 0, what)));
        }
        let mut state = self.log.write();
        self.seal(&mut state);
        state.segments.push(Arc::new(Segment::new(&label, file)));
        state.shown = Shown {
            segment: first,
            end: FRAMES_FROM,
            position: first - 1,
        };
        self.last_frame = None;
        Ok(())
    }

    /// Ends the index of a segment that was left, and uses those that the writer has put into files.
    fn seal(&self, state: &mut State) {
        let segment = Arc::clone(state.segments.last().expect("a log has a segment"));
        if let (Some(last_frame), true) = (self.last_frame, state.open.events() > 0) {
            let next = MemoryIndex::new(state.last() + 1);
            let (first, last) = (state.open.first(), state.last());
            let sealed = SealedIndex {
                segment,
                index: std::mem::replace(&mut state.open, next),
                noted: state.notes.noted(first, last),
                last_frame,
                end: state.shown.end,
                origin: Origin::Read,
            };
            state.sealed.push(Sealed::Memory(Arc::new(sealed)));
        }
        for segments in state.segments.clone().windows(2) {
            let [segment, next] = segments else {
                continue;
            };
            let of_segment = |sealed: &&Sealed| sealed.segment().first == segment.first;
            let old: Vec<_> = state.sealed.iter().filter(of_segment).cloned().collect();
            if !old.iter().any(|sealed| matches!(sealed, Sealed::Memory(_))) {
                continue;
            }
            let index = FileIndex::open(&*self.indexes, segment, segment.first, self.log.cache());
            if let Some(index) = index.filter(|index| index.last() + 1 == next.first) {
                state.replace(&old, Sealed::File(Arc::new(index)));
            }
        }
    }
}

/// A log as far as it is shown, in files that are open: what becomes of the names does not matter.
pub(crate) struct Found {
    pub(crate) identity: Label,
    pub(crate) indexes: Arc<dyn Storage>,
    pub(crate) state: State,
    last_frame: Option<u64>,
}

/// The log in a directory: as far as its writer shows it, or all of it where there is no writer.
///
/// # Errors
/// Where there is no log, or it is not as it was written.
pub(crate) fn look(path: &Path) -> Result<Found, OpenError> {
    let cache = Arc::new(PageCache::default());
    let failed = |source| OpenError::Io {
        doing: "opening",
        path: path.to_owned(),
        source,
    };
    match closed_or_shown(path).map_err(failed)? {
        // Held until all files are open: a writer that comes later changes nothing of what is there.
        Some(closed) => Found::of_all(&(Arc::new(closed) as Arc<dyn Storage>), &cache),
        None => {
            let open = Sight::of_open(path).map_err(failed)?;
            Found::look(&(Arc::new(open) as Arc<dyn Storage>), &cache)
        }
    }
}

/// A directory that nobody writes to; none where somebody does, who has said how far the log is
/// shown since the store was opened.
fn closed_or_shown(path: &Path) -> io::Result<Option<Sight>> {
    loop {
        // What it says from before the power was lost may be less than was answered.
        let said = Sight::wait_for(path, SHOWN)?;
        match Sight::of_closed(path) {
            Ok(closed) => return Ok(Some(closed)),
            Err(LockError::Io(error)) => return Err(error),
            Err(LockError::Held(_)) => {}
        }
        // Whoever has begun to open the store meanwhile has made the file before.
        if said.is_some() || !path.join(SHOWN).exists() {
            return Ok(None);
        }
    }
}

impl Found {
    fn look(storage: &Arc<dyn Storage>, cache: &Arc<PageCache>) -> Result<Self, OpenError> {
        let mut tries = 0..TRIES;
        loop {
            let tried = Self::try_look(storage, cache);
            // What is listed may be dropped or merged by the time it is opened.
            if tried.is_ok() || tries.next().is_none() {
                return tried;
            }
        }
    }

    fn try_look(storage: &Arc<dyn Storage>, cache: &Arc<PageCache>) -> Result<Self, OpenError> {
        let identity = identity::read(&**storage)?;
        let shown = match shown::read(&**storage, &identity) {
            Some(shown) => Some(shown),
            None => all_but_the_last(&**storage)?,
        };
        Self::up_to(shown, identity, storage, cache)
    }

    fn of_all(storage: &Arc<dyn Storage>, cache: &Arc<PageCache>) -> Result<Self, OpenError> {
        let identity = identity::read(&**storage)?;
        Self::up_to(None, identity, storage, cache)
    }

    fn up_to(
        shown: Option<Shown>,
        identity: Label,
        storage: &Arc<dyn Storage>,
        cache: &Arc<PageCache>,
    ) -> Result<Self, OpenError> {
        let end = Arc::new(AtomicU64::new(shown.map_or(u64::MAX, |shown| shown.end)));
        let last = shown.map(|shown| (segment::name(shown.segment), Arc::clone(&end)));
        let seen = Followed::new(Arc::clone(storage), last);
        let indexes = seen
            .directory(INDEXES)
            .map_err(OpenError::io("opening", INDEXES))?;
        let growth = FileOptions::new().growth;
        let Recovered { state, tail, .. } = recover(&seen, &*indexes, &identity, cache, growth)?;
        // From now on it is for the trail to say how far the file is seen.
        end.store(u64::MAX, Ordering::Relaxed);
        Ok(Self {
            identity,
            indexes,
            state,
            last_frame: tail.last_frame,
        })
    }
}

/// Takes in frames up to `stop` and the end of the one that lies across it, of a segment that is
/// shown up to `to`. Says whether the frames of the segment ended.
fn stretch(
    state: &mut State,
    segment: &Arc<Segment>,
    to: u64,
    stop: u64,
    last_frame: &mut Option<u64>,
) -> Result<bool, OpenError> {
    let beginning = Segment::new(
        &segment.label,
        Arc::new(Beginning {
            file: Arc::clone(&segment.file),
            end: Arc::new(AtomicU64::new(to)),
        }),
    );
    let from = Frontier {
        at: state.shown.end,
        position: state.last() + 1,
    };
    let mut scan = Scan::new(&beginning, from, &mut state.notes)?;
    scan.exchange(&mut state.open);
    let mut is_at_end = Ok(false);
    while scan.at() < stop && matches!(is_at_end, Ok(false)) {
        let at = scan.at();
        is_at_end = match scan.step() {
            Ok(None) => {
                *last_frame = Some(at);
                Ok(false)
            }
            Ok(Some(End::Clean)) => Ok(true),
            Ok(Some(End::Torn { at, .. })) => {
                let what = "a commit is incomplete that is shown";
                Err(OpenError::Damaged(Damage::new(&segment.name, at, what)))
            }
            Err(error) => Err(error),
        };
    }
    let end = scan.at();
    scan.exchange(&mut state.open);
    state.shown.end = end;
    state.shown.position = state.open.last();
    is_at_end
}

/// What is durable of a log of which nobody says it: a commit is written only once the one before
/// it is durable, so all but the last one.
fn all_but_the_last(storage: &dyn Storage) -> Result<Option<Shown>, OpenError> {
    let names = storage.list().map_err(OpenError::io("listing", "."))?;
    let Some(&first) = Parts::of(&names).segments.last() else {
        return Ok(None);
    };
    let name = segment::name(first);
    let file = storage
        .open(&name)
        .map_err(OpenError::io("opening", &name))?;
    let label = read_label(&*file, Kind::Segment, &name)?;
    let segment = Segment::new(&label, file);
    let mut notes = Notes::default();
    let scanned = Scan::new(&segment, Frontier::after(None, &segment), &mut notes)?.run()?;
    Ok(Some(Shown {
        segment: first,
        end: scanned.last_frame.map_or(FRAMES_FROM, |frame| frame.at),
        position: 0,
    }))
}
