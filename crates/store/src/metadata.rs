use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::event::{NewEvent, RecordedEvent};

/// What is about an event, as the JSON object that tools agree on.
///
/// The contract keeps metadata as bytes and never looks into them; this is the convention for
/// those who want one. Members that are not named here are kept in `rest`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Metadata {
    /// The one story that all of its events belong to: the UUID of what began it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Uuid>,
    /// The UUID of the event or the command that led to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<Uuid>,
    /// The trace it belongs to (W3C Trace Context, `traceparent`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Whatever else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Metadata {
    /// The metadata of an event; empty where it has none.
    ///
    /// # Errors
    /// What `serde_json` says where it is not a JSON object of this shape.
    pub fn of(event: &RecordedEvent) -> Result<Self, serde_json::Error> {
        if event.metadata.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(&event.metadata)
    }

    /// The metadata of what `cause` leads to: caused by it, in the same story, in the same
    /// trace. A cause that began no story yet begins one here.
    ///
    /// # Errors
    /// As for [`of`](Self::of).
    pub fn caused_by(cause: &RecordedEvent) -> Result<Self, serde_json::Error> {
        let before = Self::of(cause)?;
        Ok(Self {
            correlation: before.correlation.or(Some(cause.uuid)),
            causation: Some(cause.uuid),
            traceparent: before.traceparent,
            rest: Map::new(),
        })
    }

    /// The object as JSON, for [`NewEvent::metadata`].
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let json = serde_json::to_vec(self).expect("string keys and JSON values have a JSON form");
        Bytes::from(json)
    }
}

impl NewEvent {
    /// Says what led to this event: [`Metadata::caused_by`], in place of the metadata it has.
    ///
    /// # Errors
    /// What `serde_json` says where the cause's metadata is not of that shape.
    pub fn caused_by(self, cause: &RecordedEvent) -> Result<Self, serde_json::Error> {
        Ok(self.metadata(Metadata::caused_by(cause)?.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use futures_executor::block_on;

    use super::*;
    use crate::{Append, EventStore, EventType, Item, MemoryStore, Query, ReadOptions};

    fn happened(event: NewEvent) -> RecordedEvent {
        let store = MemoryStore::new();
        block_on(store.append(Append::new().event(event))).unwrap();
        let mut items = store.read(Query::all(), ReadOptions::all());
        match block_on(items.next()) {
            Some(Ok(Item::Event(event))) => event,
            other => panic!("{other:?}"),
        }
    }

    fn event() -> NewEvent {
        NewEvent::new(EventType::new("t").unwrap(), "")
    }

    #[test]
    fn a_chain_of_causes_is_one_story() {
        let first = happened(event());
        let second = happened(event().caused_by(&first).unwrap());
        let third = happened(event().caused_by(&second).unwrap());
        for (effect, cause) in [(&second, &first), (&third, &second)] {
            let metadata = Metadata::of(effect).unwrap();
            assert_eq!(metadata.causation, Some(cause.uuid));
            assert_eq!(metadata.correlation, Some(first.uuid));
        }
    }

    #[test]
    fn what_others_put_beside_it_is_kept() {
        let text = r#"{"traceparent":"00-a-b-01","user":{"id":7}}"#;
        let metadata = Metadata::of(&happened(event().metadata(text))).unwrap();
        assert_eq!(metadata.rest["user"]["id"], 7);
        assert_eq!(metadata.to_bytes(), text.as_bytes());
        assert!(Metadata::of(&happened(event().metadata("[]"))).is_err());
    }
}
