use std::sync::Arc;

use eventwire_store::{Direction, Position, Query, ReadError};

use crate::block::Block;
use crate::log::SharedLog;
use crate::number;
use crate::plan::Bounds;
use crate::view::Head;

/// Finds events by the indexes and checks each of them, file by file.
pub(crate) struct Selection {
    log: Arc<SharedLog>,
    query: Query,
    position: u64,
}

impl Selection {
    pub(crate) fn new(log: Arc<SharedLog>, query: Query, after: Position) -> Self {
        Self {
            log,
            query,
            position: number::of(after),
        }
    }

    /// What matches at or below this position has been taken.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Takes the next events that match, so many at most; none where there are no more now.
    ///
    /// Nothing that was found is kept for the next time: it might be dropped until then.
    pub(crate) fn next(
        &mut self,
        limit: usize,
        block: &mut Block,
        heads: &mut Vec<Head>,
    ) -> Result<(), ReadError> {
        while heads.is_empty() && self.position < self.log.shown() {
            let after = number::position(self.position);
            let bounds = Bounds::of_batch(limit);
            let plan = self
                .log
                .plan_within(&self.query, Direction::Forward { after }, bounds)?;
            let lent = plan.lend(block, heads);
            self.position = match (lent, heads.last()) {
                (Ok(looked_to), _) => looked_to,
                // Told when it is asked again, after what is whole.
                (Err(_), Some(last)) => last.position,
                (Err(error), None) => return Err(error),
            };
        }
        Ok(())
    }
}
