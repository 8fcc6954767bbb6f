use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::error::ReadError;
use crate::event::RecordedEvent;
use crate::position::Position;

/// Which way a read goes, from where, and how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOptions {
    direction: Direction,
    limit: Option<usize>,
    is_all: bool,
}

/// Which way a read goes, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Rising positions, from the first above this one.
    Forward {
        /// The last place not read.
        after: Position,
    },
    /// Falling positions, from the last below this one.
    Backward {
        /// The lowest place not read; none to begin at the head.
        before: Option<Position>,
    },
}

impl ReadOptions {
    /// All that the log holds, from its beginning. What was dropped is not asked for, so it
    /// makes no [`Item::Gap`].
    #[must_use]
    pub const fn all() -> Self {
        Self {
            is_all: true,
            ..Self::after(Position::ORIGIN)
        }
    }

    /// What lies above a position, rising.
    #[must_use]
    pub const fn after(position: Position) -> Self {
        Self {
            direction: Direction::Forward { after: position },
            limit: None,
            is_all: false,
        }
    }

    /// The whole log, from its head down.
    #[must_use]
    pub const fn backward() -> Self {
        Self {
            direction: Direction::Backward { before: None },
            limit: None,
            is_all: false,
        }
    }

    /// What lies below a position, falling.
    #[must_use]
    pub const fn before(position: Position) -> Self {
        Self {
            direction: Direction::Backward {
                before: Some(position),
            },
            limit: None,
            is_all: false,
        }
    }

    /// At most this many events. Zero shows none, and a forward read of none never says
    /// that it has caught up unless there is nothing left to look at.
    #[must_use]
    pub const fn limit(mut self, events: usize) -> Self {
        self.limit = Some(events);
        self
    }

    /// Whether all that is held is asked for, and nothing that was dropped.
    #[must_use]
    pub const fn is_all(&self) -> bool {
        self.is_all
    }

    /// Which way, and from where.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// At most how many events.
    #[must_use]
    pub const fn max_events(&self) -> Option<usize> {
        self.limit
    }
}

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the first event the log holds. What was dropped before is not asked for.
    Beginning,
    /// With the first event above this position.
    After(Position),
    /// With the first event appended from now on.
    End,
}

/// What a read or a subscription yields.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// A matching event.
    Event(RecordedEvent),
    /// Everything up to here has been looked at, and what matched was yielded: a sound
    /// place to resume from although the event there did not match.
    Progress(Position),
    /// Events between these places that may have matched were dropped by the store's
    /// [`Retention`](crate::Retention) before they were read: what follows is not all.
    ///
    /// Who begins at the beginning asks for what is held then, and is told only of what is
    /// dropped later.
    Gap {
        /// How far the reader had come.
        after: Position,
        /// Where it goes on: everything up to here may be missing.
        resumed_after: Position,
    },
    /// Everything up to here has been looked at, and there was nothing beyond: a forward
    /// read ends with it, a subscription goes on to wait.
    CaughtUp(Position),
}

/// A stream of [`Item`]s, boxed so that it has a name.
///
/// It owns all it needs: it can be spawned, stored in a struct, outlive the handle it was
/// made from. Dropping it at any moment loses nothing. After an error it ends.
#[must_use = "a stream does nothing until it is polled"]
pub struct EventStream(Pin<Box<dyn Stream<Item = Result<Item, ReadError>> + Send>>);

impl EventStream {
    /// Boxes a stream.
    pub fn new(stream: impl Stream<Item = Result<Item, ReadError>> + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }

    /// The next item; `None` once the stream has ended.
    ///
    /// # Errors
    /// [`ReadError`], after which the stream has ended.
    ///
    /// # Cancel safety
    /// Safe: an item is taken only when it is returned.
    pub async fn next(&mut self) -> Option<Result<Item, ReadError>> {
        poll_fn(|context| self.0.as_mut().poll_next(context)).await
    }
}

impl Stream for EventStream {
    type Item = Result<Item, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").finish_non_exhaustive()
    }
}
