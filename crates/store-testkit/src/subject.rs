use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use eventwire_store::{
    Append, AppendError, Appended, Conflict, EventStore, EventStream, IdempotencyKey, Item,
    Position, Query, ReadError, ReadOptions, Recalled, RecordedEvent, Start, StoreFuture,
};
use futures_core::Stream;
use futures_executor::block_on;

use crate::harness::Harness;
use crate::sample;

/// A store under test, driven from plain threads.
///
/// Methods wait for the answer and panic, as a test does, where the store answers what no
/// caller of theirs can use: a [`ReadError`](eventwire_store::ReadError), the end of a
/// subscription. A clone drives the same store.
#[derive(Clone)]
pub struct Subject {
    store: Arc<dyn EventStore>,
    surroundings: Surroundings,
}

/// Makes harnesses.
pub(crate) type Make<H> = dyn Fn() -> H + Send + Sync;

/// [`Harness::enter`] of the harness the store came from.
type Enter = dyn Fn(&mut dyn FnMut()) + Send + Sync;

/// What outlives the store: dropped after it, for it is declared after it.
#[derive(Clone)]
struct Surroundings {
    enter: Arc<Enter>,
    fresh: Arc<dyn Fn() -> Subject + Send + Sync>,
}

impl Subject {
    /// A fresh store from a fresh harness.
    #[must_use]
    pub fn open<H: Harness>(make: impl Fn() -> H + Send + Sync + 'static) -> Self {
        Self::open_shared(&(Arc::new(make) as Arc<Make<H>>))
    }

    /// As [`open`](Self::open), with the store as what it is.
    pub(crate) fn open_with<H: Harness>(
        make: impl Fn() -> H + Send + Sync + 'static,
    ) -> (Self, Arc<H::Store>) {
        Self::open_both(&(Arc::new(make) as Arc<Make<H>>))
    }

    fn open_shared<H: Harness>(make: &Arc<Make<H>>) -> Self {
        Self::open_both(make).0
    }

    fn open_both<H: Harness>(make: &Arc<Make<H>>) -> (Self, Arc<H::Store>) {
        let harness = Arc::new(make());
        let store = Arc::new(inside(|work| harness.enter(work), harness.open()));
        (Self::new(Arc::clone(&store), &harness, make), store)
    }

    pub(crate) fn new<H: Harness>(
        store: Arc<H::Store>,
        harness: &Arc<H>,
        make: &Arc<Make<H>>,
    ) -> Self {
        let (harness, make) = (Arc::clone(harness), Arc::clone(make));
        Self {
            store,
            surroundings: Surroundings {
                enter: Arc::new(move |work| harness.enter(work)),
                fresh: Arc::new(move || Self::open_shared(&make)),
            },
        }
    }

    /// Another store, as fresh as this one was.
    #[must_use]
    pub fn another(&self) -> Self {
        (self.surroundings.fresh)()
    }

    /// The store itself.
    #[must_use]
    pub fn store(&self) -> &dyn EventStore {
        &*self.store
    }

    /// Runs a future to its end, where the store finds what it needs around it.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        inside(&*self.surroundings.enter, future)
    }

    /// Polls a future once, without anyone to wake.
    pub fn poll<F: Future + Unpin>(&self, future: &mut F) -> Poll<F::Output> {
        let mut context = Context::from_waker(Waker::noop());
        within(&*self.surroundings.enter, || {
            Pin::new(&mut *future).poll(&mut context)
        })
    }

    /// What the store answers to an append.
    ///
    /// # Errors
    /// What the store refuses it with.
    pub fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.run(async { self.store.append(append).await })
    }

    /// Begins an append and leaves it to the caller to poll it, or not.
    pub fn begin(&self, append: Append) -> StoreFuture<Result<Appended, AppendError>> {
        within(&*self.surroundings.enter, || self.store.append(append))
    }

    /// Begins to wait for a position and leaves it to the caller to poll it, or not.
    pub fn begin_waiting(&self, position: Position) -> StoreFuture<Result<(), ReadError>> {
        within(&*self.surroundings.enter, || self.store.wait_for(position))
    }

    /// Appends what must be taken, and waits until readers are shown it.
    #[track_caller]
    pub fn put(&self, append: Append) -> Appended {
        let wanted = format!("{append:?}");
        let appended = match self.append(append) {
            Ok(appended) => appended,
            Err(error) => panic!("the store refused an append it must take: {error}; {wanted}"),
        };
        self.wait_for(appended.last());
        appended
    }

    /// Appends `count` events labelled `0`, `1`, ... to a stream, in as few appends as the
    /// store's limits allow; where they are.
    #[track_caller]
    pub fn put_all(&self, stream: &str, count: usize) -> Vec<Position> {
        let most = self.store.capabilities().limits.append_events;
        let labels: Vec<usize> = (0..count).collect();
        let append = |labels: &[usize]| {
            let events = labels
                .iter()
                .map(|label| sample::labelled(label.to_string()));
            self.put(Append::to(sample::stream(stream)).extend(events))
                .positions
        };
        labels.chunks(most.max(1)).flat_map(append).collect()
    }

    /// Appends what must be refused, and sees to it that nothing was written.
    #[track_caller]
    pub fn refuse(&self, append: Append) -> AppendError {
        let wanted = format!("{append:?}");
        let before = self.log();
        let error = match self.append(append) {
            Ok(appended) => {
                panic!("the store took an append it must refuse: {appended:?}; {wanted}")
            }
            Err(error) => error,
        };
        // What a trailing reader is not shown yet lies below the next event.
        let next = self.put(Append::new().event(sample::event("after-a-refusal")));
        let after = self.log();
        let (last, rest) = after.split_last().expect("an event was just appended");
        assert_eq!(
            last.position,
            next.last(),
            "the log ends with the last append"
        );
        assert_eq!(rest, before, "a refused append ({error}) wrote something");
        error
    }

    /// Appends what must be refused because a guard does not hold.
    #[track_caller]
    pub fn conflict(&self, append: Append) -> Conflict {
        match self.refuse(append) {
            AppendError::Conflict(conflict) => conflict,
            other => panic!("expected a conflict, but the store answered: {other}"),
        }
    }

    /// Everything a read yields, to its end.
    #[track_caller]
    #[must_use]
    pub fn read(&self, query: Query, options: ReadOptions) -> Vec<Item> {
        let mut reading = self.start_reading(query, options);
        std::iter::from_fn(|| reading.try_next()).collect()
    }

    /// The events a read yields, to its end.
    #[track_caller]
    #[must_use]
    pub fn events(&self, query: Query, options: ReadOptions) -> Vec<RecordedEvent> {
        let event = |item| match item {
            Item::Event(event) => Some(event),
            _ => None,
        };
        self.read(query, options)
            .into_iter()
            .filter_map(event)
            .collect()
    }

    /// Every event there is.
    #[track_caller]
    #[must_use]
    pub fn log(&self) -> Vec<RecordedEvent> {
        self.events(Query::all(), ReadOptions::all())
    }

    /// A read, to be taken item by item.
    #[must_use]
    pub fn start_reading(&self, query: Query, options: ReadOptions) -> Follower {
        let stream = within(&*self.surroundings.enter, || {
            self.store.read(query, options)
        });
        Follower::new(stream, self.surroundings.clone())
    }

    /// A subscription.
    #[must_use]
    pub fn subscribe(&self, query: Query, start: Start) -> Follower {
        let stream = within(&*self.surroundings.enter, || {
            self.store.subscribe(query, start)
        });
        Follower::new(stream, self.surroundings.clone())
    }

    /// What is remembered under a key.
    #[track_caller]
    #[must_use]
    pub fn recall(&self, key: IdempotencyKey) -> Option<Recalled> {
        let recalled = self.run(async { self.store.recall(key).await });
        recalled.unwrap_or_else(|error| panic!("`recall` failed: {error}"))
    }

    /// The head.
    #[track_caller]
    #[must_use]
    pub fn head(&self) -> Position {
        let head = self.run(async { self.store.head().await });
        head.unwrap_or_else(|error| panic!("`head` failed: {error}"))
    }

    /// Waits until readers are shown a position.
    #[track_caller]
    pub fn wait_for(&self, position: Position) {
        let waited = self.run(async { self.store.wait_for(position).await });
        waited.unwrap_or_else(|error| panic!("`wait_for` failed: {error}"));
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").finish_non_exhaustive()
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").finish_non_exhaustive()
    }
}

/// A read or a subscription, taken item by item from a plain thread.
///
/// Holds no handle on the store, only what surrounds it.
#[derive(Debug)]
pub struct Follower {
    stream: EventStream,
    surroundings: Surroundings,
}

impl Follower {
    fn new(stream: EventStream, surroundings: Surroundings) -> Self {
        Self {
            stream,
            surroundings,
        }
    }

    /// The next item; none at the end.
    #[track_caller]
    pub fn try_next(&mut self) -> Option<Item> {
        let next = inside(&*self.surroundings.enter, self.stream.next())?;
        Some(next.unwrap_or_else(|error| panic!("the stream failed: {error}")))
    }

    /// What a poll finds, without anyone to wake: the next item, the end, or nothing yet.
    #[track_caller]
    pub fn poll(&mut self) -> Poll<Option<Item>> {
        let mut context = Context::from_waker(Waker::noop());
        let polled = within(&*self.surroundings.enter, || {
            Pin::new(&mut self.stream).poll_next(&mut context)
        });
        polled
            .map_err(|error| panic!("the stream failed: {error}"))
            .map(|item| item.and_then(Result::ok))
    }

    /// The next item of what must not end.
    #[track_caller]
    pub fn next_item(&mut self) -> Item {
        self.try_next()
            .expect("a subscription ends only by an error, but this one just ended")
    }

    /// The next event, past all marks.
    #[track_caller]
    pub fn next_event(&mut self) -> RecordedEvent {
        loop {
            if let Item::Event(event) = self.next_item() {
                return event;
            }
        }
    }

    /// The next events, past all marks.
    #[track_caller]
    pub fn next_events(&mut self, count: usize) -> Vec<RecordedEvent> {
        (0..count).map(|_| self.next_event()).collect()
    }

    /// All events until it says that it has caught up, and where.
    #[track_caller]
    pub fn until_caught_up(&mut self) -> (Vec<RecordedEvent>, Position) {
        self.until_caught_up_with(Position::ORIGIN)
    }

    /// All events until it says that it has caught up with `position`, and where.
    #[track_caller]
    pub fn until_caught_up_with(&mut self, position: Position) -> (Vec<RecordedEvent>, Position) {
        let mut events = Vec::new();
        loop {
            match self.next_item() {
                Item::Event(event) => events.push(event),
                Item::CaughtUp(at) if at >= position => return (events, at),
                _ => {}
            }
        }
    }
}

/// Waits for a future within the surroundings that `enter` gives.
pub(crate) fn inside<T>(enter: impl Fn(&mut dyn FnMut()), future: impl Future<Output = T>) -> T {
    let future = pin!(future);
    within(enter, || block_on(future))
}

fn within<T>(enter: impl Fn(&mut dyn FnMut()), call: impl FnOnce() -> T) -> T {
    let (mut call, mut output) = (Some(call), None);
    enter(&mut || output = call.take().map(|call| call()));
    output.expect("`Harness::enter` calls the work it is given")
}
