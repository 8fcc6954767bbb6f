use eventwire_store::{
    Append, Capabilities, CheckpointStore, Consumer, Epoch, EventStore, EventStream,
    IdempotencyKey, Item, Keep, KeepError, MemoryStore, Position, Query, ReadError, ReadOptions,
    Recalled, Retention, Snapshot, SnapshotName, SnapshotStore, Start, StoreFuture, StreamName,
    Trimmed,
};

use crate::faulty::{Answer, altered, now};

/// A way to be wrong about what is kept: each method replaces one of the store in memory.
pub(crate) trait Careless: Default + Send + Sync + 'static {
    fn append(&self, store: &MemoryStore, append: Append) -> Answer {
        now(store.append(append))
    }
    /// What a reader is shown instead of an item.
    fn show(item: Item) -> Vec<Item> {
        vec![item]
    }
    fn checkpoint(&self, store: &MemoryStore, consumer: Consumer) -> Position {
        now(store.checkpoint(consumer)).unwrap()
    }
    fn save_checkpoint(
        &self,
        store: &MemoryStore,
        consumer: Consumer,
        position: Position,
    ) -> Result<(), KeepError> {
        now(store.save_checkpoint(consumer, position))
    }
    fn remove_checkpoint(&self, store: &MemoryStore, consumer: Consumer) -> Result<(), KeepError> {
        now(store.remove_checkpoint(consumer))
    }
    fn snapshot(&self, store: &MemoryStore, name: SnapshotName) -> Option<Snapshot> {
        now(store.snapshot(name)).unwrap()
    }
    fn save_snapshot(
        &self,
        store: &MemoryStore,
        name: SnapshotName,
        snapshot: Snapshot,
    ) -> Result<(), KeepError> {
        now(store.save_snapshot(name, snapshot))
    }
    fn remove_snapshot(&self, store: &MemoryStore, name: SnapshotName) -> Result<(), KeepError> {
        now(store.remove_snapshot(name))
    }
    fn trim_log(&self, store: &MemoryStore, keep: Keep) -> Trimmed {
        now(store.trim_log(keep)).unwrap()
    }
    fn trim_stream(
        &self,
        store: &MemoryStore,
        stream: StreamName,
        keep: Keep,
    ) -> Result<Trimmed, KeepError> {
        now(store.trim_stream(stream, keep))
    }
    fn delete_stream(&self, store: &MemoryStore, stream: StreamName) -> Result<Trimmed, KeepError> {
        now(store.delete_stream(stream))
    }
    fn dropped_to(&self, store: &MemoryStore) -> Position {
        now(store.dropped_to()).unwrap()
    }
}

/// The store in memory, careless in one way.
#[derive(Default)]
pub(crate) struct Keeping<C> {
    inner: MemoryStore,
    careless: C,
}

impl<C: Careless> EventStore for Keeping<C> {
    fn append(&self, append: Append) -> StoreFuture<Answer> {
        StoreFuture::ready(self.careless.append(&self.inner, append))
    }
    fn recall(&self, key: IdempotencyKey) -> StoreFuture<Result<Option<Recalled>, ReadError>> {
        self.inner.recall(key)
    }
    fn read(&self, query: Query, options: ReadOptions) -> EventStream {
        altered(self.inner.read(query, options), C::show)
    }
    fn subscribe(&self, query: Query, start: Start) -> EventStream {
        altered(self.inner.subscribe(query, start), C::show)
    }
    fn head(&self) -> StoreFuture<Result<Position, ReadError>> {
        self.inner.head()
    }
    fn wait_for(&self, position: Position) -> StoreFuture<Result<(), ReadError>> {
        self.inner.wait_for(position)
    }
    fn epoch(&self) -> Epoch {
        self.inner.epoch()
    }
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

impl<C: Careless> CheckpointStore for Keeping<C> {
    fn checkpoint(&self, consumer: Consumer) -> StoreFuture<Result<Position, ReadError>> {
        StoreFuture::ready(Ok(self.careless.checkpoint(&self.inner, consumer)))
    }
    fn save_checkpoint(
        &self,
        consumer: Consumer,
        position: Position,
    ) -> StoreFuture<Result<(), KeepError>> {
        StoreFuture::ready(
            self.careless
                .save_checkpoint(&self.inner, consumer, position),
        )
    }
    fn remove_checkpoint(&self, consumer: Consumer) -> StoreFuture<Result<(), KeepError>> {
        StoreFuture::ready(self.careless.remove_checkpoint(&self.inner, consumer))
    }
}

impl<C: Careless> SnapshotStore for Keeping<C> {
    fn snapshot(&self, name: SnapshotName) -> StoreFuture<Result<Option<Snapshot>, ReadError>> {
        StoreFuture::ready(Ok(self.careless.snapshot(&self.inner, name)))
    }
    fn save_snapshot(
        &self,
        name: SnapshotName,
        snapshot: Snapshot,
    ) -> StoreFuture<Result<(), KeepError>> {
        StoreFuture::ready(self.careless.save_snapshot(&self.inner, name, snapshot))
    }
    fn remove_snapshot(&self, name: SnapshotName) -> StoreFuture<Result<(), KeepError>> {
        StoreFuture::ready(self.careless.remove_snapshot(&self.inner, name))
    }
}

impl<C: Careless> Retention for Keeping<C> {
    fn trim_log(&self, keep: Keep) -> StoreFuture<Result<Trimmed, KeepError>> {
        StoreFuture::ready(Ok(self.careless.trim_log(&self.inner, keep)))
    }
    fn trim_stream(
        &self,
        stream: StreamName,
        keep: Keep,
    ) -> StoreFuture<Result<Trimmed, KeepError>> {
        StoreFuture::ready(self.careless.trim_stream(&self.inner, stream, keep))
    }
    fn delete_stream(&self, stream: StreamName) -> StoreFuture<Result<Trimmed, KeepError>> {
        StoreFuture::ready(self.careless.delete_stream(&self.inner, stream))
    }
    fn dropped_to(&self) -> StoreFuture<Result<Position, ReadError>> {
        StoreFuture::ready(Ok(self.careless.dropped_to(&self.inner)))
    }
}
