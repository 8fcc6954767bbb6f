use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use eventwire_store::{Epoch, Position, Uuid};

use crate::compaction::{count_dropped, dropped_bytes};
use crate::error::OpenError;
use crate::format::{FORMAT_VERSION, ListingKind, u64_of};
use crate::index::{Sealed, View};
use crate::log::SharedLog;
use crate::number;
use crate::report::Progress;
use crate::state::State;
use crate::storage::StorageFile;
use crate::trail::{Found, look};

/// What is in the directory of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stat {
    /// The store's id.
    pub store: Uuid,
    /// The epoch of its log.
    pub epoch: Epoch,
    /// The version of the format that its files have.
    pub format: u32,
    /// The position of the last event; [`Position::ORIGIN`] where there was never one.
    pub head: Position,
    /// Up to where the log was dropped.
    pub dropped_to: Position,
    /// Events that are held: those that readers are shown.
    pub events: u64,
    /// Events that were dropped, with the log or with single streams.
    pub events_dropped: u64,
    /// Files of the log.
    pub segments: usize,
    /// The lengths of these files, with what was made ready to be written to.
    pub segment_bytes: u64,
    /// Indexes that are in files, and those that will be made.
    pub indexes: usize,
    /// The lengths of these files.
    pub index_bytes: u64,
    /// Files that keep what must stay of files of the log that are gone.
    pub remainders: usize,
    /// The lengths of these files.
    pub remainder_bytes: u64,
    /// Streams that were ever written to.
    pub streams: u64,
    /// Streams that were deleted.
    pub streams_deleted: u64,
    /// Streams that were trimmed further than the log, deleted ones among them.
    pub streams_trimmed: u64,
    /// Types of events, without those of which all events are gone from the files.
    pub types: u64,
    /// Tags of events, likewise.
    pub tags: u64,
    /// Idempotency keys that are remembered.
    pub keys: u64,
    /// Consumers whose checkpoints are kept.
    pub consumers: u64,
    /// Files of the log that [`compact`](crate::FileStore::compact) would write again or remove.
    pub segments_to_compact: usize,
    /// Bytes of names, metadata and payloads that it would give back, about.
    pub bytes_to_compact: u64,
}

/// Says what is in the directory of a store, whether a process has it open or not.
///
/// It takes no lock that would keep a writer out for longer than it takes to open the files, and
/// changes nothing. It reads the indexes, and of the events what no index has; names are counted by
/// their fingerprints. `Progress` counts indexes rather than bytes.
///
/// ```
/// use eventwire_store_file::{FileStore, stat};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let store = FileStore::open(directory.path())?;
/// let stat = stat(directory.path(), |_| {})?;
/// assert_eq!((stat.events, stat.segments), (0, 1));
/// # Ok(()) }
/// ```
///
/// Blocks while it reads.
///
/// # Errors
/// [`OpenError`], where there is no store, or one that its writer would not open either.
pub fn stat(path: impl AsRef<Path>, mut progress: impl FnMut(Progress)) -> Result<Stat, OpenError> {
    let found = look(path.as_ref())?;
    count(found, &mut progress)
}

/// What the indexes come to.
#[derive(Debug, Default)]
struct Tally {
    names: Names,
    /// Events that were dropped of what the indexes have.
    dropped: u64,
    /// The segments that hold anything of them, and how much they do.
    segments: HashSet<u64>,
    bytes: u64,
}

/// The names of each kind, by what they are found by.
#[derive(Debug, Default)]
struct Names {
    streams: HashSet<u64>,
    types: HashSet<u64>,
    tags: HashSet<u64>,
    keys: HashSet<u64>,
}

impl Names {
    fn take_in(&mut self, kind: ListingKind, hash: u64) {
        let names = match kind {
            ListingKind::Stream => &mut self.streams,
            ListingKind::Type => &mut self.types,
            ListingKind::Tag => &mut self.tags,
            ListingKind::Key => &mut self.keys,
            ListingKind::Category => return,
        };
        names.insert(hash);
    }
}

impl Tally {
    fn of(
        log: &SharedLog,
        store: Uuid,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, OpenError> {
        let mut tally = Self::default();
        let lasts = lasts(&log.read());
        for (done, &last) in (1..).zip(&lasts) {
            tally.take_in(log, store, last)?;
            let of = u64_of(lasts.len());
            progress(Progress { bytes: done, of });
        }
        let remainders = log.read().remainders.clone();
        for remainder in &remainders {
            let each = remainder.each_name(|kind, hash| tally.names.take_in(kind, hash));
            each.map_err(|bad| OpenError::Damaged(remainder.damage(bad)))?;
        }
        Ok(tally)
    }

    /// Takes in the index of the events around a position.
    fn take_in(&mut self, log: &SharedLog, store: Uuid, at: u64) -> Result<(), OpenError> {
        let log_to = log.read().notes.dropped.log_to();
        let looked = log.look_at(at, |view, place, hidden| {
            let mut names = Vec::new();
            view.each_name(store, |kind, hash| names.push((kind, hash)))?;
            let dropped = count_dropped(view, &hidden, log_to);
            let bytes = match dropped {
                0 => 0,
                _ => dropped_bytes(view, &hidden, log_to)?,
            };
            Ok((names, place.segment.first, dropped, bytes))
        });
        let looked = looked.map_err(std::io::Error::other);
        let looked = looked.map_err(OpenError::io("reading", "."))?;
        let (names, segment, dropped, bytes) = looked.expect("no segment goes meanwhile");
        for (kind, hash) in names {
            self.names.take_in(kind, hash);
        }
        self.dropped += dropped;
        self.bytes += bytes;
        if bytes > 0 {
            self.segments.insert(segment);
        }
        Ok(())
    }
}

/// The last positions of the indexes that have any event.
fn lasts(state: &State) -> Vec<u64> {
    let views = state.views().filter(|view| view.last() >= view.first());
    views.map(View::last).collect()
}

fn count(found: Found, progress: &mut dyn FnMut(Progress)) -> Result<Stat, OpenError> {
    let Found {
        identity, state, ..
    } = found;
    let log = SharedLog::new(state, Arc::default());
    let tally = Tally::of(&log, identity.store, progress)?;
    let mut state = log.write();
    let segments = state.segments.iter().map(|segment| &segment.file);
    let segment_bytes = bytes_of(segments)?;
    let indexes = state.sealed.iter().filter_map(Sealed::in_file);
    let index_bytes = bytes_of(indexes.map(|index| index.file()))?;
    let remainder_bytes = bytes_of(state.remainders.iter().map(|it| it.file()))?;
    let gone_to = state.segments[0].first - 1;
    let head = state.last();
    let dropped = &state.notes.dropped;
    let stat = Stat {
        store: identity.store,
        epoch: identity.epoch,
        format: FORMAT_VERSION,
        head: number::position(head),
        dropped_to: number::position(dropped.log_to()),
        events: head - gone_to - tally.dropped,
        events_dropped: gone_to + tally.dropped,
        segments: state.segments.len(),
        segment_bytes,
        indexes: state.sealed.len(),
        index_bytes,
        remainders: state.remainders.len(),
        remainder_bytes,
        streams: u64_of(tally.names.streams.len()),
        streams_deleted: u64_of(dropped.deleted()),
        streams_trimmed: u64_of(dropped.trimmed()),
        types: u64_of(tally.names.types.len()),
        tags: u64_of(tally.names.tags.len()),
        keys: u64_of(tally.names.keys.len()),
        consumers: 0,
        segments_to_compact: tally.segments.len(),
        bytes_to_compact: tally.bytes,
    };
    Ok(Stat {
        consumers: u64_of(state.notes.checkpoints.all().len()),
        ..stat
    })
}

fn bytes_of<'a>(files: impl Iterator<Item = &'a Arc<dyn StorageFile>>) -> Result<u64, OpenError> {
    let lengths = files.map(|file| file.length());
    let bytes: std::io::Result<u64> = lengths.sum();
    bytes.map_err(OpenError::io("reading", "."))
}
