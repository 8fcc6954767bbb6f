use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A place in the log.
///
/// Positions are totally ordered, in the order in which readers are shown events, and mean
/// nothing else: the distance between two of them is not a count, and a store may leave any
/// of them out. Only a backend makes them ([`Position::from_parts`]).
///
/// The text form is decimal digits, `1042`, or two runs of them joined by a dash, `7-1042`,
/// where the backend orders by a pair. It survives a round trip and is legal in a URL, a
/// header and an SSE id; it does not sort as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Position {
    major: u64,
    minor: u64,
}

impl Position {
    /// Before the first event of any log.
    pub const ORIGIN: Self = Self { major: 0, minor: 0 };

    /// The greatest position there can be; no event is ever there.
    pub const MAX: Self = Self {
        major: u64::MAX,
        minor: u64::MAX,
    };

    /// For backends: the position that sorts by `major`, then by `minor`.
    ///
    /// A backend that counts in one sequence leaves `major` zero. Both zero is
    /// [`ORIGIN`](Self::ORIGIN), where no event can be.
    #[must_use]
    pub const fn from_parts(major: u64, minor: u64) -> Self {
        Self { major, minor }
    }

    /// For backends: what [`from_parts`](Self::from_parts) was given.
    #[must_use]
    pub const fn to_parts(self) -> (u64, u64) {
        (self.major, self.minor)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.major {
            0 => write!(f, "{}", self.minor),
            major => write!(f, "{major}-{}", self.minor),
        }
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Position({self})")
    }
}

/// The text is not the form a [`Position`] has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a position; expected decimal digits such as `1042`, or a pair such as `7-1042`")]
pub struct ParsePositionError;

impl FromStr for Position {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, ParsePositionError> {
        match text.split_once('-') {
            None => Ok(Self {
                major: 0,
                minor: number(text)?,
            }),
            Some((major, minor)) => match number(major)? {
                0 => Err(ParsePositionError),
                major => Ok(Self {
                    major,
                    minor: number(minor)?,
                }),
            },
        }
    }
}

/// The one spelling `Display` gives: digits only, no sign, no leading zero.
fn number(text: &str) -> Result<u64, ParsePositionError> {
    let canonical =
        text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if !canonical {
        return Err(ParsePositionError);
    }
    text.parse().map_err(|_| ParsePositionError)
}

/// A place in a stream, counted by the store: the first event of a stream has version 1.
///
/// The version of a *stream* is that of its last event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(u64);

impl Version {
    /// The version of a stream's first event.
    pub const FIRST: Self = Self(1);

    /// The version with this number; none for zero, which no event has.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        match number {
            0 => None,
            number => Some(Self(number)),
        }
    }

    /// The number, at least 1.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The version of the event after this one.
    ///
    /// # Panics
    /// Past 2^64 - 1 events in one stream, which no store reaches.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(
            self.0
                .checked_add(1)
                .expect("a stream holds fewer than 2^64 events"),
        )
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_a_round_trip() {
        for (major, minor, text) in [
            (0, 0, "0"),
            (0, 1042, "1042"),
            (7, 0, "7-0"),
            (
                u64::MAX,
                u64::MAX,
                "18446744073709551615-18446744073709551615",
            ),
        ] {
            let position = Position::from_parts(major, minor);
            assert_eq!(position.to_string(), text);
            assert_eq!(text.parse(), Ok(position));
        }
    }

    #[test]
    fn only_the_canonical_spelling_is_read() {
        for text in [
            "",
            "-",
            "+1",
            "01",
            " 1",
            "1-",
            "-1",
            "0-1",
            "1-2-3",
            "1-02",
            "18446744073709551616",
        ] {
            assert_eq!(
                text.parse::<Position>(),
                Err(ParsePositionError),
                "{text:?}"
            );
        }
    }

    #[test]
    fn order_is_by_major_then_minor() {
        let ordered = [(0, 0), (0, 9), (1, 0), (1, 5), (2, 1)];
        assert!(
            ordered
                .map(|(major, minor)| Position::from_parts(major, minor))
                .is_sorted()
        );
    }
}
