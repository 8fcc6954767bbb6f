use std::sync::Arc;

use bytes::Bytes;
use eventwire_store::backend::Batch;
use eventwire_store::{Direction, Query, ReadError, RecordedEvent};

use crate::error::{Damage, IoFailure};
use crate::format::{decode, in_memory};
use crate::index::{Next, Search, Slot};
use crate::log::State;
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

/// Which events a scan has found and where they lie; made under the lock, read without it.
#[derive(Debug)]
pub(crate) struct Plan {
    /// In the order of the log.
    runs: Vec<Run>,
    is_backward: bool,
    looked_to: u64,
    is_end: bool,
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
    /// What matches within the next stretch of the log, of which readers are shown what is at
    /// or below `shown`.
    pub(crate) fn new(
        state: &State,
        query: &Query,
        direction: Direction,
        limit: usize,
        shown: u64,
    ) -> Self {
        let stretch = Stretch {
            state,
            search: Search::new(&state.index, query),
            limit,
            found: Vec::new(),
            bytes: 0,
        };
        match direction {
            Direction::Forward { after } => {
                stretch.forward(number::of(after).saturating_add(1), shown)
            }
            Direction::Backward { before } => {
                let from = before.map_or(shown, |before| number::of(before).saturating_sub(1));
                stretch.backward(from.min(shown))
            }
        }
    }

    /// Reads what was found.
    pub(crate) fn read(self) -> Result<Batch, ReadError> {
        let mut events = Vec::with_capacity(self.runs.iter().map(|run| run.events.len()).sum());
        for run in &self.runs {
            run.read(&mut events)?;
        }
        if self.is_backward {
            events.reverse();
        }
        Ok(Batch {
            events,
            looked_to: number::position(self.looked_to),
            is_end: self.is_end,
            ..Batch::default()
        })
    }
}

/// A scan that is being planned.
struct Stretch<'a> {
    state: &'a State,
    search: Search<'a>,
    limit: usize,
    found: Vec<Found>,
    bytes: u64,
}

impl Stretch<'_> {
    fn forward(mut self, mut from: u64, to: u64) -> Plan {
        let mut looks = SCAN_LOOKS;
        let (looked_to, is_end) = loop {
            match self.search.forward(from, to, &mut looks) {
                Next::Nothing => break (to, true),
                Next::LookedTo(position) => break (position - 1, false),
                Next::At(position) if self.is_full() => break (position - 1, false),
                Next::At(position) => {
                    self.take(position);
                    from = position + 1;
                }
            }
        };
        Plan {
            runs: self.runs(),
            is_backward: false,
            looked_to,
            is_end,
        }
    }

    fn backward(mut self, mut from: u64) -> Plan {
        let mut looks = SCAN_LOOKS;
        let (looked_to, is_end) = loop {
            match self.search.backward(from, &mut looks) {
                Next::Nothing => break (0, true),
                Next::LookedTo(position) => break (position + 1, false),
                Next::At(position) if self.is_full() => break (position + 1, false),
                Next::At(position) => {
                    self.take(position);
                    from = position - 1;
                }
            }
        };
        self.found.reverse();
        Plan {
            runs: self.runs(),
            is_backward: true,
            looked_to,
            is_end,
        }
    }

    fn is_full(&self) -> bool {
        self.found.len() >= self.limit || self.bytes >= SCAN_BYTES
    }

    fn take(&mut self, position: u64) {
        let slot = self.state.index.slot(position);
        self.bytes += u64::from(slot.bytes);
        self.found.push(Found { position, slot });
    }

    /// What was found, in the order of the log, as few reads.
    fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for &found in &self.found {
            let segment = self.state.segment(found.position);
            match runs.last_mut() {
                Some(run) if run.takes(&found, segment) => run.push(found),
                _ => runs.push(Run::new(found, Arc::clone(segment))),
            }
        }
        runs
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
        Arc::ptr_eq(&self.segment, segment)
            && found.slot.offset - self.end <= GAP_BYTES
            && found.end() - self.begin <= RUN_BYTES
    }

    fn push(&mut self, found: Found) {
        self.end = found.end();
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
