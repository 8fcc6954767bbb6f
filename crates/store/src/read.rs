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

/// What a read or a subscription yields, its events owned, lent or shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item<E = RecordedEvent> {
    /// A matching event.
    Event(E),
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

impl<E> Item<E> {
    /// The same with its event lent.
    #[must_use]
    pub const fn as_ref(&self) -> Item<&E> {
        match self {
            Self::Event(event) => Item::Event(event),
            Self::Progress(position) => Item::Progress(*position),
            Self::Gap {
                after,
                resumed_after,
            } => Item::Gap {
                after: *after,
                resumed_after: *resumed_after,
            },
            Self::CaughtUp(position) => Item::CaughtUp(*position),
        }
    }

    /// The same with another event.
    #[must_use]
    pub fn map<T>(self, change: impl FnOnce(E) -> T) -> Item<T> {
        match self {
            Self::Event(event) => Item::Event(change(event)),
            Self::Progress(position) => Item::Progress(position),
            Self::Gap {
                after,
                resumed_after,
            } => Item::Gap {
                after,
                resumed_after,
            },
            Self::CaughtUp(position) => Item::CaughtUp(position),
        }
    }
}
