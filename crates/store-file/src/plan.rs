use std::sync::Arc;

use eventwire_store::backend::Batch;
use eventwire_store::{Direction, Position, Query, ReadError};

use crate::block::{BLOCK_BYTES, Block};
use crate::format::u64_of;
use crate::index::{BadIndex, Hidden, Next, Search, Slot, View};
use crate::number;
use crate::run::{Found, Runs};
use crate::segment::Segment;
use crate::storage::Mapping;
use crate::view::Head;

/// Looks into the index in one scan, so that the lock is held only briefly.
const SCAN_LOOKS: usize = 4096;

/// Bytes of events read in one scan, unless one event has more.
const SCAN_BYTES: u64 = 1 << 20;

/// Which events a scan has found and where they lie; made from the indexes alone.
#[derive(Debug)]
pub(crate) struct Plan {
    runs: Runs,
    looked_to: u64,
    is_end: bool,
    dropped_to: u64,
}

impl Plan {
    /// Reads what was found.
    pub(crate) fn read(self) -> Result<Batch, ReadError> {
        Ok(Batch {
            events: self.runs.read()?.into(),
            looked_to: number::position(self.looked_to),
            is_end: self.is_end,
            dropped_to: number::position(self.dropped_to),
        })
    }

    /// Makes what was found, or the first part of it, the bytes of a block, and says where events
    /// begin there. Returns how far that goes: what matches up to there is in it.
    ///
    /// # Errors
    /// Where a file cannot be read, or an event is not as it was written; those before it are
    /// in `heads` then.
    pub(crate) fn lend(&self, block: &mut Block, heads: &mut Vec<Head>) -> Result<u64, ReadError> {
        let lent = self.runs.lend(block, heads)?;
        Ok(match heads.last() {
            Some(last) if lent < self.runs.found().len() => last.position,
            _ => self.looked_to,
        })
    }

    /// The positions of what was found, and how far the scan has looked.
    pub(crate) fn positions(&self) -> impl Iterator<Item = u64> {
        self.runs.found().iter().map(|found| found.position)
    }

    /// Where the next scan in the same direction begins; none where there is nothing more.
    pub(crate) fn looked_to(&self) -> Option<Position> {
        (!self.is_end).then(|| number::position(self.looked_to))
    }
}

/// Where the events are that an index knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) segment: &'a Arc<Segment>,
    /// All of the segment, where it is mapped.
    pub(crate) mapping: Option<&'a Mapping>,
}

impl<'a> Place<'a> {
    /// Events in a segment, which was left or is the last.
    pub(crate) fn new(segment: &'a Arc<Segment>, is_left: bool) -> Self {
        let mapping = if is_left { segment.mapping() } else { None };
        Self { segment, mapping }
    }
}

/// How much is planned at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Of events.
    limit: usize,
    /// Of bytes, unless one event has more.
    bytes: u64,
    is_of_one_file: bool,
}

impl Bounds {
    /// Of a scan, which finds so many events at most.
    pub(crate) fn of_scan(limit: usize) -> Self {
        Self {
            limit,
            bytes: SCAN_BYTES,
            is_of_one_file: false,
        }
    }

    /// Of a batch that is lent: what is in one buffer, or in one file that is mapped.
    pub(crate) fn of_batch(limit: usize) -> Self {
        Self {
            limit,
            bytes: u64_of(BLOCK_BYTES),
            is_of_one_file: true,
        }
    }
}

/// A scan that is being planned.
#[derive(Debug)]
pub(crate) struct Stretch {
    way: Way,
    bounds: Bounds,
    looks: usize,
    bytes: u64,
    runs: Runs,
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
    pub(crate) fn new(direction: Direction, bounds: Bounds, floor: u64, shown: u64) -> Self {
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
            bounds,
            looks: SCAN_LOOKS,
            bytes: 0,
            runs: Runs::default(),
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
        place: Place<'_>,
        query: &Query,
        hidden: Hidden,
    ) -> Result<(), BadIndex> {
        let search = Search::new(view, query)?.without(hidden);
        match self.way {
            Way::Forward(from, to) => {
                let end = view.last().min(to);
                self.forward(&search, place, from, end)?;
                self.way = Way::Forward(end + 1, to);
            }
            Way::Backward(from, floor) => {
                self.backward(&search, place, from, floor)?;
                self.way = Way::Backward(view.first() - 1, floor);
            }
        }
        Ok(())
    }

    fn forward(
        &mut self,
        search: &Search<'_>,
        place: Place<'_>,
        from: u64,
        end: u64,
    ) -> Result<(), BadIndex> {
        let mut looks = self.looks;
        let next = search.each_forward(from, end, &mut looks, |position, slot| {
            let has_room = self.has_room(place);
            if has_room {
                self.take(position, slot, place);
            }
            has_room
        })?;
        self.looks = looks;
        if let Next::At(position) | Next::LookedTo(position) = next {
            self.stop(position - 1);
        }
        Ok(())
    }

    fn backward(
        &mut self,
        search: &Search<'_>,
        place: Place<'_>,
        mut from: u64,
        floor: u64,
    ) -> Result<(), BadIndex> {
        loop {
            match search.backward(from, &mut self.looks)? {
                Next::Nothing => return Ok(()),
                Next::At(position) | Next::LookedTo(position) if position <= floor => return Ok(()),
                Next::At(position) if self.has_room(place) => {
                    self.take(position, search.slot(position)?, place);
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

    fn has_room(&self, place: Place<'_>) -> bool {
        let has_room =
            self.runs.found().len() < self.bounds.limit && self.bytes < self.bounds.bytes;
        has_room && (!self.bounds.is_of_one_file || self.runs.could_be_with(place.segment))
    }

    fn take(&mut self, position: u64, slot: Slot, place: Place<'_>) {
        if !slot.is_stub() {
            self.bytes += u64::from(slot.bytes);
            self.runs.push(Found { position, slot }, place);
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
