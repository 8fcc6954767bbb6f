use std::fmt;
use std::sync::Arc;

use eventwire_store::EventStore;
use tokio::sync::{mpsc, oneshot};

use crate::projection::{Projection, ProjectionError, Projector};

/// Steers a projector that runs. A clone steers the same one.
pub struct Steering<P> {
    orders: mpsc::Sender<Order<P>>,
    store: Arc<dyn EventStore>,
}

/// What a projector is asked while it runs.
pub(super) enum Order<P> {
    Stop,
    Replay(oneshot::Sender<Result<usize, ProjectionError>>),
    Replace(P, oneshot::Sender<Result<(), ProjectionError>>),
}

impl<P: Projection> Steering<P> {
    pub(super) const fn new(orders: mpsc::Sender<Order<P>>, store: Arc<dyn EventStore>) -> Self {
        Self { orders, store }
    }

    /// Stops the projector once what it has read is in the view. One that has stopped already
    /// is no error.
    pub async fn stop(&self) {
        let _stopped = self.orders.send(Order::Stop).await.is_err();
    }

    /// Builds a fresh view beside the one there is, from the beginning of the log, and lets it
    /// take the other's place ([`Projection::take_over`]). The other goes on until then; only
    /// for the last stretch do both stand still.
    ///
    /// # Errors
    /// [`ProjectionError`]; the view there was stays, and goes on.
    ///
    /// # Cancel safety
    /// Dropping it before the fresh view is handed over changes nothing.
    pub async fn rebuild(&self, fresh: P) -> Result<(), ProjectionError> {
        // A name that is never used: the first failure ends the rebuilding.
        let mut projector = Projector::new(Arc::clone(&self.store), "rebuilding", fresh)?;
        projector.catch_up().await?;
        self.order(|done| Order::Replace(projector.projection, done))
            .await
    }

    /// Has the view take in the events that were put aside, after those that came later, and
    /// says how many that were.
    ///
    /// # Errors
    /// [`ProjectionError`] of the first that fails again; it stays parked, and the projector
    /// goes on.
    pub async fn replay_parked(&self) -> Result<usize, ProjectionError> {
        self.order(Order::Replay).await
    }

    async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, ProjectionError>>) -> Order<P>,
    ) -> Result<T, ProjectionError> {
        let (done, answer) = oneshot::channel();
        let sent = self.orders.send(order(done)).await;
        if sent.is_err() {
            return Err(ProjectionError::Stopped);
        }
        answer.await.unwrap_or(Err(ProjectionError::Stopped))
    }
}

/// Answers one who asked the wrong one.
pub(super) fn refuse<T>(done: oneshot::Sender<Result<T, ProjectionError>>) {
    let _unheard = done.send(Err(ProjectionError::StandingBy));
}

impl<P> Clone for Steering<P> {
    fn clone(&self) -> Self {
        Self {
            orders: self.orders.clone(),
            store: Arc::clone(&self.store),
        }
    }
}

impl<P> fmt::Debug for Steering<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steering").finish_non_exhaustive()
    }
}
