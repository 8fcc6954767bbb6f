//! Bodies read as events, however they are cut.

use std::time::Duration;

use bytes::Bytes;
use eventwire_sse::{BytesParser, Event, EventId, EventName, Frame, Limits, OwnedItem};
use eventwire_sse_body::{EventReader, SseResponse};
use futures_util::{FutureExt, StreamExt, stream};
use http_body::Frame as BodyFrame;
use http_body_util::StreamBody;

/// A body of these chunks, then of an error where there is one.
fn body(
    chunks: Vec<Bytes>,
    error: Option<&'static str>,
) -> StreamBody<impl stream::Stream<Item = Result<BodyFrame<Bytes>, &'static str>>> {
    let chunks = chunks.into_iter().map(|chunk| Ok(BodyFrame::data(chunk)));
    StreamBody::new(stream::iter(chunks.chain(error.map(Err))))
}

/// All a reader has, in words; nothing here ever waits.
fn read<B>(reader: &mut EventReader<B>) -> Vec<String>
where
    B: http_body::Body<Error: std::fmt::Debug> + Unpin,
{
    let words = |item| match item {
        Ok(OwnedItem::Event(event)) => {
            format!("{} {:?} at {:?}", event.name(), event.data(), event.id())
        }
        Ok(OwnedItem::Comment(text)) => format!("comment {text:?}"),
        Ok(OwnedItem::Retry(delay)) => format!("retry {delay:?}"),
        Ok(OwnedItem::TooLarge(_)) => "too large".into(),
        other => format!("{other:?}"),
    };
    let items = reader.map(words).collect::<Vec<_>>();
    items.now_or_never().expect("all of it is ready")
}

const WIRE: &str = "\u{feff}: hi\nretry: 50\ndata: 1\n\nid: 7\nevent: tick\r\ndata: a\r\ndata: b\r\n\r\n\
    data: \u{e9}\r\rid: 8\n\ndata: unfinished\n";

const READ: [&str; 5] = [
    "comment \" hi\"",
    "retry 50ms",
    "message \"1\" at \"\"",
    "tick \"a\\nb\" at \"7\"",
    "message \"\u{e9}\" at \"7\"",
];

#[test]
fn the_same_is_read_wherever_the_body_is_cut() {
    let wire = Bytes::from_static(WIRE.as_bytes());
    for at in 0..=wire.len() {
        let cut = vec![wire.slice(..at), wire.slice(at..)];
        let mut reader = EventReader::new(body(cut, None));
        assert_eq!(read(&mut reader), READ, "cut at {at}");
        assert_eq!(reader.last_event_id(), "8");
        assert_eq!(read(&mut reader), [""; 0], "it has ended");
    }
    let bytes = wire
        .iter()
        .map(|byte| Bytes::copy_from_slice(&[*byte]))
        .collect();
    assert_eq!(read(&mut EventReader::new(body(bytes, None))), READ);
}

#[test]
fn an_error_comes_after_what_was_before_it_and_ends_the_reader() {
    let chunks = vec![Bytes::from("data: 1\n\ndata: 2\n\ndata: 3")];
    let mut reader = EventReader::new(body(chunks, Some("cut off")));
    let expected = [
        "message \"1\" at \"\"",
        "message \"2\" at \"\"",
        "Err(\"cut off\")",
    ];
    assert_eq!(read(&mut reader), expected);
    assert_eq!(read(&mut reader), [""; 0]);
}

#[test]
fn the_place_outlives_the_connection_and_half_an_event_does_not() {
    let first = vec![Bytes::from("id: 1\ndata: 1\n\ndata: lost")];
    let mut reader = EventReader::with_parser(body(first, None), BytesParser::resume("0"));
    assert_eq!(reader.last_event_id(), "0");
    assert_eq!(read(&mut reader), ["message \"1\" at \"1\""]);
    let parser = BytesParser::resume(reader.last_event_id());
    let second = vec![Bytes::from("\n\ndata: 2\n\n")];
    let mut reader = EventReader::with_parser(body(second, None), parser);
    assert_eq!(read(&mut reader), ["message \"2\" at \"1\""]);
}

#[test]
fn the_place_is_that_of_the_last_item_yielded() {
    let wire = ":\n\nid: 1\ndata: 1\n\n:\n\nid: 2\ndata: 2\n\nid: 3\n\n";
    let parser = BytesParser::resume("0");
    let mut reader = EventReader::with_parser(body(vec![Bytes::from(wire)], None), parser);
    let mut places = Vec::new();
    while let Some(item) = reader.next().now_or_never().expect("all of it is ready") {
        places.push((
            matches!(item, Ok(OwnedItem::Comment(_))),
            reader.last_event_id().to_owned(),
        ));
    }
    let expected = [(true, "0"), (false, "1"), (true, "1"), (false, "2")];
    assert_eq!(
        places,
        expected.map(|(is_comment, place)| (is_comment, place.to_owned()))
    );
    // Past the last event, all that came counts: the block with an id alone, too.
    assert_eq!(reader.last_event_id(), "3");
}

/// What a large event costs is its bytes in the piece it came in, and no others.
#[test]
fn data_that_lies_in_one_piece_is_a_part_of_it() {
    let piece = Bytes::from(format!(
        "id: 7\ndata: {}\n\ndata: 2\n\n",
        "x".repeat(100_000)
    ));
    let mut reader = EventReader::new(body(vec![piece.clone()], None));
    for length in [100_000, 1] {
        let item = reader.next().now_or_never().expect("all of it is ready");
        let Some(Ok(OwnedItem::Event(event))) = item else {
            panic!("an event, not {item:?}");
        };
        let data = event.data().as_bytes();
        assert_eq!(data.len(), length);
        assert!(piece.as_ptr_range().contains(&data.as_ptr()));
    }
}

/// A body in one piece is no reason to read any of it twice, or to hold all its events.
#[test]
fn a_piece_of_any_length_is_read() {
    let count = 100_000;
    let wire = Bytes::from("data: \u{e9}\n\n".repeat(count));
    let reader = EventReader::new(body(vec![wire], None));
    let read = reader.fold(0, async |read, item| {
        assert!(matches!(item, Ok(OwnedItem::Event(event)) if event.data() == "\u{e9}"));
        read + 1
    });
    assert_eq!(read.now_or_never(), Some(count));
}

#[test]
fn what_is_too_large_is_told_and_left_out() {
    let parser = BytesParser::new().limits(Limits::DEFAULT.event(16));
    let chunks = vec![Bytes::from(format!(
        "data: {}\n\ndata: 2\n\n",
        "x".repeat(100)
    ))];
    let mut reader = EventReader::with_parser(body(chunks, None), parser);
    assert_eq!(read(&mut reader), ["too large", "message \"2\" at \"\""]);
}

#[test]
fn trailers_are_passed_over() {
    let frames = [
        Ok::<_, &str>(BodyFrame::data(Bytes::from("data: 1\n\n"))),
        Ok(BodyFrame::trailers(http::HeaderMap::new())),
    ];
    let mut reader = EventReader::new(StreamBody::new(stream::iter(frames)));
    assert_eq!(read(&mut reader), ["message \"1\" at \"\""]);
}

#[test]
fn what_a_body_sends_a_reader_reads() {
    let events = [
        Event::new("1\n\n2").name(EventName::from_static("tick")),
        Event::new("")
            .id(EventId::from_static("7"))
            .retry(Duration::from_millis(9)),
        Event::new(" 3 "),
    ];
    let frames: Vec<Frame> = events.iter().map(Frame::from).collect();
    for limit in [0, 1024] {
        let response = SseResponse::from_stream(stream::iter(frames.clone())).coalesce(limit);
        let body = Box::pin(response.without_heartbeat().into_body());
        let expected = [
            "comment \"\"",
            "tick \"1\\n\\n2\" at \"\"",
            "retry 9ms",
            "message \"\" at \"7\"",
            "message \" 3 \" at \"7\"",
        ];
        assert_eq!(read(&mut EventReader::new(body)), expected, "limit {limit}");
    }
}
