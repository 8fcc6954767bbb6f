use std::any::TypeId;
use std::collections::hash_map::Entry;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use eventwire_store::{EventStore, SnapshotStore};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower_layer::Layer;

use crate::backoff::Backoff;
use crate::clock::{Clock, SystemClock};
use crate::decision::Decision;
use crate::dispatcher::{
    CommandHandler, Dispatcher, Named, Questions, Registry, StreamHandler, dispatch_to,
};
use crate::error::CommandError;
use crate::execute::Ground;
use crate::query::{self, Answerer, QueryError, QueryHandler, Question};
use crate::receipt::Receipt;
use crate::registration::{RegistrationError, variants_of};
use crate::reply::ReplyFuture;
use crate::request::CommandRequest;
use crate::run::{self, Run};
use crate::service::{CommandService, Commands};
use crate::states::States;

/// A [`Dispatcher`] to be.
///
/// Mistakes in the names are found here, not by the first caller: the first one is kept
/// and told by [`build`](Self::build) or [`try_build`](Self::try_build).
#[must_use = "a builder does nothing until it is built"]
pub struct DispatcherBuilder {
    store: Arc<dyn EventStore>,
    snapshots: Option<Arc<dyn SnapshotStore>>,
    conflict_retries: Backoff,
    clock: Arc<dyn Clock>,
    layers: Vec<Wrapping>,
    commands: Named<CommandHandler>,
    streamed: Named<StreamHandler>,
    queries: Named<QueryHandler>,
    questions: Questions,
    mistake: Option<RegistrationError>,
}

type Wrapping = Box<dyn FnOnce(CommandService) -> CommandService + Send>;

impl Dispatcher {
    /// A dispatcher to be, over a store.
    pub fn builder(store: impl EventStore + 'static) -> DispatcherBuilder {
        DispatcherBuilder::new(Arc::new(store))
    }
}

impl DispatcherBuilder {
    fn new(store: Arc<dyn EventStore>) -> Self {
        Self {
            store,
            snapshots: None,
            conflict_retries: Backoff::default(),
            clock: Arc::new(SystemClock),
            layers: Vec::new(),
            commands: Named::default(),
            streamed: Named::default(),
            queries: Named::default(),
            questions: Questions::default(),
            mistake: None,
        }
    }

    /// Lets one command of a decision be called by its name. The others cannot be.
    pub fn command<D: Decision>(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        let registered = RegistrationError::check_variant::<D::Command>(&name)
            .and_then(|()| D::States::check())
            .and_then(|()| insert("command", &mut self.commands, name, dispatch_to::<D>));
        self.note(registered)
    }

    /// Lets all commands of a decision be called by their names.
    pub fn commands<D: Decision>(self) -> Self {
        match variants_of::<D::Command>() {
            Ok(names) => names
                .iter()
                .fold(self, |builder, &name| builder.command::<D>(name)),
            Err(mistake) => self.note(Err(mistake)),
        }
    }

    /// Lets a command that tells how far it is be called by its name, with
    /// [`Dispatcher::steps`]. Layers do not go around it, but around the commands by name that
    /// it is made of.
    ///
    /// ```
    /// # use eventwire_cqrs::{CommandRequest, Decider, Dispatcher, Step};
    /// # use eventwire_store::MemoryStore;
    /// # async fn import<Room: Decider<Command = String>>() -> Result<(), Box<dyn std::error::Error>> {
    /// let dispatcher = Dispatcher::builder(MemoryStore::new())
    ///     .streamed("import-rooms", |rooms: Vec<String>, run| async move {
    ///         let mut last = None;
    ///         for (index, room) in rooms.into_iter().enumerate() {
    ///             let part = run.part(&index.to_string())?;
    ///             last = Some(run.dispatcher().execute_with::<Room>(room, part).await?);
    ///             run.tell(&index).await?;
    ///         }
    ///         last.ok_or(eventwire_cqrs::CommandError::Denied { reason: "nothing to do".into() })
    ///     })
    ///     .build();
    /// let mut steps = dispatcher.steps(CommandRequest::new("import-rooms", r#"["a","b"]"#));
    /// while let Some(step) = steps.next().await {
    ///     match step {
    ///         Step::Progress(json) => println!("{json:?}"),
    ///         Step::Done(receipt) => println!("{:?}", receipt?),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn streamed<I, F, Fut>(mut self, name: impl Into<String>, handler: F) -> Self
    where
        I: DeserializeOwned,
        F: Fn(I, Run) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Receipt, CommandError>> + Send + 'static,
    {
        let handler = run::erase(handler);
        let registered = insert("streamed command", &mut self.streamed, name.into(), handler);
        self.note(registered)
    }

    /// Lets a query be called by its name, and by its type with [`Dispatcher::ask`].
    pub fn answer<Q, E, F, Fut>(mut self, name: impl Into<String>, handler: F) -> Self
    where
        Q: Question,
        E: Into<QueryError>,
        F: Fn(Q) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Q::Answer, E>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let by_type = Arc::clone(&handler);
        let answerer: Answerer<Q> = Arc::new(move |question| {
            let answer = by_type(question);
            ReplyFuture::new(async move { answer.await.map_err(Into::into) })
        });
        let name = name.into();
        let registered = match self.questions.entry(TypeId::of::<Q>()) {
            Entry::Vacant(free) => {
                free.insert(Box::new(answerer));
                Ok(())
            }
            Entry::Occupied(_) => Err(RegistrationError::Twice {
                kind: "question",
                name: name.clone(),
            }),
        };
        self.note(registered)
            .query(name, move |question: Q| handler(question))
    }

    /// Puts a `tower` layer around the commands that are called by name. One that is put
    /// there later is further in; each costs a boxed future, so put many into one
    /// `tower::ServiceBuilder`. See [`layers`](crate::layers).
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<CommandService, Service: Commands<CommandRequest> + Sync> + Send + 'static,
    {
        self.layers
            .push(Box::new(move |service| service.within(&layer)));
        self
    }

    /// Lets a query be called by its name. What it takes and gives is JSON to the caller.
    pub fn query<I, O, E, F, Fut>(mut self, name: impl Into<String>, handler: F) -> Self
    where
        I: DeserializeOwned,
        O: Serialize,
        E: Into<QueryError>,
        F: Fn(I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, E>> + Send + 'static,
    {
        let registered = insert(
            "query",
            &mut self.queries,
            name.into(),
            query::erase(handler),
        );
        self.note(registered)
    }

    /// Keeps the states of deciders that say so ([`Fold::SNAPSHOTS`](crate::Fold::SNAPSHOTS)),
    /// most often in the same store. Without this none are kept.
    pub fn snapshots(mut self, store: impl SnapshotStore + 'static) -> Self {
        self.snapshots = Some(Arc::new(store));
        self
    }

    /// How often a command that lost a race is decided again before the answer is
    /// [`CommandError::Conflict`](crate::CommandError::Conflict), and how long it waits
    /// before it loses again; the first retry waits for nothing. 8 times by default.
    pub fn conflict_retries(mut self, retries: Backoff) -> Self {
        self.conflict_retries = retries;
        self
    }

    /// Whose time it waits by. [`SystemClock`] by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The dispatcher.
    ///
    /// # Panics
    /// With the first [`RegistrationError`]: the names in the program are wrong, and no
    /// caller could mend that. [`try_build`](Self::try_build) returns it instead.
    #[must_use]
    pub fn build(self) -> Dispatcher {
        match self.try_build() {
            Ok(dispatcher) => dispatcher,
            Err(mistake) => panic!("{mistake}"),
        }
    }

    /// The dispatcher.
    ///
    /// # Errors
    /// The first mistake made in registering.
    pub fn try_build(self) -> Result<Dispatcher, RegistrationError> {
        match self.mistake {
            Some(mistake) => Err(mistake),
            None => Ok(Dispatcher::new(
                Ground {
                    store: self.store,
                    snapshots: self.snapshots,
                    conflict_retries: self.conflict_retries,
                    clock: self.clock,
                },
                Registry {
                    commands: self.commands,
                    streamed: self.streamed,
                    queries: self.queries,
                    questions: self.questions,
                },
                self.layers,
            )),
        }
    }

    fn note(mut self, registered: Result<(), RegistrationError>) -> Self {
        if let Err(mistake) = registered {
            self.mistake.get_or_insert(mistake);
        }
        self
    }
}

fn insert<H>(
    kind: &'static str,
    handlers: &mut Named<H>,
    name: String,
    handler: H,
) -> Result<(), RegistrationError> {
    match handlers.entry(name) {
        Entry::Vacant(free) => {
            free.insert(handler);
            Ok(())
        }
        Entry::Occupied(taken) => Err(RegistrationError::Twice {
            kind,
            name: taken.key().clone(),
        }),
    }
}

impl fmt::Debug for DispatcherBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DispatcherBuilder")
            .field("commands", &self.commands.keys())
            .field("layers", &self.layers.len())
            .field("streamed", &self.streamed.keys())
            .field("queries", &self.queries.keys())
            .field("conflict_retries", &self.conflict_retries)
            .field("mistake", &self.mistake)
            .finish_non_exhaustive()
    }
}
