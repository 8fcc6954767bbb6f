use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tower_layer::Layer;
use tower_service::Service;

use crate::call::Call;
use crate::error::CommandError;
use crate::receipt::Receipt;
use crate::reply::{CommandFuture, ReplyFuture};
use crate::service::Commands;

/// Tells what each command took; see [`measure`].
pub struct Measure<F> {
    tell: Arc<F>,
}

/// A service behind a [`Measure`].
pub struct Measured<S, F> {
    inner: S,
    tell: Arc<F>,
}

/// What a command took.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Taken {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// How often it was decided, where it was.
    pub attempts: u32,
    /// From the call to the answer.
    pub elapsed: Duration,
}

/// How a command ended, in so few words that a metric can be labelled with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Its events are written.
    Done,
    /// Nothing needed to happen.
    Nothing,
    /// An earlier request with its key has done it.
    Duplicate,
    /// It can never be carried out as it is.
    Invalid,
    /// The caller may not.
    Denied,
    /// The domain says no.
    Refused,
    /// The stream is not as expected.
    Precondition,
    /// Others kept writing.
    Conflict,
    /// The store cannot take it now.
    Busy,
    /// It may have happened.
    Indeterminate,
    /// History or store cannot be read or written.
    Failed,
}

/// Tells a function what each command took: the place to feed the metrics of one's choice.
/// A command whose future is dropped is not told of.
///
/// ```
/// use eventwire_cqrs::{CommandRequest, layers};
///
/// let layer = layers::measure::<CommandRequest, _>(|taken| {
///     // metrics::histogram!("command", "name" => taken.name, "outcome" => taken.outcome.as_str())
///     //     .record(taken.elapsed);
///     println!("{} {} {:?}", taken.name, taken.outcome.as_str(), taken.elapsed);
/// });
/// ```
pub fn measure<R: Call, F>(tell: F) -> Measure<F>
where
    F: Fn(Taken) + Send + Sync + 'static,
{
    Measure {
        tell: Arc::new(tell),
    }
}

impl Outcome {
    /// How a command with this answer ended.
    #[must_use]
    pub fn of(answer: &Result<Receipt, CommandError>) -> Self {
        match answer {
            Ok(receipt) if receipt.is_duplicate() => Self::Duplicate,
            Ok(receipt) if receipt.appended.is_none() => Self::Nothing,
            Ok(_) => Self::Done,
            Err(error) => match error {
                CommandError::Unknown { .. }
                | CommandError::Malformed { .. }
                | CommandError::Invalid(_)
                | CommandError::TooLarge { .. }
                | CommandError::KeyReused(_) => Self::Invalid,
                CommandError::Denied { .. } => Self::Denied,
                CommandError::Refused(_) => Self::Refused,
                CommandError::Precondition(_) => Self::Precondition,
                CommandError::Conflict(_) => Self::Conflict,
                CommandError::Busy { .. } => Self::Busy,
                CommandError::Indeterminate { .. } => Self::Indeterminate,
                CommandError::Codec(_) | CommandError::Store(_) => Self::Failed,
            },
        }
    }

    /// One word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Nothing => "nothing",
            Self::Duplicate => "duplicate",
            Self::Invalid => "invalid",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Precondition => "precondition",
            Self::Conflict => "conflict",
            Self::Busy => "busy",
            Self::Indeterminate => "indeterminate",
            Self::Failed => "failed",
        }
    }
}

impl<S, F> Layer<S> for Measure<F> {
    type Service = Measured<S, F>;

    fn layer(&self, inner: S) -> Measured<S, F> {
        Measured {
            inner,
            tell: Arc::clone(&self.tell),
        }
    }
}

impl<R, S, F> Service<R> for Measured<S, F>
where
    R: Call,
    S: Commands<R>,
    F: Fn(Taken) + Send + Sync + 'static,
{
    type Response = Receipt;
    type Error = CommandError;
    type Future = CommandFuture;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), CommandError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: R) -> CommandFuture {
        let start = Instant::now();
        let name = call.name().to_owned();
        let answer = self.inner.call(call);
        let tell = Arc::clone(&self.tell);
        ReplyFuture::new(async move {
            let answer = answer.await;
            tell(Taken {
                name,
                outcome: Outcome::of(&answer),
                attempts: match &answer {
                    Ok(receipt) => receipt.attempts,
                    Err(CommandError::Conflict(contention)) => contention.attempts,
                    Err(_) => 0,
                },
                elapsed: start.elapsed(),
            });
            answer
        })
    }
}

impl<F> Clone for Measure<F> {
    fn clone(&self) -> Self {
        Self {
            tell: Arc::clone(&self.tell),
        }
    }
}

impl<S: Clone, F> Clone for Measured<S, F> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            tell: Arc::clone(&self.tell),
        }
    }
}

impl<F> fmt::Debug for Measure<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measure").finish_non_exhaustive()
    }
}

impl<S, F> fmt::Debug for Measured<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measured").finish_non_exhaustive()
    }
}
