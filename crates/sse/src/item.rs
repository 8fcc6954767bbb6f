use core::time::Duration;

use crate::limits::TooLarge;

/// What a [`Parser`](crate::Parser) found in a stream, in the order of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item<'a> {
    /// An event: told when the CR or LF of its blank line arrives.
    Event(MessageRef<'a>),
    /// A comment, without its colon: told when its line ends.
    Comment(&'a str),
    /// The delay before a reconnection, from now on: told when its line ends.
    Retry(Duration),
    /// A block that passed a limit is left out; reading goes on after its blank line.
    TooLarge(TooLarge),
}

/// An event as it was received, borrowed from the chunk and the parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageRef<'a> {
    pub(crate) name: &'a str,
    pub(crate) data: &'a str,
    pub(crate) id: &'a str,
}

impl<'a> MessageRef<'a> {
    /// The name of the event: `message` where the stream gave none, or an empty one.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The data, its lines joined by LF.
    ///
    /// Data of one line that lies in one chunk is a slice of that chunk.
    #[must_use]
    pub fn data(&self) -> &'a str {
        self.data
    }

    /// The last event id of the stream at this event: its own, or that of an event before it;
    /// empty where none was sent.
    #[must_use]
    pub fn id(&self) -> &'a str {
        self.id
    }

    /// The data as JSON.
    ///
    /// # Errors
    ///
    /// Those of `serde_json`, when the data is not JSON or not a `T`.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json<T: serde::Deserialize<'a>>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.data)
    }
}
