use std::time::{Duration, SystemTime};

use eventwire_store::{Direction, Keep, Query, ReadError, RecordedEvent, StreamName};

use crate::index::{BadIndex, Hidden, Search, View};
use crate::log::SharedLog;
use crate::number;

/// Events looked at in one step.
const STEP_EVENTS: usize = 256;

/// Up to which position events are to be dropped so that what is left is within bounds.
///
/// Counts come from the indexes. Bytes do too, but for the one index in which the bound is passed.
/// Ages are in the events alone, and clocks jump, so that no position divides the old from the
/// young. They are looked for from the oldest index on, up to the first that holds no event past
/// the age: an index of old events costs a look at its last event, and at most two are read.
#[derive(Debug)]
pub(crate) struct Boundary<'a> {
    log: &'a SharedLog,
    keep: Keep,
    now: SystemTime,
}

/// What lies above the events that are looked at.
#[derive(Debug, Clone, Copy, Default)]
struct Above {
    events: usize,
    bytes: u64,
}

impl Above {
    fn and(self, event: &RecordedEvent) -> Self {
        Self {
            events: self.events + 1,
            bytes: self.bytes.saturating_add(event.weight()),
        }
    }
}

impl<'a> Boundary<'a> {
    pub(crate) fn new(log: &'a SharedLog, keep: Keep, now: SystemTime) -> Self {
        Self { log, keep, now }
    }

    /// In the log; zero where all is kept.
    pub(crate) fn of_log(&self) -> Result<u64, ReadError> {
        Ok(self.by_count_and_bytes()?.max(self.by_age()?))
    }

    /// In a stream; zero where all is kept.
    pub(crate) fn of_stream(&self, stream: &StreamName) -> Result<u64, ReadError> {
        let query = Query::stream(stream.clone());
        let end = self.log.shown() + 1;
        let is_counted = self.keep.age().is_none() && self.keep.bytes().is_none();
        let found = match self.keep.events() {
            Some(events) if is_counted => self.nth(&query, events)?,
            None if is_counted => None,
            _ => self.youngest_not_kept(&query, self.keep, 0..end, Above::default())?,
        };
        Ok(found.unwrap_or(0))
    }

    /// The position of the match that has so many above it.
    fn nth(&self, query: &Query, above: usize) -> Result<Option<u64>, ReadError> {
        let mut left = above;
        let mut before = None;
        loop {
            let direction = Direction::Backward { before };
            let plan = self.log.plan(query, direction, usize::MAX)?;
            let count = plan.positions().count();
            if left < count {
                return Ok(plan.positions().nth(left));
            }
            left -= count;
            match plan.looked_to() {
                Some(looked_to) => before = Some(looked_to),
                None => return Ok(None),
            }
        }
    }

    /// The position of the youngest match within a range that is not kept.
    fn youngest_not_kept(
        &self,
        query: &Query,
        keep: Keep,
        within: std::ops::Range<u64>,
        mut above: Above,
    ) -> Result<Option<u64>, ReadError> {
        let mut before = number::position(within.end);
        loop {
            let direction = Direction::Backward {
                before: Some(before),
            };
            let plan = self.log.plan(query, direction, STEP_EVENTS)?;
            let looked_to = plan.looked_to();
            for event in plan.read()?.events {
                let position = number::of(event.position);
                if position < within.start {
                    return Ok(None);
                }
                above = above.and(&event);
                let age = self.now.duration_since(event.recorded_at);
                if !keep.keeps(age.unwrap_or(Duration::ZERO), above.events, above.bytes) {
                    return Ok(Some(position));
                }
            }
            match looked_to {
                Some(looked_to) if number::of(looked_to) > within.start => before = looked_to,
                _ => return Ok(None),
            }
        }
    }

    fn by_count_and_bytes(&self) -> Result<u64, ReadError> {
        if self.keep.events().is_none() && self.keep.bytes().is_none() {
            return Ok(0);
        }
        let most_events = self.keep.events().unwrap_or(usize::MAX);
        let most_bytes = self.keep.bytes().unwrap_or(u64::MAX);
        let floor = self.log.read().notes.dropped.log_to();
        let mut above = Above::default();
        let mut at = self.log.shown();
        while at > floor {
            let part = self
                .log
                .look_at(at, |view, _, hidden| Part::of(view, &hidden, floor, at))?;
            let Some(part) = part else {
                // More has been dropped meanwhile than was asked for.
                return Ok(0);
            };
            let mut boundary = None;
            if above.events.saturating_add(part.events) > most_events {
                let kept = most_events - above.events;
                let nth = self
                    .log
                    .look_at(at, |_, _, hidden| Ok(part.nth(&hidden, kept)))?;
                boundary = nth.flatten();
            }
            if above.bytes.saturating_add(part.bytes) > most_bytes {
                let bytes = Keep::all().max_bytes(most_bytes);
                let found =
                    self.youngest_not_kept(&Query::all(), bytes, part.from..at + 1, above)?;
                boundary = boundary.max(found);
            }
            if let Some(boundary) = boundary {
                return Ok(boundary);
            }
            above.events += part.events;
            above.bytes = above.bytes.saturating_add(part.bytes);
            at = part.from - 1;
        }
        Ok(0)
    }

    fn by_age(&self) -> Result<u64, ReadError> {
        let Some(age) = self.keep.age() else {
            return Ok(0);
        };
        let keep = Keep::all().max_age(age);
        let shown = self.log.shown();
        let mut boundary = 0;
        let mut from = self.log.read().notes.dropped.log_to() + 1;
        while from <= shown {
            let looked = self.log.look_at(from, |view, _, hidden| {
                let end = view.last().min(shown) + 1;
                Ok((end, hidden.shown_from(from) >= end))
            })?;
            let Some((end, is_empty)) = looked else {
                from = self.log.read().notes.dropped.log_to() + 1;
                continue;
            };
            let found = self.youngest_not_kept(&Query::all(), keep, from..end, Above::default())?;
            match found {
                Some(found) => boundary = found,
                None if is_empty => {}
                None => break,
            }
            from = end;
        }
        Ok(boundary)
    }
}

/// What is held of the log in one index.
#[derive(Debug, Clone, Copy)]
struct Part {
    from: u64,
    to: u64,
    events: usize,
    /// Their weight; less by a byte for each tag of an event that is not held.
    bytes: u64,
}

impl Part {
    fn of(view: View<'_>, hidden: &Hidden, floor: u64, to: u64) -> Result<Self, BadIndex> {
        let from = view.first().max(floor + 1);
        let search = Search::new(view, &Query::all())?;
        let mut part = Self {
            from,
            to,
            events: 0,
            bytes: 0,
        };
        let mut at = hidden.shown_to(to);
        while at >= from {
            part.events += 1;
            part.bytes += search.slot(at)?.content_bytes();
            at = hidden.shown_to(at - 1);
        }
        part.bytes = part.bytes.saturating_sub(view.tags()?);
        Ok(part)
    }

    /// The position of the event that has so many above it here.
    fn nth(&self, hidden: &Hidden, above: usize) -> Option<u64> {
        let mut at = hidden.shown_to(self.to);
        for _ in 0..above {
            at = hidden.shown_to(at.checked_sub(1)?);
        }
        (at >= self.from).then_some(at)
    }
}
