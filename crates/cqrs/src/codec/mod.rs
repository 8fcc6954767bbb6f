//! How an externally tagged serde enum becomes an event, and an event the enum.
//!
//! The variant's name is the event's type and the variant's content the payload, as JSON; a
//! unit variant's payload is `null`. What an older program wrote is turned into what this one
//! reads by serde's own attributes and by [`DomainEvent::upcast`], before anyone sees it.

mod decode;
mod encode;
mod variants;

use bytes::Bytes;
use eventwire_store::{EventType, NewEvent, Position, RecordedEvent};
use serde::Serialize;
use thiserror::Error;

use crate::event::{DomainEvent, Stored};

use encode::Payload;

pub(crate) use decode::{Undecoded, decode_parts};
pub(crate) use variants::variants;

/// Why an event and an enum do not fit together. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The log holds an event of a type the enum has no variant for.
    #[error(
        "event type {event_type:?} at position {position} is no variant of {target}; \
         add it, or choose to ignore unknown events"
    )]
    UnknownType {
        /// The event's type.
        event_type: EventType,
        /// Where it is.
        position: Position,
        /// The enum's Rust name.
        target: &'static str,
    },
    /// The log holds an event whose payload is not what the variant contains.
    #[error("event of type {event_type:?} at position {position} cannot be read: {detail}")]
    Unreadable {
        /// The event's type.
        event_type: EventType,
        /// Where it is.
        position: Position,
        /// What is wrong, and at which line and column of the payload.
        detail: String,
    },
    /// The value has no form as an event.
    #[error("a value of {source_type} cannot be an event: {detail}")]
    Unwritable {
        /// The value's Rust type.
        source_type: &'static str,
        /// What is wrong.
        detail: String,
    },
}

/// The event a value becomes: without stream, tags or metadata.
///
/// ```
/// #[derive(serde::Serialize)]
/// #[serde(rename_all = "kebab-case")]
/// enum RoomEvent {
///     MessagePosted { text: String },
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let event = eventwire_cqrs::codec::encode(&RoomEvent::MessagePosted { text: "hi".into() })?;
/// assert_eq!(event.as_parts().event_type.as_str(), "message-posted");
/// assert_eq!(event.as_parts().data, r#"{"text":"hi"}"#);
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`CodecError::Unwritable`] where the value is not an externally tagged enum's, its
/// content has no JSON form, or its variant's name cannot be an event type.
pub fn encode<E: Serialize>(event: &E) -> Result<NewEvent, CodecError> {
    let unwritable = |detail: String| CodecError::Unwritable {
        source_type: std::any::type_name::<E>(),
        detail,
    };
    let (name, content) =
        encode::encode_parts(event).map_err(|error| unwritable(error.to_string()))?;
    let event_type = EventType::from_bytes(Bytes::from_static(name.as_bytes()))
        .map_err(|error| unwritable(error.to_string()))?;
    let content = match content.spilled() {
        true => Bytes::from(content.into_vec()),
        false => Bytes::copy_from_slice(&content),
    };
    Ok(NewEvent::new(event_type, content))
}

/// The value a recorded event stands for, whichever program wrote it.
///
/// # Errors
/// [`CodecError::UnknownType`] where the enum has no such variant,
/// [`CodecError::Unreadable`] where it has, but with other content.
pub fn decode<E: DomainEvent>(event: &RecordedEvent) -> Result<E, CodecError> {
    let (event_type, position) = (&event.event_type, event.position);
    read(Stored::of(event)).map_err(|error| match error {
        Undecoded::UnknownName { .. } => CodecError::UnknownType {
            event_type: event_type.clone(),
            position,
            target: std::any::type_name::<E>(),
        },
        Undecoded::Content(error) => CodecError::Unreadable {
            event_type: event_type.clone(),
            position,
            detail: error.to_string(),
        },
    })
}

/// The types of all events that decode to a value of this enum, old ones included: what a
/// query asks for that wants no others. None where the type is not an externally tagged enum.
///
/// ```
/// # use eventwire_cqrs::{DomainEvent, codec};
/// # use eventwire_store::Query;
/// #[derive(serde::Serialize, serde::Deserialize)]
/// #[serde(rename_all = "kebab-case")]
/// enum RoomEvent {
///     #[serde(alias = "message-sent")]
///     MessagePosted { text: String },
/// }
/// impl DomainEvent for RoomEvent {}
///
/// let types = codec::event_types::<RoomEvent>();
/// assert_eq!(types.iter().map(|t| t.as_str()).collect::<Vec<_>>(), ["message-posted", "message-sent"]);
/// let query = Query::types(types);
/// ```
#[must_use]
pub fn event_types<E: DomainEvent>() -> Vec<EventType> {
    let names = variants::<E>().unwrap_or_default();
    let names = names.iter().chain(E::OLD_TYPES);
    names
        .filter_map(|name| EventType::new(*name).ok())
        .collect()
}

/// A command's name and its content as JSON.
pub(crate) fn encode_command<C: Serialize>(
    command: &C,
) -> serde_json::Result<(&'static str, Payload)> {
    encode::encode_parts(command)
}

/// What was written, upcast and decoded.
pub(crate) fn read<E: DomainEvent>(mut stored: Stored<'_>) -> Result<E, Undecoded> {
    E::upcast(&mut stored)?;
    decode_parts(stored.name(), stored.data())
}
