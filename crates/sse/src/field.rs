use core::error::Error;
use core::fmt;

/// A field of an event that holds one line of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Field {
    /// `event`: the name a client listens for.
    Event,
    /// `id`: what a client sends back as `Last-Event-ID`.
    Id,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Event => "event name",
            Self::Id => "event id",
        })
    }
}

/// The text cannot be the value of this field.
///
/// Both are mended where the text comes from: nothing that was refused here has been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldError {
    /// A character that would end the line, or make a client ignore it: remove or escape it.
    Character {
        /// Where the text was to go.
        field: Field,
        /// Carriage return, line feed or NUL: the first of them in the text.
        character: char,
        /// The byte index of `character` in the text.
        index: usize,
    },
    /// `open` or `error`, which an `EventSource` fires itself: choose another name.
    Reserved {
        /// The name that was refused.
        name: &'static str,
    },
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character {
                field,
                character,
                index,
            } => write!(
                f,
                "the {field} has {character:?} at byte {index}; remove or escape it"
            ),
            Self::Reserved { name } => write!(
                f,
                "the event name `{name}` is one that an EventSource fires itself; choose another"
            ),
        }
    }
}

impl Error for FieldError {}

/// The first problem of `text` as the value of `field`; usable in constants.
pub(crate) const fn check(field: Field, text: &str) -> Result<(), FieldError> {
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        let byte = bytes[index];
        if matches!(byte, b'\r' | b'\n' | 0) {
            let character = match byte {
                b'\r' => '\r',
                b'\n' => '\n',
                _ => '\0',
            };
            return Err(FieldError::Character {
                field,
                character,
                index,
            });
        }
        index += 1;
    }
    match (field, bytes) {
        (Field::Event, b"open") => Err(FieldError::Reserved { name: "open" }),
        (Field::Event, b"error") => Err(FieldError::Reserved { name: "error" }),
        _ => Ok(()),
    }
}
