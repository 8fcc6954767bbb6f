use std::sync::Arc;
use std::time::SystemTime;

use foldhash::HashMap;

use crate::append::{Append, Appended, Fingerprint, Guard};
use crate::backend::{Batch, Found, assign_uuid};
use crate::error::{Actual, AppendError, Conflict, InvalidAppend};
use crate::event::{NewEvent, RecordedEvent, StreamPlace};
use crate::memory::candidates::Candidates;
use crate::memory::held::{Held, place_of, position_at};
use crate::memory::index::Index;
use crate::memory::notes::Notes;
use crate::name::{IdempotencyKey, StreamName};
use crate::position::{Position, Version};
use crate::query::Query;
use crate::read::Direction;
use crate::retention::Keep;
use crate::store::Recalled;

/// Events looked at in one scan, so that the lock is held only briefly.
const SCAN_LOOKS: usize = 1024;

/// The log, what finds its way in it, and what is kept beside it.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) held: Held,
    pub(super) index: Index,
    pub(super) notes: Notes,
    keys: HashMap<IdempotencyKey, (Fingerprint, Appended)>,
    /// What is let go by each append.
    pub(super) keep: Keep,
    pub(super) is_closed: bool,
}

impl History {
    pub(super) fn append(
        &mut self,
        append: &Append,
        now: SystemTime,
    ) -> Result<Appended, AppendError> {
        if self.is_closed {
            return Err(AppendError::Closed);
        }
        let identity = append.identity();
        if let Some((key, fingerprint)) = identity
            && let Some(recalled) = self.recall(key)
        {
            return if recalled.fingerprint == fingerprint {
                Ok(recalled.appended)
            } else {
                Err(InvalidAppend::KeyReused(key.clone()).into())
            };
        }
        self.check(append)?;
        let appended = self.push_all(append.events(), now);
        if self.keep != Keep::all() {
            self.let_go(now);
        }
        if let Some((consumer, position)) = append.consumption() {
            self.notes.checkpoints.insert(consumer.clone(), position);
        }
        if let Some((key, fingerprint)) = identity {
            self.keys
                .insert(key.clone(), (fingerprint, appended.clone()));
        }
        Ok(appended)
    }

    pub(super) fn recall(&self, key: &IdempotencyKey) -> Option<Recalled> {
        let (fingerprint, appended) = self.keys.get(key)?;
        let appended = Appended {
            duplicate: true,
            ..appended.clone()
        };
        Some(Recalled {
            fingerprint: *fingerprint,
            appended,
        })
    }

    pub(super) fn head(&self) -> Position {
        position_at(self.held.last())
    }

    /// What matches within the next stretch of the log, of what readers are `shown`: an
    /// event above it would be seen before the head says that it is there.
    pub(super) fn scan(
        &self,
        query: &Query,
        direction: Direction,
        limit: usize,
        shown: Position,
    ) -> Batch {
        let batch = match direction {
            Direction::Forward { after } => {
                self.scan_forward(query, place_of(after).saturating_add(1), limit, shown)
            }
            Direction::Backward { before } => {
                let end = before.map_or(u64::MAX, place_of);
                self.scan_backward(query, end.min(place_of(shown) + 1), limit)
            }
        };
        Batch {
            dropped_to: self.index.dropped_to(&self.held, query).min(shown),
            ..batch
        }
    }

    fn scan_forward(&self, query: &Query, from: u64, limit: usize, shown: Position) -> Batch {
        let candidates = self.index.candidates(&self.held, query);
        let up_to_shown = |place: &u64| *place <= place_of(shown);
        let places = candidates.rising(from).take_while(up_to_shown);
        match self.look(query, &candidates, places, limit, from - 1) {
            (events, Some(last)) => Batch {
                events,
                looked_to: position_at(last),
                ..Batch::default()
            },
            (events, None) => Batch {
                events,
                looked_to: shown,
                is_end: true,
                ..Batch::default()
            },
        }
    }

    fn scan_backward(&self, query: &Query, end: u64, limit: usize) -> Batch {
        let candidates = self.index.candidates(&self.held, query);
        let places = candidates.falling(end);
        match self.look(query, &candidates, places, limit, end) {
            (events, Some(last)) => Batch {
                events,
                looked_to: position_at(last),
                ..Batch::default()
            },
            (events, None) => Batch {
                events,
                looked_to: Position::ORIGIN,
                is_end: true,
                ..Batch::default()
            },
        }
    }

    /// The matches at the next places, and where there are more places the last of those looked
    /// at: the one they were begun at where it is none.
    fn look(
        &self,
        query: &Query,
        candidates: &Candidates<'_>,
        mut places: impl Iterator<Item = u64>,
        limit: usize,
        begun_at: u64,
    ) -> (Found, Option<u64>) {
        let mut events = Vec::new();
        if candidates.are_matches {
            let (_, most) = places.size_hint();
            events.reserve(most.unwrap_or(0).min(limit).min(SCAN_LOOKS));
        }
        let mut last = begun_at;
        for _ in 0..SCAN_LOOKS {
            let Some(place) = places.next() else {
                return (events.into(), None);
            };
            if events.len() == limit {
                break;
            }
            let event = self.held.get(place);
            let is_match = |event: &&Arc<RecordedEvent>| {
                candidates.are_matches || query.matches(event.as_ref().as_ref())
            };
            events.extend(event.filter(is_match).cloned());
            last = place;
        }
        (events.into(), Some(last))
    }

    fn check(&self, append: &Append) -> Result<(), AppendError> {
        let guards = append.guards();
        for (guard, condition) in guards.iter().enumerate() {
            let actual = match condition {
                Guard::Stream { stream, expect } if !self.is_deleted(stream) => {
                    let actual = self.version(stream);
                    (!expect.is_met_by(actual)).then_some(Actual::Version(actual))
                }
                Guard::Stream { .. } => Some(Actual::Deleted),
                Guard::NoMatch { after, .. } if *after > self.head() && *after < Position::MAX => {
                    let after = *after;
                    return Err(InvalidAppend::BeyondHead { guard, after }.into());
                }
                Guard::NoMatch { query, after } => {
                    self.first_match(query, *after).map(Actual::Match)
                }
            };
            if let Some(actual) = actual {
                return Err(AppendError::Conflict(Conflict { guard, actual }));
            }
        }
        match self.checked_beside_guards(append) {
            Some(actual) => Err(AppendError::Conflict(Conflict {
                guard: guards.len(),
                actual,
            })),
            None => Ok(()),
        }
    }

    fn checked_beside_guards(&self, append: &Append) -> Option<Actual> {
        let mut written = append
            .events()
            .iter()
            .filter_map(|event| event.stream.as_ref());
        if written.any(|stream| self.is_deleted(stream)) {
            return Some(Actual::Deleted);
        }
        let (consumer, position) = append.consumption()?;
        let at = self.notes.checkpoint(consumer);
        (at >= position).then_some(Actual::Consumed(at))
    }

    fn is_deleted(&self, stream: &StreamName) -> bool {
        self.index
            .stream(stream)
            .is_some_and(|stream| stream.is_deleted)
    }

    fn version(&self, stream: &StreamName) -> Option<Version> {
        self.index.stream(stream).map(|stream| stream.version)
    }

    fn first_match(&self, query: &Query, after: Position) -> Option<Position> {
        let candidates = self.index.candidates(&self.held, query);
        let events = candidates
            .rising(place_of(after).saturating_add(1))
            .filter_map(|place| self.held.get(place));
        events
            .filter(|event| candidates.are_matches || query.matches(event.as_ref().as_ref()))
            .map(|event| event.position)
            .next()
    }

    fn push_all(&mut self, new: &[NewEvent], recorded_at: SystemTime) -> Appended {
        let before = self.head();
        let mut streams: Vec<(StreamName, Version)> = Vec::new();
        let mut positions = Vec::with_capacity(new.len());
        for event in new {
            let event = self.place(event, recorded_at);
            if let Some(place) = &event.stream {
                match streams.iter_mut().find(|(name, _)| *name == place.name) {
                    Some((_, version)) => *version = place.version,
                    None => streams.push((place.name.clone(), place.version)),
                }
            }
            positions.push(event.position);
            self.index.insert(&event);
            self.held.push(Arc::new(event));
        }
        Appended {
            before,
            positions,
            streams,
            duplicate: false,
        }
    }

    fn place(&self, new: &NewEvent, recorded_at: SystemTime) -> RecordedEvent {
        let stream = new.stream.as_ref().map(|name| StreamPlace {
            name: name.clone(),
            version: self.version(name).map_or(Version::FIRST, Version::next),
        });
        RecordedEvent {
            position: position_at(self.held.last() + 1),
            stream,
            event_type: new.event_type.clone(),
            uuid: new.uuid.unwrap_or_else(|| assign_uuid(recorded_at)),
            recorded_at,
            tags: new.tags.as_slice().into(),
            metadata: new.metadata.clone(),
            data: new.data.clone(),
        }
    }
}
