use std::error::Error;

use eventwire_store::{AppendError, Cursor, Position, ReadError};
use thiserror::Error;

use crate::codec::CodecError;

/// What becomes of an event that the view cannot take in, once it was tried often enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnFailure {
    /// The projection stops: no view is better than a wrong one.
    #[default]
    Stop,
    /// The event is put aside, in the stream `parked-NAME` of the log, and the projection
    /// goes on; see [`Parked`](crate::projection::Parked).
    Park,
}

/// Why a projection stopped, by what is to be done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProjectionError {
    /// The view could not take an event in. Mend the view or the projection and start again.
    #[error("event at position {position} could not be taken into the view")]
    Apply {
        /// The event, or the first of those that could not be told apart.
        position: Position,
        /// Why.
        #[source]
        cause: Box<dyn Error + Send + Sync>,
    },
    /// The history holds what this program cannot read. Mend the program.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The view could not be asked how far it is, or could not take another's place.
    #[error("the view cannot be used")]
    View(#[source] Box<dyn Error + Send + Sync>),
    /// The view is one of another log. Rebuild it.
    #[error("the view has come to {0}, which is a place in another log; rebuild it")]
    OtherLog(Cursor),
    /// Retention has dropped events that the view has not seen. Rebuild it, of what is left.
    #[error("events after position {after} up to {resumed_after} are gone; rebuild the view")]
    Missed {
        /// How far the view had come.
        after: Position,
        /// What comes next.
        resumed_after: Position,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An event could not be put aside, or a lease not be kept, since the store cannot be
    /// written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The projection's name cannot be part of a stream's. Choose another.
    #[error(transparent)]
    Name(#[from] eventwire_store::NameError),
    /// Another has moved the view's checkpoint meanwhile. What is in the view is right; begin
    /// again from there, as a projector that runs does by itself.
    #[error("another projector has moved the view")]
    Overtaken,
    /// Another process is at work; it is the one to ask.
    #[error("another process holds the lease and keeps the view")]
    StandingBy,
    /// It has stopped already.
    #[error("the projection has stopped")]
    Stopped,
}
