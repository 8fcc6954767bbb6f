use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use eventwire_store::{Cursor, Epoch, EventType, NewEvent, RecordedEvent, Tag, Uuid};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::problem::Problem;

/// An event as JSON pages show it.
#[derive(Debug, Serialize)]
pub(crate) struct EventJson {
    id: String,
    position: String,
    stream: Option<String>,
    version: Option<u64>,
    r#type: String,
    tags: Vec<String>,
    time: String,
    data: Payload,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Payload>,
    /// `base64` where the payload is not text, and `data` is a string of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
}

/// Bytes in a JSON document: themselves where they are JSON, else a string.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Payload {
    Json(Box<RawValue>),
    Text(String),
}

impl Payload {
    /// The payload, and how it is encoded where it is not as it was.
    fn of(bytes: &Bytes) -> (Self, Option<&'static str>) {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return (Self::Text(STANDARD.encode(bytes)), Some("base64"));
        };
        let payload = match serde_json::from_str::<Box<RawValue>>(text) {
            Ok(json) => Self::Json(json),
            Err(_) => Self::Text(text.to_owned()),
        };
        (payload, None)
    }
}

impl EventJson {
    pub(crate) fn of(event: &RecordedEvent, epoch: Epoch) -> Self {
        let (data, encoding) = Payload::of(&event.data);
        Self {
            id: event.uuid.to_string(),
            position: Cursor {
                epoch,
                position: event.position,
            }
            .to_string(),
            stream: event.stream_name().map(ToString::to_string),
            version: event.version().map(eventwire_store::Version::get),
            r#type: event.event_type.to_string(),
            tags: event.tags.iter().map(ToString::to_string).collect(),
            time: humantime::format_rfc3339_micros(event.recorded_at).to_string(),
            data,
            metadata: (!event.metadata.is_empty()).then(|| Payload::of(&event.metadata).0),
            encoding,
        }
    }
}

/// An event as a writer sends it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an event object")]
pub(crate) struct NewEventJson<'a> {
    r#type: String,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
    id: Option<String>,
}

impl NewEventJson<'_> {
    /// The event, its payload the JSON text as it was sent.
    pub(crate) fn into_event(self) -> Result<NewEvent, Problem> {
        let event_type = EventType::new(self.r#type)
            .map_err(|error| Problem::invalid("type", error.to_string()))?;
        if event_type.as_str().starts_with("eventwire.") {
            return Err(Problem::invalid(
                "type",
                "names that begin with `eventwire.` are the server's own",
            ));
        }
        let data = self.data.map_or("null", RawValue::get).to_owned();
        let mut event = NewEvent::new(event_type, data);
        for tag in self.tags {
            event = event
                .tag(Tag::new(tag).map_err(|error| Problem::invalid("tags", error.to_string()))?);
        }
        if let Some(metadata) = self.metadata {
            event = event.metadata(metadata.get().to_owned());
        }
        Ok(match self.id {
            Some(id) => event.uuid(
                Uuid::try_parse(&id).map_err(|error| Problem::invalid("id", error.to_string()))?,
            ),
            None => event,
        })
    }
}
