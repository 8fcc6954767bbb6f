use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::block::Place;
use crate::engine::{Engine, Step};
use crate::limits::Limits;
use crate::message::{Message, OwnedItem};
use crate::scan::{Found, Span};
use crate::source::{push_decoded, window};
use crate::text::Text;

/// Reads an event stream like a [`Parser`](crate::Parser), and gives items that can be kept.
///
/// It is an iterator over what the chunks that it was fed have told: `None` means that it wants
/// another chunk, and is followed by more once it has been [fed](Self::feed). Values that lie in
/// one chunk are parts of that chunk and not copied. Where items need not be kept, a `Parser`
/// is faster.
///
/// ```
/// use eventwire_sse::{BytesParser, OwnedItem};
///
/// let mut parser = BytesParser::new();
/// let mut data = Vec::new();
/// for chunk in ["id: 1\ndata: he", "llo\n", "\ndata"] {
///     parser.feed(chunk);
///     for item in parser.by_ref() {
///         if let OwnedItem::Event(event) = item {
///             data.push(event.data().clone());
///         }
///     }
/// }
/// assert_eq!(data, ["hello"]);
/// assert_eq!(parser.last_event_id(), "1");
/// ```
#[derive(Debug)]
pub struct BytesParser {
    engine: Engine,
    chunk: Bytes,
    pos: usize,
    /// A part of the chunk that is known to be UTF-8.
    window: Range<usize>,
    /// The last event id that an item was given, to be shared with those after it.
    id: Text,
}

impl BytesParser {
    /// A parser at the start of a stream.
    #[must_use]
    pub const fn new() -> Self {
        Self::with(String::new())
    }

    /// A parser at the start of a stream that goes on after the event with this id.
    #[must_use]
    pub fn resume(last_event_id: impl Into<String>) -> Self {
        Self::with(last_event_id.into())
    }

    /// Sets what the parser refuses to take.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.engine.set_limits(limits);
        self
    }

    const fn with(last_event_id: String) -> Self {
        Self {
            engine: Engine::new(Limits::DEFAULT, last_event_id),
            chunk: Bytes::new(),
            pos: 0,
            window: 0..0,
            id: Text::from_static(""),
        }
    }

    /// Takes the next chunk of the stream.
    ///
    /// Nothing is lost if the items of the chunk before have not all been taken, but what is
    /// left of it is copied then.
    pub fn feed(&mut self, chunk: impl Into<Bytes>) {
        let mut chunk = chunk.into();
        self.engine.end(&self.chunk);
        if self.pos < self.chunk.len() {
            let mut joined = BytesMut::from(&self.chunk[self.pos..]);
            joined.extend_from_slice(&chunk);
            chunk = joined.freeze();
        }
        self.pos = self.engine.begin(&chunk);
        self.window = 0..0;
        self.chunk = chunk;
    }

    /// The id to send as `Last-Event-ID`; empty where there is none.
    ///
    /// It belongs to the stream and not to a connection: a block without an id keeps it, and a
    /// block with an id alone sets it.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        self.engine.last_event_id()
    }

    /// Ends the connection: an unfinished event and what was not taken of the last chunk are
    /// forgotten, the last event id is kept, and the next chunk is the first one of a new
    /// connection.
    pub fn restart(&mut self) {
        self.engine.restart();
        self.chunk = Bytes::new();
        self.pos = 0;
    }

    fn message(&mut self, name: Place, data: Place) -> OwnedItem {
        let name = match name {
            Place::Absent => Text::default(),
            Place::Chunk(span) => self.slice(span),
            Place::Held => owned(self.engine.take_name()),
        };
        let data = match data {
            Place::Absent => Text::default(),
            Place::Chunk(span) => self.slice(span),
            Place::Held => owned(self.engine.take_data()),
        };
        let id = self.engine.last_event_id();
        // Comparing what is empty is a call for nothing, and a slow one on some machines.
        if self.id.is_empty() != id.is_empty() || (!id.is_empty() && self.id != *id) {
            self.id = Text::from(String::from(id));
        }
        let name = if name.is_empty() {
            Text::from_static("message")
        } else {
            name
        };
        OwnedItem::Event(Message {
            name,
            data,
            id: self.id.clone(),
        })
    }

    fn slice(&mut self, span: Span) -> Text {
        if span.start < self.window.start || span.end > self.window.end {
            self.window = span.start..span.start + window(&self.chunk, span).len();
        }
        if span.end <= self.window.end {
            return Text::from_utf8(self.chunk.slice(span.start..span.end));
        }
        let mut repaired = String::new();
        push_decoded(&mut repaired, span.of(&self.chunk));
        Text::from(repaired)
    }
}

/// The bytes as text, moved if they are UTF-8.
fn owned(bytes: Vec<u8>) -> Text {
    match String::from_utf8(bytes) {
        Ok(text) => Text::from(text),
        Err(error) => {
            let mut text = String::new();
            push_decoded(&mut text, error.as_bytes());
            Text::from(text)
        }
    }
}

impl Iterator for BytesParser {
    type Item = OwnedItem;

    /// The next item, or `None` when another chunk is needed.
    fn next(&mut self) -> Option<OwnedItem> {
        while self.pos < self.chunk.len() {
            match self.engine.whole(&self.chunk, self.pos) {
                Ok(scan) => {
                    self.pos = scan.next;
                    if scan.found == Found::Comment {
                        return Some(OwnedItem::Comment(self.slice(scan.data)));
                    }
                    return Some(self.message(scan.name.into(), scan.data.into()));
                }
                Err(pos) => {
                    let (next, step) = self.engine.step(&self.chunk, pos);
                    self.pos = next;
                    match step {
                        Step::Again => {}
                        Step::Done => break,
                        Step::Event { name, data } => return Some(self.message(name, data)),
                        Step::Comment(Place::Chunk(span)) => {
                            return Some(OwnedItem::Comment(self.slice(span)));
                        }
                        Step::Comment(_) => {
                            let comment = self.engine.held().comment().to_vec();
                            return Some(OwnedItem::Comment(owned(comment)));
                        }
                        Step::Retry(delay) => return Some(OwnedItem::Retry(delay)),
                        Step::TooLarge(limit) => return Some(OwnedItem::TooLarge(limit)),
                    }
                }
            }
        }
        if !self.chunk.is_empty() {
            self.engine.end(&self.chunk);
            self.chunk = Bytes::new();
            self.pos = 0;
        }
        None
    }
}

impl Default for BytesParser {
    fn default() -> Self {
        Self::new()
    }
}
