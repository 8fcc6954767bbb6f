use std::borrow::Cow;
use std::time::Duration;

use eventwire_sse::{Item, MessageRef, TooLarge};

/// What a stream brought, to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Received {
    /// An event.
    Event(Message),
    /// A comment, without its colon.
    Comment(String),
    /// How long to wait before a reconnection, from now on.
    Retry(Duration),
    /// A block that passed a limit and was left out.
    TooLarge(TooLarge),
}

impl Received {
    /// None for what this version does not know.
    pub(crate) fn keep(item: Item<'_>) -> Option<Self> {
        match item {
            Item::Event(event) => Some(Self::Event(Message::keep(event))),
            Item::Comment(text) => Some(Self::Comment(text.to_owned())),
            Item::Retry(delay) => Some(Self::Retry(delay)),
            Item::TooLarge(limit) => Some(Self::TooLarge(limit)),
            _ => None,
        }
    }
}

/// An event as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    name: Cow<'static, str>,
    data: String,
    id: String,
}

impl Message {
    fn keep(event: MessageRef<'_>) -> Self {
        const USUAL: &str = "message";
        let name = match event.name() {
            USUAL => Cow::Borrowed(USUAL),
            name => Cow::Owned(name.to_owned()),
        };
        Self {
            name,
            data: event.data().to_owned(),
            id: event.id().to_owned(),
        }
    }

    /// The name of the event: `message` where the stream gave none.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The data, its lines joined by LF.
    #[must_use]
    pub fn data(&self) -> &str {
        &self.data
    }

    /// The data, without a copy.
    #[must_use]
    pub fn into_data(self) -> String {
        self.data
    }

    /// The last event id of the stream at this event: its own, or that of an event before it;
    /// empty where none was sent.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}
