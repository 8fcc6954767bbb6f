use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use crate::error::ReadError;
use crate::position::Position;

/// How far readers are shown the log, and who waits for it to move.
///
/// A clone is the same watermark. Wakes happen outside the lock, and a waker that panics is no
/// concern of the others, nor of whoever moves the watermark.
#[derive(Debug, Clone, Default)]
pub struct Watermark {
    shared: Arc<Mutex<Shared>>,
}

/// Invariant: `waiting` is empty once there is an `ending`.
#[derive(Debug, Default)]
struct Shared {
    position: Position,
    ending: Option<Ending>,
    waiting: HashMap<u64, Waker>,
    next_ticket: u64,
}

/// What each is told who waits.
#[derive(Clone)]
enum Ending {
    Closed,
    /// Until the watermark moves: it makes what is told.
    Failed(Arc<dyn Fn() -> ReadError + Send + Sync>),
}

impl Ending {
    fn error(&self) -> ReadError {
        match self {
            Self::Closed => ReadError::Closed,
            Self::Failed(make) => make(),
        }
    }
}

impl fmt::Debug for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error().fmt(f)
    }
}

impl Watermark {
    /// A watermark at a position.
    #[must_use]
    pub fn at(position: Position) -> Self {
        let watermark = Self::default();
        watermark.lock().position = position;
        watermark
    }

    /// How far readers are shown the log.
    #[must_use]
    pub fn position(&self) -> Position {
        self.lock().position
    }

    /// Shows readers the log up to `position`. Never moves back. A [failure](Self::fail) is over.
    pub fn advance(&self, position: Position) {
        let woken = {
            let mut shared = self.lock();
            if position <= shared.position {
                return;
            }
            shared.position = position;
            shared
                .ending
                .take_if(|ending| matches!(ending, Ending::Failed(_)));
            std::mem::take(&mut shared.waiting)
        };
        wake(woken.into_values());
    }

    /// Ends all waiting with [`ReadError::Closed`], for good.
    pub fn close(&self) {
        self.end(Ending::Closed);
    }

    /// Ends all waiting with [`ReadError::Backend`] and this cause, until the watermark moves, unless it
    /// was closed before: what comes next cannot be shown, and whoever waits for it is told why.
    pub fn fail<E: Error + Clone + Send + Sync + 'static>(&self, cause: E) {
        let error = move || ReadError::Backend(Box::new(cause.clone()));
        self.end(Ending::Failed(Arc::new(error)));
    }

    fn end(&self, ending: Ending) {
        let woken = {
            let mut shared = self.lock();
            if !matches!(shared.ending, Some(Ending::Closed)) {
                shared.ending = Some(ending);
            }
            std::mem::take(&mut shared.waiting)
        };
        wake(woken.into_values());
    }

    /// Waits until the watermark is above `position`.
    pub fn beyond(&self, position: Position) -> Beyond {
        Beyond {
            watermark: self.clone(),
            position,
            is_reached: |at, wanted| at > wanted,
            ticket: None,
        }
    }

    /// Waits until the watermark is at or above `position`.
    pub fn reached(&self, position: Position) -> Beyond {
        Beyond {
            watermark: self.clone(),
            position,
            is_reached: |at, wanted| at >= wanted,
            ticket: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared
            .lock()
            .expect("no code panics while it holds the watermark")
    }
}

fn wake(wakers: impl Iterator<Item = Waker>) {
    for waker in wakers {
        // Whoever panicked has said so by now.
        drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
    }
}

/// Waits for a [`Watermark`] to move. Safe to drop.
#[derive(Debug)]
#[must_use = "a future does nothing until it is polled"]
pub struct Beyond {
    watermark: Watermark,
    position: Position,
    is_reached: fn(Position, Position) -> bool,
    ticket: Option<u64>,
}

impl Future for Beyond {
    type Output = Result<(), ReadError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut shared = this.watermark.lock();
        if (this.is_reached)(shared.position, this.position) {
            return Poll::Ready(Ok(()));
        }
        if let Some(ending) = shared.ending.clone() {
            drop(shared);
            return Poll::Ready(Err(ending.error()));
        }
        let ticket = *this.ticket.get_or_insert_with(|| {
            shared.next_ticket += 1;
            shared.next_ticket
        });
        shared
            .waiting
            .entry(ticket)
            .or_insert_with(|| context.waker().clone())
            .clone_from(context.waker());
        Poll::Pending
    }
}

impl Drop for Beyond {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.watermark.lock().waiting.remove(&ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Error as Cause;

    fn told(waiting: &mut Beyond) -> Option<Result<(), ReadError>> {
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(waiting).poll(&mut context) {
            Poll::Ready(told) => Some(told),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_failure_is_told_until_it_is_over_and_the_end_for_ever() {
        let at = |minor| Position::from_parts(0, minor);
        let watermark = Watermark::at(at(3));
        let mut waiting = [watermark.beyond(at(3)), watermark.reached(at(4))];
        assert!(waiting.iter_mut().all(|it| told(it).is_none()));
        watermark.fail(Cause);
        for waiting in &mut waiting {
            let Some(Err(ReadError::Backend(cause))) = told(waiting) else {
                panic!("it has failed");
            };
            assert!(cause.is::<Cause>());
        }
        assert!(matches!(told(&mut watermark.reached(at(3))), Some(Ok(()))));

        watermark.advance(at(4));
        assert!(matches!(told(&mut watermark.beyond(at(3))), Some(Ok(()))));
        let mut waiting = watermark.beyond(at(4));
        assert!(told(&mut waiting).is_none(), "it goes on");

        watermark.fail(Cause);
        watermark.close();
        assert!(matches!(told(&mut waiting), Some(Err(ReadError::Closed))));
        watermark.fail(Cause);
        let mut late = watermark.beyond(at(4));
        assert!(matches!(told(&mut late), Some(Err(ReadError::Closed))));
    }
}
