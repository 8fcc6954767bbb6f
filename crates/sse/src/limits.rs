use core::error::Error;
use core::fmt;

/// How much a parser takes from a stream before it refuses a block.
///
/// Both count bytes as they arrive, before decoding. What a parser holds between two chunks is
/// at most one event and three lines (name, id and an unfinished line).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    line: usize,
    event: usize,
}

impl Limits {
    /// 4 MiB a line, 16 MiB an event.
    pub const DEFAULT: Self = Self {
        line: 4 << 20,
        event: 16 << 20,
    };

    /// Sets the longest line, its field name included and its line end not.
    #[must_use]
    pub const fn line(self, bytes: usize) -> Self {
        Self {
            line: bytes,
            ..self
        }
    }

    /// Sets the longest data of an event: its lines, joined.
    #[must_use]
    pub const fn event(self, bytes: usize) -> Self {
        Self {
            event: bytes,
            ..self
        }
    }

    /// What no line within passes either limit at.
    pub(crate) const fn safe_line(self) -> usize {
        if self.line < self.event {
            self.line
        } else {
            self.event
        }
    }

    pub(crate) const fn max_event(self) -> usize {
        self.event
    }

    pub(crate) const fn event_too_large(self) -> TooLarge {
        TooLarge::Event { limit: self.event }
    }

    /// The limit that a line of this length has passed, if any; `event_at` is the length past
    /// which the line makes its event too large.
    ///
    /// Where both are passed it is the one that was passed first, so that the answer does not
    /// depend on when it is asked.
    pub(crate) const fn passed(self, line_len: usize, event_at: usize) -> Option<TooLarge> {
        if line_len > self.line && self.line <= event_at {
            Some(TooLarge::Line { limit: self.line })
        } else if line_len > event_at {
            Some(self.event_too_large())
        } else {
            None
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A block passed a limit of the parser and is left out, up to the next blank line.
///
/// Its id is not taken either: a client that resumes asks for the event again. Raise the
/// limit, or take another id from elsewhere to go past it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooLarge {
    /// A line is longer than [`Limits::line`].
    Line {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The data of an event is longer than [`Limits::event`].
    Event {
        /// The limit, in bytes.
        limit: usize,
    },
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { limit } => write!(
                f,
                "a line of the event stream is longer than {limit} bytes; its block was left out"
            ),
            Self::Event { limit } => write!(
                f,
                "the data of an event is longer than {limit} bytes; the event was left out"
            ),
        }
    }
}

impl Error for TooLarge {}
