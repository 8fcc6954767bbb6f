//! What is not copied and what is not allocated.

use std::ops::Range;

use allocation_counter::measure;
use bytes::Bytes;
use eventwire_sse::{
    BytesParser, Event, EventId, EventName, EventRef, Frame, Item, OwnedItem, Parser,
};

/// Blocks of every shape whose values each lie on one line.
const SINGLE_LINES: &[u8] =
    b"data: first\n\nevent: n\ndata: second\n\nid: 7\nevent:n\ndata:third\n\n\
    data: fourth\nevent: n\n: comment\nid: 8\nretry: 5\nunknown\n\nevent: n\r\ndata: fifth\r\n\r\n\
    data: sixth \xc3\xa9\r\r: ping\n\ndata: \xf0\x9f\xa6\x80\n\n";

const EVENTS: usize = 7;

fn lies_in(part: &[u8], whole: &Range<*const u8>) -> bool {
    part.is_empty()
        || whole.contains(&part.as_ptr())
            && whole.contains(&part.last_chunk::<1>().expect("not empty").as_ptr())
}

#[test]
fn values_of_one_line_are_parts_of_the_chunk() {
    let chunk = SINGLE_LINES.as_ptr_range();
    let mut events = 0;
    Parser::new().feed_each(SINGLE_LINES, |item| match item {
        Item::Event(event) => {
            assert!(lies_in(event.data().as_bytes(), &chunk), "{event:?}");
            assert!(event.name() == "message" || lies_in(event.name().as_bytes(), &chunk));
            events += 1;
        }
        Item::Comment(text) => assert!(lies_in(text.as_bytes(), &chunk)),
        _ => {}
    });
    assert_eq!(events, EVENTS);
}

#[test]
fn values_to_keep_are_parts_of_the_chunk_too() {
    let bytes = Bytes::copy_from_slice(SINGLE_LINES);
    let chunk = bytes.as_ptr_range();
    let mut parser = BytesParser::new();
    parser.feed(bytes.clone());
    let mut events = 0;
    for item in parser.by_ref() {
        match item {
            OwnedItem::Event(event) => {
                assert!(lies_in(event.data().as_bytes(), &chunk), "{event:?}");
                assert!(*event.name() == "message" || lies_in(event.name().as_bytes(), &chunk));
                events += 1;
            }
            OwnedItem::Comment(text) => assert!(lies_in(text.as_bytes(), &chunk)),
            _ => {}
        }
    }
    assert_eq!(events, EVENTS);
}

#[test]
fn data_that_was_joined_is_moved_and_not_copied() {
    let mut parser = BytesParser::new();
    let line = "x".repeat(10_000);
    parser.feed(format!("data: {line}\ndata: {line}\n"));
    assert_eq!(parser.next(), None);
    parser.feed("\n");
    let info = measure(|| {
        let item = parser.next();
        assert!(matches!(item, Some(OwnedItem::Event(event)) if event.data().len() == 20_001));
    });
    assert!(info.bytes_total < 1_000, "{info:?}");
}

#[test]
fn data_that_comes_in_pieces_finds_the_room_that_the_event_before_needed() {
    let event = Bytes::from(format!("data: {}\n\n", "x".repeat(60_000)));
    // The buffer itself, and those before there was a quarter of it.
    for (size, allocated) in [(16 << 10, 90_000), (1_460, 120_000)] {
        let mut parser = BytesParser::new();
        let mut read = || {
            let mut lens = Vec::with_capacity(1);
            for at in (0..event.len()).step_by(size) {
                parser.feed(event.slice(at..event.len().min(at + size)));
                lens.extend(parser.by_ref().map(|item| match item {
                    OwnedItem::Event(event) => event.data().len(),
                    other => panic!("{other:?}"),
                }));
            }
            assert_eq!(lens, [60_000]);
        };
        read();
        let info = measure(read);
        assert!(info.bytes_total < allocated, "{size}: {info:?}");
    }
}

#[test]
fn a_small_event_after_a_large_one_does_not_keep_its_room() {
    let mut parser = BytesParser::new();
    let mut data = |parts: &[&str]| {
        parts
            .iter()
            .for_each(|part| parser.feed(Bytes::from(part.to_string())));
        let Some(OwnedItem::Event(event)) = parser.next() else {
            panic!("an event has ended");
        };
        event.data().clone()
    };
    data(&["data: x", &"x".repeat(1 << 20), "\n\n"]);
    let mut small = None;
    let info = measure(|| small = Some(data(&["data: x", &"y".repeat(1_000), "\n\n"])));
    assert!(info.bytes_current < 8_000, "{info:?}");
    drop(small);
}

/// Reads the stream in chunks of this size, by both lending faces.
fn read(parser: &mut Parser, stream: &[u8], size: usize) -> usize {
    let mut events = 0;
    for chunk in stream.chunks(size) {
        parser.feed_each(chunk, |item| {
            events += usize::from(matches!(item, Item::Event(_)));
        });
    }
    for chunk in stream.chunks(size) {
        let mut items = parser.feed(chunk);
        while let Some(item) = items.next() {
            events += usize::from(matches!(item, Item::Event(_)));
        }
    }
    events
}

#[test]
fn a_chunk_of_whole_blocks_is_read_without_an_allocation() {
    let stream = b"event: n\ndata: some data\n\n: comment\n\ndata\nretry: 5\n\n".repeat(500);
    let mut parser = Parser::new();
    let info = measure(|| assert_eq!(read(&mut parser, &stream, stream.len()), 2_000));
    assert_eq!(info.count_total, 0);
}

#[test]
fn what_is_copied_is_copied_into_what_is_there() {
    let blocks = [
        "event: n\nid: 7\ndata: some data\n\n",
        "data: two\ndata: lines\n\n: comment\n\n",
        "data: caf\u{e9}\r\n\r\n",
    ];
    let stream = blocks.concat().repeat(300).into_bytes();
    let mut parser = Parser::new();
    for size in [1, 7, 64, 1_460, stream.len()] {
        read(&mut parser, &stream, size);
        let info = measure(|| assert_eq!(read(&mut parser, &stream, size), 1_800));
        assert_eq!(info.count_total, 0, "in chunks of {size}");
    }
}

#[test]
fn one_rare_large_event_is_not_paid_for_ever() {
    let mut parser = Parser::new();
    let large = format!("data: {}\ndata:\n\n", "x".repeat(3 << 20));
    let info = measure(|| {
        parser.feed_each(large.as_bytes(), |_| {});
        parser.feed_each(b"data: small\ndata: again\n\n", |_| {});
        parser.feed_each(b": ", |_| {});
        parser.feed_each(&vec![b'x'; 3 << 20], |_| {});
        parser.feed_each(b"\nda", |_| {});
    });
    assert!(info.bytes_current < 1 << 10, "{info:?}");
}

#[test]
fn a_frame_is_one_allocation_of_its_length() {
    static NAME: EventName = EventName::from_static("tick");
    static ID: EventId = EventId::from_static("7f3a.1042");
    for data in ["", "x", "two\nlines", &"many\r\n".repeat(1_000)] {
        let event = EventRef::new(data.as_bytes()).name(&NAME).id(&ID);
        let mut frame = Frame::default();
        let info = measure(|| frame = event.encode());
        assert_eq!(info.count_total, 1);
        assert_eq!(
            info.bytes_total,
            u64::try_from(frame.len()).expect("a length fits")
        );

        let mut out = Vec::with_capacity(frame.len());
        let info = measure(|| event.encode_into(&mut out));
        assert_eq!(info.count_total, 0);

        let first = frame.clone();
        let info = measure(|| drop(first.clone()));
        assert_eq!(info.count_total, 0);
        let info = measure(|| drop(Frame::HEARTBEAT.clone()));
        assert_eq!(info.count_total, 0);
    }
}

#[test]
fn segments_share_the_data() {
    let data = Bytes::from("a long line\nand another".repeat(1_000));
    let range = data.as_ptr_range();
    let event = Event::new(data.clone());
    let shared: usize = event
        .segments()
        .filter(|part| range.contains(&part.as_ptr()))
        .map(|part| part.len())
        .sum();
    assert_eq!(shared, data.len() - 1_000, "all but the line breaks");
}

#[cfg(feature = "json")]
#[test]
fn json_is_serialized_into_the_frame() {
    let value = serde_json::json!({"price": 42});
    let mut len = 0;
    let info = measure(|| {
        len = eventwire_sse::EventHead::new()
            .encode_json(&value)
            .expect("JSON")
            .len();
    });
    assert_eq!(len, "data: {\"price\":42}\n\n".len());
    // The buffer is larger than what is needed, which takes a second, small one to remember.
    assert!(info.count_total <= 2, "{info:?}");
}
