use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::sync::{Arc, Condvar, Mutex, MutexGuard};

/// What requests that are committed together are answered through, all at once.
///
/// Whoever waits holds a [`Ticket`]: one batch and a number, and nothing of its own to be notified.
#[derive(Debug)]
pub(crate) struct Batch<R, A> {
    state: Mutex<State<R, A>>,
    settled: Condvar,
}

#[derive(Debug)]
enum State<R, A> {
    Waiting {
        /// By ticket that was polled, in the order in which they first were.
        wakers: Vec<Waker>,
        /// Whether threads block for it.
        is_blocking: bool,
    },
    /// The requests and their answers by ticket, until they are taken. The requests too, for
    /// whoever made one is best placed to free it.
    Answered(Vec<Option<(R, A)>>),
    /// The one who should have answered has gone.
    Abandoned,
}

impl<R, A> Batch<R, A> {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State::default()),
            settled: Condvar::new(),
        }
    }

    /// Answers every ticket; threads that block are woken. Tasks are to be woken by the caller,
    /// who must hold no lock then.
    pub(crate) fn answer(&self, requests: Vec<R>, answers: Vec<A>) -> Wakers {
        debug_assert_eq!(requests.len(), answers.len());
        let answered = requests.into_iter().zip(answers).map(Some);
        self.settle(State::Answered(answered.collect()))
    }

    /// Ends all waiting without an answer, where there is none yet.
    pub(crate) fn abandon(&self) -> Wakers {
        self.settle(State::Abandoned)
    }

    fn settle(&self, to: State<R, A>) -> Wakers {
        let mut state = self.lock();
        let State::Waiting {
            wakers,
            is_blocking,
        } = &mut *state
        else {
            return Wakers(Vec::new());
        };
        let (wakers, is_blocking) = (mem::take(wakers), *is_blocking);
        *state = to;
        drop(state);
        if is_blocking {
            self.settled.notify_all();
        }
        Wakers(wakers)
    }

    fn lock(&self) -> MutexGuard<'_, State<R, A>> {
        self.state.lock().expect(HOLDS)
    }
}

const HOLDS: &str = "no code panics while it holds a batch";

impl<R, A> Default for State<R, A> {
    fn default() -> Self {
        Self::Waiting {
            wakers: Vec::new(),
            is_blocking: false,
        }
    }
}

impl<R, A> State<R, A> {
    /// What a ticket gets; `None` while it is to wait.
    fn take(&mut self, number: usize) -> Option<Option<(R, A)>> {
        match self {
            Self::Waiting { .. } => None,
            Self::Answered(answers) => Some(answers[number].take()),
            Self::Abandoned => Some(None),
        }
    }
}

/// Tasks that are to be woken. What one of them does then is no concern of the others, nor of
/// whoever wakes them.
#[derive(Debug)]
#[must_use = "they wait until they are woken"]
pub(crate) struct Wakers(Vec<Waker>);

impl Wakers {
    pub(crate) fn wake(self) {
        for waker in self.0 {
            // Whoever panicked has said so by now.
            drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
        }
    }
}

/// The claim to one answer of a batch and its request; as a future, `None` where nobody is left to give it, or
/// where it was taken before. Safe to drop.
#[must_use = "a future does nothing until it is polled"]
pub(crate) struct Ticket<R, A> {
    batch: Arc<Batch<R, A>>,
    number: usize,
    /// The place of its waker, once it has been polled.
    waker: Option<usize>,
}

impl<R, A> Ticket<R, A> {
    pub(crate) fn new(batch: Arc<Batch<R, A>>, number: usize) -> Self {
        Self {
            batch,
            number,
            waker: None,
        }
    }

    /// The answer, if the batch is settled.
    pub(crate) fn take(&self) -> Option<Option<(R, A)>> {
        self.batch.lock().take(self.number)
    }

    /// Blocks until the batch is settled.
    pub(crate) fn wait(self) -> Option<(R, A)> {
        let mut state = self.batch.lock();
        loop {
            if let Some(answered) = state.take(self.number) {
                return answered;
            }
            if let State::Waiting { is_blocking, .. } = &mut *state {
                *is_blocking = true;
            }
            state = self.batch.settled.wait(state).expect(HOLDS);
        }
    }
}

impl<R, A> Future for Ticket<R, A> {
    type Output = Option<(R, A)>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<(R, A)>> {
        let this = self.get_mut();
        let mut state = this.batch.lock();
        if let State::Waiting { wakers, .. } = &mut *state {
            match this.waker {
                Some(place) => wakers[place].clone_from(context.waker()),
                None => {
                    this.waker = Some(wakers.len());
                    wakers.push(context.waker().clone());
                }
            }
            return Poll::Pending;
        }
        Poll::Ready(state.take(this.number).flatten())
    }
}

impl<R, A> fmt::Debug for Ticket<R, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Ticket");
        debug.field("number", &self.number).finish_non_exhaustive()
    }
}
