use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use eventwire_sse::Frame;
use futures_core::TryStream;
use http_body::{Body, Frame as BodyFrame, SizeHint};
use pin_project_lite::pin_project;

use crate::batch::Batch;
use crate::heartbeat::Heartbeat;

pin_project! {
    /// A stream of frames as the body of a response.
    ///
    /// Frames that are ready together leave as one piece of data, up to a limit. A frame alone,
    /// however long, is passed on without a copy, and one of 4 KiB or more leaves alone. A frame is taken from the stream only when
    /// the body is polled, so a client that does not read slows its stream down and nothing else.
    ///
    /// Made by [`SseResponse`](crate::SseResponse).
    #[must_use = "a body does nothing until it is polled"]
    pub struct SseBody<S: TryStream> {
        // None once it has ended; dropped then, for what it holds.
        #[pin]
        frames: Option<S>,
        // What goes out before anything else: the opening; then what was taken from the stream and
        // found no place in the last piece.
        held: Option<Result<Frame, S::Error>>,
        // Whether an error was kept back for a turn.
        has_waited: bool,
        limit: usize,
        sign_of_life: Frame,
        #[pin]
        heartbeat: Heartbeat,
    }
}

/// How a body is made.
#[derive(Debug, Clone)]
pub(crate) struct BodyOptions {
    pub(crate) opening: Option<Frame>,
    pub(crate) sign_of_life: Frame,
    /// How many bytes may leave as one piece.
    pub(crate) limit: usize,
}

impl<S: TryStream<Ok = Frame>> SseBody<S> {
    pub(crate) fn new(frames: S, options: BodyOptions, heartbeat: Heartbeat) -> Self {
        Self {
            frames: Some(frames),
            held: options.opening.map(Ok),
            has_waited: false,
            limit: options.limit,
            sign_of_life: options.sign_of_life,
            heartbeat,
        }
    }

    /// The next that the stream has, or what was held back of it.
    fn poll_taken(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, S::Error>>> {
        let mut this = self.project();
        if let Some(held) = this.held.take() {
            return Poll::Ready(Some(held));
        }
        let Some(frames) = this.frames.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let taken = ready!(frames.try_poll_next(context));
        if !matches!(taken, Some(Ok(_))) {
            this.frames.set(None);
        }
        Poll::Ready(taken)
    }

    /// Everything that is ready, up to the limit or an error, which is held.
    fn gather(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Option<Bytes> {
        let limit = self.limit;
        let mut batch = Batch::default();
        while let Poll::Ready(Some(taken)) = self.as_mut().poll_taken(context) {
            let kept_back = match taken {
                Ok(frame) => batch.push(frame, limit).map_err(Ok),
                Err(error) => Err(Err(error)),
            };
            if let Err(kept_back) = kept_back {
                *self.as_mut().project().held = Some(kept_back);
                break;
            }
        }
        batch.into_bytes()
    }

    fn send(self: Pin<&mut Self>, data: Bytes) -> Option<Result<BodyFrame<Bytes>, S::Error>> {
        self.project().heartbeat.sent();
        Some(Ok(BodyFrame::data(data)))
    }
}

impl<S: TryStream<Ok = Frame>> Body for SseBody<S> {
    type Data = Bytes;
    type Error = S::Error;

    /// The next piece of data.
    ///
    /// * Ready with data: all frames that are ready, up to the limit; or a heartbeat, where the
    ///   stream was silent for an interval.
    /// * Ready with the stream's error: nothing comes after it. It waits a turn, in which a
    ///   server can send what it has; most drop that when a body fails.
    /// * Ready with none: at the end and ever after.
    /// * Pending: the task is woken by the stream or by the timer.
    ///
    /// # Panics
    /// With heartbeats, outside a tokio runtime whose timer is enabled.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, S::Error>>> {
        if let Some(data) = self.as_mut().gather(context) {
            return Poll::Ready(self.send(data));
        }
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        let this = self.as_mut().project();
        match this.held.take() {
            Some(Err(error)) if *this.has_waited => Poll::Ready(Some(Err(error))),
            Some(held) => {
                *this.held = Some(held);
                *this.has_waited = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            None => {
                ready!(this.heartbeat.poll_due(context));
                let data = this.sign_of_life.clone().into_bytes();
                Poll::Ready(self.send(data))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_none() && self.held.is_none()
    }

    /// Exact once the stream has ended well; before, what is in hand is the least.
    fn size_hint(&self) -> SizeHint {
        if self.is_end_stream() {
            return SizeHint::with_exact(0);
        }
        let mut hint = SizeHint::new();
        let held = self.held.as_ref().and_then(|held| held.as_ref().ok());
        let in_hand = held.map_or(0, Frame::len);
        hint.set_lower(u64::try_from(in_hand).expect("a length in memory fits 64 bits"));
        hint
    }
}

impl<S: TryStream + fmt::Debug> fmt::Debug for SseBody<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SseBody")
            .field("frames", &self.frames)
            .field("limit", &self.limit)
            .field("heartbeat", &self.heartbeat)
            .finish_non_exhaustive()
    }
}
