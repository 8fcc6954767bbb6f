use std::sync::Arc;
use std::time::Duration;

use eventwire_sse::Frame;
use eventwire_sse_hub::Hub;
use eventwire_store::backend::Watermark;
use eventwire_store::{EventStore, Item, Position, Query, ReadError, RecordedEvent, Start};

use crate::present;
use crate::topic;

/// How long to wait before reading a store again that could not be read.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// An event of the log and its one encoding, shared by all who are shown it.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) event: RecordedEvent,
    pub(crate) frame: Frame,
}

/// Follows the log from `published` on, publishes each event once and says how far; ends when the store
/// closes, and closes the hub with it.
pub(crate) async fn run(
    store: Arc<dyn EventStore>,
    hub: Hub<Position, Arc<Live>>,
    published: Watermark,
) {
    loop {
        match publish(&*store, &hub, &published).await {
            ReadError::Closed => break,
            error => {
                tracing::error!(%error, cause = ?std::error::Error::source(&error), after = %published.position(), "cannot follow the log; trying again");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
    hub.close();
}

/// Publishes until the subscription fails, and says why it did.
async fn publish(
    store: &dyn EventStore,
    hub: &Hub<Position, Arc<Live>>,
    published: &Watermark,
) -> ReadError {
    let epoch = store.epoch();
    let mut events = store.subscribe(Query::all(), Start::After(published.position()));
    while let Some(item) = events.next().await {
        match item {
            Ok(Item::Event(event)) => {
                let position = event.position;
                let topics = topic::of_event(event.as_ref());
                let frame = present::frame(&event, epoch, None);
                hub.publish(position, &topics, Arc::new(Live { event, frame }));
                published.advance(position);
            }
            Ok(_) => {}
            Err(error) => return error,
        }
    }
    ReadError::Closed
}
