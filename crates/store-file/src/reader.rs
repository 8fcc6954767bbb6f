use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use eventwire_store::{Position, ReadError};

use crate::error::{Damage, IoFailure};
use crate::format::{
    FRAME_HEADER_BYTES, FrameHeader, Record, Records, frame_before, in_memory, record_end, u64_of,
};
use crate::index::Hidden;
use crate::log::SharedLog;
use crate::number;
use crate::segment::{FRAMES_FROM, Segment};
use crate::storage::Mapping;
use crate::view::{EventBatch, Head};

/// Bytes looked at for one batch, unless one commit has more: as much as stays in the second
/// cache of a processor.
const BLOCK_BYTES: usize = 256 << 10;

/// How many events before a place are looked at together, to find where its commit begins.
const BACK_EVENTS: u64 = 256;

/// How many bytes before an event are looked at first, for the header of its commit.
const HEADER_WITHIN: u64 = 4 << 10;

/// Reads the whole log, event by event: nothing is copied out of what was read, and nothing is
/// allocated for an event.
///
/// Made by [`FileStore::reader`](crate::FileStore::reader). Where
/// [`read`](eventwire_store::EventStore::read) looks events up and makes each one that can be
/// kept, this goes through the files from commit to commit, checks each as a whole, and lends
/// its events. It is for projections that are built anew, for exports, for whoever wants all of it.
///
/// ```
/// # use eventwire_store::{Append, EventStore, EventType, NewEvent, Position, StreamName};
/// # use eventwire_store_file::FileStore;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let store = FileStore::open(directory.path())?;
/// # let posted = |text: &'static str| NewEvent::new(EventType::new("posted").unwrap(), text);
/// # let room = StreamName::new("room-1")?;
/// # let append = Append::to(room).event(posted("hi")).event(posted("there"));
/// # futures_executor::block_on(store.append(append))?;
/// let mut reader = store.reader(Position::ORIGIN);
/// let mut posted = 0;
/// while let Some(events) = reader.next_batch()? {
///     for event in events {
///         posted += usize::from(event.event_type() == "posted");
///     }
/// }
/// assert_eq!(posted, 2);
/// // What is appended later is read when it is asked for again.
/// assert!(reader.next_batch()?.is_none());
/// # Ok(()) }
/// ```
///
/// # What is read
/// Every event above the place it began at, up to what readers are shown when it is asked, once and in order. Events
/// that were dropped are left out, and it does not say so:
/// [`dropped_to`](eventwire_store::Retention::dropped_to) does.
///
/// # Memory
/// One buffer of 256 KiB, or of the length of one commit where that is longer; none for files that
/// are [mapped](crate::FileOptions::mapped). No lock of the store is held between two calls, nor
/// while a file is read.
///
/// # Blocking
/// It reads files on the thread that calls it. Reading goes on where the store was closed.
pub struct LogReader {
    log: Arc<SharedLog>,
    /// The position of the next event.
    next: u64,
    /// Where the frame with the next event begins, or one before it that has no event.
    place: Option<Place>,
    block: Block,
    heads: Vec<Head>,
}

/// Where a frame begins.
#[derive(Debug, Clone)]
struct Place {
    segment: Arc<Segment>,
    at: u64,
}

/// What the next events are read from.
struct Source {
    segment: Arc<Segment>,
    mapping: Option<Mapping>,
    hidden: Hidden,
    /// The last position that is in the segment and that readers are shown. What lies before it
    /// in the file does not change; what lies behind it may be on its way.
    last: u64,
    /// How far the file goes at least, for that event to be in it.
    end: u64,
}

/// Bytes before a record.
struct Gap {
    position: u64,
    begin: u64,
    /// Where the record begins.
    end: u64,
    /// Whether there must be the header of its frame.
    is_certain: bool,
}

impl Gap {
    /// Where the frame begins whose first event this is, if it is that: the nearest header.
    fn header(&self, segment: &Segment) -> Result<Option<u64>, ReadError> {
        let mut length = HEADER_WITHIN;
        loop {
            let begin = self.end.saturating_sub(length).max(self.begin);
            let room = in_memory(self.end.saturating_sub(begin));
            let mut bytes = vec![0; room.map_err(|_| lost(segment, self.position))?];
            let read = segment.file.read_at(&mut bytes, begin);
            read.map_err(|error| unread(segment, begin, error))?;
            match frame_before(&bytes, begin, self.position, segment.seed) {
                Some((at, _)) => return Ok(Some(at)),
                None if begin > self.begin => length *= 8,
                None => return Ok(None),
            }
        }
    }
}

impl LogReader {
    pub(crate) fn new(log: Arc<SharedLog>, after: Position) -> Self {
        Self {
            log,
            next: number::of(after).saturating_add(1),
            place: None,
            block: Block::default(),
            heads: Vec::new(),
        }
    }

    /// Everything at or below this position has been lent: where a later reader goes on.
    #[must_use]
    pub fn position(&self) -> Position {
        number::position(self.next - 1)
    }

    /// The next events; none where there are no more now. Asked again later, it goes on with
    /// what was appended meanwhile; a subscription or
    /// [`wait_for`](eventwire_store::EventStore::wait_for) says when.
    ///
    /// # Errors
    /// [`ReadError::Backend`] where a file cannot be read, or is not as it was written, with file
    /// and byte. What was lent before is as it was written, nothing from there on is lent, and
    /// asking again gives the same error.
    pub fn next_batch(&mut self) -> Result<Option<EventBatch<'_>>, ReadError> {
        self.heads.clear();
        let mut least = FRAME_HEADER_BYTES;
        while self.heads.is_empty() {
            let Some(source) = self.source()? else {
                return Ok(None);
            };
            let Some(at) = self.locate(&source)? else {
                continue;
            };
            self.block.load(&source, at, least)?;
            least = match self.take_frames(&source, at) {
                Ok(least) => least,
                // Told when it is asked again, after what is whole.
                Err(_) if !self.heads.is_empty() => break,
                Err(damage) => return Err(ReadError::Backend(Box::new(damage))),
            };
        }
        Ok(Some(EventBatch::new(self.block.bytes(), &self.heads)))
    }

    /// Where the next event is; none where it is not shown.
    fn source(&mut self) -> Result<Option<Source>, ReadError> {
        loop {
            let shown = self.log.shown();
            let dropped_to = self.log.read().notes.dropped.log_to();
            self.next = self.next.max(dropped_to + 1);
            if self.next > shown {
                return Ok(None);
            }
            let found = self.log.look_at(self.next, |view, found, hidden| {
                let last = view.last().min(shown);
                let slot = view.slot(last)?;
                Ok(Source {
                    segment: Arc::clone(found.segment),
                    mapping: found.mapping.cloned(),
                    hidden,
                    last,
                    end: record_end(slot.offset + u64::from(slot.bytes)),
                })
            })?;
            // None where it has been dropped meanwhile.
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    /// Where a frame begins at or before the one with the next event, none of which has an
    /// earlier one; none where it has been dropped meanwhile.
    fn locate(&self, source: &Source) -> Result<Option<u64>, ReadError> {
        match &self.place {
            Some(place) if Arc::ptr_eq(&place.segment, &source.segment) => Ok(Some(place.at)),
            _ if source.segment.first == self.next => Ok(Some(FRAMES_FROM)),
            _ => self.search(source),
        }
    }

    /// Goes back from the next event to the first of its frame: the one with a header before it.
    fn search(&self, source: &Source) -> Result<Option<u64>, ReadError> {
        let mut from = self.next;
        loop {
            let Some(gaps) = self.gaps_before(from)? else {
                return Ok(None);
            };
            for gap in &gaps {
                if let Some(at) = gap.header(&source.segment)? {
                    return Ok(Some(at));
                }
            }
            from = match gaps.last() {
                Some(gap) if !gap.is_certain => gap.position - 1,
                _ => return Err(lost(&source.segment, from)),
            };
        }
    }

    /// What lies before some records, from that of a position down; where there is room for a
    /// header, and in any case before the last of them. No payload is in it: nobody could have
    /// put there what looks like a header.
    fn gaps_before(&self, from: u64) -> Result<Option<Vec<Gap>>, ReadError> {
        self.log.look_at(from, |view, _, _| {
            let last = from.saturating_sub(BACK_EVENTS).max(view.first());
            let mut gaps = Vec::new();
            for position in (last..=from).rev() {
                let end = view.slot(position)?.offset;
                // An index begins with a frame, so that there is a header, and the nearest is it.
                let is_certain = position == view.first();
                let begin = if is_certain {
                    FRAMES_FROM
                } else {
                    let before = view.slot(position - 1)?;
                    before.offset + u64::from(before.bytes)
                };
                let room = end.saturating_sub(begin);
                if room >= u64_of(FRAME_HEADER_BYTES) || position == last {
                    gaps.push(Gap {
                        position,
                        begin,
                        end,
                        is_certain,
                    });
                }
            }
            Ok(gaps)
        })
    }

    /// Takes the whole frames in the block, which begins at `at`, up to the last event that is
    /// shown; of those before the next event, nothing. Returns how many bytes there must be at the next place.
    fn take_frames(&mut self, source: &Source, at: u64) -> Result<usize, Damage> {
        let segment = &source.segment;
        let place = self.place.insert(Place {
            segment: Arc::clone(segment),
            at,
        });
        let bytes = self.block.bytes();
        let mut within = 0;
        while self.next <= source.last {
            let rest = &bytes[within..];
            if rest.len() < FRAME_HEADER_BYTES {
                break;
            }
            let damaged = |what| Damage::new(&segment.name, place.at, what);
            let header = FrameHeader::decode(rest, place.at, segment.seed).map_err(damaged)?;
            let Some(frame) = rest.get(..header.frame_bytes()) else {
                return Ok(header.frame_bytes());
            };
            let end = header.first.saturating_add(header.events.into());
            if header.first > self.next {
                return Err(damaged("a commit does not follow the one before it"));
            }
            if !header.is_whole(frame, place.at, segment.seed) {
                return Err(blame(segment, place.at, &header, frame));
            }
            let before = self.heads.len();
            let taken = take_records(&header, frame, |position, at, record| {
                if position >= self.next && source.hidden.shown_from(position) == position {
                    record.check_names()?;
                    let at = within + at;
                    self.heads.push(Head { position, at });
                }
                Ok(())
            });
            if let Err(what) = taken {
                self.heads.truncate(before);
                return Err(damaged(what));
            }
            self.next = self.next.max(end);
            within += frame.len();
            place.at += u64_of(frame.len());
        }
        Ok(FRAME_HEADER_BYTES)
    }
}

/// Goes through the events of a frame.
#[inline]
fn take_records<'a>(
    header: &FrameHeader,
    frame: &'a [u8],
    mut take: impl FnMut(u64, usize, Record<'a>) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    let body = &frame[FRAME_HEADER_BYTES..][..header.body_bytes()];
    let mut records = Records::new(body);
    let mut position = header.first;
    while let Some((at, record)) = records.next()? {
        take(position, FRAME_HEADER_BYTES + at, record)?;
        position += 1;
    }
    if position - header.first == u64::from(header.events) {
        Ok(())
    } else {
        Err("a commit does not hold what its header says")
    }
}

/// What is wrong with a frame that is not as it was written: the first of its events that is not,
/// or, where they all are, the frame.
fn blame(segment: &Segment, at: u64, header: &FrameHeader, frame: &[u8]) -> Damage {
    let mut first = None;
    let walked = take_records(header, frame, |position, within, record| {
        let checked = record.check(position, segment.seed);
        checked.inspect_err(|&what| first = Some((within, what)))
    });
    debug_assert!(first.is_none() || walked.is_err());
    match first {
        Some((within, what)) => Damage::new(&segment.name, at + u64_of(within), what),
        None => Damage::new(&segment.name, at, "the checksum of a commit does not match"),
    }
}

fn lost(segment: &Segment, position: u64) -> ReadError {
    let what = format!("the commit with position {position} does not begin anywhere");
    let damage = Damage::new(&segment.name, FRAMES_FROM, what);
    ReadError::Backend(Box::new(damage))
}

fn unread(segment: &Segment, at: u64, error: io::Error) -> ReadError {
    let failure = IoFailure::new("reading", &segment.name, at, error);
    ReadError::Backend(Box::new(failure))
}

/// The bytes that are looked at.
#[derive(Default)]
struct Block {
    /// Where they are in a file that is mapped; in the buffer otherwise.
    mapped: Option<(Mapping, Range<usize>)>,
    buffer: Vec<u8>,
    length: usize,
}

impl Block {
    /// Makes them those from a place on: as many as is good, and not fewer than `least`.
    fn load(&mut self, source: &Source, at: u64, least: usize) -> Result<(), ReadError> {
        let left = in_memory(source.end.saturating_sub(at)).unwrap_or(usize::MAX);
        let length = left.min(BLOCK_BYTES).max(least);
        let read = match &source.mapping {
            Some(mapping) => self.map(mapping, at, length),
            None => self.read(&source.segment, at, length),
        };
        read.map_err(|error| unread(&source.segment, at, error))
    }

    fn map(&mut self, mapping: &Mapping, at: u64, length: usize) -> io::Result<()> {
        let begin = in_memory(at).map_err(io::Error::other)?;
        let range = begin..begin.saturating_add(length);
        if mapping.as_ref().get(range.clone()).is_none() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.mapped = Some((mapping.clone(), range));
        self.buffer = Vec::new();
        Ok(())
    }

    fn read(&mut self, segment: &Segment, at: u64, length: usize) -> io::Result<()> {
        self.mapped = None;
        if self.buffer.len() > BLOCK_BYTES && length <= BLOCK_BYTES {
            self.buffer = Vec::new();
        }
        self.buffer.resize(length.max(self.buffer.len()), 0);
        self.length = length;
        segment.file.read_at(&mut self.buffer[..length], at)
    }

    fn bytes(&self) -> &[u8] {
        match &self.mapped {
            Some((mapping, range)) => &mapping.as_ref()[range.clone()],
            None => &self.buffer[..self.length],
        }
    }
}

impl fmt::Debug for LogReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogReader")
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}
