use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use eventwire_store::{EventStore, SnapshotStore};

use crate::backoff::Backoff;
use crate::builder::DispatcherBuilder;
use crate::clock::Clock;
use crate::codec;
use crate::decision::Decision;
use crate::error::CommandError;
use crate::execute;
use crate::query::{QueryError, QueryHandler};
use crate::receipt::Receipt;
use crate::reply::{CommandFuture, QueryFuture, ReplyFuture};
use crate::request::{CommandOptions, CommandRequest};

/// Carries out commands and answers queries: by name with JSON, or by type.
///
/// A clone is the same dispatcher.
#[derive(Clone)]
pub struct Dispatcher {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) snapshots: Option<Arc<dyn SnapshotStore>>,
    pub(crate) conflict_retries: Backoff,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) commands: HashMap<String, CommandHandler>,
    pub(crate) queries: HashMap<String, QueryHandler>,
}

pub(crate) type CommandHandler = fn(&Dispatcher, CommandRequest) -> CommandFuture;

impl Dispatcher {
    /// A dispatcher to be, over a store.
    pub fn builder(store: impl EventStore + 'static) -> DispatcherBuilder {
        DispatcherBuilder::new(Arc::new(store))
    }

    pub(crate) fn new(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Carries out a command that was registered by name.
    ///
    /// # Errors
    /// [`CommandError`], named for what the caller does next.
    ///
    /// # Cancel safety
    /// Dropping the future does not cancel an append that has begun. Use a key to find out.
    /// A command that lost a race waits for what it lost to, as long as the store's readers
    /// trail: not bounded in time.
    ///
    /// # Durability
    /// As the store's: with a receipt, the events outlive what
    /// [`Capabilities::survives`](eventwire_store::Capabilities::survives) says.
    pub fn dispatch(&self, request: CommandRequest) -> CommandFuture {
        match self.shared.commands.get(request.name()) {
            Some(handler) => handler(self, request),
            None => ReplyFuture::ready(Err(CommandError::Unknown {
                name: request.name().to_owned(),
            })),
        }
    }

    /// Carries out a command by its type, registered or not: no name, no JSON of the
    /// command, no boxed future.
    ///
    /// # Errors
    /// [`CommandError`], but never `Unknown` or `Malformed`.
    ///
    /// # Cancel safety
    /// As for [`dispatch`](Self::dispatch).
    pub fn execute<D: Decision>(
        &self,
        command: D::Command,
    ) -> impl Future<Output = Result<Receipt, CommandError>> + Send + use<D> {
        self.execute_with::<D>(command, CommandOptions::default())
    }

    /// [`execute`](Self::execute), under conditions.
    ///
    /// # Errors
    /// [`CommandError`], but never `Unknown` or `Malformed`.
    ///
    /// # Cancel safety
    /// As for [`dispatch`](Self::dispatch).
    pub fn execute_with<D: Decision>(
        &self,
        command: D::Command,
        options: CommandOptions,
    ) -> impl Future<Output = Result<Receipt, CommandError>> + Send + use<D> {
        let shared = Arc::clone(&self.shared);
        async move { execute::execute::<D>(&shared, command, options).await }
    }

    /// Answers a query that was registered by name, JSON for JSON. An empty body is `null`.
    ///
    /// # Errors
    /// [`QueryError`], named for what the caller does next.
    ///
    /// # Cancel safety
    /// As the handler's.
    pub fn query(&self, name: &str, body: impl Into<Bytes>) -> QueryFuture {
        match self.shared.queries.get(name) {
            Some(handler) => handler(&body.into()),
            None => ReplyFuture::ready(Err(QueryError::Unknown {
                name: name.to_owned(),
            })),
        }
    }

    /// The names commands can be called by, in no order.
    pub fn command_names(&self) -> impl Iterator<Item = &str> {
        self.shared.commands.keys().map(String::as_str)
    }

    /// The names queries can be called by, in no order.
    pub fn query_names(&self) -> impl Iterator<Item = &str> {
        self.shared.queries.keys().map(String::as_str)
    }
}

/// What a decision's commands are called by: the name is the variant, the body its content.
pub(crate) fn dispatch_to<D: Decision>(
    dispatcher: &Dispatcher,
    request: CommandRequest,
) -> CommandFuture {
    match codec::decode_parts::<D::Command>(request.name(), request.body()) {
        Ok(command) => {
            ReplyFuture::new(dispatcher.execute_with::<D>(command, request.into_options()))
        }
        Err(error) => ReplyFuture::ready(Err(CommandError::Malformed {
            detail: error.to_string(),
        })),
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("commands", &self.shared.commands.keys())
            .field("queries", &self.shared.queries.keys())
            .field("conflict_retries", &self.shared.conflict_retries)
            .finish_non_exhaustive()
    }
}
