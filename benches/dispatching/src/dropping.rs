use eventwire_cqrs::codec;
use eventwire_store::{
    Append, AppendError, Appended, Capabilities, Epoch, EventStore, EventStream, IdempotencyKey,
    MemoryStore, Position, Query, ReadError, ReadOptions, Recalled, Start, StoreFuture, Version,
};
use futures_executor::block_on;

use crate::account::{deposited, stream};

/// A store in memory that drops what is appended, so that a history stays as long as it is.
#[derive(Debug, Clone)]
pub struct Dropping {
    pub inner: MemoryStore,
    events: u64,
}

impl Dropping {
    pub fn with(events: u64) -> Self {
        let inner = MemoryStore::new();
        for _ in 0..events {
            let event = codec::encode(&deposited()).expect("it has a form");
            block_on(inner.append(Append::to(stream()).event(event))).expect("it is appended");
        }
        Self { inner, events }
    }
}

impl EventStore for Dropping {
    fn append(&self, append: Append) -> StoreFuture<Result<Appended, AppendError>> {
        let before = Position::from_parts(0, self.events);
        let streams = append
            .events()
            .iter()
            .filter_map(|event| event.as_parts().stream.cloned());
        let version = Version::new(self.events + 1).expect("above zero");
        StoreFuture::ready(Ok(Appended {
            before,
            positions: vec![Position::from_parts(0, self.events + 1)],
            streams: streams.map(|stream| (stream, version)).collect(),
            duplicate: false,
        }))
    }
    fn recall(&self, key: IdempotencyKey) -> StoreFuture<Result<Option<Recalled>, ReadError>> {
        self.inner.recall(key)
    }
    fn read(&self, query: Query, options: ReadOptions) -> EventStream {
        self.inner.read(query, options)
    }
    fn subscribe(&self, query: Query, start: Start) -> EventStream {
        self.inner.subscribe(query, start)
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
