mod candidates;
mod held;
mod history;
mod index;
mod notes;
mod trim;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use crate::append::{Append, Appended};
use crate::backend::{self, Batch, Log, Watermark};
use crate::checkpoint::CheckpointStore;
use crate::cursor::Epoch;
use crate::error::{AppendError, KeepError, ReadError};
use crate::event_stream::EventStream;
use crate::future::StoreFuture;
use crate::name::{Consumer, IdempotencyKey, SnapshotName, StreamName};
use crate::position::Position;
use crate::query::Query;
use crate::read::{Direction, ReadOptions, Start};
use crate::retention::{Keep, Retention, Trimmed};
use crate::snapshot::{Snapshot, SnapshotStore};
use crate::store::{Capabilities, EventStore, Limits, Recalled, Survives};

use history::History;

/// The store in memory: the whole contract, retention included, for as long as the process
/// lives.
///
/// Indexed by stream, category, type and tag. A clone is the same store. Each new one has
/// an [`Epoch`] of its own, so that a cursor from before a restart is recognised.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    epoch: Epoch,
    capabilities: Capabilities,
    history: Mutex<History>,
    watermark: Watermark,
}

impl MemoryStore {
    /// An empty store with the default [`Limits`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// An empty store.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        Self {
            shared: Arc::new(Shared {
                epoch: Epoch::random(),
                capabilities: Capabilities::full(Survives::Nothing, limits),
                history: Mutex::default(),
                watermark: Watermark::default(),
            }),
        }
    }

    /// The same store, which lets go of its oldest events: each append drops what is no longer
    /// within `keep`, as [`trim_log`](Retention::trim_log) would, and who is too late for it is
    /// told. For what is worth something for a while only: the answer of a model, where something
    /// is, who is typing. Events older than a maximum age go with the next append, and with them
    /// all at lower places: what was recorded while the clock was ahead goes with what came after.
    ///
    /// Memory is then bounded by `keep` for whatever has neither a stream nor a key, as events that
    /// are found by type and tag: the version of a stream and the answer to a key stay when events
    /// go.
    ///
    /// ```
    /// use std::time::Duration;
    /// use eventwire_store::{Keep, MemoryStore};
    ///
    /// let keep = Keep::all().max_events(100_000).max_age(Duration::from_secs(600));
    /// let store = MemoryStore::new().keeping(keep);
    /// ```
    #[must_use]
    pub fn keeping(self, keep: Keep) -> Self {
        {
            let mut history = self.shared.lock();
            history.keep = keep;
            history.let_go(SystemTime::now());
        }
        self
    }

    /// Closes the store: later appends answer [`AppendError::Closed`], and subscriptions
    /// end with [`ReadError::Closed`] once they have caught up.
    pub fn close(&self) {
        self.shared.lock().is_closed = true;
        self.shared.watermark.close();
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, History> {
        self.history
            .lock()
            .expect("no code panics while it holds the history")
    }

    fn append(&self, append: &Append) -> Result<Appended, AppendError> {
        backend::check(append, &self.capabilities)?;
        let mut history = self.lock();
        let answer = history.append(append, SystemTime::now());
        let head = history.head();
        drop(history);
        // Also where it is a conflict: what it was with may have been written just now, by one
        // who has not come this far yet.
        self.watermark.advance(head);
        answer
    }
}

impl Shared {
    fn change<T>(
        &self,
        change: impl FnOnce(&mut History) -> Result<T, KeepError>,
    ) -> Result<T, KeepError> {
        let mut history = self.lock();
        if history.is_closed {
            return Err(KeepError::Closed);
        }
        change(&mut history)
    }
}

impl Log for Shared {
    fn scan(
        self: Arc<Self>,
        query: Query,
        direction: Direction,
        limit: usize,
    ) -> StoreFuture<Result<Batch, ReadError>> {
        let shown = self.watermark.position();
        StoreFuture::ready(Ok(self.lock().scan(&query, direction, limit, shown)))
    }

    fn watermark(&self) -> &Watermark {
        &self.watermark
    }
}

impl EventStore for MemoryStore {
    fn append(&self, append: Append) -> StoreFuture<Result<Appended, AppendError>> {
        StoreFuture::ready(self.shared.append(&append))
    }

    fn recall(&self, key: IdempotencyKey) -> StoreFuture<Result<Option<Recalled>, ReadError>> {
        StoreFuture::ready(Ok(self.shared.lock().recall(&key)))
    }

    fn read(&self, query: Query, options: ReadOptions) -> EventStream {
        backend::read(Arc::clone(&self.shared), query, options)
    }

    fn subscribe(&self, query: Query, start: Start) -> EventStream {
        backend::subscribe(Arc::clone(&self.shared), query, start)
    }

    fn head(&self) -> StoreFuture<Result<Position, ReadError>> {
        StoreFuture::ready(Ok(self.shared.watermark.position()))
    }

    fn wait_for(&self, position: Position) -> StoreFuture<Result<(), ReadError>> {
        StoreFuture::new(self.shared.watermark.reached(position))
    }

    fn epoch(&self) -> Epoch {
        self.shared.epoch
    }

    fn capabilities(&self) -> Capabilities {
        self.shared.capabilities.clone()
    }
}

impl CheckpointStore for MemoryStore {
    fn checkpoint(&self, consumer: Consumer) -> StoreFuture<Result<Position, ReadError>> {
        StoreFuture::ready(Ok(self.shared.lock().notes.checkpoint(&consumer)))
    }

    fn save_checkpoint(
        &self,
        consumer: Consumer,
        position: Position,
    ) -> StoreFuture<Result<(), KeepError>> {
        StoreFuture::ready(
            self.shared
                .change(|history| history.notes.save_checkpoint(consumer, position)),
        )
    }

    fn remove_checkpoint(&self, consumer: Consumer) -> StoreFuture<Result<(), KeepError>> {
        StoreFuture::ready(self.shared.change(|history| {
            history.notes.checkpoints.remove(&consumer);
            Ok(())
        }))
    }
}

impl SnapshotStore for MemoryStore {
    fn snapshot(&self, name: SnapshotName) -> StoreFuture<Result<Option<Snapshot>, ReadError>> {
        StoreFuture::ready(Ok(self.shared.lock().notes.snapshots.get(&name).cloned()))
    }

    fn save_snapshot(
        &self,
        name: SnapshotName,
        snapshot: Snapshot,
    ) -> StoreFuture<Result<(), KeepError>> {
        StoreFuture::ready(self.shared.change(|history| {
            history.notes.save_snapshot(name, snapshot);
            Ok(())
        }))
    }

    fn remove_snapshot(&self, name: SnapshotName) -> StoreFuture<Result<(), KeepError>> {
        StoreFuture::ready(self.shared.change(|history| {
            history.notes.snapshots.remove(&name);
            Ok(())
        }))
    }
}

impl Retention for MemoryStore {
    fn trim_log(&self, keep: Keep) -> StoreFuture<Result<Trimmed, KeepError>> {
        StoreFuture::ready(
            self.shared
                .change(|history| Ok(history.trim_log(keep, SystemTime::now()))),
        )
    }

    fn trim_stream(
        &self,
        stream: StreamName,
        keep: Keep,
    ) -> StoreFuture<Result<Trimmed, KeepError>> {
        StoreFuture::ready(
            self.shared
                .change(|history| history.trim_stream(&stream, keep, SystemTime::now())),
        )
    }

    fn delete_stream(&self, stream: StreamName) -> StoreFuture<Result<Trimmed, KeepError>> {
        StoreFuture::ready(
            self.shared
                .change(|history| history.delete_stream(&stream, SystemTime::now())),
        )
    }

    fn dropped_to(&self) -> StoreFuture<Result<Position, ReadError>> {
        StoreFuture::ready(Ok(held::position_at(self.shared.lock().held.dropped())))
    }
}
