use std::time::Duration;

use eventwire_sse::Frame;
use futures_core::{Stream, TryStream};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response};

use crate::body::{BodyOptions, SseBody};
use crate::byte_stream::ByteStream;
use crate::encoded::Encoded;
use crate::heartbeat::Heartbeat;

/// How many bytes leave as one piece where nothing else is asked for.
const LIMIT: usize = 64 * 1024;
/// Less than the 30 to 60 seconds after which proxies give up on a silent response.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A stream of events as an HTTP response.
///
/// Its head keeps caches and proxies from holding events back. A first comment is sent at
/// once, so that the head leaves and a browser's `onopen` fires without an event.
#[derive(Debug, Clone)]
#[must_use = "it is `into_response` that makes the response"]
pub struct SseResponse<S> {
    frames: S,
    options: BodyOptions,
    heartbeat: Option<Duration>,
}

impl<S> SseResponse<Encoded<S>>
where
    S: Stream<Item: Into<Frame>>,
{
    /// Sends events that cannot fail: a stream of [`Event`](eventwire_sse::Event), of
    /// references to them, or of [`Frame`].
    pub fn from_stream(events: S) -> Self {
        Self::new(Encoded::new(events))
    }
}

impl<S: TryStream<Ok = Frame>> SseResponse<S> {
    /// Sends frames until the stream ends or fails.
    ///
    /// After an error the server cuts the connection off, so the client can tell it from an end;
    /// an `EventSource` comes back after either.
    pub fn new(frames: S) -> Self {
        let options = BodyOptions {
            opening: Some(Frame::HEARTBEAT),
            sign_of_life: Frame::HEARTBEAT,
            limit: LIMIT,
        };
        Self {
            frames,
            options,
            heartbeat: Some(HEARTBEAT),
        }
    }

    /// How long the stream may be silent before a heartbeat is sent: 15 seconds by default.
    ///
    /// Less than a millisecond is taken as one. The body then has to be polled on a tokio
    /// runtime whose timer is enabled.
    #[cfg(feature = "tokio")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
    pub fn heartbeat(self, interval: Duration) -> Self {
        Self {
            heartbeat: Some(interval),
            ..self
        }
    }

    /// What a heartbeat is: [`Frame::HEARTBEAT`] by default. [`Frame::HEARTBEAT_LINE`] suits
    /// clients that take every blank line for an event; an event of a name suits code in
    /// browsers, which cannot see comments.
    #[cfg(feature = "tokio")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
    pub fn heartbeat_frame(mut self, frame: Frame) -> Self {
        self.options.sign_of_life = frame;
        self
    }

    /// Sends no heartbeats, and needs no timer.
    pub fn without_heartbeat(self) -> Self {
        Self {
            heartbeat: None,
            ..self
        }
    }

    /// What is sent at once, before the stream has anything: [`Frame::HEARTBEAT`] by default.
    pub fn opening(mut self, frame: Frame) -> Self {
        self.options.opening = Some(frame);
        self
    }

    /// Opens with a comment of so many spaces, for proxies and browsers that hold back the
    /// first kilobytes of a response.
    pub fn padding(self, bytes: usize) -> Self {
        self.opening(Frame::comment(&" ".repeat(bytes)))
    }

    /// Sends nothing before the first frame. Some servers send the head with the first data, and
    /// some clients wait for that.
    pub fn without_opening(mut self) -> Self {
        self.options.opening = None;
        self
    }

    /// How many bytes of frames that are ready together may leave as one piece: 64 KiB by default.
    /// A longer frame leaves alone, and so does one of 4 KiB or more; with 0 every frame does.
    pub fn coalesce(mut self, bytes: usize) -> Self {
        self.options.limit = bytes;
        self
    }

    /// The body alone, for a head of one's own.
    pub fn into_body(self) -> SseBody<S> {
        SseBody::new(self.frames, self.options, Heartbeat::new(self.heartbeat))
    }

    /// The body alone, for a server that takes a stream of bytes; [`head`] has the head to go with it.
    pub fn into_byte_stream(self) -> ByteStream<S> {
        ByteStream::new(self.into_body())
    }

    /// The response: `200`, never to be stored, transformed or buffered on the way.
    ///
    /// There is no `Connection` header: HTTP/2 forbids it, and HTTP/1.1 keeps connections alive
    /// without it.
    pub fn into_response(self) -> Response<SseBody<S>> {
        head().map(|()| self.into_body())
    }
}

/// The head of an event stream, for a body of one's own: `200`, never to be stored, transformed or
/// buffered on the way.
#[must_use]
pub fn head() -> Response<()> {
    let mut response = Response::new(());
    response.headers_mut().extend([
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (
            CACHE_CONTROL,
            HeaderValue::from_static("no-cache, no-transform"),
        ),
        (
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ]);
    response
}

impl<S: TryStream<Ok = Frame>> From<SseResponse<S>> for Response<SseBody<S>> {
    fn from(response: SseResponse<S>) -> Self {
        response.into_response()
    }
}
