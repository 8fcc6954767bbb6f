use std::collections::HashMap;

use crate::error::KeepError;
use crate::name::{Consumer, SnapshotName};
use crate::position::Position;
use crate::snapshot::Snapshot;

/// What is kept beside the log.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) checkpoints: HashMap<Consumer, Position>,
    pub(super) snapshots: HashMap<SnapshotName, Snapshot>,
}

impl Notes {
    pub(super) fn checkpoint(&self, consumer: &Consumer) -> Position {
        self.checkpoints.get(consumer).copied().unwrap_or_default()
    }

    pub(super) fn save_checkpoint(
        &mut self,
        consumer: Consumer,
        position: Position,
    ) -> Result<(), KeepError> {
        let at = self.checkpoint(&consumer);
        if at >= position {
            return Err(KeepError::Behind { at });
        }
        self.checkpoints.insert(consumer, position);
        Ok(())
    }

    pub(super) fn save_snapshot(&mut self, name: SnapshotName, snapshot: Snapshot) {
        let is_further = self
            .snapshots
            .get(&name)
            .is_none_or(|kept| kept.schema != snapshot.schema || kept.position < snapshot.position);
        if is_further {
            self.snapshots.insert(name, snapshot);
        }
    }
}
