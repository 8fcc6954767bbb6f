use std::future::Future;
use std::time::{Duration, SystemTime};

use eventwire_store::{EventStore, Position, ReadError};
use thiserror::Error;
use tokio::sync::watch;

use crate::metrics::{self, Shown};

/// How far a projection is. A clone watches the same one.
#[derive(Debug, Clone)]
pub struct Progress {
    at: watch::Receiver<At>,
}

/// Tells of it.
#[derive(Debug)]
pub(super) struct Teller {
    /// The projection's.
    name: String,
    at: watch::Sender<At>,
}

#[derive(Debug, Clone, Copy)]
struct At {
    position: Position,
    /// When the last event that was taken in had been recorded.
    recorded_at: Option<SystemTime>,
}

/// The projection has stopped, and goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the projection has stopped at position {at}")]
pub struct Stopped {
    /// How far it had come.
    pub at: Position,
}

/// How far a view is behind the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// Up to where the view shows everything.
    pub position: Position,
    /// The end of the log.
    pub head: Position,
    /// How long ago the last event was recorded that the view shows; none where it shows the
    /// whole log, or nothing.
    pub age: Option<Duration>,
}

impl Progress {
    /// Up to where the view shows everything.
    #[must_use]
    pub fn position(&self) -> Position {
        self.at.borrow().position
    }

    /// Waits until the view shows everything up to a place. Not bounded in time.
    ///
    /// # Errors
    /// [`Stopped`] where the projection stops before.
    ///
    /// # Cancel safety
    /// Safe to drop.
    pub async fn wait_for(&self, position: Position) -> Result<(), Stopped> {
        let mut at = self.at.clone();
        let reached = at.wait_for(|at| at.position >= position).await;
        match reached {
            Ok(_) => Ok(()),
            Err(_) => Err(Stopped {
                at: self.position(),
            }),
        }
    }

    /// How far the view is behind a log, now.
    ///
    /// # Errors
    /// [`ReadError`] where the log cannot be read.
    pub async fn lag(&self, store: &dyn EventStore, now: SystemTime) -> Result<Lag, ReadError> {
        let head = store.head().await?;
        let at = *self.at.borrow();
        let age = at
            .recorded_at
            .filter(|_| at.position < head)
            .map(|then| now.duration_since(then).unwrap_or_default());
        Ok(Lag {
            position: at.position,
            head,
            age,
        })
    }
}

impl Lag {
    /// Whether the view shows the whole log.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.position >= self.head
    }
}

impl Teller {
    pub(super) fn new(name: &str) -> Self {
        metrics::describe();
        Self {
            name: name.to_owned(),
            at: watch::Sender::new(At {
                position: Position::ORIGIN,
                recorded_at: None,
            }),
        }
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            at: self.at.subscribe(),
        }
    }

    /// The view has shown everything up to here all along.
    pub(super) fn resume(&self, position: Position) {
        self.reach(position, None);
    }

    /// The view has taken so many events in, the last of them recorded then, and shows everything
    /// up to here. There is none where it has passed over one.
    pub(super) fn take_in(
        &self,
        events: usize,
        position: Position,
        recorded_at: Option<SystemTime>,
    ) {
        metrics::projected(&self.name, events);
        if let Some(recorded_at) = recorded_at {
            metrics::shown(&self.name, Shown::Event(recorded_at));
        }
        self.reach(position, recorded_at);
    }

    /// The view shows the whole log, up to here.
    pub(super) fn catch_up(&self, position: Position) {
        metrics::shown(&self.name, Shown::All);
        self.reach(position, None);
    }

    /// An event was put aside.
    pub(super) fn park(&self) {
        metrics::parked(&self.name);
    }

    fn reach(&self, position: Position, recorded_at: Option<SystemTime>) {
        self.at.send_if_modified(|at| {
            at.recorded_at = recorded_at.or(at.recorded_at);
            let is_further = at.position < position;
            at.position = at.position.max(position);
            is_further
        });
    }
}

/// Whatever can be waited for until it shows what was written:
/// [`layers::consistent_with`](crate::layers::consistent_with).
pub trait Reach: Clone + Send + Sync + 'static {
    /// Ends once it shows everything up to a place, or never will.
    fn reach(&self, position: Position) -> impl Future<Output = ()> + Send;
}

impl Reach for Progress {
    async fn reach(&self, position: Position) {
        // Where it stopped is told to whoever ran it.
        let _stopped = self.wait_for(position).await.is_err();
    }
}
