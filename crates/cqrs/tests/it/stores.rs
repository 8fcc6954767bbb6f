//! Stores that make a race happen instead of waiting for it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use eventwire_store::backend::{self, Batch, Log, Watermark};
use eventwire_store::{
    Append, AppendError, Appended, Capabilities, Direction, Epoch, EventStore, EventStream,
    IdempotencyKey, Item, MemoryStore, Position, Query, ReadError, ReadOptions, Recalled,
    RecordedEvent, Start, StoreFuture,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

/// All events of a store, in order.
pub(crate) async fn events(store: &MemoryStore) -> Vec<RecordedEvent> {
    let mut events = Vec::new();
    let mut items = store.read(Query::all(), ReadOptions::all());
    while let Some(item) = items.next().await {
        if let Item::Event(event) = item.unwrap() {
            events.push(event);
        }
    }
    events
}

/// The step of a command before which something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    Read,
    Append,
}

type Happening = BoxFuture<'static, ()>;

/// Between a command's reading and its appending, others get a turn: appends yield once, so
/// that commands polled together all read before the first of them appends. And once, at a
/// chosen step, something chosen happens.
pub(crate) struct Interposed {
    inner: MemoryStore,
    planned: Mutex<Option<(Before, Happening)>>,
}

impl Interposed {
    pub(crate) fn new(inner: MemoryStore) -> Self {
        Self {
            inner,
            planned: Mutex::default(),
        }
    }

    pub(crate) fn once(
        inner: MemoryStore,
        before: Before,
        happening: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self {
            inner,
            planned: Mutex::new(Some((before, happening.boxed()))),
        }
    }

    fn reach(&self, step: Before) {
        let due = self.planned.lock().unwrap().take_if(|plan| plan.0 == step);
        if let Some((_, happening)) = due {
            happening
                .now_or_never()
                .expect("a store in memory answers at once");
        }
    }
}

impl EventStore for Interposed {
    fn append(&self, append: Append) -> StoreFuture<Result<Appended, AppendError>> {
        self.reach(Before::Append);
        let inner = self.inner.clone();
        StoreFuture::new(async move {
            yield_once().await;
            inner.append(append).await
        })
    }
    fn read(&self, query: Query, options: ReadOptions) -> EventStream {
        self.reach(Before::Read);
        self.inner.read(query, options)
    }
    fn recall(&self, key: IdempotencyKey) -> StoreFuture<Result<Option<Recalled>, ReadError>> {
        self.inner.recall(key)
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

impl fmt::Debug for Interposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interposed").finish_non_exhaustive()
    }
}

async fn yield_once() {
    let mut has_yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A store whose readers trail its writer: they are shown what was appended when told so.
#[derive(Debug, Clone)]
pub(crate) struct Trailing {
    shared: Arc<Trail>,
}

#[derive(Debug)]
struct Trail {
    inner: MemoryStore,
    shown: Watermark,
}

impl Trailing {
    pub(crate) fn new(inner: MemoryStore) -> Self {
        let shown = Watermark::default();
        Self {
            shared: Arc::new(Trail { inner, shown }),
        }
    }

    /// Shows readers everything that was appended so far.
    pub(crate) async fn show(&self) {
        let head = self.shared.inner.head().await.unwrap();
        self.shared.shown.advance(head);
    }
}

impl Log for Trail {
    fn scan(
        self: Arc<Self>,
        query: Query,
        direction: Direction,
        _: usize,
    ) -> StoreFuture<Result<Batch, ReadError>> {
        StoreFuture::new(async move {
            let Direction::Forward { after } = direction else {
                panic!("folds read forward");
            };
            let looked_to = self.shown.position();
            let mut events = Vec::new();
            let mut items = self.inner.read(query, ReadOptions::after(after));
            while let Some(item) = items.next().await {
                if let Item::Event(event) = item?
                    && event.position <= looked_to
                {
                    events.push(event);
                }
            }
            Ok(Batch {
                events: events.into(),
                looked_to,
                is_end: true,
                ..Batch::default()
            })
        })
    }

    fn watermark(&self) -> &Watermark {
        &self.shown
    }
}

impl EventStore for Trailing {
    fn append(&self, append: Append) -> StoreFuture<Result<Appended, AppendError>> {
        self.shared.inner.append(append)
    }
    fn read(&self, query: Query, options: ReadOptions) -> EventStream {
        backend::read(Arc::clone(&self.shared), query, options)
    }
    fn recall(&self, key: IdempotencyKey) -> StoreFuture<Result<Option<Recalled>, ReadError>> {
        self.shared.inner.recall(key)
    }
    fn subscribe(&self, query: Query, start: Start) -> EventStream {
        backend::subscribe(Arc::clone(&self.shared), query, start)
    }
    fn head(&self) -> StoreFuture<Result<Position, ReadError>> {
        StoreFuture::ready(Ok(self.shared.shown.position()))
    }
    fn wait_for(&self, position: Position) -> StoreFuture<Result<(), ReadError>> {
        StoreFuture::new(self.shared.shown.reached(position))
    }
    fn epoch(&self) -> Epoch {
        self.shared.inner.epoch()
    }
    fn capabilities(&self) -> Capabilities {
        self.shared.inner.capabilities()
    }
}
