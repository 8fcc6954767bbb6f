use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use crate::event::RecordedEvent;
use crate::position::Position;
use crate::retention::Keep;

/// The events that are held, by place: the first event of the log is at place 1.
///
/// Invariants: `events[i]` is at place `dropped + i + 1`, and is none where it was dropped
/// with its stream while older ones are held; `count` and `bytes` are of those that are held.
#[derive(Debug, Default)]
pub(super) struct Held {
    events: VecDeque<Option<Arc<RecordedEvent>>>,
    dropped: u64,
    count: usize,
    bytes: u64,
}

impl Held {
    /// The place of the last event, held or not; 0 where there never was one.
    pub(super) fn last(&self) -> u64 {
        self.dropped + u64::try_from(self.events.len()).expect("a length fits 64 bits")
    }

    /// The place up to which everything was dropped from the log.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn push(&mut self, event: Arc<RecordedEvent>) {
        self.count += 1;
        self.bytes += event.weight();
        self.events.push_back(Some(event));
    }

    pub(super) fn get(&self, place: u64) -> Option<&Arc<RecordedEvent>> {
        self.events.get(self.index(place)?)?.as_ref()
    }

    /// Takes out an event, of its stream's oldest.
    pub(super) fn take(&mut self, place: u64) -> Option<Arc<RecordedEvent>> {
        let index = self.index(place)?;
        let taken = self.events.get_mut(index)?.take();
        self.uncount(taken.as_ref());
        taken
    }

    /// Takes out the oldest, and says where it was; the inner is none where it was a hole.
    pub(super) fn take_oldest(&mut self) -> Option<(u64, Option<Arc<RecordedEvent>>)> {
        let event = self.events.pop_front()?;
        self.dropped += 1;
        self.uncount(event.as_ref());
        Some((self.dropped, event))
    }

    fn uncount(&mut self, taken: Option<&Arc<RecordedEvent>>) {
        if let Some(event) = taken {
            self.count -= 1;
            self.bytes -= event.weight();
        }
    }

    /// Whether the oldest that is held is to be kept, beside all the others; none where nothing is
    /// held.
    pub(super) fn keeps_oldest(&self, keep: Keep, now: SystemTime) -> Option<bool> {
        let oldest = self.events.iter().flatten().next()?;
        let age = now.duration_since(oldest.recorded_at).unwrap_or_default();
        Some(keep.keeps(age, self.count, self.bytes))
    }

    /// The places at or above `from` where an event is held, rising.
    pub(super) fn places_from(&self, from: u64) -> impl Iterator<Item = u64> {
        let places = from.max(self.dropped + 1)..=self.last();
        places.filter(|&place| self.get(place).is_some())
    }

    /// The places below `end` where an event is held, falling.
    pub(super) fn places_below(&self, end: u64) -> impl Iterator<Item = u64> {
        let places = (self.dropped + 1..end.min(self.last() + 1)).rev();
        places.filter(|&place| self.get(place).is_some())
    }

    /// The places that are held, youngest first.
    pub(super) fn youngest_first(&self) -> impl Iterator<Item = (u64, &Arc<RecordedEvent>)> {
        let places = self.places_below(u64::MAX);
        places.filter_map(|place| Some((place, self.get(place)?)))
    }

    fn index(&self, place: u64) -> Option<usize> {
        usize::try_from(place.checked_sub(self.dropped + 1)?).ok()
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
