use std::error::Error;
use std::time::Duration;

use eventwire_store::{
    Actual, AppendError, Cause, Expect, IdempotencyKey, InvalidAppend, NameError, ReadError,
    Version,
};
use thiserror::Error;

use crate::codec::CodecError;

/// Why a command was not answered with a [`Receipt`](crate::Receipt), by what the caller
/// does next. Nothing was written, except where it is [`Indeterminate`](Self::Indeterminate).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// No command has this name: use another.
    #[error("no command is named {name:?}")]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// The body is not the command's JSON: mend it.
    #[error("malformed command: {detail}")]
    Malformed {
        /// What is wrong, and at which line and column.
        detail: String,
    },
    /// The JSON is well formed, but what it says can never be carried out: mend it.
    #[error("invalid command: {0}")]
    Invalid(#[from] InvalidCommand),
    /// Past a limit of the store: send less.
    #[error("{what} is {size}, over the limit of {limit}; send less")]
    TooLarge {
        /// What was counted.
        what: &'static str,
        /// How much it was.
        size: usize,
        /// How much it may be.
        limit: usize,
    },
    /// The key stands for another request: choose a new one.
    #[error("idempotency key {0:?} was used for another request; choose a new key")]
    KeyReused(IdempotencyKey),
    /// The caller may not have this done.
    #[error("denied: {reason}")]
    Denied {
        /// Why.
        reason: String,
    },
    /// The domain says no. See [`refusal`](Self::refusal).
    #[error("refused: {0}")]
    Refused(Box<dyn Error + Send + Sync>),
    /// The stream is not what the caller expects: read it and think again.
    #[error("precondition failed: {0}")]
    Precondition(Unmet),
    /// Others kept writing within the boundary: try again later.
    #[error("gave up: {0}")]
    Conflict(Contention),
    /// The store cannot take it now: repeat it as it is.
    #[error("store is busy: {reason}; nothing was written, try again")]
    Busy {
        /// What is short.
        reason: &'static str,
        /// When to try, if the store knows.
        retry_after: Option<Duration>,
    },
    /// The events may or may not be there for good: repeat the request with the same key,
    /// and without a key read before deciding anew.
    #[error("the command may or may not have happened; repeat it only with its key")]
    Indeterminate {
        /// The key the command had.
        key: Option<IdempotencyKey>,
        /// What went wrong.
        #[source]
        cause: Cause,
    },
    /// Decider and history do not fit together. For the developer.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The store cannot be read or written. For the operator.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CommandError {
    /// The refusal in the domain's own type, where it is one of that type.
    #[must_use]
    pub fn refusal<R: Error + 'static>(&self) -> Option<&R> {
        match self {
            Self::Refused(refusal) => refusal.downcast_ref(),
            _ => None,
        }
    }

    /// What a store's error means, where it is not a conflict: those are decided again.
    pub(crate) fn from_append(error: AppendError) -> Self {
        match error {
            AppendError::Busy {
                reason,
                retry_after,
            } => Self::Busy {
                reason,
                retry_after,
            },
            AppendError::Indeterminate { key, cause } => Self::Indeterminate { key, cause },
            AppendError::TooLarge { what, size, limit } => Self::TooLarge { what, size, limit },
            AppendError::Invalid(InvalidAppend::KeyReused(key)) => Self::KeyReused(key),
            other => Self::Store(other.into()),
        }
    }
}

impl From<ReadError> for CommandError {
    fn from(error: ReadError) -> Self {
        Self::Store(error.into())
    }
}

/// What a well-formed command says that can never be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidCommand {
    /// A value in it cannot be part of the name or the tag it is used for.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It was sent with an expectation, but is not decided by a whole stream.
    #[error("no whole stream decides it, so none can be expected; leave the expectation out")]
    NothingToExpect,
    /// It has no idempotency key where one is asked for.
    #[error("it has no idempotency key; choose one")]
    NoKey,
    /// It makes no sense on its face.
    #[error("{detail}")]
    Nonsense {
        /// What does not, in the program's words.
        detail: String,
    },
}

/// An expectation about a stream that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the stream {}, expected {}", is_at(*.actual), expectation(*.expected))]
#[non_exhaustive]
pub struct Unmet {
    /// What the caller expects of the stream.
    pub expected: Expect,
    /// Its last version; none where nothing was ever appended.
    pub actual: Option<Version>,
}

/// A race lost again and again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("lost the race to other writers {attempts} times, the last time because {}", lost(*.actual))]
#[non_exhaustive]
pub struct Contention {
    /// How often the command was decided.
    pub attempts: u32,
    /// What was found the last time.
    pub actual: Actual,
}

/// Why the store under a command failed it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The history could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The events were not written.
    #[error(transparent)]
    Append(#[from] AppendError),
}

fn is_at(version: Option<Version>) -> String {
    match version {
        Some(version) => format!("is at version {version}"),
        None => "does not exist".to_owned(),
    }
}

fn expectation(expected: Expect) -> String {
    match expected {
        Expect::Any => "anything".to_owned(),
        Expect::NoStream => "that it does not exist".to_owned(),
        Expect::Exists => "that it exists".to_owned(),
        Expect::Exact(version) => format!("version {version}"),
    }
}

fn lost(actual: Actual) -> String {
    match actual {
        Actual::Match(_) => actual.to_string(),
        _ => format!("{actual} now"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_caller_does_next_survives_the_way_up() {
        let key = || IdempotencyKey::new("k").unwrap();
        let cause = || Cause::from("disk on fire");
        for (error, variant, message) in [
            (
                AppendError::Busy {
                    reason: "the queue is full",
                    retry_after: Some(Duration::from_secs(1)),
                },
                "Busy",
                "store is busy: the queue is full; nothing was written, try again",
            ),
            (
                AppendError::Indeterminate {
                    key: Some(key()),
                    cause: cause(),
                },
                "Indeterminate",
                "the command may or may not have happened; repeat it only with its key",
            ),
            (
                AppendError::TooLarge {
                    what: "the append in bytes",
                    size: 9,
                    limit: 8,
                },
                "TooLarge",
                "the append in bytes is 9, over the limit of 8; send less",
            ),
            (
                AppendError::Invalid(InvalidAppend::KeyReused(key())),
                "KeyReused",
                "idempotency key \"k\" was used for another request; choose a new key",
            ),
            (
                AppendError::Poisoned { cause: cause() },
                "Store",
                "store has stopped writing after an I/O error; reopen it to recover",
            ),
            (
                AppendError::Unsupported("query guards"),
                "Store",
                "this store does not support query guards",
            ),
        ] {
            let error = CommandError::from_append(error);
            assert_eq!(error.to_string(), message);
            assert!(format!("{error:?}").starts_with(variant), "{error:?}");
        }
    }

    #[test]
    fn a_cause_is_the_source_and_a_refusal_keeps_its_type() {
        let error = CommandError::from_append(AppendError::Indeterminate {
            key: None,
            cause: Cause::from("disk on fire"),
        });
        assert_eq!(error.source().unwrap().to_string(), "disk on fire");

        let refused = CommandError::Refused(Box::new(InvalidCommand::NothingToExpect));
        assert!(refused.refusal::<InvalidCommand>().is_some());
        assert!(refused.refusal::<NameError>().is_none());
        assert!(error.refusal::<InvalidCommand>().is_none());
    }
}
