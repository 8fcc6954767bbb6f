use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::position::Position;

/// Names one life of one store.
///
/// A position means something only in the log it was given by. A store that is replaced,
/// restored from an older backup or (the memory store) restarted gets a new epoch, so that
/// a place in the old log is recognised instead of being resumed at a wrong event.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl Epoch {
    const BITS: u32 = 48;

    /// The epoch with this number, of which the low 48 bits count.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number & ((1 << Self::BITS) - 1))
    }

    /// A fresh epoch: two of them are the same once in 2^48.
    #[must_use]
    pub fn random() -> Self {
        Self::new(fastrand::Rng::new().u64(..))
    }

    /// The number, below 2^48.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({self})")
    }
}

/// Where a reader is: a [`Position`] and the [`Epoch`] of the log it belongs to.
///
/// This is what leaves the process: the SSE id, the `next` of a page, what a client saves.
/// Short ASCII text such as `7f3a09c2e1b4.1042`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The log the position belongs to.
    pub epoch: Epoch,
    /// Everything up to and including this place has been seen.
    pub position: Position,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.position)
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({self})")
    }
}

/// The text is not the form a [`Cursor`] has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a cursor; expected an id this server sent, such as `7f3a09c2e1b4.1042`")]
pub struct ParseCursorError;

impl FromStr for Cursor {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, ParseCursorError> {
        let (epoch, position) = text.split_once('.').ok_or(ParseCursorError)?;
        let number = u64::from_str_radix(epoch, 16).map_err(|_| ParseCursorError)?;
        let cursor = Self {
            epoch: Epoch::new(number),
            position: position.parse().map_err(|_| ParseCursorError)?,
        };
        // One spelling for one cursor: no sign, no capitals, no leading zeros, no high bits.
        if cursor.epoch.to_string() == epoch {
            Ok(cursor)
        } else {
            Err(ParseCursorError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_a_round_trip() {
        for (epoch, position, text) in [
            (0x7f3a, Position::from_parts(0, 1042), "7f3a.1042"),
            (
                u64::MAX,
                Position::MAX,
                "ffffffffffff.18446744073709551615-18446744073709551615",
            ),
            (0, Position::ORIGIN, "0.0"),
        ] {
            let cursor = Cursor {
                epoch: Epoch::new(epoch),
                position,
            };
            assert_eq!(cursor.to_string(), text);
            assert_eq!(text.parse(), Ok(cursor));
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            ".",
            "1",
            "1.",
            ".1",
            "+1.1",
            "7F.1",
            "07.1",
            "g.1",
            "1.1.1",
            "1000000000000.1",
            "1.01",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(ParseCursorError), "{text:?}");
        }
    }
}
