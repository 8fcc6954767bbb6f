use std::task::{Context, Poll};

use eventwire_store::IdempotencyKey;
use tower_layer::Layer;
use tower_service::Service;
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};

use crate::call::Call;
use crate::error::CommandError;
use crate::layers::measure::Outcome;
use crate::receipt::Receipt;
use crate::reply::{CommandFuture, ReplyFuture};
use crate::service::Commands;

/// Gives each command a span; see [`trace`].
#[derive(Debug, Clone, Copy)]
pub struct Trace;

/// A service behind a [`Trace`].
#[derive(Debug, Clone)]
pub struct Traced<S> {
    inner: S,
}

/// Carries out each command in a `tracing` span `command` with its `name` and `key`, and in the
/// end its `outcome`, its `attempts` and the `position` of its last event. What is for the
/// operator or the developer is also an `error` event with its causes.
#[must_use]
pub const fn trace() -> Trace {
    Trace
}

impl<S> Layer<S> for Trace {
    type Service = Traced<S>;

    fn layer(&self, inner: S) -> Traced<S> {
        Traced { inner }
    }
}

impl<R: Call, S: Commands<R>> Service<R> for Traced<S> {
    type Response = Receipt;
    type Error = CommandError;
    type Future = CommandFuture;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), CommandError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: R) -> CommandFuture {
        let span = info_span!(
            "command",
            name = call.name(),
            key = call.key().map(IdempotencyKey::as_str),
            outcome = Empty,
            attempts = Empty,
            position = Empty,
        );
        let answer = span.in_scope(|| self.inner.call(call));
        let within = span.clone();
        ReplyFuture::new(
            async move {
                let outcome = answer.await;
                tell(&within, &outcome);
                outcome
            }
            .instrument(span),
        )
    }
}

fn tell(span: &Span, outcome: &Result<Receipt, CommandError>) {
    span.record("outcome", Outcome::of(outcome).as_str());
    match outcome {
        Ok(receipt) => {
            span.record("attempts", receipt.attempts);
            if let Some(appended) = &receipt.appended {
                span.record("position", tracing::field::display(appended.last()));
            }
        }
        Err(
            error @ (CommandError::Codec(_)
            | CommandError::Store(_)
            | CommandError::Indeterminate { .. }),
        ) => {
            let error: &dyn std::error::Error = error;
            tracing::error!(error, "command failed");
        }
        Err(_) => {}
    }
}
