//! Views made of events, kept up to date: while commands run, beside them, or by several
//! processes of which one is at work.

mod failure;
mod inline;
mod intake;
mod memory;
mod parked;
mod progress;
mod projector;
mod steering;

use std::error::Error;
use std::future::Future;
use std::sync::Arc;

use eventwire_store::{Cursor, Query, RecordedEvent};

use crate::codec;
use crate::event::DomainEvent;
use crate::fold::UnknownEvents;

pub use failure::{OnFailure, ProjectionError};
pub use inline::Inline;
pub use memory::MemoryView;
pub use parked::{Parked, ParkedEvent};
pub use progress::{Lag, Progress, Reach, Stopped};
pub use projector::Projector;
pub use steering::Steering;

/// A view: what events make of it, and how far it has taken them in.
///
/// The view keeps its own checkpoint. Where both are written in one transaction, whoever is
/// killed at any point and begins again gives the view that one pass gives. Where they cannot
/// be, `apply` must give the same when it is repeated.
///
/// ```
/// use eventwire_cqrs::DomainEvent;
/// use eventwire_cqrs::projection::{Batch, Projection};
/// use eventwire_store::Cursor;
/// # use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// enum RoomEvent {
///     MessagePosted { text: String },
/// }
/// impl DomainEvent for RoomEvent {}
///
/// /// How many messages there are, in a file.
/// struct Count(std::path::PathBuf);
///
/// impl Projection for Count {
///     type Event = RoomEvent;
///     type Error = std::io::Error;
///
///     async fn checkpoint(&mut self) -> std::io::Result<Option<Cursor>> {
///         let text = std::fs::read_to_string(&self.0).unwrap_or_default();
///         Ok(text.split_whitespace().nth(1).and_then(|cursor| cursor.parse().ok()))
///     }
///
///     async fn apply(&mut self, batch: &Batch<RoomEvent>) -> std::io::Result<()> {
///         let text = std::fs::read_to_string(&self.0).unwrap_or_default();
///         let before = text.split_whitespace().next().and_then(|count| count.parse().ok());
///         let count = before.unwrap_or(0) + batch.events.len();
///         // One write of both, put in place at once.
///         let next = self.0.with_extension("next");
///         std::fs::write(&next, format!("{count} {}", batch.up_to))?;
///         std::fs::rename(next, &self.0)
///     }
/// }
/// ```
pub trait Projection: Send + Sized + 'static {
    /// What it is made of.
    type Event: DomainEvent;
    /// Why it could not be written.
    type Error: Into<Box<dyn Error + Send + Sync>> + Send;

    /// What is done with an event whose type [`Event`](Self::Event) does not have. A
    /// projection sees only what its query asks for, so that it is an error by default.
    const UNKNOWN_EVENTS: UnknownEvents = UnknownEvents::Fail;

    /// Which events it is made of: those of all types that [`Event`](Self::Event) has.
    fn query(&self) -> Query {
        Query::types(codec::event_types::<Self::Event>())
    }

    /// How far the view has come; none where it has not begun.
    ///
    /// # Errors
    /// Where the view cannot be read.
    fn checkpoint(&mut self) -> impl Future<Output = Result<Option<Cursor>, Self::Error>> + Send;

    /// Takes events in and moves the checkpoint to [`Batch::up_to`], in one transaction where
    /// the view has them.
    ///
    /// Where several processes compete for the view, this is where one that was thought dead
    /// must be kept out: refuse a batch whose [`after`](Batch::after) is not the checkpoint.
    ///
    /// # Errors
    /// Where it cannot be written. Nothing of the batch must be in the view then.
    fn apply(
        &mut self,
        batch: &Batch<Self::Event>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Takes the place of an older view of the same events: what [`Steering::rebuild`] does in
    /// the end. This view has come at least as far. Forgets the older one, unless overridden.
    ///
    /// # Errors
    /// Where the place could not be taken; the older view stays.
    #[expect(unused_variables, reason = "the name is for those who override it")]
    fn take_over(
        &mut self,
        old: &mut Self,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        std::future::ready(Ok(()))
    }
}

/// Events that follow one another.
#[derive(Debug)]
#[non_exhaustive]
pub struct Batch<E> {
    /// Where the checkpoint is before; none where the view has not begun.
    pub after: Option<Cursor>,
    /// The events, in order. There may be none: then only the checkpoint moves.
    pub events: Vec<Seen<E>>,
    /// Where the checkpoint is afterwards. For an event that was parked and is replayed, it
    /// is where it is before.
    pub up_to: Cursor,
}

/// An event, and all that is known about it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Seen<E> {
    /// What happened.
    pub event: E,
    /// Where and when, with its tags and its metadata.
    pub recorded: Arc<RecordedEvent>,
}
