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

/// Makes what each is told who waits for what never comes.
#[derive(Clone)]
struct Ending(Arc<dyn Fn() -> ReadError + Send + Sync>);

impl fmt::Debug for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)().fmt(f)
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

    /// Shows readers the log up to `position`. Never moves back.
    pub fn advance(&self, position: Position) {
        let woken = {
            let mut shared = self.lock();
            if position <= shared.position {
                return;
            }
            shared.position = position;
            std::mem::take(&mut shared.waiting)
        };
        wake(woken.into_values());
    }

    /// Ends all waiting with [`ReadError::Closed`], unless it has ended before.
    pub fn close(&self) {
        self.end(|| ReadError::Closed);
    }

    /// Ends all waiting with [`ReadError::Backend`] and this cause, unless it has ended before:
    /// what comes next cannot be shown, and whoever waits for it is told why.
    pub fn fail<E: Error + Clone + Send + Sync + 'static>(&self, cause: E) {
        self.end(move || ReadError::Backend(Box::new(cause.clone())));
    }

    fn end(&self, ending: impl Fn() -> ReadError + Send + Sync + 'static) {
        let woken = {
            let mut shared = self.lock();
            shared
                .ending
                .get_or_insert_with(|| Ending(Arc::new(ending)));
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
        if let Some(Ending(ending)) = shared.ending.clone() {
            drop(shared);
            return Poll::Ready(Err(ending()));
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
    fn each_who_waits_is_told_how_it_ended_first() {
        let at = |minor| Position::from_parts(0, minor);
        let watermark = Watermark::at(at(3));
        let mut waiting = [watermark.beyond(at(3)), watermark.reached(at(4))];
        assert!(waiting.iter_mut().all(|it| told(it).is_none()));
        watermark.fail(Cause);
        watermark.close();
        for waiting in &mut waiting {
            let Some(Err(ReadError::Backend(cause))) = told(waiting) else {
                panic!("it has failed");
            };
            assert!(cause.is::<Cause>());
        }
        assert!(matches!(told(&mut watermark.reached(at(3))), Some(Ok(()))));

        let watermark = Watermark::default();
        watermark.close();
        watermark.fail(Cause);
        let mut late = watermark.beyond(Position::ORIGIN);
        assert!(matches!(told(&mut late), Some(Err(ReadError::Closed))));
    }
}
