use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::feed::Feed;
use crate::follow::Follow;
use crate::frames::FrameStream;

/// What the body of an answer sends, for a server that would rather write it to the socket itself.
///
/// It travels beside the body, in the extensions of the response: a server that knows of it takes
/// it out and drops the body, and for all others the body is what it was.
#[derive(Clone)]
pub struct Offer {
    feed: Feed,
    follow: Follow,
    heartbeat: Duration,
    held: Option<Arc<dyn Any + Send + Sync>>,
}

impl Offer {
    /// The frames of a subscriber, and a comment wherever none was sent for an interval.
    #[must_use]
    pub fn new(feed: Feed, follow: Follow, heartbeat: Duration) -> Self {
        Self {
            feed,
            follow,
            heartbeat,
            held: None,
        }
    }

    /// Something that lives for as long as the stream does: a count of those that are open, say.
    #[must_use]
    pub fn holding(mut self, held: Arc<dyn Any + Send + Sync>) -> Self {
        self.held = Some(held);
        self
    }

    /// The frames.
    pub fn frames(&self) -> FrameStream {
        self.feed.follow(self.follow.clone())
    }

    /// How long the stream may be silent.
    #[must_use]
    pub fn heartbeat(&self) -> Duration {
        self.heartbeat
    }

    /// What lives for as long as the stream does.
    #[must_use]
    pub fn held(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.held.clone()
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer")
            .field("follow", &self.follow)
            .field("heartbeat", &self.heartbeat)
            .finish_non_exhaustive()
    }
}
