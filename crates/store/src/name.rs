use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use thiserror::Error;

use crate::text::Text;

/// The longest name the contract allows, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 255;

/// Why a text cannot be the name it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} {reason}")]
pub struct NameError {
    what: &'static str,
    reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
enum Reason {
    #[error("is empty; give it at least one character")]
    Empty,
    #[error("is {length} bytes long; the limit is {MAX_NAME_BYTES}")]
    TooLong { length: usize },
    #[error("contains the control character U+{:04X} at byte {at}; remove it", u32::from(*.character))]
    Control { character: char, at: usize },
    #[error("is not UTF-8 from byte {at} on")]
    NotUtf8 { at: usize },
}

/// A name as most are, which costs nothing to check; none where it must be looked at closely.
fn plain(name: &[u8]) -> Option<Text> {
    Text::plain(name).filter(|_| !name.is_empty())
}

fn check(what: &'static str, text: &str) -> Result<(), NameError> {
    let reason = if text.is_empty() {
        Reason::Empty
    } else if text.len() > MAX_NAME_BYTES {
        Reason::TooLong { length: text.len() }
    } else if let Some((at, character)) = text.char_indices().find(|(_, c)| c.is_control()) {
        Reason::Control { character, at }
    } else {
        return Ok(());
    };
    Err(NameError { what, reason })
}

macro_rules! name {
    ($(#[$docs:meta])* $name:ident, $what:literal) => {
        $(#[$docs])*
        ///
        /// One to [`MAX_NAME_BYTES`] bytes of UTF-8 without control characters. Cloning copies a
        /// short one, and is a reference count for a longer one. Ordered and compared byte by byte.
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Text);

        impl $name {
            #[doc = concat!("Makes a ", $what, " of `text`.")]
            ///
            /// # Errors
            /// [`NameError`] where the text is empty, too long or holds a control character;
            /// it says which and where.
            pub fn new(text: impl Into<String> + AsRef<str>) -> Result<Self, NameError> {
                if let Some(plain) = plain(text.as_ref().as_bytes()) {
                    return Ok(Self(plain));
                }
                let text = text.into();
                check($what, &text)?;
                Ok(Self(Text::from(text)))
            }

            #[doc = concat!("Makes a ", $what, " of bytes a store kept: a short one keeps nothing of them,")]
            /// a longer one is not copied.
            ///
            /// # Errors
            /// [`NameError`] as for [`new`](Self::new), and where the bytes are not UTF-8.
            pub fn from_bytes(bytes: Bytes) -> Result<Self, NameError> {
                if let Some(plain) = plain(&bytes) {
                    return Ok(Self(plain));
                }
                let text = Text::from_utf8(bytes).map_err(|error| NameError {
                    what: $what,
                    reason: Reason::NotUtf8 { at: error.valid_up_to() },
                })?;
                check($what, text.as_str())?;
                Ok(Self(text))
            }

            #[doc = concat!("Makes a ", $what, " of a part of a buffer a store read. A short one keeps nothing")]
            /// of the buffer, and costs no reference count; a longer one is not copied.
            ///
            /// # Errors
            /// [`NameError`] as for [`from_bytes`](Self::from_bytes).
            ///
            /// # Panics
            /// It may where `part` is not a part of `buffer`.
            pub fn part_of(buffer: &Bytes, part: &[u8]) -> Result<Self, NameError> {
                match Text::plain_in(buffer, part) {
                    Some(text) if !part.is_empty() => Ok(Self(text)),
                    _ => Self::from_bytes(buffer.slice_ref(part)),
                }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// The text as bytes of UTF-8.
            #[must_use]
            #[inline]
            pub fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }

            /// The same name on bytes of its own, for whoever keeps it for long: one read from a
            /// log may be a part of a large buffer, and one from a caller of a request, which
            /// keeping it would keep.
            #[must_use]
            pub fn detached(&self) -> Self {
                Self(self.0.detached())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = NameError;

            fn try_from(text: &str) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name! {
    /// The name of a stream: the unit of optimistic concurrency. What stands before its first
    /// `-` is its [`Category`].
    StreamName, "stream name"
}
name! {
    /// What streams of one kind share: `room` is the category of `room-1` and of `room`.
    Category, "category"
}
name! {
    /// What happened, in the words of the domain: `message-posted`.
    EventType, "event type"
}
name! {
    /// A mark on an event by which queries and guards find it: `user:7`.
    Tag, "tag"
}
name! {
    /// Names one intention of one caller, so that repeating it has no second effect.
    IdempotencyKey, "idempotency key"
}

name! {
    /// One who works through the log and remembers how far: a projection, a process manager.
    Consumer, "consumer"
}

name! {
    /// What a snapshot is of: a stream, a boundary, a view.
    SnapshotName, "snapshot name"
}

macro_rules! counted {
    ($($name:ident),*) => {$(
        impl $name {
            /// How many bytes the text has: what limits and retention count.
            #[inline]
            pub(crate) fn bytes(&self) -> usize {
                self.0.len()
            }
        }
    )*};
}

counted!(StreamName, EventType, Tag);

impl StreamName {
    /// The part before the first `-`; the whole name where it has none or begins with one.
    #[must_use]
    pub fn category(&self) -> Category {
        match self.as_bytes().iter().position(|&byte| byte == b'-') {
            Some(end) if end > 0 => Category(self.0.up_to(end)),
            _ => Category(self.0.clone()),
        }
    }

    /// Whether this stream belongs to `category`.
    #[must_use]
    pub fn is_in(&self, category: &Category) -> bool {
        self.category() == *category
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_is_wrong_with_it_and_where() {
        let long = "x".repeat(256);
        for (text, message) in [
            ("", "stream name is empty; give it at least one character"),
            (
                long.as_str(),
                "stream name is 256 bytes long; the limit is 255",
            ),
            (
                "a\nb",
                "stream name contains the control character U+000A at byte 1; remove it",
            ),
            (
                "é\u{0}",
                "stream name contains the control character U+0000 at byte 2; remove it",
            ),
        ] {
            assert_eq!(StreamName::new(text).unwrap_err().to_string(), message);
        }
        let broken = EventType::from_bytes(Bytes::from_static(b"ab\xff")).unwrap_err();
        assert_eq!(broken.to_string(), "event type is not UTF-8 from byte 2 on");
    }

    #[test]
    fn the_category_is_what_stands_before_the_first_dash() {
        for (stream, category) in [
            ("room-1", "room"),
            ("room", "room"),
            ("a-b-c", "a"),
            ("-x", "-x"),
            ("é-1", "é"),
        ] {
            let name = StreamName::new(stream).unwrap();
            assert_eq!(name.category().as_str(), category, "{stream}");
            assert!(name.is_in(&Category::new(category).unwrap()));
        }
    }
}
