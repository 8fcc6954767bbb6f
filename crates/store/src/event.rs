use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use uuid::Uuid;

use crate::name::{EventType, StreamName, Tag};
use crate::position::{Position, Version};
use crate::query::EventRef;

/// An event to be appended: what happened, not yet where.
///
/// The payload and the metadata are bytes; what they hold is between writer and reader.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub(crate) event_type: EventType,
    pub(crate) stream: Option<StreamName>,
    pub(crate) uuid: Option<Uuid>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) metadata: Bytes,
    pub(crate) data: Bytes,
}

impl NewEvent {
    /// An event of a type, with its payload; no tags, no metadata.
    #[inline]
    pub fn new(event_type: EventType, data: impl Into<Bytes>) -> Self {
        Self {
            event_type,
            stream: None,
            uuid: None,
            tags: Vec::new(),
            metadata: Bytes::new(),
            data: data.into(),
        }
    }

    /// An event whose payload is `value` as JSON.
    ///
    /// # Errors
    /// What `serde_json` says where the value has no JSON form.
    #[cfg(feature = "json")]
    pub fn json<T: serde::Serialize + ?Sized>(
        event_type: EventType,
        value: &T,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self::new(event_type, serde_json::to_vec(value)?))
    }

    /// Puts the event into a stream. Without one it lies in the log alone, found by type and tags.
    #[must_use]
    #[inline]
    pub fn stream(mut self, stream: StreamName) -> Self {
        self.stream = Some(stream);
        self
    }

    /// Gives the event its identity; without one the store gives it a version 7 UUID.
    #[must_use]
    pub fn uuid(mut self, uuid: Uuid) -> Self {
        self.uuid = Some(uuid);
        self
    }

    /// Adds a tag. The same tag twice is once.
    #[must_use]
    #[inline]
    pub fn tag(mut self, tag: Tag) -> Self {
        if !self.tags.contains(&tag) {
            self.tags.push(tag);
        }
        self
    }

    /// Sets what is about the event rather than in it: who, why, from where.
    #[must_use]
    pub fn metadata(mut self, metadata: impl Into<Bytes>) -> Self {
        self.metadata = metadata.into();
        self
    }

    /// For backends: the parts.
    #[must_use]
    #[inline]
    pub fn as_parts(&self) -> NewEventParts<'_> {
        NewEventParts {
            event_type: &self.event_type,
            stream: self.stream.as_ref(),
            uuid: self.uuid,
            tags: &self.tags,
            metadata: &self.metadata,
            data: &self.data,
        }
    }
}

/// What a [`NewEvent`] was made of, for the backend that writes it.
#[derive(Debug, Clone, Copy)]
pub struct NewEventParts<'a> {
    /// What happened.
    pub event_type: &'a EventType,
    /// The stream it goes to, if any.
    pub stream: Option<&'a StreamName>,
    /// The identity its writer gave it, if any.
    pub uuid: Option<Uuid>,
    /// Its tags, none twice.
    pub tags: &'a [Tag],
    /// What is about it.
    pub metadata: &'a Bytes,
    /// What is in it.
    pub data: &'a Bytes,
}

/// An event that has its place in the log, and will never change.
///
/// Cloning copies no payload. The fields are public to read and to build: a backend makes
/// these from what it kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its place in the log.
    pub position: Position,
    /// Its stream and its place there, if it is in one.
    pub stream: Option<StreamPlace>,
    /// What happened.
    pub event_type: EventType,
    /// Its identity, given by its writer or by the store.
    pub uuid: Uuid,
    /// When the store took it, by the store's clock; never an order.
    pub recorded_at: SystemTime,
    /// Its tags, none twice, in the order they were given.
    pub tags: Arc<[Tag]>,
    /// What is about it.
    pub metadata: Bytes,
    /// What is in it.
    pub data: Bytes,
}

/// A stream and the place of an event in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPlace {
    /// The stream.
    pub name: StreamName,
    /// The event's place in it; the first is 1, and none is left out.
    pub version: Version,
}

impl RecordedEvent {
    /// The stream the event is in, if any.
    #[must_use]
    pub fn stream_name(&self) -> Option<&StreamName> {
        self.stream.as_ref().map(|place| &place.name)
    }

    /// The event's place in its stream, if it is in one.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.stream.as_ref().map(|place| place.version)
    }

    /// The bytes of its names, metadata and payload: what [`Keep`](crate::Keep) counts.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let names = self.stream_name().map_or(0, StreamName::bytes) + self.event_type.bytes();
        let tags: usize = self.tags.iter().map(Tag::bytes).sum();
        let bytes = names + tags + self.metadata.len() + self.data.len();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// The payload, read as JSON.
    ///
    /// # Errors
    /// What `serde_json` says where the payload is not JSON or not of this shape.
    #[cfg(feature = "json")]
    pub fn json<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.data)
    }

    /// The part of the event that queries look at.
    #[must_use]
    pub fn as_ref(&self) -> EventRef<'_> {
        EventRef {
            stream: self.stream_name(),
            event_type: &self.event_type,
            tags: &self.tags,
        }
    }
}
