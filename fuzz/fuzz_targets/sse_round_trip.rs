//! Any events: what is encoded is told again by the literal parser and by ours, and nothing
//! else is.
#![no_main]

#[path = "../../crates/sse/tests/literal/mod.rs"]
mod literal;
#[path = "../../crates/sse/tests/parsers/mod.rs"]
mod parsers;

use std::time::Duration;

use arbitrary::Arbitrary;
use eventwire_sse::{EventId, EventName, EventRef, Frame, Limits};
use libfuzzer_sys::fuzz_target;
use literal::{Bounds, Told, interpret};
use parsers::{PARSERS, Reading};

#[derive(Debug, Arbitrary)]
enum Sent {
    Event { name: Option<String>, id: Option<String>, retry: Option<u64>, data: Vec<u8> },
    Comment(String),
    IdOnly(String),
}

fuzz_target!(|sent: Vec<Sent>| {
    let mut frames = Vec::new();
    let mut expected = Vec::new();
    let mut last_event_id = String::new();
    for sent in &sent {
        match sent {
            Sent::Event { name, id, retry, data } => {
                let name = name.as_ref().and_then(|name| EventName::new(name.as_str()).ok());
                let id = id.as_ref().and_then(|id| EventId::new(id.as_str()).ok());
                let mut event = EventRef::new(data);
                if let Some(name) = &name {
                    event = event.name(name);
                }
                if let Some(id) = &id {
                    event = event.id(id);
                    last_event_id = id.as_str().to_owned();
                }
                if let Some(millis) = *retry {
                    let delay = Duration::from_millis(millis);
                    event = event.retry(delay);
                    expected.push(Told::Retry(delay));
                }
                let frame = event.encode();
                assert_eq!(frame.len(), event.encoded_len());
                frames.push(frame);
                let name = name.as_ref().map_or("", EventName::as_str);
                let data = String::from_utf8_lossy(data);
                expected.push(Told::Event {
                    name: if name.is_empty() { "message" } else { name }.to_owned(),
                    data: data.replace("\r\n", "\n").replace('\r', "\n"),
                    id: last_event_id.clone(),
                });
            }
            Sent::Comment(text) => {
                frames.push(Frame::comment(text));
                let text = text.replace("\r\n", "\n").replace('\r', "\n");
                expected.extend(text.split('\n').map(|line| match line {
                    "" => Told::Comment(String::new()),
                    line => Told::Comment(format!(" {line}")),
                }));
            }
            Sent::IdOnly(id) => {
                if let Ok(id) = EventId::new(id.as_str()) {
                    frames.push(Frame::id_only(&id));
                    last_event_id = id.as_str().to_owned();
                }
            }
        }
    }
    let stream = Frame::concat(&frames).into_bytes();
    let expected = (expected, last_event_id);
    assert_eq!(interpret(&stream, Bounds::NONE, ""), expected);
    for (parser, read) in PARSERS {
        let chunks: Vec<&[u8]> = stream.chunks(5).collect();
        let reading = Reading { chunks: &chunks, limits: Limits::default(), start: "" };
        assert_eq!(read(&reading), expected, "{parser}");
    }
});
