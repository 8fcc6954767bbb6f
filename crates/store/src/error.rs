use std::error::Error as StdError;
use std::time::Duration;

use thiserror::Error;

use crate::name::IdempotencyKey;
use crate::position::{Position, Version};

/// A cause of the backend's own kind.
pub type Cause = Box<dyn StdError + Send + Sync>;

/// Why an append was not answered with [`Appended`](crate::Appended), by what the caller does next.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AppendError {
    /// A guard does not hold. Nothing was written: read again and decide again.
    #[error("append refused: {0}")]
    Conflict(Conflict),
    /// The store cannot take it now. Nothing was written: repeat it as it is.
    #[error("store is busy: {reason}; nothing was written, try again{}", after(*.retry_after))]
    Busy {
        /// What is short.
        reason: &'static str,
        /// When to try, if the store knows.
        retry_after: Option<Duration>,
    },
    /// The events may or may not be there for good. Repeat the append with the same key,
    /// and without a key read before deciding.
    #[error("append may or may not be durable; {}", reissue(.key.as_ref()))]
    Indeterminate {
        /// The key the append had.
        key: Option<IdempotencyKey>,
        /// What went wrong.
        #[source]
        cause: Cause,
    },
    /// Past a limit of the store. Nothing was written: send less.
    #[error("{what} is {size}, over the limit of {limit}; send less")]
    TooLarge {
        /// What was counted.
        what: &'static str,
        /// How much it was.
        size: usize,
        /// How much it may be.
        limit: usize,
    },
    /// It can never be written as it is. Nothing was: mend the input.
    #[error(transparent)]
    Invalid(#[from] InvalidAppend),
    /// The backend lacks what was asked for; see its [`Capabilities`](crate::Capabilities).
    #[error("this store does not support {0}")]
    Unsupported(&'static str),
    /// An earlier failure made the store stop writing; reading goes on. For the operator.
    #[error("store has stopped writing after an I/O error; reopen it to recover")]
    Poisoned {
        /// What went wrong then.
        #[source]
        cause: Cause,
    },
    /// The store was closed. Nothing was written.
    #[error("store is closed")]
    Closed,
    /// Something of the backend's own, before anything was written.
    #[error("store failed before writing")]
    Backend(#[source] Cause),
}

/// What can never be appended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidAppend {
    /// An append without events.
    #[error("append has no events; add at least one")]
    Empty,
    /// A key that stands for another request.
    #[error("idempotency key {0:?} was used for another request; choose a new key")]
    KeyReused(IdempotencyKey),
    /// A guard about what comes after a place that is above every event: nobody has read up to
    /// there, unless in another store, or in another life of this one.
    #[error(
        "guard {guard} is about what comes after position {after}, above every event; read again"
    )]
    BeyondHead {
        /// Its index among the append's guards.
        guard: usize,
        /// The place.
        after: Position,
    },
}

/// Which guard does not hold, and what is there instead.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("guard {guard} does not hold: {actual}")]
pub struct Conflict {
    /// Its index among the append's guards; one past the last of them for the checkpoint of
    /// [`Append::consumed`](crate::Append::consumed), and for a write to a deleted stream.
    pub guard: usize,
    /// What the store holds.
    pub actual: Actual,
}

/// What was found where a guard expected something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Actual {
    /// The stream's last version, none where nothing was ever appended.
    #[error("the stream {}", at_version(*.0))]
    Version(Option<Version>),
    /// An event that matches the guard's query.
    #[error("an event at position {0} matches its query")]
    Match(Position),
    /// How far the consumer's checkpoint is already: this effect has happened.
    #[error("the consumer's checkpoint is at position {0} already")]
    Consumed(Position),
    /// The stream was deleted, and its name is never used again.
    #[error("the stream was deleted")]
    Deleted,
}

/// Why a read or a subscription ended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The store was closed.
    #[error("store is closed")]
    Closed,
    /// What was kept cannot be read, or is not what was written.
    #[error("store cannot be read")]
    Backend(#[source] Cause),
}

/// Why a checkpoint, a snapshot or a retention was not carried out.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeepError {
    /// A checkpoint only moves forward.
    #[error("checkpoint is at position {at} already; remove it first to start over")]
    Behind {
        /// Where it is.
        at: Position,
    },
    /// There is no such stream.
    #[error("stream does not exist")]
    NoStream,
    /// Nothing was done: a queue or a disk is full. Try again later.
    #[error("store is busy: {reason}; nothing was done, try again{}", after(*.retry_after))]
    Busy {
        /// What is short.
        reason: &'static str,
        /// When to try, if the store knows.
        retry_after: Option<Duration>,
    },
    /// An earlier failure made the store stop writing; reading goes on. For the operator.
    #[error("store has stopped writing after an I/O error; reopen it to recover")]
    Poisoned {
        /// What went wrong then.
        #[source]
        cause: Cause,
    },
    /// The store was closed. Nothing was done.
    #[error("store is closed")]
    Closed,
    /// Something of the backend's own. It may or may not have been done; asking again is safe.
    #[error("store failed; ask again")]
    Backend(#[source] Cause),
}

fn after(delay: Option<Duration>) -> String {
    delay.map_or_else(String::new, |delay| format!(" after {delay:?}"))
}

fn reissue(key: Option<&IdempotencyKey>) -> String {
    match key {
        Some(key) => format!("repeat it with the same key {key:?}"),
        None => "it had no key, so read before repeating it".to_owned(),
    }
}

fn at_version(version: Option<Version>) -> String {
    match version {
        Some(version) => format!("is at version {version}"),
        None => "does not exist".to_owned(),
    }
}
