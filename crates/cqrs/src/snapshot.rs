use std::fmt::{self, Write};

use bytes::Bytes;
use eventwire_store::{
    EventStore, Fingerprint, Position, ReadError, Snapshot, SnapshotName, SnapshotStore, Version,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::boundary::Boundary;

/// How a state is kept between commands.
///
/// ```
/// # use eventwire_cqrs::{DomainEvent, Fold, Snapshots};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)]
/// # enum AccountEvent { Deposited { cents: u64 } }
/// # impl DomainEvent for AccountEvent {}
/// #[derive(Default, Serialize, Deserialize)]
/// struct Account {
///     cents: u64,
/// }
///
/// impl Fold for Account {
///     type Event = AccountEvent;
///     // The 2nd shape of the state; snapshots of the 1st are passed over.
///     const SNAPSHOTS: Option<Snapshots<Self>> = Some(Snapshots::json("account", 2).every(100));
///     # fn evolve(&mut self, AccountEvent::Deposited { cents }: &AccountEvent) { self.cents += cents; }
///     // ...
/// }
/// ```
///
/// A snapshot is never the truth. One that is missing, of another schema or unreadable is
/// passed over, and the state is folded from scratch. It remembers what retention drops
/// later; a fold from scratch does not.
pub struct Snapshots<S> {
    pub(crate) keeping: Keeping,
    pub(crate) write: fn(&S, &mut Vec<u8>) -> serde_json::Result<()>,
    pub(crate) read: fn(&[u8]) -> serde_json::Result<S>,
}

/// Under which name, in which shape and how often a state is kept, whatever its type.
#[derive(Debug, Clone, Copy)]
pub struct Keeping {
    name: &'static str,
    schema: u32,
    every: u32,
}

impl<S> Snapshots<S> {
    /// As JSON, after every 100 events. `name` keeps the states of one boundary apart,
    /// `schema` counts the shapes a state has had: raise it with every change of what
    /// `evolve` makes of the same events.
    #[must_use]
    pub const fn json(name: &'static str, schema: u32) -> Self
    where
        S: Serialize + DeserializeOwned,
    {
        let keeping = Keeping {
            name,
            schema,
            every: 100,
        };
        Self {
            keeping,
            write: |state, data| serde_json::to_writer(data, state),
            read: |data| serde_json::from_slice(data),
        }
    }

    /// How many events are folded before the state is kept again.
    #[must_use]
    pub const fn every(mut self, events: u32) -> Self {
        self.keeping.every = events;
        self
    }
}

/// A state as it was written down, and how far it had come.
pub(crate) struct Kept {
    pub(crate) state: Bytes,
    pub(crate) position: Position,
    pub(crate) version: Option<Version>,
}

/// The snapshots of one boundary.
pub(crate) struct Shelf<'a> {
    keeping: Keeping,
    store: &'a dyn SnapshotStore,
    name: SnapshotName,
    /// Written before the state, since a name is but a hash of it: the boundary and the epoch,
    /// a line each. What is debugged has no line end.
    heading: String,
}

impl<'a> Shelf<'a> {
    /// None where the name that the states are kept by cannot be one of a snapshot.
    pub(crate) fn new(
        keeping: Keeping,
        store: &'a dyn SnapshotStore,
        log: &dyn EventStore,
        boundary: &Boundary,
    ) -> Option<Self> {
        let mut heading = format!("{boundary:?}");
        let hash = Fingerprint::of([heading.as_bytes()]).to_bits();
        let name = SnapshotName::new(format!("{}/{hash:016x}", keeping.name)).ok()?;
        writeln!(heading, "\n{}", log.epoch()).expect("text can be written");
        Some(Self {
            keeping,
            store,
            name,
            heading,
        })
    }

    /// Whether a fold of so many events is worth keeping.
    pub(crate) fn is_due(&self, folded: u64) -> bool {
        folded >= u64::from(self.keeping.every)
    }

    pub(crate) async fn find(&self) -> Result<Option<Kept>, ReadError> {
        let found = self.store.snapshot(self.name.clone()).await?;
        Ok(found.and_then(|snapshot| self.open(&snapshot)))
    }

    fn open(&self, snapshot: &Snapshot) -> Option<Kept> {
        if snapshot.schema != self.keeping.schema {
            return None;
        }
        let data = &snapshot.data;
        let rest = data.strip_prefix(self.heading.as_bytes())?;
        let line = rest.iter().position(|byte| *byte == b'\n')?;
        let version = std::str::from_utf8(&rest[..line]).ok()?.parse().ok()?;
        Some(Kept {
            state: data.slice(data.len() - rest.len() + line..),
            position: snapshot.position,
            version: Version::new(version),
        })
    }

    /// A state as a snapshot; none where it has no JSON form.
    pub(crate) fn take(
        &self,
        write: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>,
        position: Position,
        version: Option<Version>,
    ) -> Option<Snapshot> {
        // No event has version 0.
        let version = version.map_or(0, Version::get);
        let mut data = format!("{}{version}\n", self.heading).into_bytes();
        if let Err(error) = write(&mut data) {
            tracing::warn!(%error, name = %self.name, "state has no JSON form to be kept in");
            return None;
        }
        Some(Snapshot {
            position,
            schema: self.keeping.schema,
            data: Bytes::from(data),
        })
    }

    /// Keeps a state. Where that fails it is only not there next time, so that no command
    /// fails by it.
    pub(crate) async fn keep(&self, snapshot: Snapshot) {
        let saved = self.store.save_snapshot(self.name.clone(), snapshot).await;
        if let Err(error) = saved {
            tracing::warn!(%error, name = %self.name, "state was not kept");
        }
    }
}

impl<S> fmt::Debug for Snapshots<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Snapshots").field(&self.keeping).finish()
    }
}
