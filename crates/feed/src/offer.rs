use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use eventwire_sse::Frame;
use futures_core::Stream;

use crate::frames::{FeedError, FrameStream};

/// What the body of an answer sends, for a server that would rather write it to the socket itself.
///
/// It travels beside the body, in the extensions of the response: a server that knows of it takes
/// the stream and drops the body, and for all others the body is what it was. There is one stream,
/// which goes to whoever is first: the body [takes it](OfferedFrames) when it is first polled.
///
/// A clone is the same offer.
#[derive(Clone)]
pub struct Offer {
    offered: Arc<Mutex<Option<Offered>>>,
}

/// An event stream, and how it is to be sent.
#[non_exhaustive]
pub struct Offered {
    /// The frames of one subscriber.
    pub frames: Box<FrameStream>,
    /// What is sent at once, before the stream has anything.
    pub opening: Frame,
    /// How long it may be silent before a comment is sent.
    pub heartbeat: Duration,
    /// What is to live for as long as the stream is open: a count of those that are, say.
    pub held: Option<Box<dyn Any + Send>>,
}

impl Offer {
    /// The frames of a subscriber, and a comment wherever none was sent for an interval.
    #[must_use]
    pub fn new(frames: FrameStream, heartbeat: Duration) -> Self {
        let offered = Offered {
            frames: Box::new(frames),
            opening: Frame::HEARTBEAT,
            heartbeat,
            held: None,
        };
        Self {
            offered: Arc::new(Mutex::new(Some(offered))),
        }
    }

    /// What is sent before the stream has anything: [`Frame::HEARTBEAT`] unless set. Where the stream
    /// was taken already, it changes nothing.
    #[must_use]
    pub fn opening(self, frame: Frame) -> Self {
        self.change(|offered| offered.opening = frame)
    }

    /// Something that lives for as long as the stream does; dropped at once where that was taken
    /// already.
    #[must_use]
    pub fn holding(self, held: impl Any + Send) -> Self {
        self.change(|offered| offered.held = Some(Box::new(held)))
    }

    /// The stream, unless somebody has it already.
    #[must_use]
    pub fn take(&self) -> Option<Offered> {
        self.with(Option::take)
    }

    /// The frames for the body.
    pub fn frames(&self) -> OfferedFrames {
        OfferedFrames {
            offer: Some(self.clone()),
            frames: None,
            held: None,
        }
    }

    fn change(self, change: impl FnOnce(&mut Offered)) -> Self {
        self.with(|offered| offered.as_mut().map(change));
        self
    }

    fn with<T>(&self, work: impl FnOnce(&mut Option<Offered>) -> T) -> T {
        // No code that can panic runs under the lock.
        work(&mut self.offered.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The frames of an [`Offer`] as a body sends them: none where somebody else has taken them before
/// it was first polled.
#[must_use = "a stream does nothing until it is polled"]
pub struct OfferedFrames {
    /// Until it is first polled.
    offer: Option<Offer>,
    /// Once it has taken them.
    frames: Option<Box<FrameStream>>,
    held: Option<Box<dyn Any + Send>>,
}

impl Stream for OfferedFrames {
    type Item = Result<Frame, FeedError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(offer) = self.offer.take()
            && let Some(Offered { frames, held, .. }) = offer.take()
        {
            self.frames = Some(frames);
            self.held = held;
        }
        match &mut self.frames {
            Some(frames) => Pin::new(&mut **frames).poll_next(context),
            None => Poll::Ready(None),
        }
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer").finish_non_exhaustive()
    }
}

impl fmt::Debug for Offered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offered")
            .field("frames", &self.frames)
            .field("heartbeat", &self.heartbeat)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for OfferedFrames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OfferedFrames")
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}
