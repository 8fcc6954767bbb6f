use std::sync::Arc;

use crate::backend::watermark::Watermark;
use crate::chunk::Found;
use crate::error::ReadError;
use crate::future::StoreFuture;
use crate::position::Position;
use crate::query::Query;
use crate::read::Direction;

/// The state a backend shares with its readers.
pub trait Log: Send + Sync + 'static {
    /// Looks at a bounded stretch of the log and returns what matches, at most `limit` events.
    ///
    /// Only what is committed and at or below the watermark is shown. An implementation
    /// chooses how far to look at a time: far enough to be efficient, not so far that a
    /// reader holds much memory or a lock for long.
    ///
    /// # Errors
    /// [`ReadError`] where the log cannot be read.
    fn scan(
        self: Arc<Self>,
        query: Query,
        direction: Direction,
        limit: usize,
    ) -> StoreFuture<Result<Batch, ReadError>>;

    /// What readers are shown, and who waits for more.
    fn watermark(&self) -> &Watermark;
}

/// What one scan found.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// What matched, in the scan's direction.
    pub events: Found,
    /// How far it looked: everything between the place it began at and this one was looked
    /// at, this one included. At or past the last event it returned.
    pub looked_to: Position,
    /// Whether there is nothing more in that direction.
    pub is_end: bool,
    /// The last place at or below which an event that may have matched was dropped by
    /// retention; [`Position::ORIGIN`] where none was.
    pub dropped_to: Position,
}
