use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use bytes::Bytes;
use eventwire_sse::Frame;
use eventwire_sse_hub::{Capacity, Hub, Interest, Lagged, Runs, Subscription};
use eventwire_store::backend::Watermark;
use eventwire_store::{Position, RecordedEvent};
use futures_core::Stream;
use tokio::sync::watch;

use crate::presentation::Joined;
use crate::topic;

/// An event of the log and its one encoding, shared by all who are shown it.
#[derive(Debug, Clone)]
pub(crate) struct Live(Arc<LiveEvent>);

#[derive(Debug)]
struct LiveEvent {
    event: RecordedEvent,
    frame: Frame,
}

/// What an event takes in the ring beside its bytes: itself, its topics, its place. More than
/// was counted.
const OVERHEAD: usize = 512;

impl Live {
    /// An event and its encoding, which keep nothing alive but their own bytes: what a store
    /// yields may be a part of a larger buffer.
    fn new(mut event: RecordedEvent, frame: Frame) -> Self {
        event.data = within(&frame, &event.data);
        event.metadata = Bytes::copy_from_slice(&event.metadata);
        Self(Arc::new(LiveEvent { event, frame }))
    }

    /// How many bytes it takes, about.
    fn weight(&self) -> u64 {
        let LiveEvent { event, frame } = &*self.0;
        let is_within = frame
            .as_bytes()
            .as_ptr_range()
            .contains(&event.data.as_ptr());
        let encoded = if is_within {
            frame.len() - event.data.len()
        } else {
            frame.len()
        };
        let encoded = u64::try_from(encoded + OVERHEAD).expect("a length in memory fits 64 bits");
        event.weight().saturating_add(encoded)
    }

    pub(crate) fn event(&self) -> &RecordedEvent {
        &self.0.event
    }

    pub(crate) fn frame(&self) -> &Frame {
        &self.0.frame
    }
}

impl AsRef<[u8]> for Live {
    fn as_ref(&self) -> &[u8] {
        self.0.frame.as_bytes()
    }
}

/// The payload as a part of its own encoding, where it is one, which most are: what is one line
/// of text. Else a copy.
fn within(frame: &Frame, data: &Bytes) -> Bytes {
    const END: usize = b"\n\n".len();
    let encoded = frame.clone().into_bytes();
    let place = encoded.len().checked_sub(data.len() + END);
    let part = place.map(|begin| encoded.slice(begin..encoded.len() - END));
    part.filter(|part| part == data)
        .unwrap_or_else(|| Bytes::copy_from_slice(data))
}

/// Bytes of events that are kept joined, beside those that are kept one by one.
const JOINED_BYTES: usize = 4 << 20;

/// Bytes that leave the ring at once, unless one event has more.
const RUN_BYTES: usize = 64 << 10;

/// A place in the ring.
#[derive(Debug)]
pub(crate) struct Follower {
    subscription: Subscription<Position, Live>,
    /// Of the same hub.
    runs: Arc<Runs<Position, Joined>>,
}

impl Follower {
    /// The next event.
    pub(crate) fn poll_event(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Live, Lagged>>> {
        let next = Pin::new(&mut self.subscription).poll_next(context);
        next.map(|item| item.map(|taken| taken.map(|(_, live)| live)))
    }

    /// All events that are there, joined for those of a class.
    pub(crate) fn poll_run(
        &mut self,
        context: &mut Context<'_>,
        class: u64,
        join: impl FnOnce(&[Live]) -> Joined,
    ) -> Poll<Option<Result<Joined, Lagged>>> {
        let subscription = &mut self.subscription;
        let run = self
            .runs
            .poll_next(subscription, context, RUN_BYTES, class, join);
        run.map(|item| item.map(|run| run.map(|(_, joined)| joined)))
    }

    /// Whether polling it for `context` would only say again that there is nothing.
    pub(crate) fn is_waiting(&self, context: &Context<'_>) -> bool {
        self.subscription.is_waiting(context)
    }

    /// Whether there is an event that was not taken.
    pub(crate) fn has_more(&self) -> bool {
        self.subscription.unread() > 0
    }

    /// How far it has looked.
    pub(crate) fn cursor(&self) -> Position {
        self.subscription.cursor()
    }
}

/// A hub, and what was joined of its entries.
#[derive(Debug, Clone)]
struct LiveHub {
    hub: Hub<Position, Live>,
    runs: Arc<Runs<Position, Joined>>,
}

impl LiveHub {
    fn after(position: Position, capacity: Capacity) -> Self {
        Self {
            hub: Hub::new(capacity, position),
            runs: Arc::new(Runs::new(JOINED_BYTES)),
        }
    }
}

/// The last events of the log, encoded, for all who follow it.
///
/// Invariant: the hub holds every event of the log between its floor and `published`.
#[derive(Debug)]
pub(crate) struct Ring {
    capacity: Capacity,
    live: Mutex<LiveHub>,
    published: Watermark,
    is_closed: watch::Sender<bool>,
}

impl Ring {
    /// A ring that begins after a position.
    pub(crate) fn after(position: Position, capacity: Capacity) -> Self {
        Self {
            capacity,
            live: Mutex::new(LiveHub::after(position, capacity)),
            published: Watermark::at(position),
            is_closed: watch::Sender::new(false),
        }
    }

    /// The event after the last one. Says how many are held then, and their bytes, about.
    pub(crate) fn publish(&self, event: RecordedEvent, frame: Frame) -> (usize, u64) {
        let position = event.position;
        let topics = topic::of_event(event.as_ref());
        let live = Live::new(event, frame);
        let weight = live.weight();
        let hub = self.live().hub;
        hub.publish_weighing(weight, position, &topics, live);
        self.published.advance(position);
        hub.held()
    }

    /// Begins again after a position below which events are missing: followers are sent back
    /// to the log, which tells them.
    pub(crate) fn restart(&self, position: Position) {
        let ended = {
            let mut live = self.lock();
            let next = LiveHub::after(position, self.capacity);
            let ended = std::mem::replace(&mut *live, next);
            if self.is_closed() {
                live.hub.close();
            }
            ended.hub
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

    pub(crate) fn follow(&self, after: Position, interest: Interest) -> Follower {
        let LiveHub { hub, runs } = self.live();
        Follower {
            subscription: hub.subscribe(after, interest),
            runs,
        }
    }

    pub(crate) fn subscribers(&self) -> usize {
        self.live().hub.subscribers()
    }

    /// How many events wait for the follower that is furthest behind.
    #[cfg(feature = "metrics")]
    pub(crate) fn most_unread(&self) -> u64 {
        self.live().hub.most_unread()
    }

    /// How many events are held, and their bytes, about.
    pub(crate) fn held(&self) -> (usize, u64) {
        self.live().hub.held()
    }

    /// How many bytes what was joined of them takes, about.
    pub(crate) fn joined(&self) -> usize {
        self.live().runs.held()
    }

    /// Ends every subscription, once it has been shown what was published.
    pub(crate) fn close(&self) {
        self.is_closed.send_replace(true);
        self.live().hub.close();
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

    fn live(&self) -> LiveHub {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, LiveHub> {
        self.live
            .lock()
            .expect("no code panics while it holds the hub")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_lies_in_its_encoding_where_it_is_one_line() {
        for (data, is_within) in [
            ("hi", true),
            ("{\"a\": 1}", true),
            ("a\nb", false),
            ("a\n", false),
            ("a\rb", false),
        ] {
            let frame = eventwire_sse::Event::new(data).encode();
            let kept = within(&frame, &Bytes::from(data));
            assert_eq!(kept, data);
            let encoded = frame.as_bytes().as_ptr_range();
            assert_eq!(encoded.contains(&kept.as_ptr()), is_within, "{data:?}");
        }
        let unlike = eventwire_sse::Event::new("x").encode();
        assert_eq!(
            within(&unlike, &Bytes::from("longer than that")),
            "longer than that"
        );
    }

    fn ring() -> Ring {
        let one = std::num::NonZeroUsize::MIN;
        Ring::after(Position::ORIGIN, Capacity::entries(one))
    }

    fn is_over(follower: &mut Follower) -> bool {
        let mut context = Context::from_waker(std::task::Waker::noop());
        matches!(follower.poll_event(&mut context), Poll::Ready(None))
    }

    #[test]
    fn a_ring_that_begins_again_sends_its_followers_away_and_has_published_what_is_gone() {
        let (ring, five) = (ring(), Position::from_parts(0, 5));
        let mut before = ring.follow(Position::ORIGIN, Interest::All);
        ring.restart(five);
        assert!(is_over(&mut before));
        assert_eq!(ring.published().position(), five);
        assert!(!is_over(&mut ring.follow(five, Interest::All)));
        assert_eq!(ring.subscribers(), 0);
    }

    #[test]
    fn a_closed_ring_that_begins_again_is_closed() {
        let (ring, five) = (ring(), Position::from_parts(0, 5));
        ring.close();
        ring.restart(five);
        assert!(is_over(&mut ring.follow(five, Interest::All)));
    }
}
