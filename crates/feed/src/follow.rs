use std::time::Duration;

use eventwire_store::{Cursor, Query};

use crate::encode::Format;
use crate::present::View;
use crate::presentation::Presentation;

/// What one subscriber asks of a [`Feed`](crate::Feed).
#[derive(Debug, Clone)]
pub struct Follow {
    pub(crate) query: Query,
    pub(crate) from: From,
    pub(crate) presentation: Presentation,
    pub(crate) retry: Option<Duration>,
    pub(crate) is_signalling: bool,
    pub(crate) max_age: Option<Duration>,
}

/// Where a subscriber begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum From {
    /// With the first event the log holds.
    Beginning,
    /// With the first event appended from now on.
    #[default]
    End,
    /// With the first event after one it has seen. A cursor of another epoch is answered
    /// with the event `eventwire.gap`, and then from the beginning.
    Cursor(Cursor),
}

impl Follow {
    /// Events that match `query`, live only.
    #[must_use]
    pub fn new(query: Query) -> Self {
        Self {
            query,
            from: From::End,
            presentation: Presentation::default(),
            retry: None,
            is_signalling: false,
            max_age: None,
        }
    }

    /// Where to begin.
    #[must_use]
    pub fn from(mut self, from: From) -> Self {
        self.from = from;
        self
    }

    /// What it sees of the events: all of each, unless set ([`Present`](crate::Present)).
    #[must_use]
    pub fn view(mut self, view: View) -> Self {
        self.presentation.view = Some(view);
        self
    }

    /// What the data of its blocks is: the payload, unless set.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.presentation.format = format;
        self
    }

    /// The reconnection time the client is told, on the first block that has data.
    #[must_use]
    pub fn retry(mut self, delay: Duration) -> Self {
        self.retry = Some(delay);
        self
    }

    /// How long the stream lasts: it then ends between two blocks, and its client comes back with
    /// the last id it saw, perhaps to another instance. Without end unless set.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Adds the named events `eventwire.caught-up`, at the end of history, and
    /// `eventwire.heartbeat`, while idle: browser code cannot see comments.
    #[must_use]
    pub fn signals(mut self) -> Self {
        self.is_signalling = true;
        self
    }
}
