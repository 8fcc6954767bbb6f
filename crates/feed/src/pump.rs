use std::sync::Arc;
use std::time::Duration;

use eventwire_store::{EventStore, Item, Query, ReadError, Start};

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

/// Follows the log and publishes each event once; ends when the store closes, and closes the
/// ring with it.
pub(crate) async fn run(
    store: Arc<dyn EventStore>,
    ring: Arc<Ring>,
    encoder: Encoder,
    meters: Arc<Meters>,
) {
    let _closed = ClosedOnDrop(&ring);
    loop {
        match publish(&*store, &ring, &encoder, &meters).await {
            ReadError::Closed => break,
            error => {
                let after = ring.published().position();
                meters.failed();
                tracing::error!(?error, %after, "cannot follow the log; trying again");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

/// Publishes until the subscription fails, and says why it did.
async fn publish(
    store: &dyn EventStore,
    ring: &Ring,
    encoder: &Encoder,
    meters: &Meters,
) -> ReadError {
    let start = Start::After(ring.published().position());
    let mut items = store.subscribe(Query::all(), start);
    while let Some(item) = items.next().await {
        match item {
            Ok(Item::Event(event)) => {
                let frame = encoder.block(&event, Format::Payload, None);
                meters.published(ring.publish(event, frame));
            }
            Ok(Item::Gap { resumed_after, .. }) => ring.restart(resumed_after),
            Ok(Item::Progress(position) | Item::CaughtUp(position)) => ring.pass(position),
            Ok(_) => {}
            Err(error) => return error,
        }
    }
    ReadError::Closed
}
