use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::call::Call;
use crate::error::{CommandError, InvalidCommand};
use crate::receipt::Receipt;
use crate::service::Commands;

/// Lets a command through, or answers it: [`authorize`], [`validate`], [`require_key`].
#[derive(Debug)]
pub struct Check<F> {
    check: Arc<F>,
}

/// A service behind a [`Check`].
#[derive(Debug)]
pub struct Checked<S, F> {
    inner: S,
    check: Arc<F>,
}

/// Lets a command through where the caller may have it done; else the answer is
/// [`CommandError::Denied`] with what the function says.
///
/// A function that has to wait is a layer of its own.
pub fn authorize<R: Call>(
    may: impl Fn(&R) -> Result<(), String> + Send + Sync + 'static,
) -> Check<impl Fn(&R) -> Result<(), CommandError> + Send + Sync + 'static> {
    Check::new(move |call: &R| may(call).map_err(|reason| CommandError::Denied { reason }))
}

/// Lets a command through where it makes sense on its face; else the answer is
/// [`InvalidCommand::Nonsense`] with what the function says.
///
/// What depends on what has happened is for the decision to refuse.
pub fn validate<R: Call>(
    makes_sense: impl Fn(&R) -> Result<(), String> + Send + Sync + 'static,
) -> Check<impl Fn(&R) -> Result<(), CommandError> + Send + Sync + 'static> {
    Check::new(move |call: &R| {
        makes_sense(call).map_err(|detail| InvalidCommand::Nonsense { detail }.into())
    })
}

/// Lets a command through where it has a key, so that nothing can happen twice.
pub fn require_key<R: Call>()
-> Check<impl Fn(&R) -> Result<(), CommandError> + Send + Sync + 'static> {
    Check::new(|call: &R| match call.key() {
        Some(_) => Ok(()),
        None => Err(InvalidCommand::NoKey.into()),
    })
}

impl<F> Check<F> {
    fn new(check: F) -> Self {
        Self {
            check: Arc::new(check),
        }
    }
}

impl<S, F> Layer<S> for Check<F> {
    type Service = Checked<S, F>;

    fn layer(&self, inner: S) -> Checked<S, F> {
        Checked {
            inner,
            check: Arc::clone(&self.check),
        }
    }
}

impl<R, S, F> Service<R> for Checked<S, F>
where
    R: Call,
    S: Commands<R>,
    F: Fn(&R) -> Result<(), CommandError>,
{
    type Response = Receipt;
    type Error = CommandError;
    type Future = CheckedFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), CommandError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: R) -> Self::Future {
        let (answer, error) = match (self.check)(&call) {
            Ok(()) => (Some(self.inner.call(call)), None),
            Err(error) => (None, Some(error)),
        };
        CheckedFuture { answer, error }
    }
}

pin_project! {
    /// The answer of a service behind a [`Check`].
    #[derive(Debug)]
    pub struct CheckedFuture<F> {
        #[pin]
        answer: Option<F>,
        // The check's own answer, where it let nothing through.
        error: Option<CommandError>,
    }
}

impl<F: Future<Output = Result<Receipt, CommandError>>> Future for CheckedFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        match this.answer.as_pin_mut() {
            Some(answer) => answer.poll(context),
            None => Poll::Ready(Err(this.error.take().expect("polled after it was ready"))),
        }
    }
}

impl<F> Clone for Check<F> {
    fn clone(&self) -> Self {
        Self {
            check: Arc::clone(&self.check),
        }
    }
}

impl<S: Clone, F> Clone for Checked<S, F> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            check: Arc::clone(&self.check),
        }
    }
}
