use std::path::Path;

use eventwire_store::Limits;

use crate::error::OpenError;
use crate::segment::Growth;
use crate::storage::Reads;
use crate::store::FileStore;

/// Few enough that the events of a segment can be counted in 32 bits.
const MAX_SEGMENT_BYTES: u64 = 64 << 30;

/// How a [`FileStore`] is opened.
///
/// ```
/// use eventwire_store_file::FileOptions;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// let store = FileOptions::new().segment_bytes(64 << 20).open(directory.path())?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct FileOptions {
    pub(crate) limits: Limits,
    pub(crate) growth: Growth,
    pub(crate) reads: Reads,
}

impl FileOptions {
    /// The default limits, and segments of 256 MiB.
    #[must_use]
    pub fn new() -> Self {
        Self {
            limits: Limits::default(),
            growth: Growth {
                limit: 256 << 20,
                least_ahead: 256 << 10,
                most_ahead: 8 << 20,
                index_events: 16 << 10,
                index_bytes: 4 << 20,
                index_fan: 8,
            },
            reads: Reads::Copied,
        }
    }

    /// Sets the largest append. More than 65,535 tags on one event cannot be had.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Limits {
            event_tags: limits.event_tags.min(u16::MAX.into()),
            ..limits
        };
        self
    }

    /// Sets how long a file of the log gets before the next is begun. A commit is never
    /// split, so a file that holds but one can be longer. Each file costs opening the store some
    /// microseconds, and so does it a lookup of a name that is not there. More than 64 GiB cannot
    /// be had.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.growth.limit = bytes.min(MAX_SEGMENT_BYTES);
        self
    }

    /// Reads files of the log that are no longer written to as memory of the system's, rather than
    /// copying what is read of them. It makes reading faster where the system has the files in
    /// memory, most of all where events lie far apart, and takes address space of the size of
    /// the log. An event that is kept keeps the mapping of its file, and nothing in memory.
    ///
    /// The price: a medium that fails to give a page, and a file that someone truncates while the
    /// store is open, end the process (`SIGBUS`) where they are a
    /// [`ReadError`](eventwire_store::ReadError) otherwise.
    #[must_use]
    pub fn mapped(mut self) -> Self {
        self.reads = Reads::Mapped;
        self
    }

    /// Opens the store in a directory, which is made where it does not exist.
    ///
    /// Blocks while it reads what no index has: after a kill the last megabytes of the log,
    /// and segments whose index is missing.
    ///
    /// # Errors
    /// [`OpenError`], named for what to do next.
    pub fn open(self, path: impl AsRef<Path>) -> Result<FileStore, OpenError> {
        FileStore::open_with(path.as_ref(), &self)
    }
}

impl Default for FileOptions {
    fn default() -> Self {
        Self::new()
    }
}
