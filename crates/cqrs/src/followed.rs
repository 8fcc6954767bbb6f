use std::sync::Arc;

use eventwire_store::{EventStream, Item, ReadError, RecordedEvent};

pub(crate) type SharedItem = Item<Arc<RecordedEvent>>;

/// What is followed, and the items of it that came together and are not taken in yet.
pub(crate) struct Followed {
    stream: EventStream,
    ahead: Box<dyn Iterator<Item = SharedItem> + Send>,
}

impl Followed {
    pub(crate) fn new(stream: EventStream) -> Self {
        Self {
            stream,
            ahead: Box::new(std::iter::empty()),
        }
    }

    /// # Cancel safety
    /// Safe: an item is taken only when it is returned.
    pub(crate) async fn next(&mut self) -> Result<SharedItem, ReadError> {
        loop {
            if let Some(item) = self.ahead.next() {
                return Ok(item);
            }
            let chunk = self.stream.next_chunk().await;
            let chunk = chunk.expect("a subscription ends only by an error")?;
            self.ahead = Box::new(chunk.into_shared());
        }
    }
}
