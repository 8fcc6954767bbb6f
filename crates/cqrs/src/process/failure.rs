use eventwire_store::{AppendError, KeepError, NameError, ReadError};
use thiserror::Error;

use crate::codec::CodecError;
use crate::error::CommandError;
use crate::lease::LeaseError;

/// Why a processor stopped, by what is to be done. What was written down is done when it is
/// started again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// A command could be neither carried out nor refused, however often it was tried.
    #[error("command {name:?} of {instance:?} had no answer")]
    Command {
        /// The command.
        name: String,
        /// The instance that asked for it.
        instance: String,
        /// Why there was none.
        #[source]
        cause: CommandError,
    },
    /// The history holds what this program cannot read. Mend the program.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The state of an instance, or a command it asks for, cannot be read or written as JSON.
    #[error("{what} of {instance:?} has no JSON form: {detail}")]
    Unwritable {
        /// The state or the command.
        what: &'static str,
        /// The instance.
        instance: String,
        /// What is wrong.
        detail: String,
    },
    /// Retention has dropped events or records before they were seen.
    #[error("events the process has not seen are gone")]
    Missed,
    /// An instance, or the process, has a name that cannot be part of a stream's or a key's.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store cannot be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// How far the process is could not be kept.
    #[error(transparent)]
    Keep(#[from] KeepError),
}

impl From<LeaseError> for ProcessError {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Read(error) => error.into(),
            LeaseError::Append(error) => error.into(),
            LeaseError::Codec(error) => error.into(),
        }
    }
}
