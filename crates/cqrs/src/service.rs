use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::call::Call;
use crate::error::CommandError;
use crate::receipt::Receipt;
use crate::reply::{CommandFuture, ReplyFuture};
use crate::request::CommandRequest;

/// Whatever carries out commands of a form: a [`CommandService`], a
/// [`TypedService`](crate::TypedService), and either within layers.
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

impl fmt::Debug for CommandService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandService").finish_non_exhaustive()
    }
}
