use std::io;
use std::path::Path;
use std::sync::Arc;

use eventwire_store::Epoch;

use crate::backup::{Backup, CopyError, Original};
use crate::engine::INDEXES;
use crate::error::{Damage, OpenError};
use crate::format::{FRAME_HEADER_BYTES, FrameHeader, Kind, Label, in_memory, u64_of};
use crate::identity::{self, IDENTITY, UNFINISHED_BACKUP, read_label};
use crate::index::{self, FileIndex, PageCache, Remainder};
use crate::inspection::inspect;
use crate::number;
use crate::parts::{Parts, is_part};
use crate::report::{Meaning, Progress};
use crate::segment::{self, FRAMES_FROM, Segment};
use crate::state::State;
use crate::storage::{Disk, Storage, StorageFile, Unpublished};
use crate::window::Window;

/// Bytes written at a time.
const CHUNK_BYTES: usize = 1 << 20;

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
        let mut parts = Parts::of(&names);
        parts.take_departed(report.log_begins_at);
        let cache = Arc::new(PageCache::default());
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
            remainders: parts.open_remainders(storage, &identity, &cache)?,
            segments: parts
                .segments
                .iter()
                .map(open)
                .collect::<Result<_, CopyError>>()?,
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
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        if !has(IDENTITY) {
            identity::publish(to, identity).map_err(OpenError::io("writing", IDENTITY))?;
        }
        // An earlier backup may have been finished and not have lived to do this.
        if has(UNFINISHED_BACKUP) {
            to.remove(UNFINISHED_BACKUP)
                .and_then(|()| to.sync())
                .map_err(OpenError::io("removing", UNFINISHED_BACKUP))?;
        }
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
            if is_part(&name) && !ours.contains(&name.as_str()) {
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
        let window = window(segment)?;
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
