//! The interpretation of an event stream, transcribed from the WHATWG HTML standard
//! ("Interpreting an event stream", section 9.2.6) with no thought of speed: the other opinion
//! that the parser is compared with.
//!
//! What the standard does not have: comments and `retry` are told in their place, limits on
//! the bytes of a line and of an event's data, and a last event id to start from.

use std::time::Duration;

/// What a stream told, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Event {
        name: String,
        data: String,
        id: String,
    },
    Comment(String),
    Retry(Duration),
    LineTooLong,
    EventTooLarge,
}

/// The limits in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) line: usize,
    pub(crate) event: usize,
}

impl Bounds {
    pub(crate) const NONE: Self = Self {
        line: usize::MAX,
        event: usize::MAX,
    };
}

/// Everything that is told by `stream`, and the last event id after it.
pub(crate) fn interpret(stream: &[u8], bounds: Bounds, last_event_id: &str) -> (Vec<Told>, String) {
    let mut literal = Literal {
        bounds,
        told: Vec::new(),
        data: String::new(),
        data_bytes: 0,
        event_type: String::new(),
        id_buffer: last_event_id.to_owned(),
        last_event_id: last_event_id.to_owned(),
        skipping: false,
    };
    // "The UTF-8 decode algorithm strips one leading UTF-8 Byte Order Mark (BOM), if any."
    const BOM: &[u8] = b"\xef\xbb\xbf";
    let mut rest = stream.strip_prefix(BOM).unwrap_or(stream);
    if BOM.starts_with(stream) {
        // Cut short within a mark: whether these bytes are one, or a line, was never told.
        rest = &[];
    }
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        literal.line(&rest[..end]);
        let width = if rest[end..].starts_with(b"\r\n") {
            2
        } else {
            1
        };
        rest = &rest[end + width..];
    }
    literal.unfinished(rest);
    (literal.told, literal.last_event_id)
}

struct Literal {
    bounds: Bounds,
    told: Vec<Told>,
    data: String,
    /// The length of `data` before decoding.
    data_bytes: usize,
    event_type: String,
    id_buffer: String,
    last_event_id: String,
    skipping: bool,
}

impl Literal {
    fn line(&mut self, raw: &[u8]) {
        if self.skipping {
            self.skipping = !raw.is_empty();
            return;
        }
        if let Some(limit) = self.passed(raw, true) {
            return self.skip(limit);
        }
        // A line end is ASCII, so that decoding line by line is decoding the stream.
        let line = String::from_utf8_lossy(raw);
        if line.is_empty() {
            return self.dispatch();
        }
        match line.split_once(':') {
            Some(("", comment)) => self.told.push(Told::Comment(comment.to_owned())),
            Some((field, value)) => {
                let value = value.strip_prefix(' ').unwrap_or(value);
                self.field(field, value, raw.len() - raw_value_offset(raw));
            }
            None => self.field(&line, "", 0),
        }
    }

    fn field(&mut self, field: &str, value: &str, raw_value_len: usize) {
        match field {
            "event" => self.event_type = value.to_owned(),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
                self.data_bytes += raw_value_len + 1;
            }
            "id" if !value.contains('\0') => self.id_buffer = value.to_owned(),
            "retry" if !value.is_empty() && value.chars().all(|c| c.is_ascii_digit()) => {
                let millis = value.parse().unwrap_or(u64::MAX);
                self.told.push(Told::Retry(Duration::from_millis(millis)));
            }
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        self.last_event_id = self.id_buffer.clone();
        let mut data = std::mem::take(&mut self.data);
        let event_type = std::mem::take(&mut self.event_type);
        self.data_bytes = 0;
        if data.pop().is_none() {
            return;
        }
        self.told.push(Told::Event {
            name: if event_type.is_empty() {
                "message".to_owned()
            } else {
                event_type
            },
            data,
            id: self.last_event_id.clone(),
        });
    }

    /// The end of the stream: only a limit can still be told.
    fn unfinished(&mut self, raw: &[u8]) {
        if !self.skipping
            && let Some(limit) = self.passed(raw, false)
        {
            self.skip(limit);
        }
    }

    fn skip(&mut self, limit: Told) {
        self.told.push(limit);
        self.data.clear();
        self.data_bytes = 0;
        self.event_type.clear();
        self.id_buffer = self.last_event_id.clone();
        self.skipping = true;
    }

    /// The first limit that is passed as the bytes of the line arrive one by one.
    fn passed(&self, raw: &[u8], ended: bool) -> Option<Told> {
        let is_data = raw == b"data" || raw.starts_with(b"data:");
        let value_offset = raw_value_offset(raw);
        for len in 1..=raw.len() {
            if len > self.bounds.line {
                return Some(Told::LineTooLong);
            }
            if is_data
                && len > value_offset
                && self.data_bytes + len - value_offset > self.bounds.event
            {
                return Some(Told::EventTooLarge);
            }
        }
        let whole = self.data_bytes + raw.len() - value_offset;
        (ended && is_data && whole > self.bounds.event).then_some(Told::EventTooLarge)
    }
}

fn raw_value_offset(raw: &[u8]) -> usize {
    match raw.iter().position(|byte| *byte == b':') {
        None => raw.len(),
        Some(colon) if raw.get(colon + 1) == Some(&b' ') => colon + 2,
        Some(colon) => colon + 1,
    }
}
