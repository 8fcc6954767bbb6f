use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use crate::field::{Field, FieldError, check};

/// The id of an event: one line of text that a client sends back as `Last-Event-ID`.
///
/// It cannot hold a carriage return, a line feed or NUL. Keep it short and ASCII: it travels
/// in a request header, Safari encodes other characters twice, and a cross-origin request
/// whose header is longer than 128 bytes is sent only after a preflight. The empty id is
/// legal and makes a client forget the one it had.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(Cow<'static, str>);

impl EventId {
    /// The id, checked.
    ///
    /// # Errors
    ///
    /// [`FieldError::Character`] says which character at which byte cannot be sent.
    pub fn new(id: impl Into<String>) -> Result<Self, FieldError> {
        let id = id.into();
        check(Field::Id, &id)?;
        Ok(Self(Cow::Owned(id)))
    }

    /// The id, checked where it is written: at compile time in a constant.
    ///
    /// # Panics
    ///
    /// Where [`new`](Self::new) would answer an error.
    #[must_use]
    pub const fn from_static(id: &'static str) -> Self {
        match check(Field::Id, id) {
            Ok(()) => Self(Cow::Borrowed(id)),
            Err(_) => panic!("an event id has no carriage return, line feed or NUL"),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for EventId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({:?})", self.as_str())
    }
}

impl TryFrom<&str> for EventId {
    type Error = FieldError;

    fn try_from(id: &str) -> Result<Self, FieldError> {
        Self::new(id)
    }
}

impl TryFrom<String> for EventId {
    type Error = FieldError;

    fn try_from(id: String) -> Result<Self, FieldError> {
        Self::new(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn refuses_what_would_break_the_line() {
        for (id, character, index) in [("7\n8", '\n', 1), ("7\r", '\r', 1), ("\0", '\0', 0)] {
            let field = Field::Id;
            assert_eq!(
                EventId::new(id),
                Err(FieldError::Character {
                    field,
                    character,
                    index
                })
            );
        }
        assert_eq!(
            EventId::new("7\0").unwrap_err().to_string(),
            r"the event id has '\0' at byte 1; remove or escape it"
        );
    }

    #[test]
    fn keeps_everything_else() {
        for id in ["", "7f3a.1042", "open", " 7", "a:b"] {
            assert_eq!(EventId::new(id).unwrap().as_str(), id);
        }
    }

    #[test]
    #[should_panic(expected = "no carriage return")]
    fn a_static_id_is_checked_too() {
        drop(EventId::from_static("7\0"));
    }
}
