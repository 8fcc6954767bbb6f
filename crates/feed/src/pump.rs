use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use eventwire_store::{EventStore, EventStream, Item, Query, ReadError, Start};
use futures_core::Stream as _;

use crate::encode::{Encoder, Format};
use crate::meters::Meters;
use crate::ring::Ring;

/// How long to wait before reading a store again that could not be read.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// Closes the ring however the pump ends: nobody waits for what nobody publishes.
struct ClosedOnDrop<'a>(&'a Ring);

impl Drop for ClosedOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Follows the log and publishes each event once.
pub(crate) struct Pump {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) ring: Arc<Ring>,
    pub(crate) encoder: Encoder,
    pub(crate) meters: Arc<Meters>,
    /// How long what comes first waits for more.
    pub(crate) gather: Duration,
}

impl Pump {
    /// Ends when the store closes, and closes the ring with it.
    pub(crate) async fn run(self) {
        let _closed = ClosedOnDrop(&self.ring);
        loop {
            let Err(error) = self.follow().await;
            if matches!(error, ReadError::Closed) {
                break;
            }
            let after = self.ring.published().position();
            self.meters.failed();
            tracing::error!(?error, %after, "cannot follow the log; trying again");
            tokio::time::sleep(PAUSE_AFTER_ERROR).await;
        }
    }

    /// Publishes until the subscription fails, and says why it did.
    async fn follow(&self) -> Result<Infallible, ReadError> {
        let start = Start::After(self.ring.published().position());
        let mut items = self.store.subscribe(Query::all(), start);
        loop {
            let mut next = items.next().await;
            if !self.gather.is_zero() {
                tokio::time::sleep(self.gather).await;
            }
            loop {
                self.publish(next.ok_or(ReadError::Closed)??);
                match at_hand(&mut items).await {
                    Some(more) => next = more,
                    None => break,
                }
            }
        }
    }

    fn publish(&self, item: Item) {
        match item {
            Item::Event(event) => {
                let frame = self.encoder.block(&event, Format::Payload, None);
                self.meters.published(self.ring.publish(event, frame));
            }
            Item::Gap { resumed_after, .. } => self.ring.restart(resumed_after),
            Item::Progress(position) | Item::CaughtUp(position) => self.ring.pass(position),
            _ => {}
        }
    }
}

/// The next of a stream where that need not be waited for: what it yields, or its end.
async fn at_hand(items: &mut EventStream) -> Option<Option<Result<Item, ReadError>>> {
    poll_fn(|context| {
        Poll::Ready(match Pin::new(&mut *items).poll_next(context) {
            Poll::Ready(next) => Some(next),
            Poll::Pending => None,
        })
    })
    .await
}
