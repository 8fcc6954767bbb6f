use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};

use eventwire_store::{
    Append, AppendError, Appended, Capabilities, Consumer, Direction, Epoch, EventStore,
    EventStream, Fingerprint, Guard, IdempotencyKey, Item, MemoryStore, NewEvent, Position, Query,
    ReadError, ReadOptions, Recalled, RecordedEvent, Start, StoreFuture,
};
use futures_core::Stream;

pub(crate) type Answer = Result<Appended, AppendError>;
type Hook<T> = Option<Arc<T>>;
type AppendFault = dyn Fn(&MemoryStore, Append) -> StoreFuture<Answer> + Send + Sync;
type ReadFault = dyn Fn(&MemoryStore, Query, ReadOptions) -> EventStream + Send + Sync;
type SubscribeFault = dyn Fn(&MemoryStore, Query, Start) -> EventStream + Send + Sync;
type WaitFault = dyn Fn(&MemoryStore, Position) -> StoreFuture<Result<(), ReadError>> + Send + Sync;

/// The store in memory, with one of its answers replaced.
#[derive(Clone, Default)]
pub(crate) struct Faulty {
    inner: MemoryStore,
    append: Hook<AppendFault>,
    recall: Hook<dyn Fn(Option<Recalled>) -> Option<Recalled> + Send + Sync>,
    read: Hook<ReadFault>,
    subscribe: Hook<SubscribeFault>,
    query: Hook<dyn Fn(Query) -> Query + Send + Sync>,
    show: Hook<dyn Fn(Item) -> Vec<Item> + Send + Sync>,
    head: Hook<dyn Fn(Position) -> Position + Send + Sync>,
    wait_for: Hook<WaitFault>,
    epoch: Hook<dyn Fn(Epoch) -> Epoch + Send + Sync>,
    capabilities: Hook<dyn Fn(Capabilities) -> Capabilities + Send + Sync>,
    sleeping: Option<Arc<AtomicBool>>,
}

macro_rules! hooks {
    ($($name:ident($($argument:ty),*) -> $output:ty;)*) => {$(
        pub(crate) fn $name(
            mut self,
            fault: impl Fn($($argument),*) -> $output + Send + Sync + 'static,
        ) -> Self {
            self.$name = Some(Arc::new(fault));
            self
        }
    )*};
}

impl Faulty {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    hooks! {
        append(&MemoryStore, Append) -> StoreFuture<Answer>;
        recall(Option<Recalled>) -> Option<Recalled>;
        read(&MemoryStore, Query, ReadOptions) -> EventStream;
        subscribe(&MemoryStore, Query, Start) -> EventStream;
        query(Query) -> Query;
        show(Item) -> Vec<Item>;
        head(Position) -> Position;
        wait_for(&MemoryStore, Position) -> StoreFuture<Result<(), ReadError>>;
        epoch(Epoch) -> Epoch;
        capabilities(Capabilities) -> Capabilities;
    }

    /// Appends of which the request is changed before it is made.
    pub(crate) fn request(self, change: impl Fn(&mut Request) + Send + Sync + 'static) -> Self {
        self.append(move |store, append| store.append(changed(&append, &change)))
    }

    /// Appends of which the answer is changed after it was given.
    pub(crate) fn answer(self, change: impl Fn(&mut Appended) + Send + Sync + 'static) -> Self {
        self.append(move |store, append| {
            StoreFuture::ready(now(store.append(append)).map(|mut appended| {
                change(&mut appended);
                appended
            }))
        })
    }

    /// Events that are changed before they are shown.
    pub(crate) fn event(self, change: impl Fn(&mut RecordedEvent) + Send + Sync + 'static) -> Self {
        self.show(move |item| match item {
            Item::Event(mut event) => {
                change(&mut event);
                vec![Item::Event(event)]
            }
            mark => vec![mark],
        })
    }

    /// The same store, faultless until it is told to wake.
    pub(crate) fn asleep(mut self) -> Self {
        self.sleeping = Some(Arc::new(AtomicBool::new(true)));
        self
    }

    pub(crate) fn wake(&self) {
        if let Some(sleeping) = &self.sleeping {
            sleeping.store(false, Ordering::SeqCst);
        }
    }

    fn is_faulty(&self) -> bool {
        self.sleeping
            .as_ref()
            .is_none_or(|sleeping| !sleeping.load(Ordering::SeqCst))
    }

    /// A hook, where it shows already.
    fn active<'a, T: ?Sized>(&self, hook: &'a Hook<T>) -> Option<&'a Arc<T>> {
        hook.as_ref().filter(|_| self.is_faulty())
    }

    fn query_of(&self, query: Query) -> Query {
        match self.active(&self.query) {
            Some(fault) => fault(query),
            None => query,
        }
    }

    fn shown(&self, stream: EventStream) -> EventStream {
        match self.active(&self.show) {
            Some(show) => {
                let show = Arc::clone(show);
                altered(stream, move |item| show(item))
            }
            None => stream,
        }
    }
}

impl EventStore for Faulty {
    fn append(&self, append: Append) -> StoreFuture<Answer> {
        match self.active(&self.append) {
            Some(fault) => fault(&self.inner, append),
            None => self.inner.append(append),
        }
    }

    fn recall(&self, key: IdempotencyKey) -> StoreFuture<Result<Option<Recalled>, ReadError>> {
        match self.active(&self.recall) {
            Some(fault) => {
                StoreFuture::ready(now(self.inner.recall(key)).map(|recalled| fault(recalled)))
            }
            None => self.inner.recall(key),
        }
    }

    fn read(&self, query: Query, options: ReadOptions) -> EventStream {
        let query = self.query_of(query);
        let stream = match self.active(&self.read) {
            Some(fault) => fault(&self.inner, query, options),
            None => self.inner.read(query, options),
        };
        self.shown(stream)
    }

    fn subscribe(&self, query: Query, start: Start) -> EventStream {
        let query = self.query_of(query);
        let stream = match self.active(&self.subscribe) {
            Some(fault) => fault(&self.inner, query, start),
            None => self.inner.subscribe(query, start),
        };
        self.shown(stream)
    }

    fn head(&self) -> StoreFuture<Result<Position, ReadError>> {
        match self.active(&self.head) {
            Some(fault) => StoreFuture::ready(now(self.inner.head()).map(|head| fault(head))),
            None => self.inner.head(),
        }
    }

    fn wait_for(&self, position: Position) -> StoreFuture<Result<(), ReadError>> {
        match self.active(&self.wait_for) {
            Some(fault) => fault(&self.inner, position),
            None => self.inner.wait_for(position),
        }
    }

    fn epoch(&self) -> Epoch {
        match self.active(&self.epoch) {
            Some(fault) => fault(self.inner.epoch()),
            None => self.inner.epoch(),
        }
    }

    fn capabilities(&self) -> Capabilities {
        match self.active(&self.capabilities) {
            Some(fault) => fault(self.inner.capabilities()),
            None => self.inner.capabilities(),
        }
    }
}

/// An append, taken apart to be changed.
pub(crate) struct Request {
    pub(crate) events: Vec<NewEvent>,
    pub(crate) guards: Vec<Guard>,
    pub(crate) key: Option<(IdempotencyKey, Fingerprint)>,
    pub(crate) consumed: Option<(Consumer, Position)>,
}

pub(crate) fn changed(append: &Append, change: impl Fn(&mut Request)) -> Append {
    let mut request = Request {
        events: append.events().to_vec(),
        guards: append.guards().to_vec(),
        key: append.identity().map(|(key, print)| (key.clone(), print)),
        consumed: append
            .consumption()
            .map(|(consumer, position)| (consumer.clone(), position)),
    };
    change(&mut request);
    let append = Append::new().extend(request.events);
    let append = request.guards.into_iter().fold(append, Append::guard);
    let append = match request.consumed {
        Some((consumer, position)) => append.consumed(consumer, position),
        None => append,
    };
    match request.key {
        Some((key, print)) => append.key(key).fingerprint(print),
        None => append,
    }
}

/// The answer of a store that answers at once.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the store in memory answers at once"),
    }
}

/// Everything a read yields.
pub(crate) fn all(mut stream: EventStream) -> Vec<Item> {
    let next = || now(stream.next()).map(|item| item.expect("the store in memory does not fail"));
    std::iter::from_fn(next).collect()
}

pub(crate) fn given(items: Vec<Item>) -> EventStream {
    EventStream::new(Altered {
        inner: None,
        change: Box::new(|item| vec![item]),
        pending: items.into(),
    })
}

/// A stream of which each item is replaced by some others.
pub(crate) fn altered(
    stream: EventStream,
    change: impl FnMut(Item) -> Vec<Item> + Send + 'static,
) -> EventStream {
    EventStream::new(Altered {
        inner: Some(stream),
        change: Box::new(change),
        pending: VecDeque::new(),
    })
}

struct Altered {
    inner: Option<EventStream>,
    change: Box<dyn FnMut(Item) -> Vec<Item> + Send>,
    pending: VecDeque<Item>,
}

impl Stream for Altered {
    type Item = Result<Item, ReadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(item) = this.pending.pop_front() {
                return Poll::Ready(Some(Ok(item)));
            }
            let Some(inner) = &mut this.inner else {
                return Poll::Ready(None);
            };
            match ready!(Pin::new(inner).poll_next(context)) {
                Some(Ok(item)) => this.pending.extend((this.change)(item)),
                other => return Poll::Ready(other),
            }
        }
    }
}

/// A place that lies this far above another.
pub(crate) fn above(position: Position, distance: u64) -> Position {
    let (major, minor) = position.to_parts();
    Position::from_parts(major, minor.saturating_add(distance))
}

/// The same read without its limit.
pub(crate) fn unlimited(options: ReadOptions) -> ReadOptions {
    match options.direction() {
        Direction::Forward { after } => ReadOptions::after(after),
        Direction::Backward { before: None } => ReadOptions::backward(),
        Direction::Backward {
            before: Some(before),
        } => ReadOptions::before(before),
    }
}
