//! Names and events to test with, made of text that is known to be right.

use eventwire_store::{
    Append, Category, Consumer, EventType, IdempotencyKey, NewEvent, Query, RecordedEvent,
    SnapshotName, StreamName, Tag,
};

const VALID: &str = "the kit's own names are valid";

pub(crate) fn stream(name: &str) -> StreamName {
    StreamName::new(name).expect(VALID)
}

pub(crate) fn category(name: &str) -> Category {
    Category::new(name).expect(VALID)
}

pub(crate) fn event_type(name: &str) -> EventType {
    EventType::new(name).expect(VALID)
}

pub(crate) fn tag(name: &str) -> Tag {
    Tag::new(name).expect(VALID)
}

pub(crate) fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey::new(name).expect(VALID)
}

pub(crate) fn consumer(name: &str) -> Consumer {
    Consumer::new(name).expect(VALID)
}

pub(crate) fn snapshot_name(name: &str) -> SnapshotName {
    SnapshotName::new(name).expect(VALID)
}

/// An event of a type, with no payload.
pub(crate) fn event(name: &str) -> NewEvent {
    NewEvent::new(event_type(name), "")
}

/// An event whose payload is a text by which a test knows it again.
pub(crate) fn labelled(label: impl Into<String>) -> NewEvent {
    NewEvent::new(event_type("labelled"), label.into())
}

/// An append of one labelled event to a stream.
pub(crate) fn one(to: &str, label: impl Into<String>) -> Append {
    Append::to(stream(to)).event(labelled(label))
}

/// An append of events labelled `0`, `1`, ... to a stream.
pub(crate) fn several(to: &str, count: usize) -> Append {
    Append::to(stream(to)).extend((0..count).map(|n| labelled(n.to_string())))
}

/// The labels of events, in their order.
pub(crate) fn labels(events: &[RecordedEvent]) -> Vec<String> {
    let label = |event: &RecordedEvent| String::from_utf8_lossy(&event.data).into_owned();
    events.iter().map(label).collect()
}

pub(crate) fn in_stream(name: &str) -> Query {
    Query::stream(stream(name))
}

pub(crate) fn tagged<const N: usize>(tags: [&str; N]) -> Query {
    Query::tags(tags.map(tag))
}

pub(crate) fn typed<const N: usize>(types: [&str; N]) -> Query {
    Query::types(types.map(event_type))
}
