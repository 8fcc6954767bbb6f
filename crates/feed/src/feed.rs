use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use eventwire_sse_hub::Capacity;
use eventwire_store::{EventStore, ReadError, RecordedEvent};
use tokio::task::JoinHandle;

use crate::cloud_event::CloudEvent;
use crate::encode::Encoder;
use crate::follow::Follow;
use crate::frames::FrameStream;
use crate::looks::Looks;
use crate::meters::{Meters, Watch};
use crate::presentation::{LOOKS_BYTES, Presenter};
use crate::pump::Pump;
use crate::ring::Ring;

/// How long closing waits for the last acknowledged events to be published.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);

/// A store's events as SSE frames, for any number of subscribers.
///
/// One task follows the store and encodes each event once into a ring; subscribers read
/// the log until the ring covers their place, then follow the ring, and go back to the log
/// where they fall behind it. Each has a cursor and nothing else: a slow one costs nothing.
///
/// A clone is the same feed. When the last clone and the last [`FrameStream`] are dropped,
/// the task ends.
#[derive(Clone)]
pub struct Feed {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) ring: Arc<Ring>,
    pub(crate) presenter: Presenter,
    pub(crate) meters: Arc<Meters>,
    pub(crate) options: FeedOptions,
    pump: JoinHandle<()>,
    _watch: Watch,
}

/// What a feed is made with.
#[derive(Debug, Clone)]
pub struct FeedOptions {
    pub(crate) ring: Capacity,
    pub(crate) progress: Duration,
    pub(crate) return_within: Option<Duration>,
    gather: Duration,
    source: Option<Arc<str>>,
}

impl Default for FeedOptions {
    /// 4,096 events or 16 MiB in the ring, progress every 15 seconds, and no farewell.
    fn default() -> Self {
        const RING: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
        const RING_BYTES: u64 = 16 << 20;
        Self {
            ring: Capacity::entries(RING).weight(RING_BYTES),
            progress: Duration::from_secs(15),
            return_within: None,
            gather: Duration::ZERO,
            source: None,
        }
    }
}

impl FeedOptions {
    /// How many of the last events are kept encoded in memory. A subscriber further behind
    /// reads the log.
    #[must_use]
    pub const fn ring(mut self, events: NonZeroUsize) -> Self {
        self.ring = Capacity::entries(events).weight(self.ring.most_weight());
        self
    }

    /// How many bytes the ring may take, whatever the number of its events: their payloads, their
    /// encoding and what is about them, about. The newest event is kept however large it is.
    ///
    /// What several subscribers were sent joined, and what events look like to those who do not see
    /// them as they were written, is kept beside it, up to 4 MiB of each, what is kept about each
    /// included.
    #[must_use]
    pub const fn ring_bytes(mut self, bytes: u64) -> Self {
        self.ring = self.ring.weight(bytes);
        self
    }

    /// How often a subscriber whose filter matched nothing is told how far the log has been
    /// looked at.
    #[must_use]
    pub const fn progress(mut self, interval: Duration) -> Self {
        self.progress = interval;
        self
    }

    /// Takes leave of clients when the feed closes: the last block of every stream is the named
    /// event `eventwire.busy` with a reconnection time from one second to `spread` more, drawn for
    /// each, so that they do not all come back at once.
    #[must_use]
    pub const fn return_within(mut self, spread: Duration) -> Self {
        self.return_within = Some(spread);
        self
    }

    /// How long the first new event after a silence waits for others: those that come meanwhile
    /// leave with it, in one write to each subscriber, and each later by as much at most. No time
    /// unless set, when only what is there together leaves together. A few milliseconds will do;
    /// closing the feed does not wait longer than it says for events that wait themselves.
    #[must_use]
    pub const fn gather(mut self, time: Duration) -> Self {
        self.gather = time;
        self
    }

    /// What CloudEvents name as their `source`: a URI of this log, such as
    /// `https://chat.example/`. Unless set, `urn:eventwire:log:` and the store's epoch.
    #[must_use]
    pub fn source(mut self, uri: impl Into<Arc<str>>) -> Self {
        self.source = Some(uri.into());
        self
    }
}

impl Feed {
    /// Starts to follow a store, on the tokio runtime this is called in.
    ///
    /// # Errors
    /// [`ReadError`] where the store's head cannot be read.
    ///
    /// # Panics
    /// Outside a tokio runtime with its timer enabled.
    pub async fn start(
        store: impl EventStore + 'static,
        options: FeedOptions,
    ) -> Result<Self, ReadError> {
        let store: Arc<dyn EventStore> = Arc::new(store);
        let head = store.head().await?;
        let ring = Arc::new(Ring::after(head, options.ring));
        let epoch = store.epoch();
        let source = options.source.clone();
        let encoder = Encoder {
            epoch,
            source: source.unwrap_or_else(|| format!("urn:eventwire:log:{epoch}").into()),
        };
        let meters = Arc::new(Meters::new());
        let pump = Pump {
            store: Arc::clone(&store),
            ring: Arc::clone(&ring),
            encoder: encoder.clone(),
            meters: Arc::clone(&meters),
            gather: options.gather,
        };
        let pump = tokio::spawn(pump.run());
        let watch = Watch::over(Arc::clone(&ring));
        Ok(Self {
            shared: Arc::new(Shared {
                store,
                ring,
                presenter: Presenter {
                    encoder,
                    looks: Arc::new(Looks::new(LOOKS_BYTES)),
                },
                meters,
                options,
                pump,
                _watch: watch,
            }),
        })
    }

    /// The frames one subscriber is sent: history, then live, each matching event once and
    /// in order, until the feed or the store closes.
    pub fn follow(&self, follow: Follow) -> FrameStream {
        FrameStream::new(Arc::clone(&self.shared), follow)
    }

    /// An event of the store as a CloudEvent, as those who ask for
    /// [`Format::CloudEvents`](crate::Format::CloudEvents) are shown it.
    #[must_use]
    pub fn cloud_event<'a>(&'a self, event: &'a RecordedEvent) -> CloudEvent<'a> {
        let encoder = &self.shared.presenter.encoder;
        CloudEvent::new(event, encoder.cursor(event.position), &encoder.source)
    }

    /// The store that is followed.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.shared.store
    }

    /// How many events the ring holds, and how many bytes all that is kept of them takes, about:
    /// they themselves, what was joined of them, and what they look like to those who do not see
    /// them as they were written.
    #[must_use]
    pub fn held(&self) -> (usize, u64) {
        let (events, bytes) = self.shared.ring.held();
        let made = self.shared.ring.joined() + self.shared.presenter.looks.held();
        let made = u64::try_from(made).expect("a length in memory fits 64 bits");
        (events, bytes + made)
    }

    /// How many subscribers follow the ring now.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.shared.ring.subscribers()
    }

    /// Ends every stream, after what was acknowledged before the call has been handed to
    /// those that follow the ring; later streams end at once.
    ///
    /// Answers within half a second, whatever the store does.
    ///
    /// # Cancel safety
    /// Dropped half-way, the feed may not be closed; call it again.
    pub async fn close(&self) {
        let published = async {
            if let Ok(head) = self.shared.store.head().await {
                // An error means that the store has closed: nothing more will come.
                let _closed = self.shared.ring.published().reached(head).await;
            }
        };
        if tokio::time::timeout(CLOSE_WITHIN, published).await.is_err() {
            tracing::warn!("closed the feed before all that was acknowledged was published");
        }
        self.shared.pump.abort();
        self.shared.ring.close();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}
