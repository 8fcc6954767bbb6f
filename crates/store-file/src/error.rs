use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

/// Why a store could not be opened, by what to do next.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The store is open already, in another process or in this one. Close it there.
    #[error("store {} is open in {}; close it there first", .path.display(), process(.holder.as_ref()))]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The number of the process that has it open, where it is known.
        holder: Option<u32>,
    },
    /// Written by a later version of this crate. Nothing was changed: use that one.
    #[error(
        "{file} has format version {version}, which this version does not read; use a later one"
    )]
    UnknownVersion {
        /// The file, within the store's directory.
        file: String,
        /// The version it has.
        version: u32,
    },
    /// Something that was written is no longer there as it was written. Nothing was changed:
    /// restore a backup, or see with [`verify`](crate::verify) what is lost and
    /// [`repair`](crate::repair()) the store.
    #[error("{0}; nothing was changed: verify the store, and restore a backup or repair it")]
    Damaged(Damage),
    /// The operating system failed. Mend the cause and open again.
    #[error("failed {doing} {}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what; within the store's directory where it is relative.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

pub(crate) fn process(holder: Option<&u32>) -> String {
    holder.map_or_else(
        || "another process".to_owned(),
        |number| format!("process {number}"),
    )
}

impl OpenError {
    /// For `map_err`: an error of the operating system while doing something to a file.
    pub(crate) fn io(doing: &'static str, file: &str) -> impl FnOnce(io::Error) -> Self {
        let path = PathBuf::from(file);
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }
}

/// Where bytes are not what was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file} is damaged at byte {offset}: {what}")]
pub struct Damage {
    file: String,
    offset: u64,
    what: String,
}

impl Damage {
    pub(crate) fn new(file: &str, offset: u64, what: impl fmt::Display) -> Self {
        Self {
            file: file.to_owned(),
            offset,
            what: what.to_string(),
        }
    }

    /// The file, within the store's directory.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What is wrong there.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Where in the file the frame or record begins that is not as it was.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

/// A failure of the operating system within a file. A clone is the same failure.
#[derive(Debug, Clone, Error)]
#[error("failed {doing} {file} at byte {offset}")]
pub(crate) struct IoFailure {
    doing: &'static str,
    file: String,
    offset: u64,
    #[source]
    cause: Arc<io::Error>,
}

impl IoFailure {
    pub(crate) fn new(doing: &'static str, file: &str, offset: u64, cause: io::Error) -> Self {
        Self {
            doing,
            file: file.to_owned(),
            offset,
            cause: Arc::new(cause),
        }
    }
}
