use std::sync::Arc;

use eventwire_store::backend;
use eventwire_store::{Item, Query, ReadError, ReadOptions, RecordedEvent};
use futures_executor::block_on;

use crate::log::SharedLog;

/// The payloads of a log, in its order.
pub(super) type Payloads = Vec<String>;

/// The payloads readers are shown.
pub(super) fn payloads(log: &Arc<SharedLog>) -> Result<Payloads, ReadError> {
    found(log, Query::all(), ReadOptions::all())
}

/// The payloads of the events that a reader finds.
pub(super) fn found(
    log: &Arc<SharedLog>,
    query: Query,
    options: ReadOptions,
) -> Result<Payloads, ReadError> {
    let events = events(log, query, options)?;
    Ok(events.iter().map(payload_of).collect())
}

/// The events that a reader finds.
pub(super) fn events(
    log: &Arc<SharedLog>,
    query: Query,
    options: ReadOptions,
) -> Result<Vec<RecordedEvent>, ReadError> {
    block_on(async {
        let mut items = backend::read(Arc::clone(log), query, options);
        let mut events = Vec::new();
        while let Some(item) = items.next().await {
            if let Item::Event(event) = item? {
                events.push(event);
            }
        }
        Ok(events)
    })
}

pub(super) fn payload_of(event: &RecordedEvent) -> String {
    String::from_utf8(event.data.to_vec()).expect("payloads are text")
}
