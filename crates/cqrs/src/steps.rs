use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use eventwire_store::{Fingerprint, IdempotencyKey};
use futures_core::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::dispatcher::Dispatcher;
use crate::error::{CommandError, InvalidCommand};
use crate::receipt::Receipt;
use crate::reply::{CommandFuture, ReplyFuture};
use crate::request::{CommandOptions, CommandRequest};

/// Progress that nobody has taken yet; a handler that is further ahead waits.
const AHEAD: usize = 16;

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
    fn new(progress: mpsc::Receiver<Bytes>, end: CommandFuture) -> Self {
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

/// A streamed command at work, as its handler sees it.
#[derive(Debug, Clone)]
pub struct Run {
    dispatcher: Dispatcher,
    progress: mpsc::Sender<Bytes>,
    request: CommandRequest,
}

impl Run {
    /// Tells how far it is. Waits where the listener is far behind; where nobody listens any
    /// more it changes nothing.
    ///
    /// # Errors
    /// [`CommandError::Malformed`] where the value has no JSON form.
    ///
    /// # Cancel safety
    /// Nothing is told where it is dropped.
    pub async fn tell<T: Serialize + Sync>(&self, progress: &T) -> Result<(), CommandError> {
        let json = serde_json::to_vec(progress).map_err(|error| CommandError::Malformed {
            detail: error.to_string(),
        })?;
        let _unheard = self.progress.send(Bytes::from(json)).await;
        Ok(())
    }

    /// Who carries out the commands it is made of.
    #[must_use]
    pub const fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }

    /// The request.
    #[must_use]
    pub const fn request(&self) -> &CommandRequest {
        &self.request
    }

    /// The conditions of one of the commands it is made of: the request's metadata and
    /// caller and, where the request has a key, a key of this part's own. Repeating the whole
    /// request then repeats no part that has happened.
    ///
    /// # Errors
    /// [`InvalidCommand::Name`] where the key with the part's name is too long.
    pub fn part(&self, name: &str) -> Result<CommandOptions, CommandError> {
        let options = CommandOptions::default()
            .metadata(self.request.metadata.clone())
            .from_caller(self.request.caller.clone());
        let Some(key) = &self.request.key else {
            return Ok(options);
        };
        let key = IdempotencyKey::new(format!("{key}/{name}")).map_err(InvalidCommand::Name)?;
        let sent = [
            self.request.name().as_bytes(),
            self.request.body(),
            name.as_bytes(),
        ];
        Ok(options.key(key, Fingerprint::of(sent)))
    }
}

pub(crate) type StreamHandler =
    Box<dyn Fn(&Dispatcher, CommandRequest) -> Steps + Send + Sync + 'static>;

/// Hides what a handler takes behind JSON.
pub(crate) fn erase<I, F, Fut>(handler: F) -> StreamHandler
where
    I: DeserializeOwned,
    F: Fn(I, Run) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Receipt, CommandError>> + Send + 'static,
{
    Box::new(move |dispatcher, request| {
        let input = match serde_json::from_slice(request.body()) {
            Ok(input) => input,
            Err(error) => {
                return Steps::of(ReplyFuture::ready(Err(CommandError::Malformed {
                    detail: error.to_string(),
                })));
            }
        };
        let (progress, told) = mpsc::channel(AHEAD);
        let run = Run {
            dispatcher: dispatcher.clone(),
            progress,
            request,
        };
        Steps::new(told, ReplyFuture::new(handler(input, run)))
    })
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steps")
            .field("has_ended", &self.end.is_none())
            .finish_non_exhaustive()
    }
}
