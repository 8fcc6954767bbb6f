use alloc::string::String;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use crate::block::{Block, Held, Place, clear};
use crate::limits::{Limits, TooLarge};
use crate::line::{Line, split};
use crate::scan::{Found, Scan, Span, blank, line_end, scan};
use crate::source::push_decoded;

/// The interpretation of an event stream, for parsers that lend and parsers that own.
///
/// A chunk comes in by [`begin`](Self::begin) and goes out by [`end`](Self::end). Between the
/// two, [`whole`](Self::whole) reads events of the common shape and [`step`](Self::step)
/// everything; both tell where in the chunk or in [`Held`] a value lies. The engine knows bytes
/// only; text is made where an item is handed out.
#[derive(Debug)]
pub(crate) struct Engine {
    limits: Limits,
    lead: Lead,
    state: State,
    /// Between chunks its places are `Absent` or `Held`.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the start of a block, none of which has been read.
    BlockStart,
    /// At the start of a line within a block.
    LineStart,
    /// In a line whose beginning is held.
    Line,
    /// In the value of a `data` line, which is appended to the held data as it arrives.
    Data { line_len: usize, event_at: usize },
    /// In a block that passed a limit; only whether its lines are blank matters.
    Skip { line_len: usize },
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
            state: State::BlockStart,
            block: Block::EMPTY,
            held: Held::EMPTY,
            last_event_id,
        }
    }

    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    pub(crate) fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    pub(crate) fn held(&self) -> &Held {
        &self.held
    }

    /// The held name, which the next block does without.
    pub(crate) fn take_name(&mut self) -> Vec<u8> {
        mem::take(&mut self.held.name)
    }

    /// The held data, which the next block does without.
    pub(crate) fn take_data(&mut self) -> Vec<u8> {
        self.held.take_data()
    }

    /// Forgets the stream and keeps the last event id.
    pub(crate) fn restart(&mut self) {
        self.lead = Lead::Bom(0);
        self.state = State::BlockStart;
        self.block = Block::EMPTY;
    }

    /// Takes the chunk in and answers where to read on in it: at its end if that was all.
    #[inline]
    pub(crate) fn begin(&mut self, chunk: &[u8]) -> usize {
        match (self.lead, self.state) {
            (Lead::Nothing, State::Data { line_len, event_at }) => {
                self.absorb(chunk, line_len, event_at)
            }
            (Lead::Nothing, _) => 0,
            (lead, _) => self.lead(lead, chunk),
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

    /// Takes as much of the chunk as lies in the value of the `data` line that it begins in.
    #[inline]
    fn absorb(&mut self, chunk: &[u8], line_len: usize, event_at: usize) -> usize {
        let Some(end) = line_end::<1>(chunk, 0) else {
            let line_len = line_len + chunk.len();
            if self.limits.passed(line_len, event_at).is_some() {
                return 0;
            }
            self.held.push_data(chunk);
            self.state = State::Data { line_len, event_at };
            return chunk.len();
        };
        let data_len = self.held.data.len() + end;
        if self.limits.passed(line_len + end, event_at).is_some()
            || data_len > self.limits.max_event()
        {
            return 0;
        }
        self.held.push_data(&chunk[..end]);
        self.state = State::LineStart;
        self.next_line(chunk, end)
    }

    /// Takes what the block needs out of the chunk, which the engine sees no more.
    #[inline]
    pub(crate) fn end(&mut self, chunk: &[u8]) {
        if self.state != State::BlockStart {
            self.held.keep(chunk, &mut self.block);
        }
    }

    /// Reads blocks of the common shape: answers an event or a comment and where to read on, or
    /// where to [`step`](Self::step).
    #[inline(always)]
    pub(crate) fn whole(&mut self, chunk: &[u8], pos: usize) -> Result<Scan, usize> {
        if self.state != State::BlockStart {
            return Err(pos);
        }
        let scan = scan(chunk, pos, self.limits.safe_line());
        if scan.found == Found::Part {
            return Err(self.take(chunk, scan));
        }
        if !scan.id.is_absent() {
            self.commit_id(scan.id.of(chunk));
        }
        Ok(scan)
    }

    /// Makes what the scan has read of a block the block's.
    #[inline]
    fn take(&mut self, chunk: &[u8], scan: Scan) -> usize {
        self.block = Block {
            name: scan.name.into(),
            id: scan.id.into(),
            data: scan.data.into(),
        };
        if scan.id.of(chunk).contains(&0) {
            self.block.id = Place::Absent;
        }
        if self.block != Block::EMPTY {
            self.state = State::LineStart;
        }
        scan.next
    }

    /// Reads lines of any kind until there is something to tell, a block has ended, or the chunk
    /// has; answers where to read on.
    #[inline(never)]
    pub(crate) fn step(&mut self, chunk: &[u8], mut pos: usize) -> (usize, Step) {
        loop {
            let step;
            (pos, step) = match self.state {
                State::BlockStart | State::LineStart => self.line_start(chunk, pos),
                _ => self.resume(chunk, pos),
            };
            if !matches!(step, Step::Again) || self.state == State::BlockStart {
                return (pos, step);
            }
        }
    }

    fn line_start(&mut self, chunk: &[u8], mut pos: usize) -> (usize, Step) {
        loop {
            if let Some(next) = blank(chunk, pos) {
                return (next, self.blank(chunk));
            }
            let Some(end) = line_end::<2>(chunk, pos) else {
                return match chunk.len() {
                    len if len == pos => (pos, Step::Done),
                    len => (len, self.unended(chunk, pos)),
                };
            };
            let next = self.next_line(chunk, end);
            if !self.joins(chunk, pos, end) {
                return (next, self.line(&chunk[..end], pos));
            }
            pos = next;
        }
    }

    /// The line at `start`, which does not end in the chunk.
    fn unended(&mut self, chunk: &[u8], start: usize) -> Step {
        let part = self.line_head(chunk, &chunk[start..]);
        self.hold(part, false)
    }

    /// Begins to hold a line that does not end in the chunk; answers what is to be added to it.
    fn line_head<'a>(&mut self, chunk: &[u8], part: &'a [u8]) -> &'a [u8] {
        if part.len() >= DATA_HEAD && part.starts_with(b"data:") {
            let offset = if part[DATA_HEAD - 1] == b' ' {
                DATA_HEAD
            } else {
                DATA_HEAD - 1
            };
            self.hold_data(chunk, offset, offset);
            return &part[offset..];
        }
        clear(&mut self.held.line);
        self.state = State::Line;
        part
    }

    /// Begins to hold the value of a line of data, of which `line_len` bytes have been read and
    /// the value starts at `offset`.
    fn hold_data(&mut self, chunk: &[u8], offset: usize, line_len: usize) {
        let event_at = self.event_at(offset);
        self.held.open_data(chunk, &mut self.block.data);
        self.state = State::Data { line_len, event_at };
    }

    /// Appends the line from `start` to `end` if it is data that follows data, within the limits.
    fn joins(&mut self, chunk: &[u8], start: usize, end: usize) -> bool {
        let line = &chunk[start..end];
        if self.block.data == Place::Absent || !line.starts_with(b"data:") {
            return false;
        }
        // The byte before the value, its colon or space, becomes the LF that joins.
        let joined = if line.get(5) == Some(&b' ') {
            &line[5..]
        } else {
            &line[4..]
        };
        let at = self.data_len();
        if line.len() > self.limits.safe_line() || at + joined.len() > self.limits.max_event() {
            return false;
        }
        self.held.keep_data(chunk, &mut self.block.data);
        self.held.push_data(joined);
        self.held.data[at] = b'\n';
        true
    }

    /// The start of the line after the line end at `end`.
    fn next_line(&mut self, chunk: &[u8], end: usize) -> usize {
        if let Some(next) = blank(chunk, end) {
            return next;
        }
        if end + 1 == chunk.len() {
            self.lead = Lead::Cr;
        }
        end + 1
    }

    /// The line at the end of `bytes`, from `start`.
    fn line(&mut self, bytes: &[u8], start: usize) -> Step {
        let line = &bytes[start..];
        if line.is_empty() {
            return self.blank(bytes);
        }
        let (field, offset) = split(line);
        let event_at = match field {
            Line::Data => self.event_at(offset),
            _ => usize::MAX,
        };
        if let Some(limit) = self.limits.passed(line.len(), event_at) {
            return self.skip(0, limit);
        }
        self.state = State::LineStart;
        let value = Span {
            start: start + offset,
            end: bytes.len(),
        };
        match field {
            Line::Data if self.block.data == Place::Absent => {
                self.block.data = Place::Chunk(value);
            }
            Line::Data => {
                self.held.open_data(bytes, &mut self.block.data);
                self.held.push_data(value.of(bytes));
                if self.held.data.len() > self.limits.max_event() {
                    return self.skip(0, self.limits.event_too_large());
                }
            }
            Line::Event => self.block.name = Place::Chunk(value),
            Line::Id if value.of(bytes).contains(&0) => {}
            Line::Id => self.block.id = Place::Chunk(value),
            Line::Retry(delay) => return Step::Retry(delay),
            Line::Comment => return Step::Comment(Place::Chunk(value)),
            Line::Unknown => {}
        }
        Step::Again
    }

    /// A blank line: the id holds from here on, and a block with data is an event.
    fn blank(&mut self, bytes: &[u8]) -> Step {
        match self.block.id {
            Place::Absent => {}
            Place::Chunk(id) => self.commit_id(id.of(bytes)),
            Place::Held => {
                let id = mem::take(&mut self.held.id);
                self.commit_id(&id);
                self.held.id = id;
            }
        }
        self.state = State::BlockStart;
        let Block { name, data, .. } = mem::replace(&mut self.block, Block::EMPTY);
        match data {
            Place::Absent => Step::Again,
            _ => Step::Event { name, data },
        }
    }

    /// An id with NUL is as if it were not there.
    #[inline(never)]
    fn commit_id(&mut self, id: &[u8]) {
        if id.contains(&0) {
            return;
        }
        self.last_event_id.clear();
        push_decoded(&mut self.last_event_id, id);
    }

    fn data_len(&self) -> usize {
        match self.block.data {
            Place::Absent => 0,
            Place::Chunk(span) => span.end - span.start,
            Place::Held => self.held.data.len(),
        }
    }

    /// The length past which a `data` line with its value at `offset` makes the event too large.
    fn event_at(&self, offset: usize) -> usize {
        let before = match self.block.data {
            Place::Absent => 0,
            _ => self.data_len() + 1,
        };
        offset.saturating_add(self.limits.max_event().saturating_sub(before))
    }

    fn skip(&mut self, line_len: usize, limit: TooLarge) -> Step {
        clear(&mut self.held.data);
        clear(&mut self.held.line);
        self.block = Block::EMPTY;
        self.state = State::Skip { line_len };
        Step::TooLarge(limit)
    }

    /// The rest of a line whose beginning came before, or of a block that is left out.
    fn resume(&mut self, chunk: &[u8], pos: usize) -> (usize, Step) {
        let end = line_end::<1>(chunk, pos);
        let part = &chunk[pos..end.unwrap_or(chunk.len())];
        let next = match end {
            Some(end) => self.next_line(chunk, end),
            None => chunk.len(),
        };
        let part = match self.state {
            State::Line => self.hold_head(chunk, part),
            _ => part,
        };
        (next, self.hold(part, end.is_some()))
    }

    /// Takes as much of `part` as tells whether the held line is data; answers the rest.
    fn hold_head<'a>(&mut self, chunk: &[u8], part: &'a [u8]) -> &'a [u8] {
        let missing = DATA_HEAD.saturating_sub(self.held.line.len());
        let (head, part) = part.split_at(missing.min(part.len()));
        self.held.line.extend_from_slice(head);
        let decided = missing > 0 && self.held.line.len() == DATA_HEAD;
        if decided && self.held.line.starts_with(b"data:") {
            let (_, offset) = split(&self.held.line);
            self.hold_data(chunk, offset, DATA_HEAD);
            self.held.data.extend_from_slice(&self.held.line[offset..]);
        }
        part
    }

    /// Adds `part` to the line that is being held, and reads the line if that ended it.
    fn hold(&mut self, part: &[u8], ended: bool) -> Step {
        let more = if ended { Step::Again } else { Step::Done };
        match self.state {
            State::BlockStart | State::LineStart => more,
            State::Line => {
                let line_len = self.held.line.len() + part.len();
                if let Some(limit) = self.limits.passed(line_len, usize::MAX) {
                    return self.skip(if ended { 0 } else { line_len }, limit);
                }
                self.held.line.extend_from_slice(part);
                if ended { self.held_line() } else { more }
            }
            State::Data { line_len, event_at } => {
                let line_len = line_len + part.len();
                let skipped = if ended { 0 } else { line_len };
                if let Some(limit) = self.limits.passed(line_len, event_at) {
                    return self.skip(skipped, limit);
                }
                self.held.push_data(part);
                if ended && self.held.data.len() > self.limits.max_event() {
                    return self.skip(skipped, self.limits.event_too_large());
                }
                self.state = if ended {
                    State::LineStart
                } else {
                    State::Data { line_len, event_at }
                };
                more
            }
            State::Skip { line_len } => {
                let line_len = line_len + part.len();
                self.state = match (ended, line_len) {
                    (true, 0) => State::BlockStart,
                    (true, _) => State::Skip { line_len: 0 },
                    (false, line_len) => State::Skip { line_len },
                };
                more
            }
        }
    }

    /// Reads the held line, now whole.
    fn held_line(&mut self) -> Step {
        let line = mem::take(&mut self.held.line);
        let step = self.line(&line, 0);
        self.held.keep(&line, &mut self.block);
        self.held.line = line;
        match step {
            Step::Comment(_) => Step::Comment(Place::Held),
            step => step,
        }
    }
}
