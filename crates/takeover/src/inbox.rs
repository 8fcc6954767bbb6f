use std::sync::{Arc, PoisonError};
use std::task::{Context, Wake, Waker};

use crate::sync::{Mutex, MutexGuard};

/// What a shard has its turn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Member(usize),
    Group(usize),
    /// A connection that has come.
    Arrival,
}

/// How a shard is told of what is new, from any thread: of connections that come, and of streams
/// that have something.
#[derive(Debug)]
pub(crate) struct Inbox<A> {
    mail: Mutex<Mail<A>>,
}

/// What a shard has been told and has not looked at.
///
/// Invariant: what was told after the shard has looked has woken it.
#[derive(Debug)]
struct Mail<A> {
    news: News<A>,
    /// The shard's task, from its look on until something comes.
    waiting: Option<Waker>,
}

/// What has come since the last look, in the order it came.
#[derive(Debug)]
pub(crate) struct News<A> {
    pub(crate) arrivals: Vec<A>,
    pub(crate) woken: Vec<Target>,
}

impl<A> Default for News<A> {
    fn default() -> Self {
        Self {
            arrivals: Vec::new(),
            woken: Vec::new(),
        }
    }
}

impl<A> Default for Inbox<A> {
    fn default() -> Self {
        Self {
            mail: Mutex::new(Mail {
                news: News::default(),
                waiting: None,
            }),
        }
    }
}

impl<A> Inbox<A> {
    /// Tells of a connection.
    pub(crate) fn arrive(&self, arrival: A) {
        self.tell(|news| news.arrivals.push(arrival));
    }

    /// Takes what has come, and has the task woken by what comes from now on.
    pub(crate) fn take(&self, context: &Context<'_>) -> News<A> {
        let mut mail = self.lock();
        let is_known = mail
            .waiting
            .as_ref()
            .is_some_and(|waiting| waiting.will_wake(context.waker()));
        if !is_known {
            mail.waiting = Some(context.waker().clone());
        }
        std::mem::take(&mut mail.news)
    }

    fn tell(&self, write: impl FnOnce(&mut News<A>)) {
        let waiting = {
            let mut mail = self.lock();
            write(&mut mail.news);
            mail.waiting.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Mail<A>> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes a shard for one of its streams.
struct WakeTarget<A> {
    inbox: Arc<Inbox<A>>,
    target: Target,
}

impl<A: Send + 'static> Wake for WakeTarget<A> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.inbox.tell(|news| news.woken.push(self.target));
    }
}

/// The waker of one of a shard's streams. The target may be gone when it is used, and another be
/// in its place: that is then polled for nothing.
pub(crate) fn waker<A: Send + 'static>(inbox: &Arc<Inbox<A>>, target: Target) -> Waker {
    let inbox = Arc::clone(inbox);
    Waker::from(Arc::new(WakeTarget { inbox, target }))
}
