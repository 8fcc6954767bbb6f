use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventwire_store::{Cursor, RecordedEvent, StreamName, Version};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// An event of the log as CloudEvents 1.0.2 has it, in the JSON format: for tools that know
/// CloudEvents and nothing of this log.
///
/// | attribute | is |
/// |---|---|
/// | `id` | the event's UUID |
/// | `source` | the feed's ([`FeedOptions::source`](crate::FeedOptions::source)) |
/// | `type`, `time` | its type, when it was recorded |
/// | `subject` | its stream, if it is in one |
/// | `datacontenttype`, `data` | `application/json` where the payload is JSON, else `text/plain` |
/// | `data_base64` | in place of `data` where the payload is not text: `application/octet-stream` |
/// | `position` | its cursor, the SSE id |
/// | `streamversion` | its place in its stream, in digits |
/// | `correlationid`, `causationid`, `traceparent` | what its metadata says of them ([`Metadata`](https://docs.rs/eventwire-store)) |
///
/// The last two rows and `position` are extension attributes. Tags and other metadata have no
/// form there and are left out.
#[derive(Debug, Serialize)]
pub struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: &'a str,
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    time: String,
    #[serde(flatten)]
    about: About,
    position: String,
    // A number in CloudEvents has 32 bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    streamversion: Option<String>,
    // None where it is empty.
    #[serde(flatten)]
    payload: Option<Payload<'a>>,
}

/// What metadata says that CloudEvents has names for.
#[derive(Debug, Default, Serialize, Deserialize)]
struct About {
    #[serde(
        rename(serialize = "correlationid"),
        default,
        skip_serializing_if = "Option::is_none"
    )]
    correlation: Option<String>,
    #[serde(
        rename(serialize = "causationid"),
        default,
        skip_serializing_if = "Option::is_none"
    )]
    causation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
}

#[derive(Debug, Serialize)]
struct Payload<'a> {
    datacontenttype: &'static str,
    #[serde(flatten)]
    data: Data<'a>,
}

#[derive(Debug, Serialize)]
enum Data<'a> {
    #[serde(rename = "data")]
    Json(&'a RawValue),
    #[serde(rename = "data")]
    Text(&'a str),
    #[serde(rename = "data_base64")]
    Binary(String),
}

impl<'a> Payload<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        let (datacontenttype, data) = match std::str::from_utf8(bytes) {
            Ok(text) => match serde_json::from_str(text) {
                Ok(json) => ("application/json", Data::Json(json)),
                Err(_) => ("text/plain; charset=utf-8", Data::Text(text)),
            },
            Err(_) => (
                "application/octet-stream",
                Data::Binary(STANDARD.encode(bytes)),
            ),
        };
        Some(Self {
            datacontenttype,
            data,
        })
    }
}

impl<'a> CloudEvent<'a> {
    pub(crate) fn new(event: &'a RecordedEvent, cursor: Cursor, source: &'a str) -> Self {
        Self {
            specversion: "1.0",
            id: event.uuid.to_string(),
            source,
            r#type: event.event_type.as_str(),
            subject: event.stream_name().map(StreamName::as_str),
            time: humantime::format_rfc3339_micros(event.recorded_at).to_string(),
            // Metadata is the writer's own: of another shape it says nothing here.
            about: serde_json::from_slice(&event.metadata).unwrap_or_default(),
            position: cursor.to_string(),
            streamversion: event
                .version()
                .map(Version::get)
                .map(|version| version.to_string()),
            payload: Payload::of(&event.data),
        }
    }

    /// The JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("string keys and JSON values have a JSON form")
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use bytes::Bytes;
    use eventwire_store::{Epoch, EventType, Position, StreamPlace, Uuid};
    use serde_json::{Value, json};

    use super::*;

    fn json_of(event: &RecordedEvent) -> Value {
        let cursor = Cursor {
            epoch: Epoch::new(1),
            position: event.position,
        };
        serde_json::from_str(&CloudEvent::new(event, cursor, "/log").to_json()).unwrap()
    }

    fn recorded() -> RecordedEvent {
        RecordedEvent {
            position: Position::from_parts(0, 9),
            stream: None,
            event_type: EventType::new("t").unwrap(),
            uuid: Uuid::from_u128(7),
            recorded_at: SystemTime::UNIX_EPOCH + Duration::from_micros(1_500_000),
            tags: [].into(),
            metadata: Bytes::new(),
            data: Bytes::new(),
        }
    }

    #[test]
    fn the_least_has_what_the_specification_requires() {
        let event = recorded();
        let expected = json!({
            "specversion": "1.0",
            "id": "00000000-0000-0000-0000-000000000007",
            "source": "/log",
            "type": "t",
            "time": "1970-01-01T00:00:01.500000Z",
            "position": "1.9",
        });
        assert_eq!(json_of(&event), expected);
    }

    #[test]
    fn all_that_has_a_form_is_there() {
        let metadata =
            r#"{"correlation":"c\u00e9","causation":"d","traceparent":"00-1","by":"me"}"#;
        let event = RecordedEvent {
            stream: Some(StreamPlace {
                name: StreamName::new("room-1").unwrap(),
                version: Version::new(3).unwrap(),
            }),
            metadata: metadata.into(),
            ..recorded()
        };
        let json = json_of(&event);
        assert_eq!(json["subject"], "room-1");
        assert_eq!(json["streamversion"], "3");
        assert_eq!(json["correlationid"], "cé");
        assert_eq!(json["causationid"], "d");
        assert_eq!(json["traceparent"], "00-1");
        assert_eq!(json.get("by"), None);
        for other in ["[1]", "null", "{\"correlation\":7}", "not json"] {
            let event = RecordedEvent {
                metadata: other.into(),
                ..recorded()
            };
            assert_eq!(json_of(&event), json_of(&recorded()), "{other}");
        }
    }

    #[test]
    fn payloads_say_what_they_are() {
        let cases: [(&[u8], Value, &str, &str); 4] = [
            (
                b"{\"a\": [1, null]}",
                json!({"a": [1, null]}),
                "data",
                "application/json",
            ),
            (b"null", json!(null), "data", "application/json"),
            (b"hi\n", json!("hi\n"), "data", "text/plain; charset=utf-8"),
            (
                b"\xff\x00",
                json!("/wA="),
                "data_base64",
                "application/octet-stream",
            ),
        ];
        for (data, expected, member, content_type) in cases {
            let event = RecordedEvent {
                data: data.to_vec().into(),
                ..recorded()
            };
            let json = json_of(&event);
            assert_eq!(json.get(member), Some(&expected), "{json}");
            assert_eq!(json["datacontenttype"], content_type);
        }
    }
}
