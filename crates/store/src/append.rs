use xxhash_rust::xxh3::Xxh3;

use crate::event::NewEvent;
use crate::name::{Consumer, IdempotencyKey, StreamName, Tag};
use crate::position::{Position, Version};
use crate::query::Query;

/// What a writer asks for: events, the guards under which they may be written, and a key
/// under which asking again is safe. All of it happens, or nothing.
///
/// ```
/// use eventwire_store::{Append, EventType, Expect, NewEvent, StreamName, Version};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let posted = NewEvent::new(EventType::new("message-posted")?, r#"{"text":"hi"}"#);
/// let append = Append::to(StreamName::new("room-1")?).expect(Expect::NoStream).event(posted);
/// # assert_eq!(append.events().len(), 1);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Append {
    stream: Option<StreamName>,
    events: Vec<NewEvent>,
    guards: Vec<Guard>,
    key: Option<IdempotencyKey>,
    fingerprint: Option<Fingerprint>,
    consumed: Option<(Consumer, Position)>,
    durability: Durability,
}

/// A condition on the log, checked in the same instant in which the events are written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Guard {
    /// A stream is as expected, whether or not it is written to.
    Stream {
        /// The stream.
        stream: StreamName,
        /// What it must be.
        expect: Expect,
    },
    /// No event matches the query above a place: what was read up to there still stands
    /// (a Dynamic Consistency Boundary, dcb.events).
    NoMatch {
        /// The events whose coming would change the decision.
        query: Query,
        /// How far the writer has read. What is above every event is the place of another store,
        /// and [`InvalidAppend::BeyondHead`](crate::InvalidAppend::BeyondHead): of what it was read
        /// from, this store has nothing. [`Position::MAX`] alone asks for nothing, and always holds.
        after: Position,
    },
}

/// What a stream must be for an append to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expect {
    /// Anything.
    #[default]
    Any,
    /// Nothing was ever appended to it.
    NoStream,
    /// Something was.
    Exists,
    /// Its last event has this version.
    Exact(Version),
}

impl Expect {
    /// Whether a stream whose last version is `actual` is as expected.
    #[must_use]
    #[inline]
    pub fn is_met_by(self, actual: Option<Version>) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => actual.is_none(),
            Self::Exists => actual.is_some(),
            Self::Exact(version) => actual == Some(version),
        }
    }
}

/// What must have happened to the bytes when an append is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// They survive the process and the power, as far as the backend's
    /// [`Capabilities`](crate::Capabilities) go.
    #[default]
    Durable,
    /// They are handed to the operating system; power loss may take them. A backend that
    /// has no such level does better, never worse.
    Written,
}

/// What is the same request: a hash that survives restarts and versions.
///
/// Not a defence against a caller who looks for collisions: who can choose the key can as
/// well choose another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of parts in an order: `["ab", "c"]` and `["a", "bc"]` differ.
    #[must_use]
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Xxh3::new();
        for part in parts {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.digest())
    }

    /// For backends: the fingerprint they kept.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// For backends: what to keep.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }
}

impl Append {
    /// Nothing yet; each event names its own stream, or none.
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        Self::default()
    }

    /// Events that do not name a stream of their own go to this one.
    #[must_use]
    #[inline]
    pub fn to(stream: StreamName) -> Self {
        Self {
            stream: Some(stream),
            ..Self::default()
        }
    }

    /// What the stream given to [`to`](Self::to) must be.
    ///
    /// # Panics
    /// Where the append was made with [`new`](Self::new), which names no stream: use
    /// [`guard`](Self::guard).
    #[must_use]
    #[inline]
    pub fn expect(self, expect: Expect) -> Self {
        let stream = self
            .stream
            .clone()
            .expect("`expect` is about the stream given to `Append::to`");
        self.guard(Guard::Stream { stream, expect })
    }

    /// Adds a guard. All of them must hold; they are looked at in their order, and the first that
    /// does not is the one that is answered.
    #[must_use]
    #[inline]
    pub fn guard(mut self, guard: Guard) -> Self {
        push(&mut self.guards, guard);
        self
    }

    /// Adds several guards.
    #[must_use]
    pub fn guarded_by(mut self, guards: impl IntoIterator<Item = Guard>) -> Self {
        self.guards.extend(guards);
        self
    }

    /// Adds the guard that no event above `after` matches `query`.
    #[must_use]
    pub fn no_match(self, query: Query, after: Position) -> Self {
        self.guard(Guard::NoMatch { query, after })
    }

    /// Adds an event. Events keep their order, and no other event comes between them.
    #[must_use]
    #[inline]
    pub fn event(mut self, mut event: NewEvent) -> Self {
        if event.stream.is_none() {
            event.stream.clone_from(&self.stream);
        }
        push(&mut self.events, event);
        self
    }

    /// Adds several events.
    #[must_use]
    pub fn extend(mut self, events: impl IntoIterator<Item = NewEvent>) -> Self {
        let before = self.events.len();
        match before {
            // Events in a vector stay where they are.
            0 => self.events = events.into_iter().collect(),
            _ => self.events.extend(events),
        }
        if let Some(stream) = &self.stream {
            for event in &mut self.events[before..] {
                event.stream.get_or_insert_with(|| stream.clone());
            }
        }
        self
    }

    /// Makes repeating this append safe: with the same key the events are written once.
    #[must_use]
    #[inline]
    pub fn key(mut self, key: IdempotencyKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Says what counts as the same request under the key, where that is not the events
    /// themselves (the command that led to them, say).
    #[must_use]
    pub fn fingerprint(mut self, fingerprint: Fingerprint) -> Self {
        self.fingerprint = Some(fingerprint);
        self
    }

    /// Makes these events the effect of what `consumer` has read up to `position`: they are
    /// written only where its checkpoint is below that, and move it there in the same
    /// instant. However often the consumer crashes and reads again, each effect happens once.
    ///
    /// The checkpoint is the one that [`CheckpointStore`](crate::CheckpointStore) shows.
    #[must_use]
    pub fn consumed(mut self, consumer: Consumer, position: Position) -> Self {
        self.consumed = Some((consumer, position));
        self
    }

    /// Asks for another durability than [`Durability::Durable`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The events, in order.
    #[must_use]
    #[inline]
    pub fn events(&self) -> &[NewEvent] {
        &self.events
    }

    /// The guards, in the order in which a conflict counts them.
    #[must_use]
    #[inline]
    pub fn guards(&self) -> &[Guard] {
        &self.guards
    }

    /// The key and what counts as the same request under it.
    #[must_use]
    #[inline]
    pub fn identity(&self) -> Option<(&IdempotencyKey, Fingerprint)> {
        let key = self.key.as_ref()?;
        Some((
            key,
            self.fingerprint
                .unwrap_or_else(|| fingerprint_of(&self.events)),
        ))
    }

    /// The consumer whose effect this is, and how far it has read.
    #[must_use]
    #[inline]
    pub fn consumption(&self) -> Option<(&Consumer, Position)> {
        self.consumed
            .as_ref()
            .map(|(consumer, position)| (consumer, *position))
    }

    /// The durability asked for.
    #[must_use]
    pub fn wanted_durability(&self) -> Durability {
        self.durability
    }
}

/// Most appends have one event and one guard, which are large, and many are in flight at a time: the
/// first takes no more room than it needs.
fn push<T>(to: &mut Vec<T>, one: T) {
    if to.is_empty() {
        to.reserve_exact(1);
    }
    to.push(one);
}

/// Of what the caller gave, so that a UUID the store would choose does not count.
fn fingerprint_of(events: &[NewEvent]) -> Fingerprint {
    let parts = events.iter().flat_map(|event| {
        let stream = event
            .stream
            .as_ref()
            .map_or("", StreamName::as_str)
            .as_bytes();
        let uuid = event.uuid.as_ref().map_or(&[][..], |uuid| uuid.as_bytes());
        let tags = event.tags.iter().map(|tag| tag.as_str().as_bytes());
        [
            stream,
            event.event_type.as_str().as_bytes(),
            uuid,
            &event.metadata,
            &event.data,
            b"tags",
        ]
        .into_iter()
        .chain(tags)
    });
    Fingerprint::of(parts)
}

/// Where an append ended up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// A place below the first event and not below any earlier one: reading after it shows
    /// these events.
    pub before: Position,
    /// The place of each event, rising.
    pub positions: Vec<Position>,
    /// Each stream written to, with its version afterwards.
    pub streams: Vec<(StreamName, Version)>,
    /// Whether this is the answer to an earlier append with the same key; nothing was
    /// written now.
    pub duplicate: bool,
}

impl Appended {
    /// The place of the last event.
    ///
    /// # Panics
    /// Never for what a store answered: an append has at least one event.
    #[must_use]
    pub fn last(&self) -> Position {
        *self
            .positions
            .last()
            .expect("an append has at least one event")
    }

    /// The version a stream has afterwards, where it was written to.
    #[must_use]
    pub fn version_of(&self, stream: &StreamName) -> Option<Version> {
        self.streams
            .iter()
            .find(|(name, _)| name == stream)
            .map(|(_, version)| *version)
    }
}

/// Bytes an event adds to a batch: what the limits are counted in.
pub(crate) fn weight(event: &NewEvent) -> usize {
    let tags = event.tags.iter().map(Tag::bytes);
    let stream = event.stream.as_ref().map_or(0, StreamName::bytes);
    [
        event.event_type.bytes(),
        stream,
        event.metadata.len(),
        event.data.len(),
    ]
    .into_iter()
    .chain(tags)
    .fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::EventType;

    fn event(data: &'static str) -> NewEvent {
        NewEvent::new(EventType::new("t").unwrap(), data)
    }

    fn fingerprint(append: Append) -> Fingerprint {
        append
            .key(IdempotencyKey::new("k").unwrap())
            .identity()
            .unwrap()
            .1
    }

    #[test]
    fn the_same_events_have_the_same_fingerprint_and_others_another() {
        let stream = StreamName::new("s").unwrap();
        let once = fingerprint(
            Append::to(stream.clone())
                .event(event("a"))
                .event(event("b")),
        );
        assert_eq!(
            once,
            fingerprint(
                Append::to(stream.clone())
                    .event(event("a"))
                    .event(event("b"))
            )
        );
        for other in [
            Append::new().event(event("a")).event(event("b")),
            Append::to(stream.clone())
                .event(event("b"))
                .event(event("a")),
            Append::to(stream.clone()).event(event("ab")),
            Append::to(stream.clone())
                .event(event("a").metadata("b"))
                .event(event("b")),
            Append::to(stream)
                .event(event("a").uuid(uuid::Uuid::nil()))
                .event(event("b")),
        ] {
            assert_ne!(once, fingerprint(other));
        }
    }

    #[test]
    fn the_fingerprint_is_kept_on_disk_and_so_never_changes() {
        let known = Fingerprint::of([b"post-message".as_slice(), b"{}"]);
        assert_eq!(known.to_bits(), 0x56ae_16f3_36d2_1385);
    }
}
