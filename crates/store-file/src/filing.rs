use std::io;
use std::sync::Arc;

use crate::index::{FileIndex, Sealed, SealedIndex, write};
use crate::log::SharedLog;
use crate::segment::Segment;
use crate::storage::Storage;

/// An index that has no file yet, and the way to one. Nobody waits for it: the index in memory
/// serves as well, and where the process ends first it is made again.
#[derive(Debug)]
pub(crate) struct Filing {
    directory: Arc<dyn Storage>,
    log: Arc<SharedLog>,
    number: usize,
    segment: Arc<Segment>,
    sealed: Arc<SealedIndex>,
}

impl Filing {
    /// The first that is to be done.
    pub(crate) fn next(directory: &Arc<dyn Storage>, log: &Arc<SharedLog>) -> Option<Self> {
        let state = log.read();
        let mut sealed = state.sealed.iter().enumerate();
        let (number, sealed) = sealed.find_map(|(number, sealed)| match sealed {
            Sealed::Memory(sealed) => Some((number, Arc::clone(sealed))),
            Sealed::File(_) => None,
        })?;
        Some(Self {
            directory: Arc::clone(directory),
            log: Arc::clone(log),
            number,
            segment: Arc::clone(&state.segments[number]),
            sealed,
        })
    }

    /// Writes the file, and lets readers use it instead of what is in memory.
    ///
    /// # Errors
    /// Of the medium. It is no failure of the log: the index stays in memory.
    pub(crate) fn run(self) -> io::Result<()> {
        write(&*self.directory, &self.segment, &self.sealed)?;
        let cache = self.log.cache();
        let filed = FileIndex::open(&*self.directory, &self.segment, cache)
            .ok_or_else(|| io::Error::other("an index is not as it was written"))?;
        self.log.write().sealed[self.number] = Sealed::File(Arc::new(filed));
        Ok(())
    }
}
