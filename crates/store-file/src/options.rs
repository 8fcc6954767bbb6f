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
    pub(crate) compact_at: Option<u8>,
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
                reserve: 64 << 10,
                index_events: 16 << 10,
                index_bytes: 6 << 20,
                index_fan: 8,
            },
            reads: Reads::Copied,
            compact_at: None,
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
    /// microseconds, and so does it a lookup of a name that is not there; and each stays open, with
    /// its index: 500 of them are what a process may have that may have 1,024 files open, 125 GiB of
    /// log in files of 256 MiB. More than 64 GiB cannot be had.
    ///
    /// There is no least, so that tests can have several files of few events: a very small one
    /// makes a file of each commit.
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

    /// Lets the store compact itself: a file of the log is rewritten without what was dropped of
    /// it once the names, metadata and payloads of that are this share of its bytes, in percent, at
    /// least 1 and at most 100. With 50, no more is written again than was dropped. Without it dropped events stay in the files until [`compact`](FileStore::compact) is called,
    /// for rewriting takes reading and writing, room for one more file, and meanwhile the
    /// memory of its index.
    ///
    /// It happens beside the writer, one file at a time, after something more was dropped or a
    /// file was left. The file that is written to stays as it is, and so does what is below the
    /// share: where a dropped event must be gone, call `compact`. Closing the store waits for
    /// the file that is at work.
    ///
    /// ```
    /// use eventwire_store_file::FileOptions;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// let store = FileOptions::new().compact_at_percent(50).open(directory.path())?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn compact_at_percent(mut self, percent: u8) -> Self {
        self.compact_at = Some(percent.clamp(1, 100));
        self
    }

    /// Opens the store in a directory, which is made where it does not exist.
    ///
    /// Blocks while it reads what no index has: after a kill the last 12 MiB of the log at most or so,
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
