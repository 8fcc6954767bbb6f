use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

use futures_util::task::AtomicWaker;

/// What a shard has its turn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Member(usize),
    Group(usize),
    /// A connection that has come.
    Arrival,
}

/// How a shard is told of what is new: of connections that come, and of streams that have
/// something. From any thread.
#[derive(Debug)]
pub(crate) struct Wakes<A> {
    inbox: Mutex<Inbox<A>>,
    task: AtomicWaker,
}

/// What a shard has been told and has not looked at.
#[derive(Debug)]
pub(crate) struct Inbox<A> {
    pub(crate) arrivals: Vec<A>,
    pub(crate) woken: Vec<Target>,
}

impl<A> Default for Inbox<A> {
    fn default() -> Self {
        Self {
            arrivals: Vec::new(),
            woken: Vec::new(),
        }
    }
}

impl<A> Default for Wakes<A> {
    fn default() -> Self {
        Self {
            inbox: Mutex::default(),
            task: AtomicWaker::new(),
        }
    }
}

impl<A> Wakes<A> {
    /// Tells of a connection.
    pub(crate) fn arrive(&self, arrival: A) {
        self.lock().arrivals.push(arrival);
        self.task.wake();
    }

    /// Has the task woken by what comes from now on, and takes what has come.
    pub(crate) fn take(&self, context: &Context<'_>) -> Inbox<A> {
        self.task.register(context.waker());
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Inbox<A>> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes a shard for one of its streams.
struct WakeTarget<A> {
    wakes: Arc<Wakes<A>>,
    target: Target,
}

impl<A: Send + 'static> Wake for WakeTarget<A> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wakes.lock().woken.push(self.target);
        self.wakes.task.wake();
    }
}

/// The waker of one of a shard's streams. The target may be gone when it is used, and another be
/// in its place: that is then polled for nothing.
pub(crate) fn waker<A: Send + 'static>(wakes: &Arc<Wakes<A>>, target: Target) -> Waker {
    let wakes = Arc::clone(wakes);
    Waker::from(Arc::new(WakeTarget { wakes, target }))
}
