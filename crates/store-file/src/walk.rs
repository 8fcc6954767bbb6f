use std::io;
use std::sync::Arc;

use eventwire_store::{Position, ReadError};

use crate::block::{BLOCK_BYTES, Block};
use crate::error::{Damage, IoFailure};
use crate::format::{
    FRAME_HEADER_BYTES, FrameHeader, Record, Records, frame_before, in_memory, record_end, u64_of,
};
use crate::index::Hidden;
use crate::log::SharedLog;
use crate::number;
use crate::segment::{FRAMES_FROM, Segment};
use crate::storage::Mapping;
use crate::view::Head;

/// How many events before a place are looked at together, to find where its commit begins.
const BACK_EVENTS: u64 = 256;

/// How many bytes before an event are looked at first, for the header of its commit.
const HEADER_WITHIN: u64 = 4 << 10;

/// Goes through the files of the log from commit to commit, and checks each as a whole.
pub(crate) struct Walk {
    log: Arc<SharedLog>,
    /// The position of the next event.
    next: u64,
    /// Where the frame with the next event begins, or one before it that has no event.
    place: Option<Place>,
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

impl Source {
    /// How many bytes are looked at from a place on: as many as is good, and not fewer than `least`.
    fn length(&self, at: u64, least: usize) -> usize {
        let left = in_memory(self.end.saturating_sub(at)).unwrap_or(usize::MAX);
        left.min(BLOCK_BYTES).max(least)
    }
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

impl Walk {
    pub(crate) fn new(log: Arc<SharedLog>, after: Position) -> Self {
        Self {
            log,
            next: number::of(after).saturating_add(1),
            place: None,
        }
    }

    /// Everything at or below this position has been taken.
    pub(crate) fn position(&self) -> u64 {
        self.next - 1
    }

    /// Takes the next events; none where there are no more now.
    pub(crate) fn next(
        &mut self,
        block: &mut Block,
        heads: &mut Vec<Head>,
    ) -> Result<(), ReadError> {
        let mut least = FRAME_HEADER_BYTES;
        while heads.is_empty() {
            let Some(source) = self.source()? else {
                return Ok(());
            };
            let Some(at) = self.locate(&source)? else {
                continue;
            };
            let load = block.load(
                source.mapping.as_ref(),
                &source.segment,
                at,
                source.length(at, least),
            );
            load.map_err(|error| unread(&source.segment, at, error))?;
            least = match self.take_frames(&source, at, block.bytes(), heads) {
                Ok(least) => least,
                // Told when it is asked again, after what is whole.
                Err(_) if !heads.is_empty() => break,
                Err(damage) => return Err(ReadError::Backend(Box::new(damage))),
            };
        }
        Ok(())
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
                    end: record_end(slot.end()),
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
                    view.slot(position - 1)?.end()
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
    fn take_frames(
        &mut self,
        source: &Source,
        at: u64,
        bytes: &[u8],
        heads: &mut Vec<Head>,
    ) -> Result<usize, Damage> {
        let segment = &source.segment;
        let place = self.place.insert(Place {
            segment: Arc::clone(segment),
            at,
        });
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
            let before = heads.len();
            let taken = take_records(&header, frame, |position, at, record| {
                if position >= self.next && source.hidden.shown_from(position) == position {
                    record.check_names()?;
                    let at = within + at;
                    heads.push(Head { position, at });
                }
                Ok(())
            });
            if let Err(what) = taken {
                heads.truncate(before);
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
