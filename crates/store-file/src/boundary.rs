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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{FrameBuffer, Kind, Label, Placing, Trim, nanoseconds};
    use crate::identity;
    use crate::request::Request;
    use crate::segment::{self, FRAMES_FROM, Segment};
    use crate::storage::Storage;
    use crate::storage::simulated::Simulated;
    use crate::tests::open;
    use crate::trimming::Trimming;
    use eventwire_store::{EventType, NewEvent, Tag, Uuid, Version};
    use proptest::prelude::*;
    use std::time::UNIX_EPOCH;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    /// Events: when each was recorded, the length of its payload, and its tags.
    type Events = Vec<(u64, usize, usize)>;

    fn event(&(_, bytes, tags): &(u64, usize, usize), stream: &StreamName) -> NewEvent {
        let tags = (0..tags).map(|tag| Tag::new(format!("tag-{tag}")).unwrap());
        let event = NewEvent::new(EventType::new("t").unwrap(), vec![7; bytes]);
        tags.fold(event.stream(stream.clone()), NewEvent::tag)
    }

    /// A log of these segments, each event a commit; every third is of a stream of its own.
    fn written(segments: &[Events]) -> Simulated {
        let medium = Simulated::new(7);
        drop(open(&medium).unwrap());
        let identity = identity::read(&medium).unwrap();
        let mut position = 0;
        let mut versions = [0, 0];
        for events in segments {
            let label = Label {
                kind: Kind::Segment,
                first: position + 1,
                ..identity
            };
            let file = medium.create(&segment::name(label.first)).unwrap();
            let segment = Segment::new(&label, file);
            segment.file.write_at(&label.encode(), 0).unwrap();
            let mut end = FRAMES_FROM;
            for recorded in events {
                position += 1;
                let number = usize::from(position.is_multiple_of(3));
                versions[number] += 1;
                let placing = Placing {
                    position,
                    version: Version::new(versions[number]),
                    uuid: Uuid::from_u128(position.into()),
                    recorded_at: nanoseconds(at(recorded.0)),
                };
                let mut frame = FrameBuffer::default();
                frame.clear();
                let event = event(recorded, &stream(number));
                frame.push(&[event], None, [placing], segment.seed);
                let frame = frame.finish(position, end, segment.seed);
                segment.file.write_at(frame, end).unwrap();
                end += crate::format::u64_of(frame.len());
            }
        }
        medium
    }

    fn stream(number: usize) -> StreamName {
        StreamName::new(["a", "b"][number]).unwrap()
    }

    /// The definition: the youngest that is not kept, and those before it.
    fn youngest_not_kept<'a>(
        keep: Keep,
        now: u64,
        events: impl DoubleEndedIterator<Item = (u64, &'a (u64, usize, usize))>,
    ) -> u64 {
        let mut bytes = 0;
        let mut youngest_first = events.rev().zip(1..);
        let found = youngest_first.find(|((position, recorded), nth)| {
            let number = usize::from(position.is_multiple_of(3));
            let event = event(recorded, &stream(number));
            let parts = event.as_parts();
            let tags: usize = parts.tags.iter().map(|tag| tag.as_str().len()).sum();
            let weight = 2 + tags + parts.data.len();
            bytes += crate::format::u64_of(weight);
            let age = at(now).duration_since(at(recorded.0)).unwrap_or_default();
            !keep.keeps(age, *nth, bytes)
        });
        found.map_or(0, |((position, _), _)| position)
    }

    fn segments() -> impl Strategy<Value = Vec<Events>> {
        let event = (0u64..100, 0usize..90, 0usize..4);
        proptest::collection::vec(proptest::collection::vec(event, 1..8), 1..5)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_boundary_by_number_and_bytes_is_where_the_definition_has_it(
            segments in segments(),
            most_events in 0usize..30,
            most_bytes in 0u64..2000,
        ) {
            let engine = open(&written(&segments)).unwrap();
            let numbered = || (1..).zip(segments.iter().flatten());
            let count = segments.iter().flatten().count();
            for keep in [
                Keep::all(),
                Keep::all().max_events(most_events),
                Keep::all().max_bytes(most_bytes),
                Keep::all().max_events(most_events).max_bytes(most_bytes),
            ] {
                let boundary = Boundary::new(&engine.log, keep, at(0));
                let all: Vec<_> = numbered().take(count).collect();
                let expected = youngest_not_kept(keep, 0, all.iter().copied());
                prop_assert_eq!(boundary.of_log().unwrap(), expected, "{:?}", keep);
                for number in [0, 1] {
                    let is_in = |position: u64| usize::from(position.is_multiple_of(3)) == number;
                    let of_stream: Vec<_> =
                        all.iter().copied().filter(|&(at, _)| is_in(at)).collect();
                    let expected = youngest_not_kept(keep, 0, of_stream.into_iter());
                    prop_assert_eq!(boundary.of_stream(&stream(number)).unwrap(), expected);
                }
            }
        }

        /// Whatever the clock did: nothing that is young goes unless something older than the
        /// age lies above it, and what stays though it is old lies behind a file of young events.
        #[test]
        fn a_boundary_by_age_is_looked_for_file_by_file(
            segments in segments(),
            now in 0u64..140,
            age in 0u64..60,
            trimmed in 0u64..12,
        ) {
            let mut engine = open(&written(&segments)).unwrap();
            let count = crate::format::u64_of(segments.iter().flatten().count());
            let trim = Trim::Log { to: trimmed.min(count) };
            let request = Request::of_trimming(Trimming::new(trim));
            prop_assert!(engine.committer.ask(request).is_ok());

            let keep = Keep::all().max_age(Duration::from_secs(age));
            let mut expected = 0;
            let mut first = 1;
            for events in &segments {
                let numbered = (first..).zip(events).filter(|&(at, _)| at > trimmed);
                let numbered: Vec<_> = numbered.collect();
                first += crate::format::u64_of(events.len());
                if numbered.is_empty() {
                    continue;
                }
                match youngest_not_kept(keep, now, numbered.into_iter()) {
                    0 => break,
                    found => expected = found,
                }
            }
            let boundary = Boundary::new(&engine.log, keep, at(now));
            prop_assert_eq!(boundary.of_log().unwrap(), expected);

            let of_stream: Vec<_> = (1..)
                .zip(segments.iter().flatten())
                .filter(|&(at, _)| at > trimmed && at.is_multiple_of(3))
                .collect();
            let expected = youngest_not_kept(keep, now, of_stream.into_iter());
            prop_assert_eq!(boundary.of_stream(&stream(1)).unwrap(), expected);
        }
    }
}
