use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use eventwire_sse::Frame;
use eventwire_sse_hub::{Hub, Interest, Subscription};
use eventwire_store::backend::Watermark;
use eventwire_store::{Position, RecordedEvent};

use tokio::sync::watch;

use crate::topic;

/// An event of the log and its one encoding, shared by all who are shown it.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) event: RecordedEvent,
    pub(crate) frame: Frame,
}

/// The last events of the log, encoded, for all who follow it.
///
/// Invariant: the hub holds every event of the log between its floor and `published`.
#[derive(Debug)]
pub(crate) struct Ring {
    capacity: NonZeroUsize,
    hub: Mutex<Hub<Position, Arc<Live>>>,
    published: Watermark,
    is_closed: watch::Sender<bool>,
}

impl Ring {
    /// A ring that begins after a position.
    pub(crate) fn after(position: Position, capacity: NonZeroUsize) -> Self {
        Self {
            capacity,
            hub: Mutex::new(Hub::new(capacity, position)),
            published: Watermark::at(position),
            is_closed: watch::Sender::new(false),
        }
    }

    /// The event after the last one.
    pub(crate) fn publish(&self, event: RecordedEvent, frame: Frame) {
        let position = event.position;
        let topics = topic::of_event(event.as_ref());
        self.hub()
            .publish(position, &topics, Arc::new(Live { event, frame }));
        self.published.advance(position);
    }

    /// Begins again after a position below which events are missing: followers are sent back
    /// to the log, which tells them.
    pub(crate) fn restart(&self, position: Position) {
        let ended = {
            let mut hub = self.lock();
            let ended = std::mem::replace(&mut *hub, Hub::new(self.capacity, position));
            if self.is_closed() {
                hub.close();
            }
            ended
        };
        self.published.advance(position);
        ended.close();
    }

    /// Nothing is to be published up to a position.
    pub(crate) fn pass(&self, position: Position) {
        self.published.advance(position);
    }

    /// How far the log was published.
    pub(crate) fn published(&self) -> &Watermark {
        &self.published
    }

    pub(crate) fn subscribe(
        &self,
        after: Position,
        interest: Interest,
    ) -> Subscription<Position, Arc<Live>> {
        self.hub().subscribe(after, interest)
    }

    pub(crate) fn subscribers(&self) -> usize {
        self.hub().subscribers()
    }

    /// Ends every subscription, once it has been shown what was published.
    pub(crate) fn close(&self) {
        self.is_closed.send_replace(true);
        self.hub().close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.is_closed.borrow()
    }

    /// Ready once the ring is closed.
    pub(crate) async fn closed(&self) {
        // An error means that the ring is gone, which is closed too.
        let mut is_closed = self.is_closed.subscribe();
        drop(is_closed.wait_for(|is_closed| *is_closed).await);
    }

    fn hub(&self) -> Hub<Position, Arc<Live>> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Hub<Position, Arc<Live>>> {
        self.hub
            .lock()
            .expect("no code panics while it holds the hub")
    }
}
