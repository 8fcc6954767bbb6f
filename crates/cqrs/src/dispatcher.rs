use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::FixedState;

use crate::codec;
use crate::decision::Decision;
use crate::error::CommandError;
use crate::event::Name;
use crate::execute::{Ground, execute};
use crate::metrics::{self, Calling};
use crate::query::{AnswerFuture, Answerer, QueryError, QueryFuture, QueryHandler, Question};
use crate::receipt::Receipt;
use crate::reply::{CommandFuture, ReplyFuture};
use crate::request::{CommandOptions, CommandRequest};
use crate::service::CommandService;
use crate::steps::Steps;

/// Carries out commands and answers queries: by name with JSON, or by type.
///
/// By name, commands go through the [layers](crate::layers) that were put around the
/// dispatcher. By type they do not: that is the program itself asking. Put layers around
/// [`service`](Self::service) where it should be asked too.
///
/// A clone is the same dispatcher.
#[derive(Clone)]
pub struct Dispatcher {
    ground: Arc<Ground>,
    registry: Arc<Registry>,
    /// All layers around the commands by name; none where there are no layers.
    layered: Option<CommandService>,
}

/// What can be called by a name. Names come from the program, so no caller can choose them
/// to collide.
pub(crate) type Named<H> = HashMap<String, H, FixedState>;

/// An [`Answerer`] for each type of question.
pub(crate) type Questions = HashMap<TypeId, Box<dyn Any + Send + Sync>, FixedState>;

/// What was registered.
pub(crate) struct Registry {
    pub(crate) commands: Named<CommandHandler>,
    pub(crate) streamed: Named<StreamHandler>,
    pub(crate) queries: Named<QueryHandler>,
    pub(crate) questions: Questions,
}

pub(crate) type CommandHandler = fn(&Dispatcher, CommandRequest) -> CommandFuture;

pub(crate) type StreamHandler =
    Box<dyn Fn(&Dispatcher, CommandRequest) -> Steps + Send + Sync + 'static>;

impl Dispatcher {
    pub(crate) fn new(
        ground: Ground,
        registry: Registry,
        layers: Vec<impl FnOnce(CommandService) -> CommandService>,
    ) -> Self {
        metrics::describe();
        let bare = Self {
            ground: Arc::new(ground),
            registry: Arc::new(registry),
            layered: None,
        };
        if layers.is_empty() {
            return bare;
        }
        let inmost = bare.clone();
        let service = CommandService::new(move |request| inmost.run(request));
        // The last is the inmost.
        let layered = layers
            .into_iter()
            .rev()
            .fold(service, |service, wrap| wrap(service));
        Self {
            layered: Some(layered),
            ..bare
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
        let calling = Calling::begin(request.name());
        calling.told_of(self.run_layered(request))
    }

    fn run_layered(&self, request: CommandRequest) -> CommandFuture {
        match &self.layered {
            Some(layered) => layered.run(request),
            None => self.run(request),
        }
    }

    /// Within all layers.
    fn run(&self, request: CommandRequest) -> CommandFuture {
        match self.registry.commands.get(request.name()) {
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
        execute::<D>(Arc::clone(&self.ground), command, options)
    }

    /// Carries out a command that was registered by name, and tells how far it is. One that was
    /// not registered as [`streamed`](crate::DispatcherBuilder::streamed) tells how it ended.
    ///
    /// # Cancel safety
    /// Dropping the steps drops the handler where it is. What it has appended stays.
    pub fn steps(&self, request: CommandRequest) -> Steps {
        match self.registry.streamed.get(request.name()) {
            Some(handler) => handler(self, request),
            None => Steps::of(self.dispatch(request)),
        }
    }

    /// Answers a question by its type, where it was registered with
    /// [`answer`](crate::DispatcherBuilder::answer).
    ///
    /// # Errors
    /// [`QueryError`]; `Unknown` with the Rust name where it was not registered.
    ///
    /// # Cancel safety
    /// As the handler's.
    pub fn ask<Q: Question>(&self, question: Q) -> AnswerFuture<Q::Answer> {
        let answerer = self.registry.questions.get(&TypeId::of::<Q>());
        match answerer.and_then(|answerer| answerer.downcast_ref::<Answerer<Q>>()) {
            Some(answerer) => answerer(question),
            None => ReplyFuture::ready(Err(QueryError::Unknown {
                name: std::any::type_name::<Q>().to_owned(),
            })),
        }
    }

    /// Answers a query that was registered by name, JSON for JSON. An empty body is `null`.
    ///
    /// # Errors
    /// [`QueryError`], named for what the caller does next.
    ///
    /// # Cancel safety
    /// As the handler's.
    pub fn query(&self, name: &str, body: impl Into<Bytes>) -> QueryFuture {
        match self.registry.queries.get(name) {
            Some(handler) => handler(&body.into()),
            None => ReplyFuture::ready(Err(QueryError::Unknown {
                name: name.to_owned(),
            })),
        }
    }

    /// The names commands can be called by, in no order.
    pub fn command_names(&self) -> impl Iterator<Item = &str> {
        self.registry.commands.keys().map(String::as_str)
    }

    /// The names streamed commands can be called by, in no order.
    pub fn streamed_names(&self) -> impl Iterator<Item = &str> {
        self.registry.streamed.keys().map(String::as_str)
    }

    /// The names queries can be called by, in no order.
    pub fn query_names(&self) -> impl Iterator<Item = &str> {
        self.registry.queries.keys().map(String::as_str)
    }
}

/// What a decision's commands are called by: the name is the variant, the body its content.
pub(crate) fn dispatch_to<D: Decision>(
    dispatcher: &Dispatcher,
    request: CommandRequest,
) -> CommandFuture {
    match codec::decode_parts::<D::Command>(Name::Text(request.name()), request.body()) {
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
            .field("commands", &self.registry.commands.keys())
            .field("streamed", &self.registry.streamed.keys())
            .field("queries", &self.registry.queries.keys())
            .field("conflict_retries", &self.ground.conflict_retries)
            .finish_non_exhaustive()
    }
}
