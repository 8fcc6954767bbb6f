use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::mpsc;

use crate::error::CommandError;
use crate::receipt::Receipt;
use crate::reply::CommandFuture;

/// What a streamed command has to say.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step {
    /// How far it is: JSON.
    Progress(Bytes),
    /// How it ended; nothing follows.
    Done(Result<Receipt, CommandError>),
}

/// A command that tells how far it is.
///
/// It goes on only as it is polled; dropping it drops the handler where it is.
#[must_use = "a stream does nothing until it is polled"]
pub struct Steps {
    progress: mpsc::Receiver<Bytes>,
    end: Option<CommandFuture>,
    outcome: Option<Result<Receipt, CommandError>>,
}

impl Steps {
    pub(crate) fn new(progress: mpsc::Receiver<Bytes>, end: CommandFuture) -> Self {
        Self {
            progress,
            end: Some(end),
            outcome: None,
        }
    }

    /// Of a command that tells nothing but its end.
    pub(crate) fn of(end: CommandFuture) -> Self {
        let (_, progress) = mpsc::channel(1);
        Self::new(progress, end)
    }

    /// The next thing it has to say; none after [`Step::Done`].
    ///
    /// # Cancel safety
    /// Safe: a step is taken only when it is returned.
    pub async fn next(&mut self) -> Option<Step> {
        poll_fn(|context| self.poll_step(context)).await
    }

    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Option<Step>> {
        if let Some(end) = &mut self.end
            && let Poll::Ready(outcome) = Pin::new(end).poll(context)
        {
            self.end = None;
            self.outcome = Some(outcome);
        }
        match self.progress.poll_recv(context) {
            Poll::Ready(Some(progress)) => Poll::Ready(Some(Step::Progress(progress))),
            // What was told before the end comes before the end.
            _ if self.end.is_none() => Poll::Ready(self.outcome.take().map(Step::Done)),
            _ => Poll::Pending,
        }
    }
}

impl Stream for Steps {
    type Item = Step;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Step>> {
        self.poll_step(context)
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steps")
            .field("has_ended", &self.end.is_none())
            .finish_non_exhaustive()
    }
}
