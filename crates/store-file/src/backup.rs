use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eventwire_store::{Epoch, Position};
use thiserror::Error;

use crate::engine::INDEXES;
use crate::error::{Damage, OpenError, process};
use crate::format::{FRAME_HEADER_BYTES, FrameHeader, Kind, Label, in_memory, u64_of};
use crate::identity::{self, IDENTITY, UNFINISHED_BACKUP, read_label};
use crate::index::{self, FileIndex, PageCache, Remainder, remainder_first_in};
use crate::inspection::inspect;
use crate::number;
use crate::report::{Meaning, Progress};
use crate::segment::{self, FRAMES_FROM, Segment};
use crate::state::State;
use crate::storage::{Disk, LockError, Reads, Sight, Storage, StorageFile, Unpublished};
use crate::trail::look;
use crate::window::Window;

/// Bytes written at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// What a backup holds, and what making it took.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// The position of its last event.
    pub head: Position,
    /// The epoch of its log.
    pub epoch: Epoch,
    /// Files of the log it has.
    pub segments: usize,
    /// Those of them that were copied now; the others were there already.
    pub segments_copied: usize,
}

/// What became of the store that a backup is of, which decides what cursors mean in the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Original {
    /// It ended where the backup was made: no event was appended to it afterwards, or none that
    /// any reader was shown. The copy goes on in its place, under its epoch, and cursors that
    /// were saved are resumed from.
    EndedThere,
    /// It went on, or may have. The copy gets a new epoch, so that a cursor into what is not
    /// there is recognised, instead of being resumed from among other events.
    MayHaveGoneOn,
}

/// Why a copy of a store was not made, by what to do next.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CopyError {
    /// One of the two directories is open, in another process or in this one. Close it there.
    #[error("store {} is open in {}; close it there first", .path.display(), process(.holder.as_ref()))]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The number of the process that has it open, where it is known.
        holder: Option<u32>,
    },
    /// There is something else where the copy was to be. Choose an empty directory.
    #[error("{file} is there already, and not of an earlier copy; choose an empty directory")]
    Occupied {
        /// What is there.
        file: String,
    },
    /// There is no store to copy.
    #[error("{} holds no store; name the directory that has the IDENTITY", .path.display())]
    NoStore {
        /// The directory.
        path: PathBuf,
    },
    /// What was to be copied is not as it was written. The copy is not finished.
    #[error("{0}; the copy was not finished: verify the store that was to be copied")]
    Damaged(Damage),
    /// Written by a later version of this crate. Use that one.
    #[error("{file} has format version {version}, which this version does not read")]
    UnknownVersion {
        /// The file, within its directory.
        file: String,
        /// The version it has.
        version: u32,
    },
    /// The operating system failed. Mend the cause and try again: what is there is not copied
    /// again.
    #[error("failed {doing} {}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what; within its directory where it is relative.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<OpenError> for CopyError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Locked { path, holder } => Self::Locked { path, holder },
            OpenError::UnknownVersion { file, version } => Self::UnknownVersion { file, version },
            OpenError::Damaged(damage) => Self::Damaged(damage),
            OpenError::Io {
                doing,
                path,
                source,
            } => Self::Io {
                doing,
                path,
                source,
            },
        }
    }
}

impl CopyError {
    fn of_lock(path: &Path, error: LockError) -> Self {
        let path = path.to_owned();
        match error {
            LockError::Held(holder) => Self::Locked { path, holder },
            LockError::Io(source) => Self::Io {
                doing: "opening",
                path,
                source,
            },
        }
    }
}

/// Copies a store that another process may have open, into a directory that is empty or does not
/// exist, or has an earlier backup of it, as [`FileStore::backup`](crate::FileStore::backup) does
/// in the process that has it.
///
/// It keeps nobody out and changes nothing: the writer and its followers go on. It copies what the
/// writer shows when it begins, and so everything that the writer has answered by then; where
/// nobody has the store open, everything there is.
///
/// ```
/// use eventwire_store::{Append, EventStore, EventType, NewEvent};
/// use eventwire_store_file::{FileStore, backup};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let (path, to) = (directory.path().join("store"), directory.path().join("backup"));
/// let store = FileStore::open(&path)?;
/// let posted = NewEvent::new(EventType::new("message-posted")?, "hi");
/// let done = futures_executor::block_on(store.append(Append::new().event(posted)))?;
/// // In another process:
/// let made = backup(&path, &to, |_| {})?;
/// assert_eq!(made.head, done.last());
/// # Ok(()) }
/// ```
///
/// Blocks until the copy is durable.
///
/// # Errors
/// [`CopyError`], named for what to do next.
pub fn backup(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    mut progress: impl FnMut(Progress),
) -> Result<Backup, CopyError> {
    let from = from.as_ref();
    let found = look(from).map_err(|error| match error {
        OpenError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            let path = from.to_owned();
            CopyError::NoStore { path }
        }
        error => error.into(),
    })?;
    let copy = Copy::of_open(found.identity, &found.state, found.indexes);
    copy.make(&target(to.as_ref())?, None, &mut progress)
}

/// Makes a store of a backup, in a directory that is empty or does not exist.
///
/// The backup is read whole and must be as it was written; any store that is closed will do. It
/// is not changed. The directory becomes a store with its last step, so one that was left before
/// is none; restoring again into it goes on.
///
/// Blocks until the copy is durable.
///
/// # Errors
/// [`CopyError`], named for what to do next.
pub fn restore(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    original: Original,
    mut progress: impl FnMut(Progress),
) -> Result<Backup, CopyError> {
    let (from, to) = (from.as_ref(), to.as_ref());
    let source = Sight::of_closed(from).map_err(|error| match error {
        LockError::Io(error) if error.kind() == io::ErrorKind::NotFound => CopyError::NoStore {
            path: from.to_owned(),
        },
        error => CopyError::of_lock(from, error),
    })?;
    let copy = Copy::of_closed(&source, from)?;
    copy.make(&target(to)?, Some(original), &mut progress)
}

/// The directory of a copy, locked.
pub(crate) fn target(path: &Path) -> Result<Disk, CopyError> {
    Disk::open(path, Reads::Copied).map_err(|error| CopyError::of_lock(path, error))
}

/// What is to be copied: a log up to a commit.
pub(crate) struct Copy {
    identity: Label,
    remainders: Vec<Arc<Remainder>>,
    segments: Vec<Arc<Segment>>,
    /// Where the last segment ends; where its frames end where it says nothing.
    end: Option<u64>,
    head: u64,
    indexes: Arc<dyn Storage>,
}

impl Copy {
    /// Of a log that goes on: what is shown of it now.
    pub(crate) fn of_open(identity: Label, state: &State, indexes: Arc<dyn Storage>) -> Self {
        let shown = state.shown;
        let segments = state.segments.iter();
        let durable = segments.filter(|segment| segment.first <= shown.segment);
        Self {
            identity,
            remainders: state.remainders.clone(),
            segments: durable.cloned().collect(),
            end: Some(shown.end),
            head: shown.position,
            indexes,
        }
    }

    /// Of a store that nobody writes to: everything, if all of it is whole.
    pub(crate) fn of_closed(storage: &dyn Storage, path: &Path) -> Result<Self, CopyError> {
        let report = inspect(storage, &mut |_| {})?;
        if report.store.is_none() && report.segments == 0 {
            let path = path.to_owned();
            return Err(CopyError::NoStore { path });
        }
        if let Some(found) = report.findings.iter().find(|found| found.is_loss()) {
            let damage = Damage::new(&found.file, found.offset, &found.what);
            return Err(CopyError::Damaged(damage));
        }
        let torn = report.findings.iter();
        let mut torn = torn.filter(|found| found.meaning == Meaning::Torn);
        let identity = identity::read(storage)?;
        let names = storage.list().map_err(OpenError::io("listing", "."))?;
        let remainders = open_remainders(storage, &identity, &names)?;
        let next = remainders.last().map_or(1, |last| last.last() + 1);
        let firsts = names.iter().filter_map(|name| segment::first_in(name));
        let mut firsts: Vec<u64> = firsts.filter(|&first| first >= next).collect();
        firsts.sort_unstable();
        let open = |&first: &u64| {
            let name = segment::name(first);
            let file = storage.open(&name);
            let file = file.map_err(OpenError::io("opening", &name))?;
            let label = read_label(&*file, Kind::Segment, &name)?;
            Ok(Arc::new(Segment::new(&label, file)))
        };
        let indexes = storage.directory(INDEXES);
        Ok(Self {
            identity,
            remainders,
            segments: firsts.iter().map(open).collect::<Result<_, CopyError>>()?,
            end: torn.next().map(|found| found.offset),
            head: number::of(report.head),
            indexes: indexes.map_err(OpenError::io("opening", INDEXES))?,
        })
    }

    /// Makes the copy, or brings one up to date that was made before. `original` is what became
    /// of the store, where the copy is to be one; none where it is to be a backup.
    pub(crate) fn make(
        &self,
        to: &dyn Storage,
        original: Option<Original>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Backup, CopyError> {
        let identity = Label {
            epoch: match original {
                Some(Original::MayHaveGoneOn) => Epoch::random(),
                Some(Original::EndedThere) | None => self.identity.epoch,
            },
            ..self.identity
        };
        self.begin(to, original)?;
        self.withdraw(to)?;
        self.copy_remainders(to)?;
        let mut done = Progress {
            bytes: 0,
            of: self
                .segments
                .iter()
                .map(|segment| self.length_of(segment))
                .sum(),
        };
        let mut segments_copied = 0;
        for segment in &self.segments {
            if !self.is_there(to, segment)? {
                self.copy_segment(to, segment)?;
                segments_copied += 1;
            }
            done.bytes += self.length_of(segment);
            progress(done);
        }
        // Without them the copy is whole: they are made again.
        drop(self.copy_indexes(to));
        self.remove_others(to)?;
        to.sync().map_err(OpenError::io("syncing", "."))?;
        self.end(to, &identity)?;
        Ok(Backup {
            head: number::position(self.head),
            epoch: identity.epoch,
            segments: self.segments.len(),
            segments_copied,
        })
    }

    /// Sees to it that nothing but an earlier copy of the same log is there, and that what is
    /// begun is not taken for a store.
    fn begin(&self, to: &dyn Storage, original: Option<Original>) -> Result<(), CopyError> {
        let names = to.list().map_err(OpenError::io("listing", "."))?;
        let occupied = |file: &str| {
            let file = file.to_owned();
            Err(CopyError::Occupied { file })
        };
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        for marker in [IDENTITY, UNFINISHED_BACKUP] {
            if !has(marker) {
                continue;
            }
            if original.is_some() && marker == IDENTITY {
                return occupied(marker);
            }
            let file = to.open(marker).map_err(OpenError::io("opening", marker))?;
            let label = read_label(&*file, Kind::Identity, marker);
            return match label {
                Ok(label) if label == self.identity => Ok(()),
                _ => occupied(marker),
            };
        }
        let is_other =
            |name: &&String| name.as_str() != Disk::LOCK && !name.starts_with(UNFINISHED_BACKUP);
        if let Some(name) = names.iter().find(is_other) {
            return occupied(name);
        }
        identity::write(to, UNFINISHED_BACKUP, &self.identity)
            .and_then(|()| to.sync())
            .map_err(OpenError::io("writing", UNFINISHED_BACKUP))?;
        Ok(())
    }

    /// Makes what was copied a store.
    fn end(&self, to: &dyn Storage, identity: &Label) -> Result<(), CopyError> {
        let names = to.list().map_err(OpenError::io("listing", "."))?;
        if names.iter().any(|name| name == IDENTITY) {
            return Ok(());
        }
        identity::publish(to, identity)
            .and_then(|()| to.remove(UNFINISHED_BACKUP))
            .and_then(|()| to.sync())
            .map_err(OpenError::io("writing", IDENTITY))?;
        Ok(())
    }

    /// Makes an earlier copy none, until all is there, where a part of what is to come is not the
    /// whole: it may end before where the first segment begins now, and a segment that was
    /// rewritten lacks events of which only a later one says that they were dropped.
    fn withdraw(&self, to: &dyn Storage) -> Result<(), CopyError> {
        let is_there = |remainder: &Arc<Remainder>| {
            let there = to.open(remainder.name());
            there.is_ok_and(|there| is_same(&**remainder.file(), &*there))
        };
        let is_rewritten = |segment: &Arc<Segment>| {
            let there = to.open(&segment.name).ok();
            let label = there.and_then(|there| {
                let label = read_label(&*there, Kind::Segment, &segment.name);
                label.ok()
            });
            label.is_some_and(|label| label.generation != segment.label.generation)
        };
        if self.remainders.iter().all(is_there) && !self.segments.iter().any(is_rewritten) {
            return Ok(());
        }
        match to.rename(IDENTITY, UNFINISHED_BACKUP) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => to.sync(),
        }
        .map_err(OpenError::io("renaming", IDENTITY))?;
        Ok(())
    }

    /// Copies what is kept of segments that are gone, unless all of it is there.
    fn copy_remainders(&self, to: &dyn Storage) -> Result<(), CopyError> {
        for remainder in &self.remainders {
            let name = remainder.name();
            let there = to.open(name);
            if there.is_ok_and(|there| is_same(&**remainder.file(), &*there)) {
                continue;
            }
            if !remainder.is_whole() {
                let what = "a page of what is kept of dropped events is not as it was written";
                return Err(CopyError::Damaged(Damage::new(name, 0, what)));
            }
            copy_file(&**remainder.file(), to, name).map_err(OpenError::io("copying", name))?;
        }
        Ok(())
    }

    /// Removes what the log does not have, or no longer.
    fn remove_others(&self, to: &dyn Storage) -> Result<(), CopyError> {
        let segments = self.segments.iter().map(|segment| segment.name.as_str());
        let remainders = self.remainders.iter().map(|remainder| remainder.name());
        let ours: Vec<&str> = segments.chain(remainders).collect();
        for name in to.list().map_err(OpenError::io("listing", "."))? {
            let is_part = [segment::first_in, remainder_first_in].map(|first_in| first_in(&name));
            if is_part.iter().any(Option::is_some) && !ours.contains(&name.as_str()) {
                to.remove(&name).map_err(OpenError::io("removing", &name))?;
            }
        }
        Ok(())
    }

    fn is_last(&self, segment: &Segment) -> bool {
        self.segments
            .last()
            .is_some_and(|last| last.first == segment.first)
    }

    /// Where the copy of a segment ends, if that is known before it is read.
    fn end_of(&self, segment: &Segment) -> Option<u64> {
        self.end.filter(|_| self.is_last(segment))
    }

    fn length_of(&self, segment: &Segment) -> u64 {
        let length = self.end_of(segment).or_else(|| segment.file.length().ok());
        length.unwrap_or_default()
    }

    /// Whether a segment was copied before, up to its end. It only ever gets longer, and a copy
    /// gets its name once it is whole.
    fn is_there(&self, to: &dyn Storage, segment: &Segment) -> Result<bool, CopyError> {
        let file = match to.open(&segment.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            file => file.map_err(OpenError::io("opening", &segment.name))?,
        };
        let label = read_label(&*file, Kind::Segment, &segment.name);
        let length = file
            .length()
            .map_err(OpenError::io("reading", &segment.name))?;
        if label.ok() != Some(segment.label) {
            return Ok(false);
        }
        if let Some(end) = self.end_of(segment) {
            return Ok(length == end);
        }
        let mut window = window(segment)?;
        let rest = window.used_to(length).map_err(reading(segment))?;
        Ok(length <= window.length() && rest == length)
    }

    /// Copies the frames of a segment, each held against its checksums.
    fn copy_segment(&self, to: &dyn Storage, segment: &Segment) -> Result<(), CopyError> {
        let name = &segment.name;
        let made = Unpublished::create(to, name).map_err(OpenError::io("creating", name))?;
        let mut chunk = segment.label.encode().to_vec();
        let mut written = 0;
        let mut write = |chunk: &mut Vec<u8>| {
            made.file
                .write_at(chunk, written)
                .map_err(OpenError::io("writing", name))?;
            written += u64_of(chunk.len());
            chunk.clear();
            Ok::<_, CopyError>(())
        };
        let end = self.end_of(segment);
        let mut window = window(segment)?;
        let mut at = FRAMES_FROM;
        while end != Some(at) {
            let head = window.get_up_to(at, FRAME_HEADER_BYTES);
            let head = head.map_err(reading(segment))?;
            let is_end = end.is_none() && head.iter().all(|&byte| byte == 0);
            if is_end && window.used_to(at).map_err(reading(segment))? == at {
                break;
            }
            let damaged = |what: &str| CopyError::Damaged(Damage::new(name, at, what));
            let header = FrameHeader::decode(&head, at, segment.seed).map_err(damaged)?;
            let frame = window.get_up_to(at, header.frame_bytes());
            let frame = frame.map_err(reading(segment))?;
            if frame.len() < header.frame_bytes() || !header.is_whole(&frame, at, segment.seed) {
                return Err(damaged("the checksum of a commit does not match"));
            }
            chunk.extend_from_slice(&frame);
            at += u64_of(frame.len());
            if chunk.len() >= CHUNK_BYTES {
                write(&mut chunk)?;
            }
        }
        write(&mut chunk)?;
        // Its name before the next one's: an earlier copy must not get a hole.
        made.publish()
            .and_then(|_| to.sync())
            .map_err(OpenError::io("creating", name))?;
        Ok(())
    }

    /// Copies the indexes of what is copied that are not there yet, and removes those that the log
    /// has no longer.
    fn copy_indexes(&self, to: &dyn Storage) -> io::Result<()> {
        let to = to.directory(INDEXES)?;
        let names = self.indexes.list()?;
        for name in to.list()? {
            if index::first_in(&name).is_some() && !names.contains(&name) {
                to.remove(&name)?;
            }
        }
        for name in names {
            // It may be merged with another one meanwhile, or be of a later generation; and then an
            // earlier copy of it may be of neither.
            let Some(file) = self.index(&name) else {
                drop(to.remove(&name));
                continue;
            };
            if to.open(&name).is_ok_and(|there| is_same(&*file, &*there)) {
                continue;
            }
            copy_file(&*file, &*to, &name)?;
        }
        to.sync()
    }

    /// The file of an index, where it is of nothing but what is copied.
    fn index(&self, name: &str) -> Option<Arc<dyn StorageFile>> {
        let first = index::first_in(name)?;
        let later = self
            .segments
            .partition_point(|segment| segment.first <= first);
        let segment = &self.segments[later.checked_sub(1)?];
        let cache = Arc::new(PageCache::default());
        let index = FileIndex::open(&*self.indexes, segment, first, &cache)?;
        let is_copied = self.end_of(segment).is_none_or(|end| index.end() <= end);
        is_copied.then(|| Arc::clone(index.file()))
    }
}

/// Copies a file whole, or not at all.
fn copy_file(file: &dyn StorageFile, to: &dyn Storage, name: &str) -> io::Result<()> {
    let made = Unpublished::create(to, name)?;
    let mut window = Window::new(file)?;
    let mut at = 0;
    while at < window.length() {
        let bytes = window.get_up_to(at, CHUNK_BYTES)?;
        made.file.write_at(&bytes, at)?;
        at += u64_of(bytes.len());
    }
    made.publish().map(drop)
}

/// The remainders of a log that is whole, without those that were merged into others.
fn open_remainders(
    storage: &dyn Storage,
    identity: &Label,
    names: &[String],
) -> Result<Vec<Arc<Remainder>>, OpenError> {
    let mut firsts: Vec<u64> = names.iter().filter_map(|n| remainder_first_in(n)).collect();
    firsts.sort_unstable();
    let cache = Arc::new(PageCache::default());
    let mut remainders: Vec<Arc<Remainder>> = Vec::new();
    for first in firsts {
        if remainders.last().is_none_or(|last| last.last() < first) {
            let remainder = Remainder::open(storage, identity, first, &cache)?;
            remainders.push(Arc::new(remainder));
        }
    }
    Ok(remainders)
}

/// Whether two indexes have the same first page, which ties it to all that is in it.
fn is_same(one: &dyn StorageFile, other: &dyn StorageFile) -> bool {
    let first = |file: &dyn StorageFile| {
        let length = in_memory(file.length().ok()?.min(4096)).ok()?;
        let mut page = vec![0; length];
        file.read_at(&mut page, 0).ok()?;
        Some((file.length().ok()?, page))
    };
    let one = first(one);
    one.is_some() && one == first(other)
}

fn window(segment: &Segment) -> Result<Window<'_>, CopyError> {
    Window::new(&*segment.file).map_err(reading(segment))
}

fn reading(segment: &Segment) -> impl FnOnce(io::Error) -> CopyError {
    let name = segment.name.clone();
    move |error| OpenError::io("reading", &name)(error).into()
}
