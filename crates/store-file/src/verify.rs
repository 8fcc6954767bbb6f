use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::error::{OpenError, process};
use crate::inspection::inspect;
use crate::report::{Progress, Report};
use crate::storage::{LockError, Sight};

/// Reads every byte of a store that is closed, and changes none.
///
/// Every frame, record, index and snapshot is held against its checksums, every event against
/// the one before it in the log and in its stream, across all segments. All findings are
/// reported, not the first alone: behind damage the frames that are whole are found and read.
///
/// Blocks while it reads, and keeps writers out meanwhile. Memory holds the name of each stream
/// and the index of one segment.
///
/// ```
/// use eventwire_store_file::{FileStore, verify};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # FileStore::open(directory.path())?.close();
/// let report = verify(directory.path(), |_| {})?;
/// for finding in &report.findings {
///     println!("{finding}");
/// }
/// assert!(report.is_whole());
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`VerifyError`], where it could not look. What it found is in the [`Report`].
pub fn verify(
    path: impl AsRef<Path>,
    mut progress: impl FnMut(Progress),
) -> Result<Report, VerifyError> {
    let path = path.as_ref();
    let storage = Sight::of_closed(path).map_err(|error| VerifyError::of_lock(path, error))?;
    let report = inspect(&storage, &mut progress).map_err(VerifyError::of_open)?;
    if report.store.is_none() && report.segments == 0 {
        return Err(VerifyError::NoStore {
            path: path.to_owned(),
        });
    }
    Ok(report)
}

/// Why a store could not be looked at, by what to do next.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The store is open, in another process or in this one. Close it there.
    #[error("store {} is open in {}; close it there first", .path.display(), process(.holder.as_ref()))]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The number of the process that has it open, where it is known.
        holder: Option<u32>,
    },
    /// There is no store here.
    #[error("{} holds no store; name the directory that has the IDENTITY", .path.display())]
    NoStore {
        /// The directory.
        path: PathBuf,
    },
    /// The operating system failed. Mend the cause and try again.
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

impl VerifyError {
    pub(crate) fn of_lock(path: &Path, error: LockError) -> Self {
        let path = path.to_owned();
        match error {
            LockError::Held(holder) => Self::Locked { path, holder },
            LockError::Io(source) if source.kind() == io::ErrorKind::NotFound => {
                Self::NoStore { path }
            }
            LockError::Io(source) => Self::Io {
                doing: "opening",
                path,
                source,
            },
        }
    }

    /// Of looking at a store, where all that it says of the log is a finding.
    pub(crate) fn of_open(error: OpenError) -> Self {
        match error {
            OpenError::Io {
                doing,
                path,
                source,
            } => Self::Io {
                doing,
                path,
                source,
            },
            error => Self::Io {
                doing: "reading",
                path: PathBuf::from("."),
                source: io::Error::other(error),
            },
        }
    }
}
