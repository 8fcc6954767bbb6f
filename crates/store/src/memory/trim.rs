use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::error::KeepError;
use crate::event::RecordedEvent;
use crate::memory::held::position_at;
use crate::memory::history::History;
use crate::name::StreamName;
use crate::retention::{Keep, Trimmed};

impl History {
    pub(super) fn trim_log(&mut self, keep: Keep, now: SystemTime) -> Trimmed {
        let last_dropped = first_not_kept(keep, now, self.held.youngest_first());
        Trimmed {
            events: self.drop_to(last_dropped.unwrap_or(0)),
            dropped_to: position_at(self.held.dropped()),
        }
    }

    /// Drops what [`trim_log`](Self::trim_log) would, looking at no more than it drops.
    pub(super) fn let_go(&mut self, now: SystemTime) {
        if let Some(max_age) = self.keep.age() {
            while let Some((recorded_at, place)) = self.held.earliest_set_back()
                && age(now, recorded_at) > max_age
            {
                self.drop_to(place);
            }
        }
        // Of the others none is older than the oldest, nor makes more events or bytes with those
        // after it.
        while let Some(oldest) = self.held.oldest()
            && !self.keep.keeps(
                age(now, oldest.recorded_at),
                self.held.count(),
                self.held.bytes(),
            )
        {
            self.drop_oldest();
        }
    }

    /// Drops the oldest up to a place at which an event is held; how many they were.
    fn drop_to(&mut self, place: u64) -> u64 {
        let mut events = 0;
        while self.held.dropped() < place {
            self.drop_oldest();
            events += 1;
        }
        events
    }

    fn drop_oldest(&mut self) {
        let event = self.held.take_oldest();
        self.index.remove(&event.expect("one is held"));
    }

    pub(super) fn trim_stream(
        &mut self,
        name: &StreamName,
        keep: Keep,
        now: SystemTime,
    ) -> Result<Trimmed, KeepError> {
        let stream = self.index.stream(name).ok_or(KeepError::NoStream)?;
        let youngest_first = stream.places.iter().rev().filter_map(|&place| {
            let event = self.held.get(place)?;
            Some((place, event))
        });
        let last_dropped = first_not_kept(keep, now, youngest_first).unwrap_or(0);
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

    pub(super) fn delete_stream(
        &mut self,
        name: &StreamName,
        now: SystemTime,
    ) -> Result<Trimmed, KeepError> {
        let trimmed = self.trim_stream(name, Keep::all().max_events(0), now)?;
        if let Some(stream) = self.index.stream_mut(name) {
            stream.is_deleted = true;
        }
        Ok(trimmed)
    }
}

/// The place of the youngest event that is not kept.
fn first_not_kept<'a>(
    keep: Keep,
    now: SystemTime,
    youngest_first: impl Iterator<Item = (u64, &'a Arc<RecordedEvent>)>,
) -> Option<u64> {
    let mut bytes = 0u64;
    let mut counted = youngest_first.zip(1..).map(|((place, event), nth)| {
        bytes = bytes.saturating_add(event.weight());
        (place, keep.keeps(age(now, event.recorded_at), nth, bytes))
    });
    counted
        .find(|(_, is_kept)| !is_kept)
        .map(|(place, _)| place)
}

/// None for what was recorded while the clock was ahead.
fn age(now: SystemTime, recorded_at: SystemTime) -> Duration {
    now.duration_since(recorded_at).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::append::Append;
    use crate::event::NewEvent;
    use crate::name::EventType;

    #[derive(Debug, Clone)]
    enum Step {
        Append { stream: usize, events: usize },
        TrimStream { stream: usize, keep: Keep },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..3_usize, 1..4_usize)
                .prop_map(|(stream, events)| Step::Append { stream, events }),
            1 => (0..3_usize, keep())
                .prop_map(|(stream, keep)| Step::TrimStream { stream, keep }),
        ]
    }

    fn keep() -> impl Strategy<Value = Keep> {
        (0..30_u64, prop::option::of(0..12_usize)).prop_map(|(age, events)| {
            let keep = Keep::all().max_age(Duration::from_secs(age));
            events.map_or(keep, |events| keep.max_events(events))
        })
    }

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    fn stream(number: usize) -> StreamName {
        StreamName::new(format!("s-{number}")).unwrap()
    }

    fn append(history: &mut History, number: usize, events: usize, now: SystemTime) {
        let event = || NewEvent::new(EventType::new("a").unwrap(), Vec::new());
        let append = Append::to(stream(number)).extend((0..events).map(|_| event()));
        history.append(&append, now).unwrap();
    }

    fn keeping(keep: Keep) -> History {
        let mut history = History::default();
        history.keep = keep;
        history
    }

    fn places(history: &History) -> Vec<u64> {
        history.held.places_from(0).collect()
    }

    proptest! {
        #[test]
        fn what_is_let_go_is_what_a_trimming_drops_wherever_the_clock_is_set(
            keep in keep(),
            steps in prop::collection::vec((0..60_u64, step()), 0..40),
        ) {
            let mut letting_go = keeping(keep);
            let mut trimmed = History::default();
            for (second, step) in steps {
                let now = at(second);
                match step {
                    Step::Append { stream, events } => {
                        append(&mut letting_go, stream, events, now);
                        append(&mut trimmed, stream, events, now);
                        trimmed.trim_log(keep, now);
                    }
                    Step::TrimStream { stream: number, keep } => {
                        let one = letting_go.trim_stream(&stream(number), keep, now);
                        let other = trimmed.trim_stream(&stream(number), keep, now);
                        prop_assert_eq!(one.ok(), other.ok());
                    }
                }
                prop_assert_eq!(places(&letting_go), places(&trimmed));
                prop_assert_eq!(letting_go.held.dropped(), trimmed.held.dropped());
            }
        }
    }

    #[test]
    fn what_is_too_old_goes_with_the_next_append() {
        let mut history = keeping(Keep::all().max_age(Duration::from_secs(10)));
        append(&mut history, 0, 2, at(100));
        append(&mut history, 1, 1, at(110));
        assert_eq!(places(&history), [1, 2, 3]);
        append(&mut history, 1, 1, at(111));
        assert_eq!(places(&history), [3, 4]);
        assert_eq!(history.held.dropped(), 2);
    }

    #[test]
    fn events_of_a_day_ahead_keep_no_others_once_the_clock_is_right() {
        let mut history = keeping(Keep::all().max_age(Duration::from_secs(10)));
        append(&mut history, 0, 1, at(86_500));
        for second in 100..1_000 {
            append(&mut history, 0, 1, at(second));
            assert!(places(&history).len() <= 12);
        }
        assert_eq!(places(&history).len(), 11);
    }
}
