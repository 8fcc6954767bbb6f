use std::collections::HashMap;
use std::hash::Hash;
use std::time::SystemTime;

use crate::append::{Append, Appended, Fingerprint, Guard};
use crate::backend::{Batch, assign_uuid};
use crate::error::{Actual, AppendError, Conflict, InvalidAppend};
use crate::event::{NewEvent, RecordedEvent, StreamPlace};
use crate::name::{Category, EventType, IdempotencyKey, StreamName, Tag};
use crate::position::{Position, Version};
use crate::query::{Query, QueryItem, Scope};
use crate::read::Direction;
use crate::store::Recalled;

/// Events looked at in one scan, so that the lock is held only briefly.
const SCAN_LOOKS: usize = 1024;

/// The log and its indexes.
///
/// Invariant: the event at index `i` has position `i + 1`; each list in an index holds
/// rising indexes of exactly the events of its key.
#[derive(Debug, Default)]
pub(super) struct History {
    events: Vec<RecordedEvent>,
    streams: HashMap<StreamName, Vec<usize>>,
    categories: HashMap<Category, Vec<usize>>,
    types: HashMap<EventType, Vec<usize>>,
    tags: HashMap<Tag, Vec<usize>>,
    keys: HashMap<IdempotencyKey, (Fingerprint, Appended)>,
    is_closed: bool,
}

impl History {
    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    pub(super) fn append(&mut self, append: &Append) -> Result<Appended, AppendError> {
        if self.is_closed {
            return Err(AppendError::Closed);
        }
        let identity = append
            .identity()
            .map(|(key, fingerprint)| (key.clone(), fingerprint));
        if let Some((key, fingerprint)) = &identity
            && let Some(recalled) = self.recall(key)
        {
            let is_same = recalled.fingerprint == *fingerprint;
            return if is_same {
                Ok(recalled.appended)
            } else {
                Err(InvalidAppend::KeyReused(key.clone()).into())
            };
        }
        self.check(append.guards()).map_err(AppendError::Conflict)?;
        let appended = self.push_all(append.events());
        if let Some((key, fingerprint)) = identity {
            self.keys.insert(key, (fingerprint, appended.clone()));
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

    /// What matches within the next stretch of the log, of what readers are `shown`: an
    /// event above it would be seen before the head says that it is there.
    pub(super) fn scan(
        &self,
        query: &Query,
        direction: Direction,
        limit: usize,
        shown: Position,
    ) -> Batch {
        match direction {
            Direction::Forward { after } => {
                self.scan_forward(query, index_above(after), limit, shown)
            }
            Direction::Backward { before } => {
                let end = before.map_or(usize::MAX, |before| index_above(before).saturating_sub(1));
                self.scan_backward(query, end.min(index_above(shown)), limit)
            }
        }
    }

    fn scan_forward(&self, query: &Query, mut next: usize, limit: usize, shown: Position) -> Batch {
        let end = index_above(shown);
        let mut events = Vec::new();
        for _ in 0..SCAN_LOOKS {
            let candidate = self.first_candidate(query, next);
            let Some(candidate) = candidate.filter(|&candidate| candidate < end) else {
                return Batch {
                    events,
                    looked_to: shown,
                    is_end: true,
                };
            };
            if events.len() == limit {
                break;
            }
            next = candidate + 1;
            let event = &self.events[candidate];
            if query.matches(event.as_ref()) {
                events.push(event.clone());
            }
        }
        let looked_to = next.checked_sub(1).map_or(Position::ORIGIN, position_of);
        Batch {
            events,
            looked_to,
            is_end: next >= end,
        }
    }

    fn scan_backward(&self, query: &Query, mut end: usize, limit: usize) -> Batch {
        let mut events = Vec::new();
        for _ in 0..SCAN_LOOKS {
            let Some(candidate) = self.last_candidate(query, end) else {
                return Batch {
                    events,
                    looked_to: Position::ORIGIN,
                    is_end: true,
                };
            };
            if events.len() == limit {
                break;
            }
            end = candidate;
            let event = &self.events[candidate];
            if query.matches(event.as_ref()) {
                events.push(event.clone());
            }
        }
        Batch {
            events,
            looked_to: position_of(end),
            is_end: end == 0,
        }
    }

    fn head(&self) -> Position {
        self.events
            .last()
            .map_or(Position::ORIGIN, |event| event.position)
    }

    fn check(&self, guards: &[Guard]) -> Result<(), Conflict> {
        for (guard, condition) in guards.iter().enumerate() {
            let actual = match condition {
                Guard::Stream { stream, expect } => {
                    let actual = self.version(stream);
                    (!expect.is_met_by(actual)).then_some(Actual::Version(actual))
                }
                Guard::NoMatch { query, after } => {
                    self.first_match(query, *after).map(Actual::Match)
                }
            };
            if let Some(actual) = actual {
                return Err(Conflict { guard, actual });
            }
        }
        Ok(())
    }

    fn version(&self, stream: &StreamName) -> Option<Version> {
        let last = *self.streams.get(stream)?.last()?;
        self.events[last].version()
    }

    fn first_match(&self, query: &Query, after: Position) -> Option<Position> {
        let mut next = index_above(after);
        while let Some(candidate) = self.first_candidate(query, next) {
            let event = &self.events[candidate];
            if query.matches(event.as_ref()) {
                return Some(event.position);
            }
            next = candidate + 1;
        }
        None
    }

    /// The first event at or above `from` that an index names for any item of the query.
    fn first_candidate(&self, query: &Query, from: usize) -> Option<usize> {
        let first = |item| match self.postings(item) {
            Postings::Log => (from < self.events.len()).then_some(from),
            Postings::Lists(lists) => lists
                .into_iter()
                .filter_map(|list| {
                    list.get(list.partition_point(|&index| index < from))
                        .copied()
                })
                .min(),
        };
        query.items().iter().filter_map(first).min()
    }

    /// The last event below `end` that an index names for any item of the query.
    fn last_candidate(&self, query: &Query, end: usize) -> Option<usize> {
        let last = |item| match self.postings(item) {
            Postings::Log => end.checked_sub(1),
            Postings::Lists(lists) => lists
                .into_iter()
                .filter_map(|list| {
                    let below = list.partition_point(|&index| index < end);
                    below.checked_sub(1).map(|last| list[last])
                })
                .max(),
        };
        query.items().iter().filter_map(last).max()
    }

    /// The narrowest index for an item: what it names holds all that matches, and perhaps more.
    fn postings<'a>(&'a self, item: &'a QueryItem) -> Postings<'a> {
        let by_tags = item.tags().iter().map(|tag| vec![list(&self.tags, tag)]);
        let by_types = (!item.types().is_empty()).then(|| {
            item.types()
                .iter()
                .map(|event_type| list(&self.types, event_type))
                .collect()
        });
        let by_scope = match item.scope() {
            Scope::Log => None,
            Scope::Streams(streams) => Some(
                streams
                    .iter()
                    .map(|stream| list(&self.streams, stream))
                    .collect(),
            ),
            Scope::Category(category) => Some(vec![list(&self.categories, category)]),
        };
        by_tags
            .chain(by_types)
            .chain(by_scope)
            .min_by_key(|lists: &Vec<&[usize]>| lists.iter().map(|list| list.len()).sum::<usize>())
            .map_or(Postings::Log, Postings::Lists)
    }

    fn push_all(&mut self, new: &[NewEvent]) -> Appended {
        let before = self.head();
        let recorded_at = SystemTime::now();
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
            self.push(event);
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
            position: position_of(self.events.len()),
            stream,
            event_type: new.event_type.clone(),
            uuid: new.uuid.unwrap_or_else(|| assign_uuid(recorded_at)),
            recorded_at,
            tags: new.tags.as_slice().into(),
            metadata: new.metadata.clone(),
            data: new.data.clone(),
        }
    }

    fn push(&mut self, event: RecordedEvent) {
        let index = self.events.len();
        if let Some(name) = event.stream_name() {
            self.categories
                .entry(name.category())
                .or_default()
                .push(index);
            self.streams.entry(name.clone()).or_default().push(index);
        }
        self.types
            .entry(event.event_type.clone())
            .or_default()
            .push(index);
        for tag in event.tags.iter() {
            self.tags.entry(tag.clone()).or_default().push(index);
        }
        self.events.push(event);
    }
}

/// Where an item's matches can be.
enum Postings<'a> {
    /// Anywhere.
    Log,
    /// In these lists.
    Lists(Vec<&'a [usize]>),
}

fn list<'a, K: Hash + Eq>(index: &'a HashMap<K, Vec<usize>>, key: &K) -> &'a [usize] {
    index.get(key).map_or(&[], Vec::as_slice)
}

/// The position of the event at an index.
fn position_of(index: usize) -> Position {
    Position::from_parts(0, u64::try_from(index).expect("an index fits 64 bits") + 1)
}

/// The index of the first event above a position.
fn index_above(position: Position) -> usize {
    match position.to_parts() {
        (0, minor) => usize::try_from(minor).unwrap_or(usize::MAX),
        _ => usize::MAX,
    }
}
