use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use crate::event::RecordedEvent;
use crate::position::Position;

/// The events that are held, by place: the first event of the log is at place 1.
///
/// Invariants: `events[i]` is at place `before + i + 1`, and is none where it was dropped with its
/// stream while older ones are held, so that the first of them is one that is held;
/// `dropped <= before`; `count` and `bytes` are of those that are held.
#[derive(Debug, Default)]
pub(super) struct Held {
    events: VecDeque<Option<Arc<RecordedEvent>>>,
    /// The last place below the oldest that is held.
    before: u64,
    /// The last place at which an event was dropped from the log, not with its stream alone.
    dropped: u64,
    count: usize,
    bytes: u64,
    /// The latest time at which any was recorded.
    latest: Option<SystemTime>,
    /// Those that are held and were recorded at an earlier time than one at a lower place, for the
    /// clock was set back: by time, and their places. Times of all others rise with their places.
    set_back: BTreeSet<(SystemTime, u64)>,
}

impl Held {
    /// The place of the last event, held or not; 0 where there never was one.
    pub(super) fn last(&self) -> u64 {
        self.before + u64::try_from(self.events.len()).expect("a length fits 64 bits")
    }

    /// The place up to which everything was dropped from the log, which its readers are told of.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn push(&mut self, event: Arc<RecordedEvent>) {
        self.count += 1;
        self.bytes += event.weight();
        let recorded_at = Some(event.recorded_at);
        if recorded_at < self.latest {
            self.set_back.insert((event.recorded_at, self.last() + 1));
        }
        self.latest = self.latest.max(recorded_at);
        self.events.push_back(Some(event));
    }

    pub(super) fn get(&self, place: u64) -> Option<&Arc<RecordedEvent>> {
        self.events.get(self.index(place)?)?.as_ref()
    }

    /// Takes out an event, of its stream's oldest.
    pub(super) fn take(&mut self, place: u64) -> Option<Arc<RecordedEvent>> {
        let index = self.index(place)?;
        let event = self.events.get_mut(index)?.take()?;
        self.forget(place, &event);
        Some(event)
    }

    /// Takes out the oldest, as the log's.
    pub(super) fn take_oldest(&mut self) -> Option<Arc<RecordedEvent>> {
        let event = self.events.front_mut()?.take()?;
        self.dropped = self.before + 1;
        self.forget(self.dropped, &event);
        Some(event)
    }

    fn forget(&mut self, place: u64, event: &RecordedEvent) {
        self.count -= 1;
        self.bytes -= event.weight();
        self.set_back.remove(&(event.recorded_at, place));
        // Each hole is looked at here once, and by nobody who asks for the oldest.
        while let Some(None) = self.events.front() {
            self.events.pop_front();
            self.before += 1;
        }
    }

    /// The oldest that is held.
    pub(super) fn oldest(&self) -> Option<&Arc<RecordedEvent>> {
        self.events.front()?.as_ref()
    }

    /// How many are held.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// What those that are held weigh together.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Of those recorded after the clock was set back, the place of one that has the earliest time.
    pub(super) fn earliest_set_back(&self) -> Option<(SystemTime, u64)> {
        self.set_back.first().copied()
    }

    /// The places at or above `from` where an event is held, rising.
    pub(super) fn places_from(&self, from: u64) -> impl Iterator<Item = u64> {
        let places = from.max(self.before + 1)..=self.last();
        places.filter(|&place| self.get(place).is_some())
    }

    /// The places below `end` where an event is held, falling.
    pub(super) fn places_below(&self, end: u64) -> impl Iterator<Item = u64> {
        let places = (self.before + 1..end.min(self.last() + 1)).rev();
        places.filter(|&place| self.get(place).is_some())
    }

    /// The places that are held, youngest first.
    pub(super) fn youngest_first(&self) -> impl Iterator<Item = (u64, &Arc<RecordedEvent>)> {
        let places = self.places_below(u64::MAX);
        places.filter_map(|place| Some((place, self.get(place)?)))
    }

    fn index(&self, place: u64) -> Option<usize> {
        usize::try_from(place.checked_sub(self.before + 1)?).ok()
    }
}

/// The position at a place.
pub(super) const fn position_at(place: u64) -> Position {
    Position::from_parts(0, place)
}

/// The last place at or below a position.
pub(super) const fn place_of(position: Position) -> u64 {
    match position.to_parts() {
        (0, place) => place,
        _ => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::assign_uuid;
    use crate::name::EventType;

    /// Events at the places from 1 on.
    fn held(count: u64) -> Held {
        let mut held = Held::default();
        for place in 1..=count {
            let recorded_at = SystemTime::UNIX_EPOCH;
            held.push(Arc::new(RecordedEvent {
                position: position_at(place),
                stream: None,
                event_type: EventType::new("a").unwrap(),
                uuid: assign_uuid(recorded_at),
                recorded_at,
                tags: [].into(),
                metadata: Vec::new().into(),
                data: Vec::new().into(),
            }));
        }
        held
    }

    fn oldest(held: &Held) -> Option<u64> {
        held.oldest().map(|event| place_of(event.position))
    }

    #[test]
    fn nobody_who_asks_for_the_oldest_looks_at_holes() {
        let mut held = held(1_000);
        for place in 1..400 {
            held.take(place).unwrap();
            assert_eq!(held.events.len(), 1_000 - usize::try_from(place).unwrap());
        }
        assert_eq!(oldest(&held), Some(400));
        for place in 401..900 {
            held.take(place).unwrap();
        }
        assert_eq!(held.events.len(), 601);
        held.take_oldest().unwrap();
        assert_eq!((oldest(&held), held.events.len()), (Some(900), 101));
        assert_eq!(held.count(), 101);
    }

    #[test]
    fn what_goes_with_its_stream_alone_was_not_dropped_from_the_log() {
        let mut held = held(5);
        held.take(1).unwrap();
        assert_eq!((oldest(&held), held.dropped()), (Some(2), 0));
        held.take(3).unwrap();
        held.take_oldest().unwrap();
        assert_eq!((oldest(&held), held.dropped()), (Some(4), 2));
        held.take(5).unwrap();
        held.take(4).unwrap();
        assert_eq!((oldest(&held), held.dropped()), (None, 2));
        assert_eq!((held.last(), held.count(), held.bytes()), (5, 0, 0));
        assert!(held.take_oldest().is_none() && held.take(4).is_none());
    }
}
