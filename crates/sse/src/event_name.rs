use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use crate::field::{Field, FieldError, check};

/// The name of an event: one line of text, so that it cannot break out of its field.
///
/// It cannot hold a carriage return, a line feed or NUL, and cannot be `open` or `error`:
/// those are fired by every `EventSource` itself, and a listener could not tell them apart.
/// A client takes an event without a name, or with an empty one, for `message`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventName(Cow<'static, str>);

impl EventName {
    /// The name, checked.
    ///
    /// # Errors
    ///
    /// [`FieldError::Character`] says which character at which byte cannot be sent;
    /// [`FieldError::Reserved`] answers `open` and `error`.
    pub fn new(name: impl Into<String>) -> Result<Self, FieldError> {
        let name = name.into();
        check(Field::Event, &name)?;
        Ok(Self(Cow::Owned(name)))
    }

    /// The name, checked where it is written: at compile time in a constant.
    ///
    /// ```
    /// # use eventwire_sse::EventName;
    /// static TICK: EventName = EventName::from_static("tick");
    /// ```
    ///
    /// # Panics
    ///
    /// Where [`new`](Self::new) would answer an error.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        match check(Field::Event, name) {
            Ok(()) => Self(Cow::Borrowed(name)),
            Err(FieldError::Character { .. }) => {
                panic!("an event name has no carriage return, line feed or NUL")
            }
            Err(FieldError::Reserved { .. }) => {
                panic!("an event name is not `open` or `error`")
            }
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for EventName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventName({:?})", self.as_str())
    }
}

impl TryFrom<&str> for EventName {
    type Error = FieldError;

    fn try_from(name: &str) -> Result<Self, FieldError> {
        Self::new(name)
    }
}

impl TryFrom<String> for EventName {
    type Error = FieldError;

    fn try_from(name: String) -> Result<Self, FieldError> {
        Self::new(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn refuses_what_would_break_the_line() {
        for (name, character, index) in [("a\nb", '\n', 1), ("\r", '\r', 0), ("\u{e9}\0", '\0', 2)]
        {
            let field = Field::Event;
            assert_eq!(
                EventName::new(name),
                Err(FieldError::Character {
                    field,
                    character,
                    index
                })
            );
        }
        assert_eq!(
            EventName::new("a\r\n").unwrap_err().to_string(),
            r"the event name has '\r' at byte 1; remove or escape it"
        );
    }

    #[test]
    fn refuses_what_an_event_source_fires_itself() {
        for name in ["open", "error"] {
            assert_eq!(EventName::new(name), Err(FieldError::Reserved { name }));
        }
        assert_eq!(EventName::new("Open").unwrap().as_str(), "Open");
        assert_eq!(EventName::new("open ").unwrap().as_str(), "open ");
    }

    #[test]
    fn keeps_everything_else() {
        for name in [
            "",
            "message",
            " led by a space",
            "a:b",
            "\u{2028}",
            "\u{1f980}",
        ] {
            assert_eq!(EventName::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    #[should_panic(expected = "no carriage return")]
    fn a_static_name_is_checked_too() {
        drop(EventName::from_static("a\nb"));
    }
}
