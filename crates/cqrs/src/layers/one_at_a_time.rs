use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::sync;
use tower_layer::Layer;
use tower_service::Service;

use crate::call::Call;
use crate::error::CommandError;
use crate::receipt::Receipt;
use crate::reply::{CommandFuture, ReplyFuture};
use crate::service::Commands;

type Queues = Arc<Mutex<HashMap<String, Arc<sync::Mutex<()>>>>>;

/// Lets commands about the same thing wait for each other; see [`one_at_a_time`].
pub struct OneAtATime<F> {
    about: Arc<F>,
    queues: Queues,
}

/// A service behind a [`OneAtATime`].
pub struct Queued<S, F> {
    inner: S,
    about: Arc<F>,
    queues: Queues,
}

/// Carries out commands about the same thing one after another, in the order they came, so
/// that they need not race: for streams that many write to at once. Commands about nothing
/// wait for nobody.
///
/// Within this process only. The guards of the store hold everywhere, with or without it.
pub fn one_at_a_time<R: Call, F>(about: F) -> OneAtATime<F>
where
    F: Fn(&R) -> Option<String> + Send + Sync + 'static,
{
    OneAtATime {
        about: Arc::new(about),
        queues: Queues::default(),
    }
}

impl<S, F> Layer<S> for OneAtATime<F> {
    type Service = Queued<S, F>;

    fn layer(&self, inner: S) -> Queued<S, F> {
        Queued {
            inner,
            about: Arc::clone(&self.about),
            queues: Arc::clone(&self.queues),
        }
    }
}

impl<R, S, F> Service<R> for Queued<S, F>
where
    R: Call,
    S: Commands<R>,
    F: Fn(&R) -> Option<String>,
{
    type Response = Receipt;
    type Error = CommandError;
    type Future = CommandFuture;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), CommandError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: R) -> CommandFuture {
        let place = (self.about)(&call).map(|about| Place::take(about, &self.queues));
        let clone = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, clone);
        ReplyFuture::new(async move {
            let Some(place) = place else {
                return ready.call(call).await;
            };
            let turn = place.turn.lock().await;
            let outcome = ready.call(call).await;
            drop(turn);
            outcome
        })
    }
}

/// A place in the queue of one thing; the queue goes with the last who stands in it.
struct Place {
    about: String,
    turn: Arc<sync::Mutex<()>>,
    queues: Queues,
}

impl Place {
    fn take(about: String, queues: &Queues) -> Self {
        let mut open = queues.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = Arc::clone(open.entry(about.clone()).or_default());
        Self {
            about,
            turn,
            queues: Arc::clone(queues),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        // Ours and the map's: nobody else stands in it, and nobody can join under the lock.
        if Arc::strong_count(&self.turn) <= 2 {
            open.remove(&self.about);
        }
    }
}

impl<F> Clone for OneAtATime<F> {
    fn clone(&self) -> Self {
        Self {
            about: Arc::clone(&self.about),
            queues: Arc::clone(&self.queues),
        }
    }
}

impl<S: Clone, F> Clone for Queued<S, F> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            about: Arc::clone(&self.about),
            queues: Arc::clone(&self.queues),
        }
    }
}

impl<F> fmt::Debug for OneAtATime<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneAtATime").finish_non_exhaustive()
    }
}

impl<S, F> fmt::Debug for Queued<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Queued")
            .field("queues", &queues.len())
            .finish_non_exhaustive()
    }
}
