use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Disk, names_in};
use super::lock::{Lock, LockError, Said};
use super::{Storage, StorageFile, reading};

/// A directory of the operating system that is looked at and never changed, nor are its files.
#[derive(Debug)]
pub(crate) struct Sight {
    directory: PathBuf,
    /// Keeps writers out until it is dropped.
    _lock: Option<Lock>,
}

impl Sight {
    /// A store's directory that nobody writes to. Where there is no lock file, no writer has it
    /// open, and none is kept out.
    pub(crate) fn of_closed(path: &Path) -> Result<Self, LockError> {
        let directory = path.canonicalize()?;
        let lock = match File::open(directory.join(Disk::LOCK)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            lock => Some(Lock::of_reader(lock?)?),
        };
        Ok(Self {
            directory,
            _lock: lock,
        })
    }

    /// Waits until a file of the directory says what it is to say; none where there is no such file.
    pub(crate) fn wait_for(path: &Path, file: &str) -> io::Result<Option<Said>> {
        match File::open(path.join(file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            file => Said::of(file?).map(Some),
        }
    }

    /// A store's directory, whoever writes to it.
    pub(crate) fn of_open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            directory: path.canonicalize()?,
            _lock: None,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

fn unchangeable<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Storage for Sight {
    fn list(&self) -> io::Result<Vec<String>> {
        match names_in(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            names => names,
        }
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(SightFile(File::open(self.path(name))?)))
    }

    fn create(&self, _: &str) -> io::Result<Arc<dyn StorageFile>> {
        unchangeable()
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        unchangeable()
    }

    fn link(&self, _: &str, _: &str) -> io::Result<()> {
        unchangeable()
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        unchangeable()
    }

    fn sync(&self) -> io::Result<()> {
        unchangeable()
    }

    fn directory(&self, name: &str) -> io::Result<Arc<dyn Storage>> {
        Ok(Arc::new(Self {
            directory: self.path(name),
            _lock: None,
        }))
    }
}

#[derive(Debug)]
struct SightFile(File);

impl StorageFile for SightFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn read_more(&self, buffer: &mut Vec<u8>, length: usize, offset: u64) -> io::Result<()> {
        reading::read_more(&self.0, buffer, length, offset)
    }

    fn read_ready(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        reading::read_ready(&self.0, buffer, offset)
    }

    fn expect(&self, bytes: Range<u64>) {
        reading::expect(&self.0, &bytes);
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        unchangeable()
    }

    fn set_length(&self, _: u64) -> io::Result<()> {
        unchangeable()
    }

    fn sync(&self) -> io::Result<()> {
        unchangeable()
    }
}
