use std::hint::black_box;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use eventwire_store::{ReadError, RecordedEvent};

use crate::block::Block;
use crate::error::{Damage, IoFailure};
use crate::format::{Decoder, Record, frame_before, in_memory, record_end, u64_of, usize_of};
use crate::index::Slot;
use crate::plan::Place;
use crate::segment::Segment;
use crate::storage::Mapping;
use crate::view::Head;

/// Bytes read into one buffer, unless one event has more. An event that is kept keeps them all.
const BUFFER_BYTES: u64 = 256 << 10;

/// Bytes worth reading for nothing, where that saves a read.
const GAP_BYTES: u64 = 4 << 10;

/// How far before a record the header of its frame is looked for.
const HEADER_WITHIN: u64 = 320;

/// Bytes read before a run, where the header of its first frame mostly lies.
const LEAD_BYTES: u64 = 128;

/// A frame with fewer events is no cheaper to check than its events are.
const FRAME_EVENTS: usize = 4;

/// A processor fetches memory in lines of this many bytes.
const LINE_BYTES: usize = 64;

/// Events that match, and how they are read: those that lie close together at once.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// In the direction of the scan.
    found: Vec<Found>,
    runs: Vec<Run>,
    files: Vec<Source>,
}

/// An event that matches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) position: u64,
    pub(crate) slot: Slot,
}

/// Events that lie close together in one file, or anywhere in one that is mapped.
#[derive(Debug)]
struct Run {
    /// The number of its file.
    file: usize,
    begin: u64,
    end: u64,
    /// Which of those that were found.
    events: Range<usize>,
}

/// A file that something was found in.
#[derive(Debug)]
struct Source {
    segment: Arc<Segment>,
    mapping: Option<Mapping>,
}

impl Found {
    fn end(&self) -> u64 {
        self.slot.end()
    }
}

impl Run {
    /// Whether an event, the next in the direction of the scan, is best read with these.
    fn is_near(&self, found: &Found) -> bool {
        // On one side of the run or the other, as the scan goes.
        let gap = match found.slot.offset.checked_sub(self.end) {
            Some(after) => after,
            None => self.begin.saturating_sub(found.end()),
        };
        let length = self.end.max(found.end()) - self.begin.min(found.slot.offset);
        gap <= GAP_BYTES && length <= BUFFER_BYTES
    }

    /// The bytes that are read for it: where frames may be whole, those around its events too.
    fn bytes(&self) -> Range<u64> {
        if self.events.len() < FRAME_EVENTS {
            return self.begin..self.end;
        }
        let begin = self.begin.saturating_sub(LEAD_BYTES);
        begin..record_end(self.end)
    }
}

impl Runs {
    /// Adds an event, the next in the direction of the scan.
    pub(crate) fn push(&mut self, found: Found, place: Place<'_>) {
        let at = self.found.len();
        self.found.push(found);
        let is_same = |file: &Source| Arc::ptr_eq(&file.segment, place.segment);
        if !self.files.last().is_some_and(is_same) {
            self.files.push(Source {
                segment: Arc::clone(place.segment),
                mapping: place.mapping.cloned(),
            });
        }
        let file = self.files.len() - 1;
        let is_mapped = self.files[file].mapping.is_some();
        match self.runs.last_mut() {
            Some(run) if run.file == file && (is_mapped || run.is_near(&found)) => {
                run.begin = run.begin.min(found.slot.offset);
                run.end = run.end.max(found.end());
                run.events.end = at + 1;
            }
            _ => self.runs.push(Run {
                file,
                begin: found.slot.offset,
                end: found.end(),
                events: at..at + 1,
            }),
        }
    }

    /// What was found, in the direction of the scan.
    pub(crate) fn found(&self) -> &[Found] {
        &self.found
    }

    /// Reads the events, in the direction of the scan.
    ///
    /// # Errors
    /// Where a file cannot be read, or an event is not as it was written.
    pub(crate) fn read(mut self) -> Result<Vec<RecordedEvent>, ReadError> {
        let is_backward = !self.found.is_sorted_by_key(|found| found.position);
        if is_backward {
            self.turn();
        }
        let mut events = Vec::with_capacity(self.found.len());
        let mut rest = &self.runs[..];
        while let Some(run) = rest.first() {
            let file = &self.files[run.file];
            let count = match &file.mapping {
                Some(mapping) => {
                    let bytes = Bytes::from_owner(mapping.clone());
                    let found = &self.found[run.events.clone()];
                    let mut reading = Reading::new(file, &bytes);
                    reading.touch(found);
                    let taken = reading.take(found, &mut Decoder::new(&bytes), &mut events);
                    taken.map_err(damaged)?;
                    1
                }
                None => {
                    let runs = read_together(rest);
                    file.read(runs, &self.found, &mut events)?;
                    runs.len()
                }
            };
            rest = &rest[count..];
        }
        if is_backward {
            events.reverse();
        }
        Ok(events)
    }

    /// Makes events, or the first of them, the bytes of a block, and says where they begin there.
    /// They are of one file, and were found by rising positions. Returns how many they are.
    ///
    /// # Errors
    /// Where a file cannot be read, or an event is not as it was written; those before it are
    /// in `heads` then.
    pub(crate) fn lend(
        &self,
        block: &mut Block,
        heads: &mut Vec<Head>,
    ) -> Result<usize, ReadError> {
        let Some(run) = self.runs.first() else {
            return Ok(0);
        };
        let file = &self.files[run.file];
        if let Some(mapping) = &file.mapping {
            block.map(mapping);
            let mut reading = Reading::new(file, block.bytes());
            reading.touch(&self.found);
            reading.lend(&self.found, heads).map_err(damaged)?;
            return Ok(self.found.len());
        }
        let runs = read_together(&self.runs);
        block.fill(|buffer| file.fill(runs, buffer))?;
        let mut reading = Reading::new(file, block.bytes());
        for (run, part) in parts(runs) {
            reading.stand_at(run.bytes().start, part);
            let found = &self.found[run.events.clone()];
            reading.lend(found, heads).map_err(damaged)?;
        }
        Ok(heads.len())
    }

    /// Whether what lies in a segment is in the same file as these.
    pub(crate) fn could_be_with(&self, segment: &Arc<Segment>) -> bool {
        let is_same = |file: &Source| Arc::ptr_eq(&file.segment, segment);
        self.files.last().is_none_or(is_same)
    }

    /// Puts what was found by falling positions in the order in which it lies.
    fn turn(&mut self) {
        let count = self.found.len();
        self.found.reverse();
        self.runs.reverse();
        for run in &mut self.runs {
            run.events = count - run.events.end..count - run.events.start;
        }
    }
}

/// The first of some runs, and those after it that are best read into the same buffer.
fn read_together(runs: &[Run]) -> &[Run] {
    let mut bytes = 0;
    let is_apart = |run: &Run| {
        let Range { start, end } = run.bytes();
        bytes += end - start;
        run.file != runs[0].file || bytes > BUFFER_BYTES
    };
    let count = runs.iter().position(is_apart).unwrap_or(runs.len());
    &runs[..count.max(1)]
}

/// Some runs, and where each is in a buffer that has them one after the other.
fn parts(runs: &[Run]) -> impl Iterator<Item = (&Run, Range<usize>)> {
    let mut at = 0;
    runs.iter().map(move |run| {
        let Range { start, end } = run.bytes();
        let begin = at;
        at += in_memory(end - start).expect("it was read into memory");
        (run, begin..at)
    })
}

fn damaged(damage: Damage) -> ReadError {
    ReadError::Backend(Box::new(damage))
}

impl Source {
    /// Reads the events of runs in this file.
    fn read(
        &self,
        runs: &[Run],
        found: &[Found],
        events: &mut Vec<RecordedEvent>,
    ) -> Result<(), ReadError> {
        let mut buffer = Vec::new();
        self.fill(runs, &mut buffer)?;
        let buffer = Bytes::from(buffer);
        let mut decoder = Decoder::new(&buffer);
        let mut reading = Reading::new(self, &buffer);
        for (run, part) in parts(runs) {
            reading.stand_at(run.bytes().start, part);
            let found = &found[run.events.clone()];
            let taken = reading.take(found, &mut decoder, events);
            taken.map_err(damaged)?;
        }
        Ok(())
    }

    /// Makes what lies in some runs, one after the other, the first bytes of a buffer; returns
    /// how many they are.
    fn fill(&self, runs: &[Run], buffer: &mut Vec<u8>) -> Result<usize, ReadError> {
        let mut length = 0;
        for run in runs {
            let bytes = run.bytes();
            let counted = self.length(&bytes);
            length += counted.map_err(|error| self.unread(bytes.start, error))?;
        }
        if let [run] = runs {
            let begin = run.bytes().start;
            buffer.clear();
            let read = self.segment.file.read_more(buffer, length, begin);
            return read
                .map(|()| length)
                .map_err(|error| self.unread(begin, error));
        }
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        self.read_each(runs, buffer)?;
        Ok(length)
    }

    fn read_each(&self, runs: &[Run], buffer: &mut [u8]) -> Result<(), ReadError> {
        let file = &self.segment.file;
        let mut is_awaited = false;
        for (number, (run, part)) in parts(runs).enumerate() {
            let begin = run.bytes().start;
            let bytes = &mut buffer[part];
            let read = if is_awaited {
                file.read_at(bytes, begin)
            } else {
                file.read_ready(bytes, begin).and_then(|is_read| {
                    if is_read {
                        return Ok(());
                    }
                    // The medium brings many at once as fast as one.
                    is_awaited = true;
                    runs[number..]
                        .iter()
                        .for_each(|run| file.expect(run.bytes()));
                    file.read_at(bytes, begin)
                })
            };
            read.map_err(|error| self.unread(begin, error))?;
        }
        Ok(())
    }

    fn unread(&self, at: u64, error: io::Error) -> ReadError {
        let failure = IoFailure::new("reading", &self.segment.name, at, error);
        ReadError::Backend(Box::new(failure))
    }

    /// The length of what is to be read. An index can say of an event that it lies anywhere, and
    /// is of any length.
    fn length(&self, bytes: &Range<u64>) -> io::Result<usize> {
        let length = bytes.end.saturating_sub(bytes.start);
        let is_usual = length <= BUFFER_BYTES + LEAD_BYTES + GAP_BYTES && bytes.end < u64::MAX / 4;
        if !is_usual && bytes.end > self.segment.file.length()? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        in_memory(length).map_err(io::Error::other)
    }
}

/// Records that are taken from bytes, in the order in which they lie there.
struct Reading<'a> {
    segment: &'a Segment,
    bytes: &'a [u8],
    /// Where in the file the bytes begin that are looked at.
    base: u64,
    /// Which of the bytes those are.
    part: Range<usize>,
    /// Where in the file the last event ends that was taken.
    read_to: u64,
    /// Events below this position are as they were written: their frame was checked as a whole.
    whole_below: u64,
}

impl<'a> Reading<'a> {
    /// Of all of a file.
    fn new(file: &'a Source, bytes: &'a [u8]) -> Self {
        Self {
            segment: &file.segment,
            bytes,
            base: 0,
            part: 0..bytes.len(),
            read_to: 0,
            whole_below: 0,
        }
    }

    /// Goes on with a part of the bytes, which begins at a place in the file.
    fn stand_at(&mut self, base: u64, part: Range<usize>) {
        (self.base, self.read_to, self.part) = (base, base, part);
    }

    /// Makes events of those that were found.
    fn take(
        &mut self,
        found: &[Found],
        decoder: &mut Decoder<'a>,
        events: &mut Vec<RecordedEvent>,
    ) -> Result<(), Damage> {
        for number in 0..found.len() {
            let (_, record) = self.record(&found[number..])?;
            let event = decoder.event(record, found[number].position);
            events.push(event.map_err(|what| self.damage(&found[number], what))?);
        }
        Ok(())
    }

    /// Says where those begin that were found.
    fn lend(&mut self, found: &[Found], heads: &mut Vec<Head>) -> Result<(), Damage> {
        for number in 0..found.len() {
            let (at, record) = self.record(&found[number..])?;
            let checked = record.check_names();
            checked.map_err(|what| self.damage(&found[number], what))?;
            let position = found[number].position;
            heads.push(Head { position, at });
        }
        Ok(())
    }

    /// The record of the first of these events, and where it begins. Its names are still to be
    /// checked.
    #[inline]
    fn record(&mut self, events: &[Found]) -> Result<(usize, Record<'a>), Damage> {
        let found = events[0];
        if found.position >= self.whole_below
            && let Some(below) = self.check_frame(events)
        {
            self.whole_below = below;
        }
        self.read_to = found.end();
        self.checked(&found)
            .map_err(|what| self.damage(&found, what))
    }

    #[inline]
    fn checked(&self, found: &Found) -> Result<(usize, Record<'a>), &'static str> {
        let range = self.range(found.slot.offset, usize_of(found.slot.bytes));
        let range = range.ok_or("an event lies outside its file")?;
        let at = range.start;
        let record = Record::first_in(&self.bytes[range])?;
        if found.position >= self.whole_below {
            record.check(found.position, self.segment.seed)?;
        }
        Ok((at, record))
    }

    fn damage(&self, found: &Found, what: &str) -> Damage {
        Damage::new(&self.segment.name, found.slot.offset, what)
    }

    /// Checks the frame that begins with the first of these events where it has enough of them
    /// and all of them are asked for: one checksum of much is cheaper than many of little.
    /// Returns the position after its last. A frame that is not whole is left to the checksums of
    /// its events, which say where.
    fn check_frame(&self, events: &[Found]) -> Option<u64> {
        let found = events[0];
        let has_neighbours = |count: usize| {
            let last = events.get(count.checked_sub(1)?)?;
            (last.position - found.position == u64_of(count) - 1).then_some(last.position + 1)
        };
        has_neighbours(FRAME_EVENTS)?;
        let from = found
            .slot
            .offset
            .saturating_sub(HEADER_WITHIN)
            .max(self.read_to);
        let before = self.get(from, in_memory(found.slot.offset.checked_sub(from)?).ok()?)?;
        let seed = self.segment.seed;
        let (at, header) = frame_before(before, from, found.position, seed)?;
        let events = usize_of(header.events);
        let below = has_neighbours(events).filter(|_| events >= FRAME_EVENTS)?;
        let frame = self.get(at, header.frame_bytes())?;
        header.is_whole(frame, at, seed).then_some(below)
    }

    /// Looks at every line of memory the events lie in. The processor waits for many lines at
    /// once here, and would wait for each in its turn where they are decoded.
    fn touch(&self, events: &[Found]) {
        let lines = events.iter().filter_map(|found| {
            let bytes = self.get(found.slot.offset, usize_of(found.slot.bytes))?;
            let lines = bytes.iter().step_by(LINE_BYTES);
            Some(lines.fold(0, |sum, byte| sum ^ byte))
        });
        black_box(lines.fold(0, |sum, byte| sum ^ byte));
    }

    /// Bytes at a place in the file.
    fn get(&self, at: u64, length: usize) -> Option<&'a [u8]> {
        self.range(at, length).map(|range| &self.bytes[range])
    }

    /// Which of the bytes lie at a place in the file.
    #[inline]
    fn range(&self, at: u64, length: usize) -> Option<Range<usize>> {
        let within = in_memory(at.checked_sub(self.base)?).ok()?;
        let begin = self.part.start.checked_add(within)?;
        let end = begin.checked_add(length)?;
        (end <= self.part.end).then_some(begin..end)
    }
}
