use std::io;
use std::path::{Path, PathBuf};

use eventwire_store::{Epoch, Position};
use thiserror::Error;

use crate::copy::Copy;
use crate::error::{Damage, OpenError, process};
use crate::report::Progress;
use crate::storage::{Disk, LockError, Reads, Sight};
use crate::trail::look;

/// What a backup holds, and what making it took.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// The position of its last event.
    pub head: Position,
    /// The epoch of its log.
    pub epoch: Epoch,
    /// Files of the log it has.
    pub segments: usize,
    /// Those of them that were copied now; the others were there already.
    pub segments_copied: usize,
}

/// What became of the store that a backup is of, which decides what cursors mean in the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Original {
    /// It ended where the backup was made: no event was appended to it afterwards, or none that
    /// any reader was shown. The copy goes on in its place, under its epoch, and cursors that
    /// were saved are resumed from.
    EndedThere,
    /// It went on, or may have. The copy gets a new epoch, so that a cursor into what is not
    /// there is recognised, instead of being resumed from among other events.
    MayHaveGoneOn,
}

/// Why a copy of a store was not made, by what to do next.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CopyError {
    /// One of the two directories is open, in another process or in this one. Close it there.
    #[error("store {} is open in {}; close it there first", .path.display(), process(.holder.as_ref()))]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The number of the process that has it open, where it is known.
        holder: Option<u32>,
    },
    /// There is something else where the copy was to be. Choose an empty directory.
    #[error("{file} is there already, and not of an earlier copy; choose an empty directory")]
    Occupied {
        /// What is there.
        file: String,
    },
    /// There is no store to copy.
    #[error("{} holds no store; name the directory that has the IDENTITY", .path.display())]
    NoStore {
        /// The directory.
        path: PathBuf,
    },
    /// What was to be copied is not as it was written. The copy is not finished.
    #[error("{0}; the copy was not finished: verify the store that was to be copied")]
    Damaged(Damage),
    /// Written by a later version of this crate. Use that one.
    #[error("{file} has format version {version}, which this version does not read")]
    UnknownVersion {
        /// The file, within its directory.
        file: String,
        /// The version it has.
        version: u32,
    },
    /// The operating system failed. Mend the cause and try again: what is there is not copied
    /// again.
    #[error("failed {doing} {}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what; within its directory where it is relative.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<OpenError> for CopyError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Locked { path, holder } => Self::Locked { path, holder },
            OpenError::UnknownVersion { file, version } => Self::UnknownVersion { file, version },
            OpenError::Damaged(damage) => Self::Damaged(damage),
            OpenError::Io {
                doing,
                path,
                source,
            } => Self::Io {
                doing,
                path,
                source,
            },
        }
    }
}

impl CopyError {
    fn of_lock(path: &Path, error: LockError) -> Self {
        let path = path.to_owned();
        match error {
            LockError::Held(holder) => Self::Locked { path, holder },
            LockError::Io(source) => Self::Io {
                doing: "opening",
                path,
                source,
            },
        }
    }
}

/// Copies a store that another process may have open, into a directory that is empty or does not
/// exist, or has an earlier backup of it, as [`FileStore::backup`](crate::FileStore::backup) does
/// in the process that has it.
///
/// It changes nothing: the writer and its followers go on. It copies what the
/// writer shows when it begins, and so everything that was answered by then: where a process is
/// just opening the store, it waits until that is done. Where
/// nobody has the store open, it copies everything there is, and who opens the store in the moment
/// in which it opens the files is told that it is locked.
///
/// ```
/// use eventwire_store::{Append, EventStore, EventType, NewEvent};
/// use eventwire_store_file::{FileStore, backup};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let (path, to) = (directory.path().join("store"), directory.path().join("backup"));
/// let store = FileStore::open(&path)?;
/// let posted = NewEvent::new(EventType::new("message-posted")?, "hi");
/// let done = futures_executor::block_on(store.append(Append::new().event(posted)))?;
/// // In another process:
/// let made = backup(&path, &to, |_| {})?;
/// assert_eq!(made.head, done.last());
/// # Ok(()) }
/// ```
///
/// Blocks until the copy is durable.
///
/// # Errors
/// [`CopyError`], named for what to do next.
pub fn backup(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    mut progress: impl FnMut(Progress),
) -> Result<Backup, CopyError> {
    let from = from.as_ref();
    let found = look(from).map_err(|error| match error {
        OpenError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            let path = from.to_owned();
            CopyError::NoStore { path }
        }
        error => error.into(),
    })?;
    let copy = Copy::of_open(found.identity, &found.state, found.indexes);
    copy.make(&target(to.as_ref())?, None, &mut progress)
}

/// Makes a store of a backup, in a directory that is empty or does not exist.
///
/// The backup is read whole and must be as it was written; any store that is closed will do. It
/// is not changed. The directory becomes a store with its last step, so one that was left before
/// is none; restoring again into it goes on.
///
/// Blocks until the copy is durable.
///
/// # Errors
/// [`CopyError`], named for what to do next.
pub fn restore(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    original: Original,
    mut progress: impl FnMut(Progress),
) -> Result<Backup, CopyError> {
    let (from, to) = (from.as_ref(), to.as_ref());
    let source = Sight::of_closed(from).map_err(|error| match error {
        LockError::Io(error) if error.kind() == io::ErrorKind::NotFound => CopyError::NoStore {
            path: from.to_owned(),
        },
        error => CopyError::of_lock(from, error),
    })?;
    let copy = Copy::of_closed(&source, from)?;
    copy.make(&target(to)?, Some(original), &mut progress)
}

/// The directory of a copy, locked.
pub(crate) fn target(path: &Path) -> Result<Disk, CopyError> {
    Disk::open(path, Reads::Copied).map_err(|error| CopyError::of_lock(path, error))
}
