use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::backoff::Backoff;
use crate::call::Call;
use crate::clock::{Clock, SystemClock};
use crate::error::CommandError;
use crate::receipt::Receipt;
use crate::reply::{CommandFuture, ReplyFuture};
use crate::service::{Commands, oneshot};

/// Asks again where that may help; see [`retry`].
#[derive(Debug, Clone)]
pub struct Retry {
    backoff: Backoff,
    clock: Arc<dyn Clock>,
}

/// A service behind a [`Retry`].
#[derive(Debug, Clone)]
pub struct Retried<S> {
    inner: S,
    retry: Retry,
}

/// Asks again, after a wait, where the answer was `Busy` or `Conflict`, and where it was
/// `Indeterminate` and the command has a key. A store that says when to come back is heard.
#[must_use]
pub fn retry(backoff: Backoff) -> Retry {
    Retry {
        backoff,
        clock: Arc::new(SystemClock),
    }
}

impl Retry {
    /// Waits by another clock.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }
}

impl<S> Layer<S> for Retry {
    type Service = Retried<S>;

    fn layer(&self, inner: S) -> Retried<S> {
        Retried {
            inner,
            retry: self.clone(),
        }
    }
}

impl<R: Call + Clone + Sync, S: Commands<R> + Sync> Service<R> for Retried<S> {
    type Response = Receipt;
    type Error = CommandError;
    type Future = CommandFuture;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), CommandError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: R) -> CommandFuture {
        // What was polled to be ready is the one to call.
        let clone = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, clone);
        let again = self.inner.clone();
        let Retry { backoff, clock } = self.retry.clone();
        ReplyFuture::new(async move {
            let mut outcome = ready.call(call.clone()).await;
            for wait in backoff.waits() {
                let least = match &outcome {
                    Err(CommandError::Busy { retry_after, .. }) => *retry_after,
                    Err(
                        CommandError::Conflict(_)
                        | CommandError::Indeterminate { key: Some(_), .. },
                    ) => None,
                    _ => break,
                };
                clock.sleep(wait.max(least.unwrap_or_default())).await;
                outcome = oneshot(again.clone(), call.clone()).await;
            }
            outcome
        })
    }
}
