use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use eventwire_sse::Frame;
use futures_core::{Stream, TryStream};
use http_body::Body;
use pin_project_lite::pin_project;

use crate::body::SseBody;

pin_project! {
    /// The body of a response as a stream of bytes, for servers that take that and no `http-body`.
    ///
    /// A type of its own: if `SseBody` were both, the methods that bodies and streams both have would
    /// be ambiguous.
    ///
    /// Made by [`SseResponse::into_byte_stream`](crate::SseResponse::into_byte_stream).
    #[derive(Debug)]
    #[must_use = "a stream does nothing until it is polled"]
    pub struct ByteStream<S: TryStream> {
        #[pin]
        body: SseBody<S>,
    }
}

impl<S: TryStream> ByteStream<S> {
    pub(crate) fn new(body: SseBody<S>) -> Self {
        Self { body }
    }
}

impl<S: TryStream<Ok = Frame>> Stream for ByteStream<S> {
    type Item = Result<Bytes, S::Error>;

    /// The pieces of [`SseBody::poll_frame`](SseBody), as they are.
    ///
    /// # Panics
    /// With heartbeats, outside a tokio runtime whose timer is enabled.
    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.project().body.poll_frame(context).map_ok(|frame| {
            frame
                .into_data()
                .expect("an event stream has no trailers: every frame is data")
        })
    }
}
