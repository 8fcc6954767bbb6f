//! What the crates below answer, as problems. What went wrong inside is logged, not told.

use std::error::Error;

use eventwire_cqrs::{CommandError, QueryError};
use eventwire_store::{AppendError, InvalidAppend, ReadError};

use crate::problem::{Kind, Problem};

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Unknown { .. } => Self::new(Kind::NotFound, error.to_string()),
            CommandError::Malformed { detail } => Self::malformed("body", detail),
            CommandError::Invalid(invalid) => Self::invalid("body", invalid.to_string()),
            CommandError::TooLarge { .. } => too_large(error.to_string()),
            CommandError::KeyReused(_) => key_reused(),
            CommandError::Denied { reason } => Self::new(Kind::Forbidden, reason),
            CommandError::Refused(refusal) => Self::new(Kind::Refused, refusal.to_string()),
            CommandError::Precondition(unmet) => {
                Self::new(Kind::PreconditionFailed, unmet.to_string())
            }
            CommandError::Conflict(contention) => Self::new(Kind::Conflict, contention.to_string()),
            CommandError::Busy { retry_after, .. } => store_busy().retry_after(retry_after),
            CommandError::Indeterminate { .. } => indeterminate(&error),
            CommandError::Store(_) => unavailable(&error),
            _ => internal(&error),
        }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Unknown { .. } | QueryError::NotFound { .. } => {
                Self::new(Kind::NotFound, error.to_string())
            }
            QueryError::Malformed { detail } => Self::malformed("body", detail),
            QueryError::Refused(refusal) => Self::new(Kind::Refused, refusal.to_string()),
            _ => internal(&error),
        }
    }
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict(conflict) => {
                Self::new(Kind::PreconditionFailed, conflict.actual.to_string())
            }
            AppendError::Busy { retry_after, .. } => store_busy().retry_after(retry_after),
            AppendError::Indeterminate { .. } => indeterminate(&error),
            AppendError::TooLarge { .. } => too_large(error.to_string()),
            AppendError::Invalid(InvalidAppend::KeyReused(_)) => key_reused(),
            AppendError::Invalid(_) | AppendError::Unsupported(_) => {
                Self::invalid("body", error.to_string())
            }
            _ => unavailable(&error),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        unavailable(&error)
    }
}

fn too_large(detail: String) -> Problem {
    Problem::new(Kind::TooLarge, detail).field("body")
}

fn key_reused() -> Problem {
    let detail = "the key was used for another request; choose a new one";
    Problem::new(Kind::KeyReused, detail).field("Idempotency-Key")
}

fn store_busy() -> Problem {
    Problem::busy("the store is busy; nothing was written")
}

fn indeterminate(error: &(dyn Error + 'static)) -> Problem {
    tracing::error!(error = %chain(error), "append may or may not be durable");
    let detail = "it may or may not have happened; repeat it with the same Idempotency-Key";
    Problem::new(Kind::Indeterminate, detail).retry_after(None)
}

fn unavailable(error: &(dyn Error + 'static)) -> Problem {
    tracing::error!(error = %chain(error), "store cannot be used");
    Problem::busy("the store cannot be used at the moment")
}

fn internal(error: &(dyn Error + 'static)) -> Problem {
    tracing::error!(error = %chain(error), "request failed");
    Problem::new(
        Kind::Internal,
        "the failure was logged under this request's id",
    )
}

/// An error and its causes in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
