//! The seam between the store and the medium: what the store asks of a directory and its
//! files, and nothing more. Tests put a medium behind it that loses power.

mod disk;
mod followed;
mod lock;
mod map;
mod reading;
mod sight;
#[cfg(test)]
pub(crate) mod simulated;
mod watch;

pub(crate) use disk::{Disk, Reads, names_in};
pub(crate) use followed::{Beginning, Followed};
pub(crate) use lock::LockError;
pub(crate) use map::Mapping;
pub(crate) use sight::Sight;
pub(crate) use watch::{Seen, Watch};

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use rustix::io::Errno;

/// A directory of files.
///
/// Making, renaming and removing files is durable once `sync` has returned.
pub(crate) trait Storage: Send + Sync + fmt::Debug {
    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file that exists.
    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>>;

    /// Opens an empty file; one of that name that exists is emptied.
    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>>;

    /// Gives a file another name, in place of whatever had it; it may be in a directory within
    /// this one. Atomic.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Gives a file that will not be written to a second name, which must be free; a copy where
    /// files cannot have two. The other name may be in a directory within this one.
    fn link(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names durable.
    fn sync(&self) -> io::Result<()>;

    /// The directory of this name within this one, made where there is none. It outlives this
    /// one, and does not keep others out.
    fn directory(&self, name: &str) -> io::Result<Arc<dyn Storage>>;
}

/// A file, read and written at places.
pub(crate) trait StorageFile: Send + Sync + fmt::Debug {
    /// The length of the file.
    fn length(&self) -> io::Result<u64>;

    /// Fills `buffer` with what begins at `offset`; an error where the file ends before.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Adds `length` bytes to a buffer, those that begin at `offset`; an error where the file ends
    /// before.
    fn read_more(&self, buffer: &mut Vec<u8>, length: usize, offset: u64) -> io::Result<()> {
        let begin = buffer.len();
        buffer.resize(begin + length, 0);
        self.read_at(&mut buffer[begin..], offset)
    }

    /// Fills `buffer` where nothing has to be waited for, and says whether it did. A medium that
    /// cannot tell waits.
    fn read_ready(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        self.read_at(buffer, offset)?;
        Ok(true)
    }

    /// Says that some bytes will be read soon, so that they can be brought while others are.
    fn expect(&self, _bytes: Range<u64>) {}

    /// Writes all of `bytes`; past the end the file grows.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file, or lengthens it with zeros.
    fn set_length(&self, length: u64) -> io::Result<()>;

    /// The whole file as memory, where the medium has that and it is asked for. Nothing may
    /// change the file from here on.
    fn map(&self) -> Option<Mapping> {
        None
    }

    /// Makes bytes and length durable.
    fn sync(&self) -> io::Result<()>;
}

/// The ending of a file that is being made.
pub(crate) const UNFINISHED: &str = ".new";

/// A file that is made whole or not at all: under another name until it is durable. Where it is
/// given up, the room it took is given back; where that fails, by the next opening of the store.
#[derive(Debug)]
pub(crate) struct Unpublished<'a> {
    storage: &'a dyn Storage,
    name: &'a str,
    pub(crate) file: Arc<dyn StorageFile>,
    is_published: bool,
}

impl<'a> Unpublished<'a> {
    /// An empty file.
    pub(crate) fn create(storage: &'a dyn Storage, name: &'a str) -> io::Result<Self> {
        let file = storage.create(&unfinished(name))?;
        Ok(Self {
            storage,
            name,
            file,
            is_published: false,
        })
    }

    /// Gives the file its name. Where this fails, nothing has that name.
    ///
    /// # Durability
    /// The file is durable on return, its name only once the storage has been synced.
    pub(crate) fn publish(mut self) -> io::Result<Arc<dyn StorageFile>> {
        self.file.sync()?;
        self.storage.rename(&unfinished(self.name), self.name)?;
        self.is_published = true;
        Ok(Arc::clone(&self.file))
    }
}

impl Drop for Unpublished<'_> {
    fn drop(&mut self) {
        if !self.is_published {
            drop(self.storage.remove(&unfinished(self.name)));
        }
    }
}

fn unfinished(name: &str) -> String {
    format!("{name}{UNFINISHED}")
}

/// Zeros, written in pieces.
pub(crate) fn write_zeros(file: &dyn StorageFile, from: u64, to: u64) -> io::Result<()> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut at = from;
    while at < to {
        let length = usize::try_from(to - at)
            .unwrap_or(usize::MAX)
            .min(ZEROS.len());
        file.write_at(&ZEROS[..length], at)?;
        at += crate::format::u64_of(length);
    }
    Ok(())
}

/// What has run out, where that is why something could not be made: it may pass.
pub(crate) fn shortage(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some("the disk is full"),
        _ => match Errno::from_io_error(error)? {
            Errno::MFILE => Some("the process has as many files open as it may"),
            Errno::NFILE => Some("the system has as many files open as it may"),
            _ => None,
        },
    }
}
