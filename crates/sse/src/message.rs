use core::time::Duration;

use crate::limits::TooLarge;
use crate::text::Text;

/// What a [`BytesParser`](crate::BytesParser) found in a stream, to keep:
/// [`Item`](crate::Item), owned.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OwnedItem {
    /// An event: told when the CR or LF of its blank line arrives.
    Event(Message),
    /// A comment, without its colon: told when its line ends.
    Comment(Text),
    /// The delay before a reconnection, from now on: told when its line ends.
    Retry(Duration),
    /// A block that passed a limit is left out; reading goes on after its blank line.
    TooLarge(TooLarge),
}

/// An event as it was received, to keep.
///
/// It shares the chunks it came in, and keeps them in memory as long as it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub(crate) name: Text,
    pub(crate) data: Text,
    pub(crate) id: Text,
}

impl Message {
    /// The name of the event: `message` where the stream gave none, or an empty one.
    #[must_use]
    pub fn name(&self) -> &Text {
        &self.name
    }

    /// The data, its lines joined by LF.
    ///
    /// Data of one line that lies in one chunk is a part of that chunk.
    #[must_use]
    pub fn data(&self) -> &Text {
        &self.data
    }

    /// The last event id of the stream at this event: its own, or that of an event before it;
    /// empty where none was sent.
    #[must_use]
    pub fn id(&self) -> &Text {
        &self.id
    }

    /// The name, the data and the id.
    #[must_use]
    pub fn into_parts(self) -> (Text, Text, Text) {
        (self.name, self.data, self.id)
    }

    /// The data as JSON.
    ///
    /// # Errors
    ///
    /// Those of `serde_json`, when the data is not JSON or not a `T`.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json<'a, T: serde::Deserialize<'a>>(&'a self) -> serde_json::Result<T> {
        serde_json::from_slice(self.data.as_bytes())
    }
}
