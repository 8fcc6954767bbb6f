use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::mpsc;

use crate::backoff::Backoff;
use crate::clock::{Clock, SystemClock};
use crate::lease::{Held, Lease, LeaseError, Taking};

/// What a projector and a processor have in common: how often they try again, by which clock
/// they go, and the lease they work by, if any.
pub(crate) struct Worker {
    pub(crate) retries: Backoff,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) lease: Option<Lease>,
}

/// The right to work: a lease that is held, or nothing where none is needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tenure(Option<Held>);

/// Whether one who stands by goes on doing so.
pub(crate) enum StandingBy {
    GoesOn,
    Ends,
}

impl Worker {
    /// Waits for the lease, where there is one, and attends to orders meanwhile; none where one
    /// of them ends it.
    pub(crate) async fn stand_by<O>(
        &self,
        orders: &mut mpsc::Receiver<O>,
        attend: impl Fn(O) -> StandingBy,
    ) -> Result<Option<Tenure>, LeaseError> {
        let Some(lease) = &self.lease else {
            return Ok(Some(Tenure(None)));
        };
        loop {
            let left = match lease.take().await? {
                Taking::Held(held) => return Ok(Some(Tenure(Some(held)))),
                Taking::Taken(left) => left,
            };
            let mut wait = pin!(lease.stand_by(left));
            let order = poll_fn(|context| {
                if let Poll::Ready(Some(order)) = orders.poll_recv(context) {
                    return Poll::Ready(Some(order));
                }
                wait.as_mut().poll(context).map(|()| None)
            });
            if let Some(order) = order.await
                && let StandingBy::Ends = attend(order)
            {
                return Ok(None);
            }
        }
    }

    /// Ends when the lease should be renewed: never, where there is none.
    pub(crate) async fn renewal(&self, tenure: Tenure) {
        match (&self.lease, tenure.0) {
            (Some(lease), Some(held)) => lease.due(held).await,
            _ => std::future::pending().await,
        }
    }

    /// Renews the lease where it is time; false where another has taken it.
    pub(crate) async fn renew(&self, tenure: &mut Tenure) -> Result<bool, LeaseError> {
        let (Some(lease), Some(held)) = (&self.lease, tenure.0) else {
            return Ok(self.lease.is_none());
        };
        if !lease.is_fresh(held) {
            tenure.0 = match lease.take().await? {
                Taking::Held(held) => Some(held),
                Taking::Taken(_) => None,
            };
        }
        Ok(tenure.0.is_some())
    }

    /// Gives the lease up, so that others need not wait.
    pub(crate) async fn give_up(&self, tenure: Tenure) {
        if let (Some(lease), Some(held)) = (&self.lease, tenure.0) {
            lease.release(held).await;
        }
    }

    /// Waits as before a first retry: what another did meanwhile is then to be read.
    pub(crate) async fn pause(&self) {
        let wait = self.retries.waits().next().unwrap_or_default();
        self.clock.sleep(wait).await;
    }
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            retries: Backoff::default(),
            clock: Arc::new(SystemClock),
            lease: None,
        }
    }
}
