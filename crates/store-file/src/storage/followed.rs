use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Storage, StorageFile};

/// A directory that another process writes to, as one who may change nothing and sees a file only
/// up to a place: what would be changed stays as it is, and nobody is told.
///
/// It lets the recovery of a store be used by one who only looks.
#[derive(Debug)]
pub(crate) struct Followed {
    storage: Arc<dyn Storage>,
    /// The file that is seen in part, and up to where; later ones of its kind are not seen.
    last: Option<(String, Arc<AtomicU64>)>,
}

impl Followed {
    pub(crate) fn new(storage: Arc<dyn Storage>, last: Option<(String, Arc<AtomicU64>)>) -> Self {
        Self { storage, last }
    }

    fn is_seen(&self, name: &str) -> bool {
        let is_segment = crate::segment::first_in(name).is_some();
        let last = self.last.as_ref();
        !is_segment || last.is_none_or(|(last, _)| name <= last.as_str())
    }
}

impl Storage for Followed {
    fn list(&self) -> io::Result<Vec<String>> {
        let names = self.storage.list()?.into_iter();
        Ok(names.filter(|name| self.is_seen(name)).collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let end = match &self.last {
            Some((last, end)) if name == last => Arc::clone(end),
            _ => Arc::new(AtomicU64::new(u64::MAX)),
        };
        Ok(Arc::new(Beginning {
            file: self.storage.open(name)?,
            end,
        }))
    }

    fn create(&self, _: &str) -> io::Result<Arc<dyn StorageFile>> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn link(&self, _: &str, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn directory(&self, name: &str) -> io::Result<Arc<dyn Storage>> {
        let storage = self.storage.directory(name)?;
        Ok(Arc::new(Self::new(storage, None)))
    }
}

/// A file up to a place, which is not changed.
#[derive(Debug)]
pub(crate) struct Beginning {
    pub(crate) file: Arc<dyn StorageFile>,
    pub(crate) end: Arc<AtomicU64>,
}

impl StorageFile for Beginning {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.length()?.min(self.end.load(Ordering::Relaxed)))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(buffer, offset)
    }

    fn read_more(&self, buffer: &mut Vec<u8>, length: usize, offset: u64) -> io::Result<()> {
        self.file.read_more(buffer, length, offset)
    }

    fn read_ready(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        self.file.read_ready(buffer, offset)
    }

    fn expect(&self, bytes: Range<u64>) {
        self.file.expect(bytes);
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Ok(())
    }

    fn set_length(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
