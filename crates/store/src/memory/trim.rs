use std::sync::Arc;
use std::time::SystemTime;

use crate::error::KeepError;
use crate::event::RecordedEvent;
use crate::memory::held::position_at;
use crate::memory::history::History;
use crate::name::StreamName;
use crate::retention::{Keep, Trimmed};

impl History {
    pub(super) fn trim_log(&mut self, keep: Keep) -> Trimmed {
        let last_dropped = first_not_kept(keep, self.held.youngest_first());
        let mut events = 0;
        while self.held.dropped() < last_dropped.unwrap_or(0) {
            events += u64::from(self.drop_oldest());
        }
        Trimmed {
            events,
            dropped_to: position_at(self.held.dropped()),
        }
    }

    /// Drops what is not to be kept; each append costs as much as it drops.
    pub(super) fn let_go(&mut self) {
        let now = SystemTime::now();
        while self.held.keeps_oldest(self.keep, now) == Some(false) {
            self.drop_oldest();
        }
    }

    /// Drops the oldest place; whether an event was held there.
    fn drop_oldest(&mut self) -> bool {
        let (_, event) = self
            .held
            .take_oldest()
            .expect("a place that is held comes later");
        if let Some(event) = &event {
            self.index.remove(event);
        }
        event.is_some()
    }

    pub(super) fn trim_stream(
        &mut self,
        name: &StreamName,
        keep: Keep,
    ) -> Result<Trimmed, KeepError> {
        let stream = self.index.stream(name).ok_or(KeepError::NoStream)?;
        let youngest_first = stream.places.iter().rev().filter_map(|&place| {
            let event = self.held.get(place)?;
            Some((place, event))
        });
        let last_dropped = first_not_kept(keep, youngest_first).unwrap_or(0);
        let dropped: Vec<u64> = stream
            .places
            .iter()
            .copied()
            .take_while(|&place| place <= last_dropped)
            .collect();
        for &place in &dropped {
            let event = self.held.take(place).expect("a stream's places are held");
            self.index.remove(&event);
        }
        let stream = self.index.stream(name).ok_or(KeepError::NoStream)?;
        let events = u64::try_from(dropped.len()).expect("a length fits 64 bits");
        Ok(Trimmed {
            events,
            dropped_to: stream.dropped_to,
        })
    }

    pub(super) fn delete_stream(&mut self, name: &StreamName) -> Result<Trimmed, KeepError> {
        let trimmed = self.trim_stream(name, Keep::all().max_events(0))?;
        if let Some(stream) = self.index.stream_mut(name) {
            stream.is_deleted = true;
        }
        Ok(trimmed)
    }
}

/// The place of the youngest event that is not kept.
fn first_not_kept<'a>(
    keep: Keep,
    youngest_first: impl Iterator<Item = (u64, &'a Arc<RecordedEvent>)>,
) -> Option<u64> {
    let now = SystemTime::now();
    let mut bytes = 0u64;
    let mut counted = youngest_first.zip(1..).map(|((place, event), nth)| {
        bytes = bytes.saturating_add(event.weight());
        let age = now.duration_since(event.recorded_at).unwrap_or_default();
        (place, keep.keeps(age, nth, bytes))
    });
    counted
        .find(|(_, is_kept)| !is_kept)
        .map(|(place, _)| place)
}
