use eventwire_store::{
    Append, AppendError, Appended, Capabilities, CheckpointStore, Consumer, Epoch, EventStore,
    EventStream, IdempotencyKey, KeepError, MemoryStore, Position, Query, ReadError, ReadOptions,
    Recalled, Start, StoreFuture,
};

/// A store that lets others have a turn, or its user be killed, before and after each append.
#[derive(Debug, Clone)]
pub(crate) struct Yielding(pub(crate) MemoryStore);

impl EventStore for Yielding {
    fn append(&self, append: Append) -> StoreFuture<Result<Appended, AppendError>> {
        let store = self.0.clone();
        StoreFuture::new(async move {
            tokio::task::yield_now().await;
            let outcome = store.append(append).await;
            tokio::task::yield_now().await;
            outcome
        })
    }
    fn recall(&self, key: IdempotencyKey) -> StoreFuture<Result<Option<Recalled>, ReadError>> {
        self.0.recall(key)
    }
    fn read(&self, query: Query, options: ReadOptions) -> EventStream {
        self.0.read(query, options)
    }
    fn subscribe(&self, query: Query, start: Start) -> EventStream {
        self.0.subscribe(query, start)
    }
    fn head(&self) -> StoreFuture<Result<Position, ReadError>> {
        self.0.head()
    }
    fn wait_for(&self, position: Position) -> StoreFuture<Result<(), ReadError>> {
        self.0.wait_for(position)
    }
    fn epoch(&self) -> Epoch {
        self.0.epoch()
    }
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
}

impl CheckpointStore for Yielding {
    fn checkpoint(&self, consumer: Consumer) -> StoreFuture<Result<Position, ReadError>> {
        self.0.checkpoint(consumer)
    }
    fn save_checkpoint(
        &self,
        consumer: Consumer,
        position: Position,
    ) -> StoreFuture<Result<(), KeepError>> {
        self.0.save_checkpoint(consumer, position)
    }
    fn remove_checkpoint(&self, consumer: Consumer) -> StoreFuture<Result<(), KeepError>> {
        self.0.remove_checkpoint(consumer)
    }
}
