use std::future::Future;

use bytes::Bytes;
use eventwire_store::{Fingerprint, IdempotencyKey};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::dispatcher::{Dispatcher, StreamHandler};
use crate::error::{CommandError, InvalidCommand};
use crate::receipt::Receipt;
use crate::reply::ReplyFuture;
use crate::request::{CommandOptions, CommandRequest};
use crate::steps::Steps;

/// Progress that nobody has taken yet; a handler that is further ahead waits.
const AHEAD: usize = 16;

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
