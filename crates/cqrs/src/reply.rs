use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::error::CommandError;
use crate::receipt::Receipt;

/// The answer to a command called by name.
pub type CommandFuture = ReplyFuture<Result<Receipt, CommandError>>;

/// The answer to a call by name, boxed so that it has a name itself.
///
/// Owns all it needs: it can be spawned or stored. A call that fails before it reaches a
/// handler boxes nothing.
#[must_use = "a future does nothing until it is polled"]
pub struct ReplyFuture<T>(State<T>);

enum State<T> {
    Ready(Option<T>),
    Pending(Pin<Box<dyn Future<Output = T> + Send>>),
}

impl<T> ReplyFuture<T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(State::Pending(Box::pin(future)))
    }

    pub(crate) const fn ready(answer: T) -> Self {
        Self(State::Ready(Some(answer)))
    }
}

impl<T: Unpin> Future for ReplyFuture<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match &mut self.0 {
            State::Ready(answer) => Poll::Ready(answer.take().expect("polled after it was ready")),
            State::Pending(future) => future.as_mut().poll(context),
        }
    }
}

impl<T> fmt::Debug for ReplyFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyFuture").finish_non_exhaustive()
    }
}
