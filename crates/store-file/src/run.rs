use std::hint::black_box;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use eventwire_store::{ReadError, RecordedEvent};

use crate::error::{Damage, IoFailure};
use crate::format::{Record, frame_before, in_memory, record_end, usize_of};
use crate::index::Slot;
use crate::segment::Segment;
use crate::storage::Mapping;

/// Bytes read at once, unless one event has more. An event that is kept keeps them all.
const RUN_BYTES: u64 = 256 << 10;

/// Bytes worth reading for nothing, where that saves a read.
const GAP_BYTES: u64 = 4 << 10;

/// How far before a record the header of its frame is looked for.
const HEADER_WITHIN: u64 = 320;

/// Bytes read before a run, where the header of its first frame mostly lies.
const LEAD_BYTES: u64 = 128;

/// A frame with fewer events is no cheaper to check than its events are.
const FRAME_EVENTS: u32 = 4;

/// A processor fetches memory in lines of this many bytes.
const LINE_BYTES: usize = 64;

/// Events that lie close together in one file, or anywhere in one that is mapped.
#[derive(Debug)]
pub(crate) struct Run {
    segment: Arc<Segment>,
    mapping: Option<Mapping>,
    begin: u64,
    end: u64,
    /// In the direction of the scan.
    events: Vec<Found>,
}

/// An event that matches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) position: u64,
    pub(crate) slot: Slot,
}

impl Found {
    fn end(&self) -> u64 {
        self.slot.offset.saturating_add(self.slot.bytes.into())
    }
}

impl Run {
    pub(crate) fn new(found: Found, segment: &Arc<Segment>, mapping: Option<&Mapping>) -> Self {
        Self {
            segment: Arc::clone(segment),
            mapping: mapping.cloned(),
            begin: found.slot.offset,
            end: found.end(),
            events: vec![found],
        }
    }

    pub(crate) fn events(&self) -> &[Found] {
        &self.events
    }

    /// Whether an event, the next in the direction of the scan, is best read with these.
    pub(crate) fn takes(&self, found: &Found, segment: &Arc<Segment>) -> bool {
        // On one side of the run or the other, as the scan goes.
        let gap = match found.slot.offset.checked_sub(self.end) {
            Some(after) => after,
            None => self.begin.saturating_sub(found.end()),
        };
        let length = self.end.max(found.end()) - self.begin.min(found.slot.offset);
        let is_near = self.mapping.is_some() || (gap <= GAP_BYTES && length <= RUN_BYTES);
        Arc::ptr_eq(&self.segment, segment) && is_near
    }

    pub(crate) fn push(&mut self, found: Found) {
        self.begin = self.begin.min(found.slot.offset);
        self.end = self.end.max(found.end());
        self.events.push(found);
    }

    /// Reads the events, in the direction of the scan.
    ///
    /// # Errors
    /// Where the file cannot be read, or an event is not as it was written.
    pub(crate) fn read(mut self, events: &mut Vec<RecordedEvent>) -> Result<(), ReadError> {
        let from = events.len();
        let is_backward = !self.events.is_sorted_by_key(|found| found.position);
        if is_backward {
            self.events.reverse();
        }
        let (bytes, base) = self.bytes()?;
        let mut reading = Reading {
            segment: &self.segment,
            bytes: &bytes,
            base,
            read_to: base,
            whole_below: 0,
        };
        if self.mapping.is_some() {
            reading.touch(&self.events);
        }
        for number in 0..self.events.len() {
            events.push(reading.event(&self.events[number..])?);
        }
        if is_backward {
            events[from..].reverse();
        }
        Ok(())
    }

    /// Bytes that hold the run, and where in the file they begin.
    fn bytes(&self) -> Result<(Bytes, u64), ReadError> {
        if let Some(mapping) = &self.mapping {
            return Ok((Bytes::from_owner(mapping.clone()), 0));
        }
        let begin = self.begin.saturating_sub(LEAD_BYTES);
        match self.bytes_from(begin) {
            Ok(bytes) => Ok((bytes, begin)),
            Err(error) => {
                let failure = IoFailure::new("reading", &self.segment.name, begin, error);
                Err(ReadError::Backend(Box::new(failure)))
            }
        }
    }

    fn bytes_from(&self, begin: u64) -> io::Result<Bytes> {
        // An index can say of an event that it lies anywhere, and is of any length.
        let is_usual = self.end - begin <= LEAD_BYTES + RUN_BYTES && self.end < u64::MAX / 2;
        if !is_usual && self.end > self.segment.file.length()? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = in_memory(record_end(self.end) - begin).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        self.segment.file.read_at(&mut bytes, begin)?;
        Ok(bytes.into())
    }
}

/// Events that are taken from bytes, in the order in which they lie there.
struct Reading<'a> {
    segment: &'a Segment,
    bytes: &'a Bytes,
    /// Where in the file the bytes begin.
    base: u64,
    /// Where in the file the last event ends that was taken.
    read_to: u64,
    /// Events below this position are as they were written: their frame was checked as a whole.
    whole_below: u64,
}

impl Reading<'_> {
    /// Takes the first of these events.
    fn event(&mut self, events: &[Found]) -> Result<RecordedEvent, ReadError> {
        let found = events[0];
        if found.position >= self.whole_below
            && let Some(below) = self.check_frame(events)
        {
            self.whole_below = below;
        }
        self.read_to = found.end();
        self.decode(&found).map_err(|what| {
            let damage = Damage::new(&self.segment.name, found.slot.offset, what);
            ReadError::Backend(Box::new(damage))
        })
    }

    fn decode(&self, found: &Found) -> Result<RecordedEvent, &'static str> {
        let outside = "an event lies outside its file";
        let bytes = self.get(found.slot.offset, usize_of(found.slot.bytes));
        let bytes = bytes.ok_or(outside)?;
        let record = Record::first_in(bytes)?;
        if found.position >= self.whole_below {
            record.check(found.position, self.segment.seed)?;
        }
        record.to_event(self.bytes, found.position)
    }

    /// Checks the frame that begins with the first of these events where it has enough of them
    /// and all of them are asked for: one checksum of much is cheaper than many of little.
    /// Returns the position after its last. A frame that is not whole is left to the checksums of
    /// its events, which say where.
    fn check_frame(&self, events: &[Found]) -> Option<u64> {
        let found = events[0];
        let from = found
            .slot
            .offset
            .saturating_sub(HEADER_WITHIN)
            .max(self.read_to);
        let before = self.get(from, in_memory(found.slot.offset.checked_sub(from)?).ok()?)?;
        let seed = self.segment.seed;
        let (at, header) = frame_before(before, from, found.position, seed)?;
        let below = found.position + u64::from(header.events);
        let last = events.get(usize_of(header.events).checked_sub(1)?)?;
        if header.events < FRAME_EVENTS || last.position + 1 != below {
            return None;
        }
        let frame = self.get(at, header.frame_bytes())?;
        header.is_whole(frame, at, seed).then_some(below)
    }

    /// Looks at every line of memory the events lie in. The processor waits for many lines at
    /// once here, and would wait for each in its turn where they are decoded.
    fn touch(&self, events: &[Found]) {
        let lines = events.iter().filter_map(|found| {
            let bytes = self.get(found.slot.offset, usize_of(found.slot.bytes))?;
            Some(
                bytes
                    .iter()
                    .step_by(LINE_BYTES)
                    .fold(0, |sum, byte| sum ^ byte),
            )
        });
        black_box(lines.fold(0, |sum, byte| sum ^ byte));
    }

    /// Bytes at a place in the file.
    fn get(&self, at: u64, length: usize) -> Option<&[u8]> {
        let from = in_memory(at.checked_sub(self.base)?).ok()?;
        self.bytes.get(from..from.checked_add(length)?)
    }
}
