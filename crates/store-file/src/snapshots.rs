use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use eventwire_store::{Fingerprint, KeepError, ReadError, Snapshot, SnapshotName};

use crate::error::{IoFailure, OpenError};
use crate::format::{Kind, Label, decode_snapshot, encode_snapshot, in_memory};
use crate::log::SharedLog;
use crate::storage::{Storage, StorageFile, shortage};

/// The directory of the snapshots within that of the store.
pub(crate) const DIRECTORY: &str = "snapshots";

/// A snapshot that is being written.
pub(crate) const UNFINISHED: &str = "new";

/// The snapshots: a file each, beside the log.
///
/// Nothing is synced. What power loss leaves of a file does not pass its checksum, and is no
/// snapshot.
#[derive(Debug)]
pub(crate) struct Snapshots {
    directory: Arc<dyn Storage>,
    label: Label,
    log: Arc<SharedLog>,
    /// Held while a file is changed.
    changing: Mutex<Changing>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Changing {
    Open,
    Closed,
}

impl Snapshots {
    pub(crate) fn open(
        storage: &dyn Storage,
        identity: &Label,
        log: Arc<SharedLog>,
    ) -> Result<Self, OpenError> {
        let directory = storage
            .directory(DIRECTORY)
            .map_err(OpenError::io("creating", DIRECTORY))?;
        Ok(Self {
            directory,
            label: Label {
                kind: Kind::Snapshot,
                ..*identity
            },
            log,
            changing: Mutex::new(Changing::Open),
        })
    }

    /// The snapshot of a name.
    pub(crate) fn read(&self, name: &SnapshotName) -> Result<Option<Snapshot>, ReadError> {
        match self.kept(name) {
            Ok(kept) => Ok(kept),
            Err(error) => Err(ReadError::Backend(failed("reading", name, error))),
        }
    }

    /// Keeps a snapshot, where it is further than the one there is or of another schema.
    pub(crate) fn save(&self, name: &SnapshotName, snapshot: &Snapshot) -> Result<(), KeepError> {
        self.change("writing", name, || {
            let is_as_far = |kept: &Snapshot| {
                kept.schema == snapshot.schema && kept.position >= snapshot.position
            };
            if self.kept(name)?.as_ref().is_some_and(is_as_far) {
                return Ok(());
            }
            let file = self.directory.create(UNFINISHED)?;
            file.write_at(&encode_snapshot(&self.label, name, snapshot), 0)?;
            self.directory.rename(UNFINISHED, &file_name(name))
        })
    }

    /// Forgets a snapshot. It does not come back, whatever happens to the power.
    pub(crate) fn remove(&self, name: &SnapshotName) -> Result<(), KeepError> {
        self.change("removing", name, || {
            match self.directory.remove(&file_name(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
            self.directory.sync()
        })
    }

    /// Changes nothing more: the directory is others'.
    pub(crate) fn close(&self) {
        *self.lock() = Changing::Closed;
    }

    fn change(
        &self,
        doing: &'static str,
        name: &SnapshotName,
        change: impl FnOnce() -> io::Result<()>,
    ) -> Result<(), KeepError> {
        let changing = self.lock();
        if *changing == Changing::Closed {
            return Err(KeepError::Closed);
        }
        if let Some(failure) = self.log.failure() {
            return Err(KeepError::Poisoned {
                cause: Box::new(failure.clone()),
            });
        }
        change().map_err(|error| match shortage(&error) {
            Some(reason) => KeepError::Busy {
                reason,
                retry_after: None,
            },
            None => KeepError::Backend(failed(doing, name, error)),
        })
    }

    /// A file is written before it has its name and never again, so this needs no lock.
    fn kept(&self, name: &SnapshotName) -> io::Result<Option<Snapshot>> {
        let bytes = match self.directory.open(&file_name(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => read_all(&*file?)?,
        };
        Ok(decode_snapshot(&self.label, name, &bytes))
    }

    fn lock(&self) -> MutexGuard<'_, Changing> {
        self.changing
            .lock()
            .expect("no code panics while it changes a snapshot")
    }
}

/// Names can be longer than file names, and hold any character. Two that meet in one file
/// displace each other: what is in it says whose it is.
pub(crate) fn file_name(name: &SnapshotName) -> String {
    let hash = Fingerprint::of([name.as_str().as_bytes()]);
    format!("{:016x}.snapshot", hash.to_bits())
}

/// The bytes of a whole file.
pub(crate) fn read_all(file: &dyn StorageFile) -> io::Result<Bytes> {
    let length = in_memory(file.length()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes.into())
}

fn failed(doing: &'static str, name: &SnapshotName, error: io::Error) -> Box<IoFailure> {
    let file = format!("{DIRECTORY}/{}", file_name(name));
    Box::new(IoFailure::new(doing, &file, 0, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::simulated::{Fault, Simulated};
    use crate::tests::open;
    use eventwire_store::Position;

    fn snapshot(position: u64, data: &[u8]) -> Snapshot {
        Snapshot {
            position: Position::from_parts(0, position),
            schema: 1,
            data: Bytes::copy_from_slice(data),
        }
    }

    /// Whatever ends a save, and however: afterwards there is one of the snapshots that were
    /// saved, or none, and a new one can be saved.
    #[test]
    fn a_snapshot_can_be_lost_and_is_never_wrong() {
        let name = SnapshotName::new("room-1").unwrap();
        let saved: Vec<_> = (1..6)
            .map(|n| snapshot(n, &vec![u8::try_from(n).unwrap(); 3000]))
            .collect();
        let faults = [
            Fault::PowerCut,
            Fault::Kill,
            Fault::Error(io::ErrorKind::StorageFull),
        ];
        for (fault, operation, seed) in faults
            .into_iter()
            .flat_map(|fault| (0..30).flat_map(move |at| (0..5).map(move |seed| (fault, at, seed))))
        {
            let medium = Simulated::new(seed << 8 | operation);
            let engine = open(&medium).expect("nothing fails");
            medium.fail_at(operation, fault);
            for snapshot in &saved {
                drop(engine.snapshots.save(&name, snapshot));
            }
            let medium = match fault {
                Fault::Kill => medium.after_kill(),
                _ => medium.after_power_cut(),
            };
            let engine = open(&medium).expect("the log is not concerned");
            let found = engine.snapshots.read(&name).expect("it can be read");
            assert!(
                found.as_ref().is_none_or(|found| saved.contains(found)),
                "{fault:?} at {operation}, seed {seed}: {found:?}"
            );
            let next = snapshot(9, b"next");
            engine.snapshots.save(&name, &next).expect("nothing fails");
            assert_eq!(engine.snapshots.read(&name).unwrap(), Some(next));
        }
    }
}
