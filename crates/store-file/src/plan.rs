use std::sync::Arc;

use bytes::Bytes;
use eventwire_store::backend::Batch;
use eventwire_store::{Direction, Position, Query, ReadError, RecordedEvent};

use crate::error::{Damage, IoFailure};
use crate::format::{decode, in_memory};
use crate::index::{BadIndex, Hidden, Next, Search, Slot, View};
use crate::number;
use crate::segment::Segment;

/// Looks into the index in one scan, so that the lock is held only briefly.
const SCAN_LOOKS: usize = 4096;

/// Bytes of events read in one scan, unless one event has more.
const SCAN_BYTES: u64 = 1 << 20;

/// Bytes read at once, unless one event has more. An event that is kept keeps them all.
const RUN_BYTES: u64 = 256 << 10;

/// Bytes worth reading for nothing, where that saves a read.
const GAP_BYTES: u64 = 4 << 10;

/// Which events a scan has found and where they lie; made from the indexes alone.
#[derive(Debug)]
pub(crate) struct Plan {
    /// In the direction of the scan.
    runs: Vec<Run>,
    looked_to: u64,
    is_end: bool,
    dropped_to: u64,
}

/// Events that lie close together in one file.
#[derive(Debug)]
struct Run {
    segment: Arc<Segment>,
    begin: u64,
    end: u64,
    events: Vec<Found>,
}

/// An event that matches.
#[derive(Debug, Clone, Copy)]
struct Found {
    position: u64,
    slot: Slot,
}

impl Plan {
    /// Reads what was found.
    pub(crate) fn read(self) -> Result<Batch, ReadError> {
        let mut events = Vec::with_capacity(self.runs.iter().map(|run| run.events.len()).sum());
        for run in &self.runs {
            run.read(&mut events)?;
        }
        Ok(Batch {
            events,
            looked_to: number::position(self.looked_to),
            is_end: self.is_end,
            dropped_to: number::position(self.dropped_to),
        })
    }

    /// The positions of what was found, and how far the scan has looked.
    pub(crate) fn positions(&self) -> impl Iterator<Item = u64> {
        let events = self.runs.iter().flat_map(|run| &run.events);
        events.map(|found| found.position)
    }

    /// Where the next scan in the same direction begins; none where there is nothing more.
    pub(crate) fn looked_to(&self) -> Option<Position> {
        (!self.is_end).then(|| number::position(self.looked_to))
    }
}

/// A scan that is being planned.
#[derive(Debug)]
pub(crate) struct Stretch {
    way: Way,
    limit: usize,
    looks: usize,
    bytes: u64,
    events: usize,
    /// In the order in which they were found.
    runs: Vec<Run>,
    looked_to: u64,
    is_full: bool,
}

/// Which way, and what is left to be looked at.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// From the first of these to the other.
    Forward(u64, u64),
    /// From the first of these down to what lies above the other.
    Backward(u64, u64),
}

impl Stretch {
    /// The next stretch of the log, of which readers are shown what is above `floor`, and at or
    /// below `shown`.
    pub(crate) fn new(direction: Direction, limit: usize, floor: u64, shown: u64) -> Self {
        let (way, looked_to) = match direction {
            Direction::Forward { after } => {
                let from = number::of(after).saturating_add(1);
                (Way::Forward(from.max(floor + 1), shown), shown)
            }
            Direction::Backward { before } => {
                let from = before.map_or(shown, |before| number::of(before).saturating_sub(1));
                (Way::Backward(from.min(shown), floor), 0)
            }
        };
        Self {
            way,
            limit,
            looks: SCAN_LOOKS,
            bytes: 0,
            events: 0,
            runs: Vec::new(),
            looked_to,
            is_full: false,
        }
    }

    /// Where to look next; none where this stretch is at its end.
    pub(crate) fn next(&self) -> Option<u64> {
        match self.way {
            _ if self.is_full => None,
            Way::Forward(from, to) => (from <= to).then_some(from),
            Way::Backward(from, floor) => (from > floor).then_some(from),
        }
    }

    /// Looks into the index, of a segment's events, that holds the next place.
    pub(crate) fn look(
        &mut self,
        view: View<'_>,
        segment: &Arc<Segment>,
        query: &Query,
        hidden: Hidden,
    ) -> Result<(), BadIndex> {
        let search = Search::new(view, query)?.without(hidden);
        match self.way {
            Way::Forward(from, to) => {
                let end = view.last().min(to);
                self.forward(&search, segment, from, end)?;
                self.way = Way::Forward(end + 1, to);
            }
            Way::Backward(from, floor) => {
                self.backward(&search, segment, from, floor)?;
                self.way = Way::Backward(view.first() - 1, floor);
            }
        }
        Ok(())
    }

    fn forward(
        &mut self,
        search: &Search<'_>,
        segment: &Arc<Segment>,
        mut from: u64,
        end: u64,
    ) -> Result<(), BadIndex> {
        loop {
            match search.forward(from, end, &mut self.looks)? {
                Next::Nothing => return Ok(()),
                Next::At(position) if self.has_room() => {
                    self.take(position, search.slot(position)?, segment);
                    from = position + 1;
                }
                Next::At(position) | Next::LookedTo(position) => {
                    self.stop(position - 1);
                    return Ok(());
                }
            }
        }
    }

    fn backward(
        &mut self,
        search: &Search<'_>,
        segment: &Arc<Segment>,
        mut from: u64,
        floor: u64,
    ) -> Result<(), BadIndex> {
        loop {
            match search.backward(from, &mut self.looks)? {
                Next::Nothing => return Ok(()),
                Next::At(position) | Next::LookedTo(position) if position <= floor => return Ok(()),
                Next::At(position) if self.has_room() => {
                    self.take(position, search.slot(position)?, segment);
                    from = position - 1;
                }
                Next::At(position) | Next::LookedTo(position) => {
                    self.stop(position + 1);
                    return Ok(());
                }
            }
        }
    }

    fn stop(&mut self, looked_to: u64) {
        self.looked_to = looked_to;
        self.is_full = true;
    }

    fn has_room(&self) -> bool {
        self.events < self.limit && self.bytes < SCAN_BYTES
    }

    /// Adds an event to the run it lies beside, or to a new one.
    fn take(&mut self, position: u64, slot: Slot, segment: &Arc<Segment>) {
        let found = Found { position, slot };
        self.bytes += u64::from(slot.bytes);
        self.events += 1;
        match self.runs.last_mut() {
            Some(run) if run.takes(&found, segment) => run.push(found),
            _ => self.runs.push(Run::new(found, Arc::clone(segment))),
        }
    }

    /// The plan of a scan whose readers are told what was dropped up to a place.
    pub(crate) fn into_plan(self, dropped_to: u64) -> Plan {
        Plan {
            runs: self.runs,
            looked_to: self.looked_to,
            is_end: !self.is_full,
            dropped_to,
        }
    }
}

impl Found {
    fn end(&self) -> u64 {
        self.slot.offset + u64::from(self.slot.bytes)
    }
}

impl Run {
    fn new(found: Found, segment: Arc<Segment>) -> Self {
        Self {
            segment,
            begin: found.slot.offset,
            end: found.end(),
            events: vec![found],
        }
    }

    fn takes(&self, found: &Found, segment: &Arc<Segment>) -> bool {
        // On one side of the run or the other, as the scan goes.
        let gap = match found.slot.offset.checked_sub(self.end) {
            Some(after) => after,
            None => self.begin.saturating_sub(found.end()),
        };
        let length = self.end.max(found.end()) - self.begin.min(found.slot.offset);
        Arc::ptr_eq(&self.segment, segment) && gap <= GAP_BYTES && length <= RUN_BYTES
    }

    fn push(&mut self, found: Found) {
        self.begin = self.begin.min(found.slot.offset);
        self.end = self.end.max(found.end());
        self.events.push(found);
    }

    fn read(&self, events: &mut Vec<RecordedEvent>) -> Result<(), ReadError> {
        let bytes = self.bytes()?;
        for found in &self.events {
            let from = in_memory(found.slot.offset - self.begin).expect("within the run's bytes");
            let to = in_memory(found.end() - self.begin).expect("within the run's bytes");
            let record = bytes.slice(from..to);
            let (event, _) =
                decode(&record, found.position, self.segment.seed).map_err(|what| {
                    let damage = Damage::new(&self.segment.name, found.slot.offset, what);
                    ReadError::Backend(Box::new(damage))
                })?;
            events.push(event);
        }
        Ok(())
    }

    fn bytes(&self) -> Result<Bytes, ReadError> {
        let length = in_memory(self.end - self.begin).expect("a run was bounded when it was made");
        let mut bytes = vec![0; length];
        match self.segment.file.read_at(&mut bytes, self.begin) {
            Ok(()) => Ok(bytes.into()),
            Err(error) => {
                let failure = IoFailure::new("reading", &self.segment.name, self.begin, error);
                Err(ReadError::Backend(Box::new(failure)))
            }
        }
    }
}
