use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::call::{Call, Command};
use crate::decision::Decision;
use crate::dispatcher::Dispatcher;
use crate::error::CommandError;
use crate::receipt::Receipt;
use crate::reply::{CommandFuture, ReplyFuture};
use crate::request::CommandRequest;

/// Whatever carries out commands of a form: a [`CommandService`], a [`TypedService`], and
/// either within layers.
///
/// A name for a bound; it is implemented for all that it can be implemented for.
pub trait Commands<R: Call>:
    Service<R, Response = Receipt, Error = CommandError, Future: Send> + Clone + Send + 'static
{
}

impl<R: Call, S> Commands<R> for S where
    S: Service<R, Response = Receipt, Error = CommandError, Future: Send> + Clone + Send + 'static
{
}

/// Carries out commands by name: what [`DispatcherBuilder::layer`] wraps.
///
/// [`DispatcherBuilder::layer`]: crate::DispatcherBuilder::layer
#[derive(Clone)]
pub struct CommandService {
    call: Arc<dyn Fn(CommandRequest) -> CommandFuture + Send + Sync>,
}

impl CommandService {
    pub(crate) fn new(
        call: impl Fn(CommandRequest) -> CommandFuture + Send + Sync + 'static,
    ) -> Self {
        Self {
            call: Arc::new(call),
        }
    }

    pub(crate) fn within<L>(self, layer: &L) -> Self
    where
        L: Layer<Self, Service: Commands<CommandRequest> + Sync>,
    {
        let service = layer.layer(self);
        Self::new(move |request| {
            let service = service.clone();
            ReplyFuture::new(oneshot(service, request))
        })
    }

    pub(crate) fn run(&self, request: CommandRequest) -> CommandFuture {
        (self.call)(request)
    }
}

/// Waits until a service is ready, and calls it once.
pub(crate) async fn oneshot<R: Call, S: Commands<R>>(
    mut service: S,
    call: R,
) -> Result<Receipt, CommandError> {
    std::future::poll_fn(|context| service.poll_ready(context)).await?;
    let answer = service.call(call);
    answer.await
}

impl Service<CommandRequest> for CommandService {
    type Response = Receipt;
    type Error = CommandError;
    type Future = CommandFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CommandError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: CommandRequest) -> CommandFuture {
        self.run(request)
    }
}

/// Commands by name, through all layers.
impl Service<CommandRequest> for Dispatcher {
    type Response = Receipt;
    type Error = CommandError;
    type Future = CommandFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CommandError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: CommandRequest) -> CommandFuture {
        self.dispatch(request)
    }
}

/// Carries out the commands of one decision by their type, to be put within layers that are
/// known when the program is built.
///
/// ```
/// # use eventwire_cqrs::{Command, Commands, Decision, Dispatcher, layers};
/// # use tower_layer::Layer;
/// # fn with_layers<D: Decision>(dispatcher: &Dispatcher) -> impl Commands<Command<D>> {
/// layers::require_key().layer(dispatcher.service::<D>())
/// # }
/// ```
pub struct TypedService<D> {
    dispatcher: Dispatcher,
    decision: PhantomData<fn() -> D>,
}

impl<D: Decision> TypedService<D> {
    pub(crate) const fn new(dispatcher: Dispatcher) -> Self {
        Self {
            dispatcher,
            decision: PhantomData,
        }
    }
}

impl<D: Decision> Service<Command<D>> for TypedService<D> {
    type Response = Receipt;
    type Error = CommandError;
    type Future = CommandFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CommandError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, Command { command, options }: Command<D>) -> CommandFuture {
        ReplyFuture::new(self.dispatcher.execute_with::<D>(command, options))
    }
}

impl<D> Clone for TypedService<D> {
    fn clone(&self) -> Self {
        Self {
            dispatcher: self.dispatcher.clone(),
            decision: PhantomData,
        }
    }
}

impl<D> fmt::Debug for TypedService<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedService")
            .field("decision", &std::any::type_name::<D>())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CommandService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandService").finish_non_exhaustive()
    }
}
