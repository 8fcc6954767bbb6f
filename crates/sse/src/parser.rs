use alloc::string::String;

use crate::engine::{Engine, Step};
use crate::item::{Item, MessageRef};
use crate::limits::Limits;
use crate::scan::{Found, Scan, Span};
use crate::source::Source;

/// Reads an event stream, chunk by chunk, however it is cut.
///
/// It follows the interpretation of the WHATWG HTML standard to the letter and allocates
/// only for what crosses the border of a chunk or has to be joined. What it finds is lent, by
/// [`feed`](Self::feed), or handed to a closure, by [`feed_each`](Self::feed_each), which is
/// faster; [`BytesParser`](crate::BytesParser) gives items that can be kept.
///
/// ```
/// use eventwire_sse::{Item, Parser};
///
/// let mut parser = Parser::new();
/// let mut data = Vec::new();
/// for chunk in [&b"id: 1\ndata: he"[..], b"llo\n", b"\ndata"] {
///     let mut items = parser.feed(chunk);
///     while let Some(item) = items.next() {
///         if let Item::Event(event) = item {
///             data.push(event.data().to_owned());
///         }
///     }
/// }
/// assert_eq!(data, ["hello"]);
/// assert_eq!(parser.last_event_id(), "1");
/// ```
#[derive(Debug)]
pub struct Parser {
    engine: Engine,
    spare: Spare,
}

/// Where text goes that had to be repaired.
#[derive(Debug, Default)]
struct Spare {
    name: String,
    data: String,
}

impl Parser {
    /// A parser at the start of a stream.
    #[must_use]
    pub const fn new() -> Self {
        Self::with(Limits::DEFAULT, String::new())
    }

    /// A parser at the start of a stream that goes on after the event with this id.
    #[must_use]
    pub fn resume(last_event_id: impl Into<String>) -> Self {
        Self::with(Limits::DEFAULT, last_event_id.into())
    }

    /// Sets what the parser refuses to take.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.engine.set_limits(limits);
        self
    }

    const fn with(limits: Limits, last_event_id: String) -> Self {
        Self {
            engine: Engine::new(limits, last_event_id),
            spare: Spare {
                name: String::new(),
                data: String::new(),
            },
        }
    }

    /// The items that end in this chunk, lent one at a time.
    ///
    /// The chunk has been read when [`Items::next`] has answered `None`.
    #[inline]
    pub fn feed<'p, 'c>(&'p mut self, chunk: &'c [u8]) -> Items<'p, 'c> {
        let pos = self.engine.begin(chunk);
        Items {
            parser: self,
            pos,
            source: Source::new(chunk),
        }
    }

    /// Hands every item that ends in this chunk to `each`.
    #[inline]
    pub fn feed_each(&mut self, chunk: &[u8], mut each: impl FnMut(Item<'_>)) {
        let mut pos = self.engine.begin(chunk);
        if pos == chunk.len() {
            return;
        }
        let mut source = Source::new(chunk);
        loop {
            pos = match self.engine.whole(chunk, pos) {
                Ok(scan) => {
                    each(self.whole(&scan, &mut source));
                    scan.next
                }
                Err(pos) => {
                    let (next, step) = self.engine.step(chunk, pos);
                    match step {
                        Step::Again => {}
                        Step::Done => return self.engine.end(chunk),
                        step => {
                            if let Some(item) = self.item(step, &mut source) {
                                each(item);
                            }
                        }
                    }
                    next
                }
            }
        }
    }

    /// The id to send as `Last-Event-ID`; empty where there is none.
    ///
    /// It belongs to the stream and not to a connection: a block without an id keeps it, and a
    /// block with an id alone sets it.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        self.engine.last_event_id()
    }

    /// Ends the connection: an unfinished event is forgotten, as the standard has it, the last
    /// event id is kept, and the next chunk is the first one of a new connection.
    pub fn restart(&mut self) {
        self.engine.restart();
    }

    /// Lends the event or the comment that a scan found.
    #[inline(always)]
    fn whole<'a, 'c: 'a>(&'a mut self, scan: &Scan, source: &mut Source<'c>) -> Item<'a> {
        if scan.found == Found::Comment {
            return Item::Comment(source.slice(scan.data, &mut self.spare.data));
        }
        let name = match scan.name {
            Span::ABSENT => "",
            name => source.slice(name, &mut self.spare.name),
        };
        Item::Event(MessageRef {
            name: if name.is_empty() { "message" } else { name },
            data: source.slice(scan.data, &mut self.spare.data),
            id: self.engine.last_event_id(),
        })
    }

    /// Lends what a step found; `None` where there is nothing to lend.
    #[inline(never)]
    fn item<'a, 'c: 'a>(&'a mut self, step: Step, source: &mut Source<'c>) -> Option<Item<'a>> {
        let held = self.engine.held();
        let Spare {
            name: spare_name,
            data: spare_data,
        } = &mut self.spare;
        Some(match step {
            Step::Event { name, data } => {
                let name = source.text(name, &held.name, spare_name);
                Item::Event(MessageRef {
                    name: if name.is_empty() { "message" } else { name },
                    data: source.text(data, &held.data, spare_data),
                    id: self.engine.last_event_id(),
                })
            }
            Step::Comment(place) => Item::Comment(source.text(place, held.comment(), spare_data)),
            Step::Retry(delay) => Item::Retry(delay),
            Step::TooLarge(limit) => Item::TooLarge(limit),
            Step::Again | Step::Done => return None,
        })
    }
}

impl Default for Parser {
    fn default() -> Self {
        Self::new()
    }
}

/// The items of one chunk: [`Parser::feed`].
///
/// Each is lent until the next is asked for. Dropped before it answered `None`, it leaves the
/// parser after the last item that was taken, and what [`rest`](Self::rest) answered unread: feed
/// it to go on.
#[derive(Debug)]
#[must_use = "the chunk is read as items are taken"]
pub struct Items<'p, 'c> {
    parser: &'p mut Parser,
    pos: usize,
    source: Source<'c>,
}

impl<'c> Items<'_, 'c> {
    /// The next item, or `None` when the chunk is used up and more bytes are needed.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator cannot lend from itself"
    )]
    #[inline(always)]
    pub fn next(&mut self) -> Option<Item<'_>> {
        if self.pos == self.source.chunk.len() {
            return None;
        }
        self.advance()
    }

    #[inline]
    fn advance(&mut self) -> Option<Item<'_>> {
        loop {
            match self.parser.engine.whole(self.source.chunk, self.pos) {
                Ok(scan) => {
                    self.pos = scan.next;
                    return Some(self.parser.whole(&scan, &mut self.source));
                }
                Err(pos) => {
                    let (next, step) = self.parser.engine.step(self.source.chunk, pos);
                    self.pos = next;
                    match step {
                        Step::Again => {}
                        Step::Done => return None,
                        step => return self.parser.item(step, &mut self.source),
                    }
                }
            }
        }
    }

    /// The bytes of the chunk that have not been read.
    #[must_use]
    pub fn rest(&self) -> &'c [u8] {
        &self.source.chunk[self.pos..]
    }
}

impl Drop for Items<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        self.parser.engine.end(self.source.chunk);
    }
}
