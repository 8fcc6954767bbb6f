use alloc::string::String;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use memchr::memchr2;

use crate::block::{Block, Held, Place, clear};
use crate::limits::{Limits, TooLarge};
use crate::scan::{At, Found, scan};

/// The interpretation of an event stream, for parsers that lend and parsers that own.
///
/// Chunks come in by [`begin`](Self::begin) and go out by [`end`](Self::end); between the two,
/// [`step`](Self::step) tells what happened and where in the chunk or in [`Held`] it lies. The
/// engine knows bytes only; text is made where an item is handed out.
#[derive(Debug)]
pub(crate) struct Engine {
    limits: Limits,
    lead: Lead,
    state: State,
    /// Between chunks, its places are `Absent` or `Held`.
    block: Block,
    held: Held,
    last_event_id: String,
}

/// What the first bytes of the next chunk may be part of.
#[derive(Debug, Clone, Copy)]
enum Lead {
    Nothing,
    /// The byte order mark, of which this many bytes have arrived.
    Bom(usize),
    /// A CRLF whose CR was the last byte that arrived.
    Cr,
}

/// Where in a line the next byte is.
#[derive(Debug, Clone, Copy)]
enum State {
    LineStart,
    /// In a line whose beginning is held.
    Line,
    /// In the value of a `data` line, which is appended to the held data as it arrives.
    Data {
        line_len: usize,
        event_at: usize,
    },
    /// In a block that passed a limit; only whether its lines are blank matters.
    Skip {
        line_len: usize,
    },
}

/// What was found in a chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// A block with data ended.
    Event {
        name: Place,
        data: Place,
    },
    /// A comment: in the chunk, or in the held line after its colon.
    Comment(Place),
    Retry(Duration),
    TooLarge(TooLarge),
    /// Nothing to tell; there may be more.
    Again,
    /// The chunk is used up.
    Done,
}

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Long enough to tell that a line is data and where its value starts.
const DATA_HEAD: usize = b"data: ".len();

impl Engine {
    pub(crate) const fn new(limits: Limits, last_event_id: String) -> Self {
        Self {
            limits,
            lead: Lead::Bom(0),
            state: State::LineStart,
            block: Block::EMPTY,
            held: Held {
                name: Vec::new(),
                id: Vec::new(),
                data: Vec::new(),
                line: Vec::new(),
            },
            last_event_id,
        }
    }

    pub(crate) fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    pub(crate) fn held(&self) -> &Held {
        &self.held
    }

    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Forgets the stream and keeps the last event id.
    pub(crate) fn restart(&mut self) {
        self.lead = Lead::Bom(0);
        self.state = State::LineStart;
        self.block = Block::EMPTY;
    }

    #[inline]
    pub(crate) fn begin(&mut self, chunk: &[u8]) -> At {
        let pos = match self.lead {
            Lead::Nothing => 0,
            lead => self.lead(lead, chunk),
        };
        At {
            pos,
            first_line: pos,
            block: self.block,
        }
    }

    fn lead(&mut self, lead: Lead, chunk: &[u8]) -> usize {
        match lead {
            _ if chunk.is_empty() => 0,
            Lead::Nothing => 0,
            Lead::Cr => {
                self.lead = Lead::Nothing;
                usize::from(chunk[0] == b'\n')
            }
            Lead::Bom(seen) => {
                let wanted = &BOM[seen..];
                let len = wanted.len().min(chunk.len());
                if chunk[..len] != wanted[..len] {
                    self.lead = Lead::Nothing;
                    if seen > 0 {
                        self.held.line.clear();
                        self.held.line.extend_from_slice(&BOM[..seen]);
                        self.state = State::Line;
                    }
                    return 0;
                }
                self.lead = match seen + len {
                    3 => Lead::Nothing,
                    seen => Lead::Bom(seen),
                };
                len
            }
        }
    }

    /// Takes what the block needs out of the chunk, which the engine sees no more.
    #[inline]
    pub(crate) fn end(&mut self, chunk: &[u8], mut at: At) {
        self.held.keep(chunk, &mut at.block);
        self.block = at.block;
    }

    #[inline(always)]
    pub(crate) fn step(&mut self, chunk: &[u8], at: At) -> (At, Step) {
        if !matches!(self.state, State::LineStart) {
            return self.resume(chunk, at);
        }
        match scan(chunk, at, self.limits.safe_line()) {
            (at, Found::Event(block)) => {
                if let Place::Chunk { start, end } = block.id {
                    self.commit_id(&chunk[start..end]);
                } else if block.id == Place::Held {
                    self.commit_held_id();
                }
                (
                    at,
                    Step::Event {
                        name: block.name,
                        data: block.data,
                    },
                )
            }
            (at, Found::Other) => self.line_start(chunk, at),
        }
    }

    /// One line of any kind, from its start.
    #[inline(never)]
    fn line_start(&mut self, chunk: &[u8], mut at: At) -> (At, Step) {
        let rest = &chunk[at.pos..];
        match memchr2(b'\n', b'\r', rest) {
            Some(len) => {
                let start = at.pos;
                at.pos = self.next_line(chunk, start + len);
                self.line(&chunk[..start + len], start, at)
            }
            None if rest.is_empty() => (at, Step::Done),
            None => {
                self.held.line.clear();
                self.state = State::Line;
                self.resume(chunk, at)
            }
        }
    }

    /// The start of the line after the line end at `end`.
    fn next_line(&mut self, chunk: &[u8], end: usize) -> usize {
        match (chunk[end], chunk.get(end + 1)) {
            (b'\r', Some(b'\n')) => end + 2,
            (b'\r', None) => {
                self.lead = Lead::Cr;
                end + 1
            }
            _ => end + 1,
        }
    }

    /// The line at the end of `bytes`, from `start`; `at` is past it.
    fn line(&mut self, bytes: &[u8], start: usize, mut at: At) -> (At, Step) {
        let line = &bytes[start..];
        if line.is_empty() {
            return self.blank(bytes, at);
        }
        let (field, value) = split(line);
        let event_at = match field {
            Line::Data => self.event_at(&at.block, value),
            _ => usize::MAX,
        };
        if let Some(limit) = self.limits.passed(line.len(), event_at) {
            return self.skip(at, 0, limit);
        }
        let place = Place::Chunk {
            start: start + value,
            end: bytes.len(),
        };
        let value = &line[value..];
        let step = match field {
            Line::Data if at.block.data == Place::Absent => {
                at.block.data = place;
                Step::Again
            }
            Line::Data => {
                self.held.open_data(bytes, &mut at.block.data);
                self.held.data.extend_from_slice(value);
                if self.held.data.len() > self.limits.max_event() {
                    let limit = self.limits.max_event();
                    return self.skip(at, 0, TooLarge::Event { limit });
                }
                Step::Again
            }
            Line::Event => {
                at.block.name = place;
                Step::Again
            }
            Line::Id if value.contains(&0) => Step::Again,
            Line::Id => {
                at.block.id = place;
                Step::Again
            }
            Line::Retry => millis(value).map_or(Step::Again, Step::Retry),
            Line::Comment => Step::Comment(place),
            Line::Unknown => Step::Again,
        };
        (at, step)
    }

    /// A blank line: the id holds from here on, and an event with data is one.
    fn blank(&mut self, bytes: &[u8], mut at: At) -> (At, Step) {
        match at.block.id {
            Place::Absent => {}
            Place::Chunk { start, end } => self.commit_id(&bytes[start..end]),
            Place::Held => self.commit_held_id(),
        }
        let Block { name, data, .. } = at.block;
        at.block = Block::EMPTY;
        match data {
            Place::Absent => (at, Step::Again),
            _ => (at, Step::Event { name, data }),
        }
    }

    fn commit_id(&mut self, id: &[u8]) {
        self.last_event_id.clear();
        match core::str::from_utf8(id) {
            Ok(id) => self.last_event_id.push_str(id),
            Err(_) => self.last_event_id.push_str(&String::from_utf8_lossy(id)),
        }
    }

    fn commit_held_id(&mut self) {
        let id = mem::take(&mut self.held.id);
        self.commit_id(&id);
        self.held.id = id;
    }

    /// The length past which a `data` line with its value at `value` makes the event too large.
    fn event_at(&self, block: &Block, value: usize) -> usize {
        let before = match block.data {
            Place::Absent => 0,
            Place::Chunk { start, end } => end - start + 1,
            Place::Held => self.held.data.len() + 1,
        };
        value.saturating_add(self.limits.max_event().saturating_sub(before))
    }

    fn skip(&mut self, at: At, line_len: usize, limit: TooLarge) -> (At, Step) {
        clear(&mut self.held.data);
        clear(&mut self.held.line);
        self.state = State::Skip { line_len };
        (
            At {
                block: Block::EMPTY,
                ..at
            },
            Step::TooLarge(limit),
        )
    }

    /// The rest of a line whose beginning came before, or of a block that is left out.
    #[inline(never)]
    fn resume(&mut self, chunk: &[u8], mut at: At) -> (At, Step) {
        let rest = &chunk[at.pos..];
        let end = memchr2(b'\n', b'\r', rest);
        let mut part = &rest[..end.unwrap_or(rest.len())];
        let next = match end {
            Some(len) => self.next_line(chunk, at.pos + len),
            None => chunk.len(),
        };
        if at.pos == at.first_line {
            at.first_line = next;
        }
        at.pos = next;
        if let State::Line = self.state {
            part = self.hold_head(chunk, part, &mut at);
        }
        self.resume_in(part, at, end.is_some())
    }

    /// Takes as much of `part` as tells whether the held line is data; answers the rest.
    fn hold_head<'a>(&mut self, chunk: &[u8], part: &'a [u8], at: &mut At) -> &'a [u8] {
        let missing = DATA_HEAD.saturating_sub(self.held.line.len());
        let (head, part) = part.split_at(missing.min(part.len()));
        self.held.line.extend_from_slice(head);
        if missing > 0 && self.held.line.len() == DATA_HEAD && self.held.line.starts_with(b"data:")
        {
            let (_, value) = split(&self.held.line);
            let event_at = self.event_at(&at.block, value);
            self.held.open_data(chunk, &mut at.block.data);
            self.held.data.extend_from_slice(&self.held.line[value..]);
            self.state = State::Data {
                line_len: DATA_HEAD,
                event_at,
            };
        }
        part
    }

    fn resume_in(&mut self, part: &[u8], at: At, ended: bool) -> (At, Step) {
        let more = if ended { Step::Again } else { Step::Done };
        match self.state {
            State::LineStart => (at, more),
            State::Line => {
                let line_len = self.held.line.len() + part.len();
                if let Some(limit) = self.limits.passed(line_len, usize::MAX) {
                    return self.skip(at, if ended { 0 } else { line_len }, limit);
                }
                self.held.line.extend_from_slice(part);
                if !ended {
                    return (at, more);
                }
                self.state = State::LineStart;
                self.held_line(at)
            }
            State::Data { line_len, event_at } => {
                let line_len = line_len + part.len();
                let skipped = if ended { 0 } else { line_len };
                if let Some(limit) = self.limits.passed(line_len, event_at) {
                    return self.skip(at, skipped, limit);
                }
                self.held.data.extend_from_slice(part);
                if ended && self.held.data.len() > self.limits.max_event() {
                    let limit = self.limits.max_event();
                    return self.skip(at, skipped, TooLarge::Event { limit });
                }
                self.state = if ended {
                    State::LineStart
                } else {
                    State::Data { line_len, event_at }
                };
                (at, more)
            }
            State::Skip { line_len } => {
                let line_len = line_len + part.len();
                self.state = match (ended, line_len) {
                    (true, 0) => State::LineStart,
                    (true, _) => State::Skip { line_len: 0 },
                    (false, line_len) => State::Skip { line_len },
                };
                (at, more)
            }
        }
    }

    /// The held line, now whole.
    fn held_line(&mut self, at: At) -> (At, Step) {
        let line = mem::take(&mut self.held.line);
        let (mut at, step) = self.line(&line, 0, at);
        self.held.keep(&line, &mut at.block);
        self.held.line = line;
        match step {
            Step::Comment(_) => (at, Step::Comment(Place::Held)),
            step => (at, step),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Line {
    Data,
    Event,
    Id,
    Retry,
    Comment,
    Unknown,
}

/// The field of a line and the index of its value.
fn split(line: &[u8]) -> (Line, usize) {
    let colon = memchr::memchr(b':', line).unwrap_or(line.len());
    let field = match &line[..colon] {
        b"" => return (Line::Comment, 1),
        b"data" => Line::Data,
        b"event" => Line::Event,
        b"id" => Line::Id,
        b"retry" => Line::Retry,
        _ => Line::Unknown,
    };
    let value = match line.get(colon + 1) {
        Some(b' ') => colon + 2,
        Some(_) => colon + 1,
        None => line.len(),
    };
    (field, value)
}

/// Digits as milliseconds; at most `u64::MAX` of them.
fn millis(digits: &[u8]) -> Option<Duration> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let millis = digits.iter().fold(0_u64, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    });
    Some(Duration::from_millis(millis))
}
