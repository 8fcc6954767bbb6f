use std::fmt;
use std::sync::{Arc, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};

use eventwire_store::backend::{Batch, Log, Watermark};
use eventwire_store::{
    Appended, Consumer, Direction, IdempotencyKey, Position, Query, ReadError, Recalled,
    StoreFuture,
};

use crate::checkpoints::Checkpoints;
use crate::error::IoFailure;
use crate::index::Index;
use crate::number;
use crate::plan::Plan;
use crate::segment::Segment;

/// The log as readers and the writer share it.
///
/// Readers see what is at or below the watermark; the writer alone changes the state.
pub(crate) struct SharedLog {
    state: RwLock<State>,
    watermark: Watermark,
    failure: OnceLock<IoFailure>,
}

/// Where every event is, and how far consumers have come.
///
/// Invariant: the segments rise, and each begins with the position after the last of the one
/// before it.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) index: Index,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) segments: Vec<Arc<Segment>>,
}

impl State {
    /// The segment that holds a position, which is in the log.
    pub(crate) fn segment(&self, position: u64) -> &Arc<Segment> {
        let count = self
            .segments
            .partition_point(|segment| segment.first <= position);
        &self.segments[count - 1]
    }
}

impl SharedLog {
    /// A log of which everything is durable.
    pub(crate) fn new(state: State) -> Self {
        let watermark = Watermark::at(number::position(state.index.last()));
        Self {
            state: RwLock::new(state),
            watermark,
            failure: OnceLock::new(),
        }
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state
            .read()
            .expect("no code panics while it holds the log's state")
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state
            .write()
            .expect("no code panics while it holds the log's state")
    }

    /// The position of the last event readers are shown.
    pub(crate) fn shown(&self) -> u64 {
        number::of(self.watermark.position())
    }

    /// What made the store stop writing, if it has.
    pub(crate) fn failure(&self) -> Option<&IoFailure> {
        self.failure.get()
    }

    /// Stops writing for good. The first failure is the one that is kept.
    pub(crate) fn fail(&self, failure: IoFailure) -> &IoFailure {
        self.failure.get_or_init(|| failure)
    }

    /// The answer an append with this key was given.
    pub(crate) fn recall(&self, key: &IdempotencyKey) -> Result<Option<Recalled>, ReadError> {
        let shown = self.shown();
        let state = self.read();
        let Some(kept) = state.index.keys.get(key) else {
            return Ok(None);
        };
        if kept.last() > shown {
            // On its way, and so not answered; or in doubt, and then "no" would be a guess.
            return self.failure().map_or(Ok(None), |failure| {
                Err(ReadError::Backend(Box::new(failure.clone())))
            });
        }
        Ok(Some(Recalled {
            fingerprint: kept.fingerprint,
            appended: Appended {
                duplicate: true,
                ..state.index.appended(kept.first, kept.events)
            },
        }))
    }

    /// How far a consumer has come.
    pub(crate) fn checkpoint(&self, consumer: &Consumer) -> Position {
        let state = self.read();
        state.checkpoints.shown(consumer, self.shown())
    }

    fn scan(&self, query: &Query, direction: Direction, limit: usize) -> Result<Batch, ReadError> {
        let shown = self.shown();
        let plan = Plan::new(&self.read(), query, direction, limit, shown);
        plan.read()
    }
}

impl Log for SharedLog {
    fn scan(
        self: Arc<Self>,
        query: Query,
        direction: Direction,
        limit: usize,
    ) -> StoreFuture<Result<Batch, ReadError>> {
        StoreFuture::ready(Self::scan(&self, &query, direction, limit))
    }

    fn watermark(&self) -> &Watermark {
        &self.watermark
    }
}

impl fmt::Debug for SharedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLog")
            .field("shown", &self.shown())
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}
