use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use eventwire_sse::Frame;
use futures_core::Stream;
use tokio::sync::{Semaphore, mpsc};

/// A stream of frames that is written by hand, for one client: the tokens of a model, the lines
/// of a build.
///
/// Nothing is stored. What is sent has no id unless it was given one, and is lost with its client.
/// At most `capacity` frames wait for a client that does not read; then the sender waits.
///
/// The stream ends once all senders are dropped and what they sent has left. A client cannot tell
/// that from a sender that failed, so send a last event that says that this is the end. Senders
/// learn at once that the client has left, since nobody is then to be worked for.
///
/// ```
/// use std::num::NonZeroUsize;
///
/// use eventwire_sse::{Event, EventName};
/// use eventwire_sse_body::{FrameSender, SseResponse, channel};
/// # use http_body_util::BodyExt;
///
/// async fn answer(client: FrameSender) {
///     let work = async {
///         for token in ["once", "upon", "a time"] {
///             client.send(Event::new(token)).await?;
///         }
///         client.send(Event::new("").name(EventName::from_static("done"))).await
///     };
///     // Dropped half-way where the client leaves, whatever it is waiting for.
///     if client.while_connected(work).await.is_err() {
///         println!("nobody listens any more");
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (client, frames) = channel(NonZeroUsize::new(16).expect("not zero"));
/// tokio::spawn(answer(client));
/// let response = SseResponse::from_stream(frames).into_response();
/// # let body = response.into_body().collect().await.unwrap().to_bytes();
/// # assert!(body.ends_with(b"data: a time\n\nevent: done\ndata:\n\n"), "{body:?}");
/// # }
/// ```
pub fn channel(capacity: NonZeroUsize) -> (FrameSender, FrameReceiver) {
    let most = Semaphore::MAX_PERMITS;
    let (sender, receiver) = mpsc::channel(capacity.get().min(most));
    (FrameSender { sender }, FrameReceiver { receiver })
}

/// Where frames are put in. A clone sends to the same client.
#[derive(Debug, Clone)]
pub struct FrameSender {
    sender: mpsc::Sender<Frame>,
}

/// The client has left: its connection has broken, or its body was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disconnected;

impl fmt::Display for Disconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client of this stream has left")
    }
}

impl Error for Disconnected {}

/// Why a frame was not sent at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrySendError {
    /// As many frames wait as may: this one is given back.
    Full(Frame),
    /// The client has left.
    Disconnected,
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("as many frames wait for the client as may"),
            Self::Disconnected => Disconnected.fmt(f),
        }
    }
}

impl Error for TrySendError {}

impl FrameSender {
    /// Sends an [`Event`](eventwire_sse::Event) or a frame, and waits for a place while the client
    /// does not read. That it was sent does not say that it arrived.
    ///
    /// # Errors
    /// [`Disconnected`], once the client has left.
    ///
    /// # Cancel safety
    /// Dropped half-way, it was not sent.
    pub async fn send(&self, event: impl Into<Frame>) -> Result<(), Disconnected> {
        let sent = self.sender.send(event.into()).await;
        sent.map_err(|_frame| Disconnected)
    }

    /// Sends without waiting: for what is worth nothing later, a notice that somebody types, say.
    ///
    /// # Errors
    /// [`TrySendError`], where there is no place or no client.
    pub fn try_send(&self, event: impl Into<Frame>) -> Result<(), TrySendError> {
        use mpsc::error::TrySendError as Reason;
        self.sender
            .try_send(event.into())
            .map_err(|reason| match reason {
                Reason::Full(frame) => TrySendError::Full(frame),
                Reason::Closed(_) => TrySendError::Disconnected,
            })
    }

    /// Ready once the client has left.
    ///
    /// # Cancel safety
    /// Safe to drop.
    pub async fn disconnected(&self) {
        self.sender.closed().await;
    }

    /// Whether the client has left.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.sender.is_closed()
    }

    /// Works for as long as there is a client: `work` is dropped where it leaves.
    ///
    /// # Errors
    /// [`Disconnected`], where the client has left before the work was done.
    ///
    /// # Cancel safety
    /// That of the work.
    pub async fn while_connected<T>(
        &self,
        work: impl Future<Output = T>,
    ) -> Result<T, Disconnected> {
        let mut left = pin!(self.sender.closed());
        let mut work = pin!(work);
        poll_fn(|context| {
            if left.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(Disconnected));
            }
            work.as_mut().poll(context).map(Ok)
        })
        .await
    }
}

/// The frames that were sent, for [`SseResponse::from_stream`](crate::SseResponse::from_stream).
/// Dropping it tells the senders.
#[derive(Debug)]
#[must_use = "a stream does nothing until it is polled"]
pub struct FrameReceiver {
    receiver: mpsc::Receiver<Frame>,
}

impl Stream for FrameReceiver {
    type Item = Frame;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Frame>> {
        self.receiver.poll_recv(context)
    }
}
