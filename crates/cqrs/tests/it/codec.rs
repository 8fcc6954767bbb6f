//! Enums as events and back, against serde's own form of the same enum.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use eventwire_cqrs::codec::{self, CodecError};
use eventwire_cqrs::{DomainEvent, Stored};
use eventwire_store::{EventType, Position, RecordedEvent, Uuid};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Shape {
    JustThis,
    Newtype(String),
    Optional(Option<i64>),
    Nested(Box<Self>),
    Many(Vec<Self>),
    Map(BTreeMap<String, u64>),
    Tuple(u8, String, Option<bool>),
    EmptyTuple(),
    Fields {
        #[serde(rename = "type")]
        kind: char,
        big: i128,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        list: Vec<u32>,
    },
    NoFields {},
    #[serde(rename = "odd \"name\" \\ é")]
    OddName(bool),
}

fn shapes() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        Just(Shape::JustThis),
        any::<String>().prop_map(Shape::Newtype),
        any::<Option<i64>>().prop_map(Shape::Optional),
        any::<BTreeMap<String, u64>>().prop_map(Shape::Map),
        any::<(u8, String, Option<bool>)>().prop_map(|(a, b, c)| Shape::Tuple(a, b, c)),
        Just(Shape::EmptyTuple()),
        any::<(char, i128, Vec<u32>)>().prop_map(|(kind, big, list)| Shape::Fields {
            kind,
            big,
            list
        }),
        Just(Shape::NoFields {}),
        any::<bool>().prop_map(Shape::OddName),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_map(|shape| Shape::Nested(Box::new(shape))),
            prop::collection::vec(inner, 0..4).prop_map(Shape::Many),
        ]
    })
}

fn encoded<E: Serialize>(event: &E) -> (String, Bytes) {
    let event = codec::encode(event).unwrap();
    let parts = event.as_parts();
    (parts.event_type.to_string(), parts.data.clone())
}

impl DomainEvent for Shape {}

fn decoded<E: DomainEvent>(name: &str, payload: &[u8]) -> Result<E, CodecError> {
    codec::decode(&RecordedEvent {
        position: Position::from_parts(0, 7),
        stream: None,
        event_type: EventType::new(name).unwrap(),
        uuid: Uuid::nil(),
        recorded_at: SystemTime::UNIX_EPOCH,
        tags: [].into(),
        metadata: Bytes::new(),
        data: Bytes::copy_from_slice(payload),
    })
}

/// Name and payload, put together to what serde_json makes of the whole enum.
fn whole(name: &str, payload: &[u8], has_content: bool) -> String {
    let name = serde_json::to_string(name).unwrap();
    let payload = std::str::from_utf8(payload).unwrap();
    if has_content {
        format!("{{{name}:{payload}}}")
    } else {
        assert_eq!(payload, "null");
        name
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_and_is_serdes_own_form(shape in shapes()) {
        let (name, payload) = encoded(&shape);
        prop_assert_eq!(decoded::<Shape>(&name, &payload).unwrap(), shape.clone());
        let by_serde = serde_json::to_string(&shape).unwrap();
        let has_content = shape != Shape::JustThis;
        prop_assert_eq!(whole(&name, &payload, has_content), by_serde);
    }

    #[test]
    fn no_bytes_are_too_strange_to_be_refused(
        name in "just-this|newtype|optional|nested|many|tuple|fields|no-fields|other",
        payload in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let _outcome = decoded::<Shape>(&name, &payload);
    }
}

#[test]
fn each_kind_of_variant_has_its_payload() {
    for (shape, name, payload) in [
        (Shape::JustThis, "just-this", "null"),
        (Shape::Newtype("a\nb".to_owned()), "newtype", r#""a\nb""#),
        (Shape::Optional(None), "optional", "null"),
        (
            Shape::Nested(Box::new(Shape::JustThis)),
            "nested",
            r#""just-this""#,
        ),
        (
            Shape::Tuple(1, "x".to_owned(), None),
            "tuple",
            r#"[1,"x",null]"#,
        ),
        (Shape::EmptyTuple(), "empty-tuple", "[]"),
        (
            Shape::Fields {
                kind: 'é',
                big: i128::MIN,
                list: vec![],
            },
            "fields",
            r#"{"type":"é","big":-170141183460469231731687303715884105728}"#,
        ),
        (Shape::NoFields {}, "no-fields", "{}"),
        (Shape::OddName(true), "odd \"name\" \\ é", "true"),
    ] {
        assert_eq!(encoded(&shape), (name.to_owned(), Bytes::from(payload)));
        assert_eq!(decoded::<Shape>(name, payload.as_bytes()).unwrap(), shape);
    }
}

#[test]
fn what_is_read_may_be_laid_out_otherwise() {
    for (name, payload, shape) in [
        ("just-this", "", Shape::JustThis),
        ("just-this", " null\n", Shape::JustThis),
        ("newtype", " \"x\" ", Shape::Newtype("x".to_owned())),
        (
            "fields",
            r#"{ "more": {}, "list": [1], "big": 2, "type": "x" }"#,
            Shape::Fields {
                kind: 'x',
                big: 2,
                list: vec![1],
            },
        ),
    ] {
        assert_eq!(decoded::<Shape>(name, payload.as_bytes()).unwrap(), shape);
    }
}

#[test]
fn what_cannot_be_read_is_told_what_and_where() {
    for (name, payload, message) in [
        (
            "JustThis",
            "null",
            "event type \"JustThis\" at position 7 is no variant of it::codec::Shape; \
             add it, or choose to ignore unknown events",
        ),
        (
            "just-this",
            "{}",
            "event of type \"just-this\" at position 7 cannot be read: \
             invalid type: map, expected unit at line 1 column 0",
        ),
        (
            "nested",
            r#""unheard-of""#,
            "event of type \"nested\" at position 7 cannot be read: unknown variant \
             `unheard-of`, expected one of `just-this`, `newtype`, `optional`, `nested`, \
             `many`, `map`, `tuple`, `empty-tuple`, `fields`, `no-fields`, \
             `odd \"name\" \\ é` at line 1 column 12",
        ),
        (
            "tuple",
            r#"[1,"x"]"#,
            "event of type \"tuple\" at position 7 cannot be read: \
             invalid length 2, expected tuple variant Shape::Tuple with 3 elements \
             at line 1 column 7",
        ),
        (
            "newtype",
            "\"x\" \"y\"",
            "event of type \"newtype\" at position 7 cannot be read: \
             trailing characters at line 1 column 5",
        ),
        (
            "newtype",
            "",
            "event of type \"newtype\" at position 7 cannot be read: \
             EOF while parsing a value at line 1 column 0",
        ),
    ] {
        let error = decoded::<Shape>(name, payload.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn a_history_outlives_its_names_and_its_fields() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Now {
        #[serde(alias = "message-sent")]
        MessagePosted {
            #[serde(alias = "body")]
            text: String,
            #[serde(default)]
            is_edited: bool,
        },
        #[serde(other)]
        Else,
    }
    impl DomainEvent for Now {}
    let read = Now::MessagePosted {
        text: "hi".to_owned(),
        is_edited: false,
    };
    let old = json!({"body": "hi"}).to_string();
    assert_eq!(
        decoded::<Now>("message-sent", old.as_bytes()).unwrap(),
        read
    );
    assert_eq!(decoded::<Now>("unheard-of", b"\xff").unwrap(), Now::Else);
}

/// Texts were sent as bytes, and rooms had no names, once.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Upcast {
    Said { text: String },
    Named(String),
}

impl DomainEvent for Upcast {
    const OLD_TYPES: &'static [&'static str] = &["Sent", "Opened"];

    fn upcast(stored: &mut Stored<'_>) -> serde_json::Result<()> {
        match stored.event_type() {
            "Sent" => {
                stored.rename("Said");
                stored.edit(|content| *content = json!({"text": content["body"]}))?;
            }
            "Opened" => {
                stored.rename("Named");
                stored.replace(*b"\"nameless\"");
            }
            _ => {}
        }
        Ok(())
    }
}

#[test]
fn what_an_older_program_wrote_is_upcast_before_it_is_read() {
    let said = |text: &str| Upcast::Said {
        text: text.to_owned(),
    };
    for (name, payload, event) in [
        ("Sent", r#"{"body":"hi"}"#, said("hi")),
        ("Said", r#"{"text":"hi"}"#, said("hi")),
        (
            "Opened",
            "not even JSON",
            Upcast::Named("nameless".to_owned()),
        ),
    ] {
        assert_eq!(decoded::<Upcast>(name, payload.as_bytes()).unwrap(), event);
    }
    assert_eq!(
        decoded::<Upcast>("Sent", b"{").unwrap_err().to_string(),
        "event of type \"Sent\" at position 7 cannot be read: \
         EOF while parsing an object at line 1 column 1"
    );
    let types = codec::event_types::<Upcast>();
    let names: Vec<_> = types.iter().map(EventType::as_str).collect();
    assert_eq!(names, ["Said", "Named", "Sent", "Opened"]);
}

#[test]
fn what_is_no_variant_cannot_be_written() {
    #[derive(Serialize)]
    #[serde(tag = "kind")]
    enum Internal {
        A { x: u8 },
    }
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Untagged {
        A(u8),
    }
    #[derive(Serialize)]
    enum Unnamable {
        #[serde(rename = "")]
        A,
    }
    #[derive(Serialize)]
    enum NoJson {
        A(BTreeMap<(u8, u8), u8>),
    }
    #[derive(Serialize)]
    struct Wrapped(Shape);

    let message = |outcome: Result<_, CodecError>| outcome.map(|_| ()).unwrap_err().to_string();
    let here = "it::codec::what_is_no_variant_cannot_be_written::";
    for (message, what, detail) in [
        (
            message(codec::encode(&Internal::A { x: 1 })),
            "Internal",
            "a struct is not a variant of an externally tagged enum",
        ),
        (
            message(codec::encode(&Untagged::A(1))),
            "Untagged",
            "a number is not a variant of an externally tagged enum",
        ),
        (
            message(codec::encode(&Unnamable::A)),
            "Unnamable",
            "event type is empty; give it at least one character",
        ),
        (
            message(codec::encode(&NoJson::A([((1, 2), 3)].into()))),
            "NoJson",
            "key must be a string",
        ),
    ] {
        assert_eq!(
            message,
            format!("a value of {here}{what} cannot be an event: {detail}")
        );
    }
    assert_eq!(encoded(&Wrapped(Shape::JustThis)).0, "just-this");
}
