//! What holds for every stream, every event and every way to cut them.

mod literal;
mod parsers;

use std::time::Duration;

use bytes::BytesMut;
use eventwire_sse::{Event, EventId, EventName, Frame, Limits};
use literal::{Bounds, Told, interpret};
use parsers::{PARSERS, Reading};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Pieces of which streams are made that come close to meaning something.
const PIECES: [&[u8]; 40] = [
    b"\n",
    b"\n",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\r\n\r\n",
    b"data",
    b"data:",
    b"data: ",
    b"data: x\n",
    b"data: x\n\n",
    b"event",
    b"event:",
    b"event: n\n",
    b"id",
    b"id:",
    b"id: 7\n",
    b"retry",
    b"retry:",
    b"retry: 10\n",
    b":",
    b": c\n",
    b"12",
    b" ",
    b"x",
    b"dat",
    b"a",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xef",
    b"\xbb",
    b"\xbf",
    b"\xc3\xa9",
    b"\xe2\x82",
    b"\xac",
    b"\xff",
    b"\xf0\x9f\xa6\x80",
    b"0123456789abcdef",
    b"unknown: 1\n",
];

fn stream() -> impl Strategy<Value = Vec<u8>> {
    vec(select(&PIECES[..]), 0..40).prop_map(|pieces| pieces.concat())
}

/// The stream in pieces, cut at these places.
fn cut<'a>(stream: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    places.sort_unstable();
    let mut rest = stream;
    let mut chunks = Vec::new();
    for pair in [vec![0], places].concat().windows(2) {
        let (chunk, tail) = rest.split_at(pair[1] - pair[0]);
        chunks.push(chunk);
        rest = tail;
    }
    chunks.push(rest);
    chunks
}

/// One line of text, as a name or an id may be.
fn line() -> impl Strategy<Value = String> {
    "[^\r\n\0]{0,12}"
}

/// Text with more line breaks and spaces than text has.
fn text() -> impl Strategy<Value = String> {
    "([ \r\n:a]|\r\n|\\PC){0,30}"
}

#[derive(Debug, Clone)]
struct Sent {
    name: Option<String>,
    id: Option<String>,
    retry: Option<u64>,
    data: String,
}

fn sent() -> impl Strategy<Value = Sent> {
    let name = line().prop_filter("reserved", |name| {
        !matches!(name.as_str(), "open" | "error")
    });
    let parts = (
        prop::option::of(name),
        prop::option::of(line()),
        prop::option::of(any::<u64>()),
    );
    (parts, text()).prop_map(|((name, id, retry), data)| Sent {
        name,
        id,
        retry,
        data,
    })
}

impl Sent {
    fn event(&self) -> Event {
        let mut event = Event::new(self.data.clone());
        if let Some(name) = &self.name {
            event = event.name(EventName::new(name.as_str()).expect("one line"));
        }
        if let Some(id) = &self.id {
            event = event.id(EventId::new(id.as_str()).expect("one line"));
        }
        if let Some(millis) = self.retry {
            event = event.retry(Duration::from_millis(millis));
        }
        event
    }

    /// What a client is to be told, given the id that came before.
    fn told(&self, last_event_id: &mut String) -> Vec<Told> {
        if let Some(id) = &self.id {
            last_event_id.clone_from(id);
        }
        let name = self.name.clone().filter(|name| !name.is_empty());
        let event = Told::Event {
            name: name.unwrap_or_else(|| "message".to_owned()),
            data: self.data.replace("\r\n", "\n").replace('\r', "\n"),
            id: last_event_id.clone(),
        };
        let retry = self
            .retry
            .map(|millis| Told::Retry(Duration::from_millis(millis)));
        retry.into_iter().chain([event]).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_parser_agrees_with_the_literal_one(
        stream in stream(),
        cuts in vec(any::<Index>(), 0..12),
        line in 0_usize..24,
        event in 0_usize..40,
        bounded in any::<bool>(),
    ) {
        let bounds = if bounded { Bounds { line, event } } else { Bounds::NONE };
        let limits = Limits::default().line(bounds.line).event(bounds.event);
        let literal = interpret(&stream, bounds, "0");
        let bytewise: Vec<&[u8]> = stream.chunks(1).collect();
        for (parser, read) in PARSERS {
            for chunks in [&[stream.as_slice()][..], &cut(&stream, &cuts), &bytewise] {
                let told = read(&Reading { chunks, limits, start: "0" });
                prop_assert_eq!(&told, &literal, "{} with {:?}", parser, chunks);
            }
        }
    }

    #[test]
    fn what_is_sent_is_told(
        events in vec(sent(), 0..5),
        cuts in vec(any::<Index>(), 0..12),
    ) {
        let frames: Vec<Frame> = events.iter().map(|sent| sent.event().encode()).collect();
        let stream = Frame::concat(&frames).into_bytes();
        let mut id = String::new();
        let expected: Vec<Told> = events.iter().flat_map(|sent| sent.told(&mut id)).collect();
        for (parser, read) in PARSERS {
            let chunks = cut(&stream, &cuts);
            let reading = Reading { chunks: &chunks, limits: Limits::default(), start: "" };
            prop_assert_eq!(read(&reading), (expected.clone(), id.clone()), "{}", parser);
        }
    }

    #[test]
    fn every_way_to_encode_makes_the_same_bytes(sent in sent()) {
        let event = sent.event();
        let frame = event.encode();
        prop_assert_eq!(event.encoded_len(), frame.len());
        let mut vec = Vec::new();
        event.encode_into(&mut vec);
        prop_assert_eq!(&vec, frame.as_bytes());
        let mut buffer = BytesMut::new();
        event.put_into(&mut buffer);
        prop_assert_eq!(&buffer, frame.as_bytes());
        let segments: Vec<u8> = event.segments().flatten().collect();
        prop_assert_eq!(&segments, frame.as_bytes());
        prop_assert!(!frame.as_bytes().contains(&b'\r'), "line ends are LF");
    }

    #[test]
    fn comments_come_back_line_by_line(text in text()) {
        let frame = Frame::comment(&text);
        let (told, _) = interpret(frame.as_bytes(), Bounds::NONE, "");
        let lines = text.replace("\r\n", "\n").replace('\r', "\n");
        let expected = lines.split('\n').map(|line| match line {
            "" => Told::Comment(String::new()),
            line => Told::Comment(format!(" {line}")),
        });
        prop_assert_eq!(told, expected.collect::<Vec<_>>());
    }
}
