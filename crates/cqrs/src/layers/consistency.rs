use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::call::Call;
use crate::error::CommandError;
use crate::projection::Reach;
use crate::receipt::Receipt;
use crate::reply::{CommandFuture, ReplyFuture};
use crate::service::Commands;

/// Answers only once views show what was done; see [`consistent_with`].
#[derive(Debug, Clone)]
pub struct Consistency<V> {
    view: V,
}

/// A service behind a [`Consistency`].
#[derive(Debug, Clone)]
pub struct Consistent<S, V> {
    inner: S,
    view: V,
}

/// Holds back a receipt until a view shows its events: who asks the view next reads what was
/// written. With the [`Progress`](crate::projection::Progress) of a projector that runs it
/// waits for it; an [`Inline`](crate::projection::Inline) one it brings up to date itself. A
/// projection that has stopped holds back nothing, so that what was done is still told.
///
/// Not bounded in time: put a [`timeout`](crate::layers::timeout) around it.
pub fn consistent_with<V: Reach>(view: V) -> Consistency<V> {
    Consistency { view }
}

impl<S, V: Clone> Layer<S> for Consistency<V> {
    type Service = Consistent<S, V>;

    fn layer(&self, inner: S) -> Consistent<S, V> {
        Consistent {
            inner,
            view: self.view.clone(),
        }
    }
}

impl<R: Call, S: Commands<R>, V: Reach> Service<R> for Consistent<S, V> {
    type Response = Receipt;
    type Error = CommandError;
    type Future = CommandFuture;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), CommandError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: R) -> CommandFuture {
        let answer = self.inner.call(call);
        let view = self.view.clone();
        ReplyFuture::new(async move {
            let receipt = answer.await?;
            if let Some(appended) = &receipt.appended {
                view.reach(appended.last()).await;
            }
            Ok(receipt)
        })
    }
}
