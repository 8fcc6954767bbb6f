use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

/// A place for one answer, and the future that waits for it.
pub(crate) fn reply<T>() -> (Reply<T>, Answered<T>) {
    let slot = Arc::new(Mutex::new(Slot::Waiting(None)));
    (Reply(Some(Arc::clone(&slot))), Answered(slot))
}

enum Slot<T> {
    Waiting(Option<Waker>),
    Answered(T),
    /// The one who should have answered has gone.
    Abandoned,
    Taken,
}

type Shared<T> = Arc<Mutex<Slot<T>>>;

/// Where the answer is put. Dropped without one, the future ends without one.
pub(crate) struct Reply<T>(Option<Shared<T>>);

/// The answer; `None` where nobody is left to give it. Safe to drop.
#[must_use = "a future does nothing until it is polled"]
pub(crate) struct Answered<T>(Shared<T>);

impl<T> Reply<T> {
    /// Answers. Whoever waits is to be woken by the caller, who may have more to answer first
    /// and must hold no lock.
    pub(crate) fn put(mut self, answer: T) -> Option<Waker> {
        let slot = self.0.take()?;
        settle(&slot, Slot::Answered(answer))
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        let waker = self
            .0
            .take()
            .and_then(|slot| settle(&slot, Slot::Abandoned));
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

fn settle<T>(slot: &Shared<T>, to: Slot<T>) -> Option<Waker> {
    match std::mem::replace(&mut *lock(slot), to) {
        Slot::Waiting(waker) => waker,
        Slot::Answered(_) | Slot::Abandoned | Slot::Taken => None,
    }
}

fn lock<T>(slot: &Shared<T>) -> MutexGuard<'_, Slot<T>> {
    slot.lock().expect("no code panics while it holds a reply")
}

impl<T> Future for Answered<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = lock(&self.0);
        match &mut *slot {
            Slot::Waiting(waker) => {
                match waker {
                    Some(waker) => waker.clone_from(context.waker()),
                    None => *waker = Some(context.waker().clone()),
                }
                Poll::Pending
            }
            Slot::Answered(_) => match std::mem::replace(&mut *slot, Slot::Taken) {
                Slot::Answered(answer) => Poll::Ready(Some(answer)),
                _ => Poll::Ready(None),
            },
            Slot::Abandoned | Slot::Taken => Poll::Ready(None),
        }
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").finish_non_exhaustive()
    }
}
