use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::lock::{Lock, LockError, Unsaid};
use super::{Mapping, Storage, StorageFile, reading};

/// A directory of the operating system; the store's own is locked for this process.
#[derive(Debug)]
pub(crate) struct Disk {
    directory: PathBuf,
    /// The same, to be synced also when no more files can be opened.
    opened: File,
    reads: Reads,
    _lock: Option<Lock>,
}

/// How files are read that nothing changes any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// As all others are.
    Copied,
    /// As memory.
    Mapped,
}

impl Disk {
    /// The name of the file whose lock says that a process has the directory open.
    pub(crate) const LOCK: &str = "LOCK";

    /// Makes the directory where it does not exist, and locks it.
    pub(crate) fn open(path: &Path, reads: Reads) -> Result<Self, LockError> {
        make_durably(path)?;
        let directory = path.canonicalize()?;
        let lock = Lock::of_writer(to_lock(&directory.join(Self::LOCK))?)?;
        Ok(Self {
            opened: File::open(&directory)?,
            directory,
            reads,
            _lock: Some(lock),
        })
    }

    /// The same, for one who is going to say something in a file: until then others can tell that
    /// it was not said yet.
    pub(crate) fn open_to_say(
        path: &Path,
        reads: Reads,
        file: &str,
    ) -> Result<(Self, Unsaid), LockError> {
        make_durably(path)?;
        let unsaid = Unsaid::of(to_lock(&path.join(file))?)?;
        Ok((Self::open(path, reads)?, unsaid))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn file(&self, options: &OpenOptions, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let file = options.open(self.path(name))?;
        let reads = self.reads;
        Ok(Arc::new(DiskFile { file, reads }))
    }
}

/// A file to be locked, whatever is in it.
fn to_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true);
    options.truncate(false).open(path)
}

/// The names of what is in a directory.
pub(crate) fn names_in(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        // A name that is not UTF-8 is not of ours.
        if let Ok(name) = entry?.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

/// Makes a directory and those above it, each of them durable in the one that holds it.
fn make_durably(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) => Path::new("."),
        None => return Ok(()),
    };
    if path.is_dir() {
        // An earlier process may have made it and not lived to sync it. One that is not ours
        // to look into is not ours to make durable.
        return match sync_directory(parent) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            synced => synced,
        };
    }
    make_durably(parent)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_directory(parent),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

impl Storage for Disk {
    fn list(&self) -> io::Result<Vec<String>> {
        names_in(&self.directory)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.file(OpenOptions::new().read(true).write(true), name)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        self.file(&options, name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        if fs::hard_link(&from, &to).is_ok() {
            return Ok(());
        }
        fs::copy(from, &to)?;
        File::open(to)?.sync_all()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync(&self) -> io::Result<()> {
        self.opened.sync_all()
    }

    fn directory(&self, name: &str) -> io::Result<Arc<dyn Storage>> {
        let directory = self.path(name);
        match fs::create_dir(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(Arc::new(Self {
                opened: File::open(&directory)?,
                directory,
                reads: self.reads,
                _lock: None,
            })),
        }
    }
}

#[derive(Debug)]
struct DiskFile {
    file: File,
    reads: Reads,
}

impl StorageFile for DiskFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn read_more(&self, buffer: &mut Vec<u8>, length: usize, offset: u64) -> io::Result<()> {
        reading::read_more(&self.file, buffer, length, offset)
    }

    fn read_ready(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        reading::read_ready(&self.file, buffer, offset)
    }

    fn expect(&self, bytes: Range<u64>) {
        reading::expect(&self.file, &bytes);
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn map(&self) -> Option<Mapping> {
        match self.reads {
            Reads::Copied => None,
            // Where the system has no room for it, the file can still be read.
            Reads::Mapped => Mapping::new(&self.file).ok(),
        }
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
