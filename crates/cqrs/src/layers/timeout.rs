use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use eventwire_store::Cause;
use tower_layer::Layer;
use tower_service::Service;

use crate::call::Call;
use crate::clock::{Clock, SystemClock};
use crate::error::CommandError;
use crate::receipt::Receipt;
use crate::reply::{CommandFuture, ReplyFuture};
use crate::service::Commands;

/// Bounds the wait for an answer; see [`timeout`].
#[derive(Debug, Clone)]
pub struct Timeout {
    after: Duration,
    clock: Arc<dyn Clock>,
}

/// A service behind a [`Timeout`].
#[derive(Debug, Clone)]
pub struct Timed<S> {
    inner: S,
    timeout: Timeout,
}

/// Answers [`CommandError::Indeterminate`] where there is no answer in time: an append that
/// has begun goes on, so only a repetition with the same key tells what became of it.
#[must_use]
pub fn timeout(after: Duration) -> Timeout {
    Timeout {
        after,
        clock: Arc::new(SystemClock),
    }
}

impl Timeout {
    /// Waits by another clock.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }
}

impl<S> Layer<S> for Timeout {
    type Service = Timed<S>;

    fn layer(&self, inner: S) -> Timed<S> {
        Timed {
            inner,
            timeout: self.clone(),
        }
    }
}

impl<R: Call, S: Commands<R>> Service<R> for Timed<S> {
    type Response = Receipt;
    type Error = CommandError;
    type Future = CommandFuture;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), CommandError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: R) -> CommandFuture {
        let key = call.key().cloned();
        let answer = self.inner.call(call);
        let Timeout { after, clock } = self.timeout.clone();
        ReplyFuture::new(async move {
            let mut answer = pin!(answer);
            let mut end = clock.sleep(after);
            let in_time = poll_fn(|context| match answer.as_mut().poll(context) {
                Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                Poll::Pending => end.as_mut().poll(context).map(|()| None),
            });
            in_time.await.unwrap_or_else(|| {
                Err(CommandError::Indeterminate {
                    key,
                    cause: Cause::from(format!("no answer within {after:?}")),
                })
            })
        })
    }
}
