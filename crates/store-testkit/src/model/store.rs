use std::sync::{Arc, Mutex, MutexGuard};

use eventwire_store::backend::{self, Batch, Log, Watermark};
use eventwire_store::{
    Append, AppendError, Appended, Capabilities, Direction, Epoch, EventStore, EventStream,
    IdempotencyKey, Limits, Position, Query, ReadError, ReadOptions, Recalled, Start, StoreFuture,
    Survives,
};

use crate::model::Model;

/// The [`Model`] as a store: slow, and right by being obvious.
///
/// For trying a test of one's own against a store that is known to keep every promise. A
/// clone is the same store. It takes appends of a thousand events at most: looking through a
/// list takes time.
#[derive(Debug, Clone)]
pub struct ModelStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    epoch: Epoch,
    model: Mutex<Model>,
    watermark: Watermark,
}

const LIMITS: Limits = Limits {
    event_bytes: 8 << 20,
    append_events: 1_000,
    append_bytes: 64 << 20,
    event_tags: 64,
};

impl ModelStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                epoch: Epoch::random(),
                model: Mutex::default(),
                watermark: Watermark::default(),
            }),
        }
    }
}

impl Default for ModelStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Model> {
        self.model.lock().expect("the model does not panic")
    }

    fn append(&self, append: &Append) -> Result<Appended, AppendError> {
        backend::check(append, &Capabilities::full(Survives::Nothing, LIMITS))?;
        let mut model = self.lock();
        let appended = model.append(append)?;
        self.watermark.advance(model.head());
        Ok(appended)
    }
}

impl Log for Shared {
    fn scan(
        self: Arc<Self>,
        query: Query,
        direction: Direction,
        limit: usize,
    ) -> StoreFuture<Result<Batch, ReadError>> {
        let model = self.lock();
        let (options, end) = match direction {
            Direction::Forward { after } => (ReadOptions::after(after), model.head()),
            Direction::Backward { before: None } => (ReadOptions::backward(), Position::ORIGIN),
            Direction::Backward {
                before: Some(before),
            } => (ReadOptions::before(before), Position::ORIGIN),
        };
        // One more than wanted tells whether there is more.
        let mut events = model.read(&query, options.limit(limit.saturating_add(1)));
        let is_end = events.len() <= limit;
        events.truncate(limit);
        let looked_to = match events.last() {
            _ if is_end => end,
            Some(last) => last.position,
            None => match direction {
                Direction::Forward { after } => after,
                Direction::Backward { before } => before.unwrap_or(Position::MAX),
            },
        };
        StoreFuture::ready(Ok(Batch {
            events: events.into(),
            looked_to,
            is_end,
            ..Batch::default()
        }))
    }

    fn watermark(&self) -> &Watermark {
        &self.watermark
    }
}

impl EventStore for ModelStore {
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
        Capabilities::full(Survives::Nothing, LIMITS)
    }
}
