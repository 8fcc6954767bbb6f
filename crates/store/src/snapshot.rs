use bytes::Bytes;

use crate::error::{KeepError, ReadError};
use crate::future::StoreFuture;
use crate::name::SnapshotName;
use crate::position::Position;

/// What a fold had come to at a place in the log, so that the next one need not begin at the
/// beginning.
///
/// Never the truth: whoever finds none, or one of another schema, folds from scratch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Everything up to here is in it.
    pub position: Position,
    /// The shape of `data`; the writer's own count. A reader of another shape ignores it.
    pub schema: u32,
    /// The state.
    pub data: Bytes,
}

/// Snapshots, kept beside the log. One a name, the furthest; one of another schema takes its
/// place. (`snapshots::the_furthest_snapshot_is_kept`,
/// `snapshots::a_snapshot_of_another_schema_replaces_it`, `snapshots::snapshots_are_apart`)
pub trait SnapshotStore: Send + Sync {
    /// The snapshot of a name, if there is one.
    ///
    /// # Errors
    /// [`ReadError`] where the store cannot be read. A snapshot that is damaged is none.
    fn snapshot(&self, name: SnapshotName) -> StoreFuture<Result<Option<Snapshot>, ReadError>>;

    /// Keeps a snapshot instead of the one there was. One that is not further than the one
    /// kept, and of the same schema, changes nothing and is no error: two who fold the same
    /// need not agree on who saves.
    ///
    /// May be lost with the power: it can be made again.
    ///
    /// # Errors
    /// [`KeepError`] where the store cannot be written.
    fn save_snapshot(
        &self,
        name: SnapshotName,
        snapshot: Snapshot,
    ) -> StoreFuture<Result<(), KeepError>>;

    /// Forgets a snapshot. Forgetting one that is not there is no error.
    ///
    /// # Errors
    /// [`KeepError`] where the store cannot be written.
    fn remove_snapshot(&self, name: SnapshotName) -> StoreFuture<Result<(), KeepError>>;
}
