use std::fmt;
use std::marker::PhantomData;
use std::task::{Context, Poll};

use tower_service::Service;

use crate::call::Command;
use crate::decision::Decision;
use crate::dispatcher::Dispatcher;
use crate::error::CommandError;
use crate::receipt::Receipt;
use crate::reply::{CommandFuture, ReplyFuture};
use crate::request::CommandRequest;

impl Dispatcher {
    /// The commands of a decision by type, as a service to put layers around.
    #[must_use]
    pub fn service<D: Decision>(&self) -> TypedService<D> {
        TypedService::new(self.clone())
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
    const fn new(dispatcher: Dispatcher) -> Self {
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
