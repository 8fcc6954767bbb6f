//! The bytes of every kind of block, one by one.

use std::time::Duration;

use bytes::BytesMut;
use eventwire_sse::{Event, EventHead, EventId, EventName, EventRef, FieldError, Frame};

static NOTE: EventName = EventName::from_static("note");
static SEVEN: EventId = EventId::from_static("7");

/// All ways to encode the event give `expected`.
#[track_caller]
fn check(event: &Event, expected: &str) {
    assert_eq!(text(&event.encode()), expected);
    assert_eq!(event.encoded_len(), expected.len());

    let mut out = b"before".to_vec();
    event.encode_into(&mut out);
    assert_eq!(out, [b"before", expected.as_bytes()].concat());

    let mut out = BytesMut::new();
    event.put_into(&mut out);
    assert_eq!(out, expected.as_bytes());

    let segments: Vec<u8> = event.segments().flatten().collect();
    assert_eq!(segments, expected.as_bytes());
}

fn text(frame: &Frame) -> &str {
    std::str::from_utf8(frame.as_bytes()).expect("text in, text out")
}

#[test]
fn data_becomes_lines() {
    for (data, expected) in [
        ("x", "data: x\n\n"),
        ("", "data:\n\n"),
        (" led by a space", "data:  led by a space\n\n"),
        ("a\nb", "data: a\ndata: b\n\n"),
        ("a\rb", "data: a\ndata: b\n\n"),
        ("a\r\nb", "data: a\ndata: b\n\n"),
        ("a\n\nb", "data: a\ndata:\ndata: b\n\n"),
        ("a\n\rb", "data: a\ndata:\ndata: b\n\n"),
        ("a\n", "data: a\ndata:\n\n"),
        ("\n", "data:\ndata:\n\n"),
        ("\r\n\r\n", "data:\ndata:\ndata:\n\n"),
        (
            "id: 9\n\nevent: b",
            "data: id: 9\ndata:\ndata: event: b\n\n",
        ),
        (
            "\0\u{2028}\u{85}\x0b\x0c\u{feff}",
            "data: \0\u{2028}\u{85}\x0b\x0c\u{feff}\n\n",
        ),
    ] {
        check(&Event::new(data), expected);
    }
}

#[test]
fn fields_come_in_one_order() {
    let bare = || Event::new("x");
    check(&bare().name(NOTE.clone()), "event: note\ndata: x\n\n");
    check(&bare().id(SEVEN.clone()), "id: 7\ndata: x\n\n");
    check(
        &bare().retry(Duration::from_secs(3)),
        "retry: 3000\ndata: x\n\n",
    );
    check(
        &bare()
            .retry(Duration::from_millis(1))
            .id(SEVEN.clone())
            .name(NOTE.clone()),
        "event: note\nid: 7\nretry: 1\ndata: x\n\n",
    );
    check(&bare().id(EventId::from_static("")), "id: \ndata: x\n\n");
}

#[test]
fn borrowed_text_is_checked_where_it_is_given() {
    let event = EventRef::new(b"x");
    let sent = event
        .try_name("note")
        .unwrap()
        .try_id("7")
        .unwrap()
        .encode();
    assert_eq!(text(&sent), "event: note\nid: 7\ndata: x\n\n");
    assert!(matches!(
        event.try_name("a\nb"),
        Err(FieldError::Character { index: 1, .. })
    ));
    assert!(matches!(
        event.try_name("error"),
        Err(FieldError::Reserved { .. })
    ));
    assert!(matches!(
        event.try_id("a\0"),
        Err(FieldError::Character { index: 1, .. })
    ));
}

#[test]
fn a_head_serves_many_events() {
    let head = EventHead::new().name(&NOTE);
    assert_eq!(text(&head.data(b"a").encode()), "event: note\ndata: a\n\n");
    assert_eq!(
        text(&head.data(b"b").id(&SEVEN).encode()),
        "event: note\nid: 7\ndata: b\n\n"
    );
}

#[test]
fn frames_are_whole_blocks() {
    assert_eq!(text(&Frame::HEARTBEAT), ":\n\n");
    assert_eq!(text(&Frame::HEARTBEAT_LINE), ":\n");
    assert_eq!(text(&Frame::id_only(&SEVEN)), "id: 7\n\n");
    for (comment, expected) in [
        ("", ":\n\n"),
        ("still here", ": still here\n\n"),
        ("a\r\n\ndata: b\rc", ": a\n:\n: data: b\n: c\n\n"),
    ] {
        assert_eq!(text(&Frame::comment(comment)), expected);
    }
}

#[test]
fn frames_are_joined_in_order() {
    let [a, b] = ["a", "b"].map(|data| Event::new(data).encode());
    assert_eq!(
        text(&Frame::concat([&a, &Frame::HEARTBEAT, &b])),
        "data: a\n\n:\n\ndata: b\n\n"
    );
    assert!(Frame::concat([]).is_empty());

    let alone = Frame::concat([&a]);
    assert_eq!(
        alone.as_bytes().as_ptr(),
        a.as_bytes().as_ptr(),
        "one frame is not copied"
    );
}

#[test]
fn a_clone_shares_the_bytes() {
    let frame = Event::new("x").encode();
    assert_eq!(
        frame.clone().into_bytes().as_ptr(),
        frame.as_bytes().as_ptr()
    );
}

#[cfg(feature = "json")]
mod json {
    use super::*;
    use serde_json::json;

    #[test]
    fn is_one_line_of_data() {
        let value = json!({"text": "two\nlines"});
        let expected = "id: 7\ndata: {\"text\":\"two\\nlines\"}\n\n";
        check(&Event::json(&value).unwrap().id(SEVEN.clone()), expected);
        let frame = EventHead::new().id(&SEVEN).encode_json(&value).unwrap();
        assert_eq!(text(&frame), expected);
    }

    #[test]
    fn raw_values_may_hold_line_breaks() {
        let raw: Box<serde_json::value::RawValue> =
            serde_json::from_str("{\"a\":\n1,\r\n\"b\":2}").unwrap();
        let frame = EventHead::new().encode_json(&raw).unwrap();
        assert_eq!(text(&frame), "data: {\"a\":\ndata: 1,\ndata: \"b\":2}\n\n");
    }

    #[test]
    fn what_is_not_json_is_an_error() {
        let pairs = std::collections::BTreeMap::from([(vec![1], 1)]);
        assert!(Event::json(&pairs).is_err());
        assert!(EventHead::new().encode_json(&pairs).is_err());
    }
}
