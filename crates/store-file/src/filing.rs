use std::io;
use std::sync::Arc;

use crate::index::{self, FileIndex, MergeError, Sealed, SealedIndex, due, merge, write};
use crate::log::SharedLog;
use crate::segment::Segment;
use crate::state::State;
use crate::storage::Storage;

/// Work on the files of indexes. Nobody waits for it: the indexes that are there serve as well,
/// and where the process ends first they are made again.
#[derive(Debug)]
pub(crate) struct Filing {
    directory: Arc<dyn Storage>,
    log: Arc<SharedLog>,
    task: Task,
}

#[derive(Debug)]
enum Task {
    /// Put an index into a file.
    File(Arc<SealedIndex>),
    /// Make one index of several of one segment.
    Merge(Vec<Arc<FileIndex>>),
}

impl Filing {
    /// What is to be done next.
    pub(crate) fn next(
        directory: &Arc<dyn Storage>,
        log: &Arc<SharedLog>,
        fan: usize,
    ) -> Option<Self> {
        let task = Task::next(&log.read(), fan)?;
        Some(Self {
            directory: Arc::clone(directory),
            log: Arc::clone(log),
            task,
        })
    }

    /// Does it, and lets readers use what comes of it.
    ///
    /// # Errors
    /// Of the medium. It is no failure of the log: the indexes stay as they are.
    pub(crate) fn run(self) -> io::Result<()> {
        match &self.task {
            Task::File(sealed) => self.file(sealed),
            Task::Merge(parts) => self.merge(parts),
        }
    }

    fn file(&self, sealed: &Arc<SealedIndex>) -> io::Result<()> {
        write(&*self.directory, sealed)?;
        let filed = self.open(&sealed.segment, sealed.index.first())?;
        let old = Sealed::Memory(Arc::clone(sealed));
        // One that was made again, with later ones in files, has versions that are not the last.
        let is_latest = {
            let state = self.log.read();
            let later = state.sealed.iter().rev();
            let mut later = later.take_while(|later| !later.is(&old));
            later.all(|later| matches!(later, Sealed::Memory(_)))
        };
        if is_latest {
            self.log.recent().put(sealed.index.versions());
        }
        self.log.write().replace(&[old], filed);
        Ok(())
    }

    fn merge(&self, parts: &[Arc<FileIndex>]) -> io::Result<()> {
        match merge(&*self.directory, parts) {
            Ok(()) => {}
            Err(MergeError::Io(error)) => return Err(error),
            Err(MergeError::Bad(bad)) => {
                return self.log.mend(bad.first).map_err(io::Error::other);
            }
        }
        // Its name has to be durable before the others go, or they would be made again.
        self.directory.sync()?;
        let merged = self.open(parts[0].segment(), parts[0].first())?;
        let old: Vec<Sealed> = parts.iter().cloned().map(Sealed::File).collect();
        if self.log.write().replace(&old, merged) {
            for part in &parts[1..] {
                self.directory.remove(&index::name(part.first()))?;
            }
        }
        Ok(())
    }

    fn open(&self, segment: &Arc<Segment>, first: u64) -> io::Result<Sealed> {
        FileIndex::open(&*self.directory, segment, first, self.log.cache())
            .map(|index| Sealed::File(Arc::new(index)))
            .ok_or_else(|| io::Error::other("an index is not as it was written"))
    }
}

impl Task {
    /// Indexes in memory first; then, of a segment that was left, all, and of the one that is
    /// written to, as many as `fan`.
    fn next(state: &State, fan: usize) -> Option<Self> {
        let mut files = Vec::with_capacity(state.sealed.len());
        for sealed in &state.sealed {
            match sealed {
                Sealed::Memory(sealed) => return Some(Self::File(Arc::clone(sealed))),
                Sealed::File(file) => files.push(file),
            }
        }
        let open = state.segments.last()?.first;
        let mut of_segments =
            files.chunk_by(|one, other| one.segment().first == other.segment().first);
        of_segments.find_map(|parts| {
            let due = if parts[0].segment().first == open {
                let events = parts.iter().map(|part| part.last() + 1 - part.first());
                due(&events.collect::<Vec<_>>(), fan)?
            } else {
                (parts.len() > 1).then_some(0..parts.len())?
            };
            let parts = parts[due].iter().map(|part| Arc::clone(part));
            Some(Self::Merge(parts.collect()))
        })
    }
}
