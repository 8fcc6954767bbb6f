use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use eventwire_sse::{BytesParser, OwnedItem};
use futures_core::{FusedStream, Stream};
use http_body::Body;
use pin_project_lite::pin_project;

pin_project! {
    /// The events of a body: the reverse of [`SseBody`](crate::SseBody).
    ///
    /// Yields events, comments and reconnection times in the order of the bytes, each as soon as
    /// its last byte is there. Ends with the body, or after its error; an event that was not
    /// finished then is none (WHATWG HTML 9.2.6).
    ///
    /// What lies in one piece of the body is a part of that piece and not copied: an item that is
    /// kept keeps its piece in memory.
    ///
    /// # Cancel safety
    /// What was read stays in the reader, so dropping a future that waits for the next item
    /// loses nothing.
    #[must_use = "a stream does nothing until it is polled"]
    pub struct EventReader<B> {
        // None once it has ended.
        #[pin]
        body: Option<B>,
        parser: BytesParser,
    }
}

impl<B> EventReader<B> {
    /// Reads a body with the parser's usual limits.
    pub fn new(body: B) -> Self {
        Self::with_parser(body, BytesParser::new())
    }

    /// Reads a body with a parser that has limits, or a last event id, of its own.
    pub fn with_parser(body: B, parser: BytesParser) -> Self {
        Self {
            body: Some(body),
            parser,
        }
    }

    /// The id to send as `Last-Event-ID` to go on after the last item yielded; empty where there
    /// is none. It belongs to the stream and not to a connection: resume the next one's parser
    /// with it.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        self.parser.last_event_id()
    }
}

impl<B: Body> Stream for EventReader<B> {
    type Item = Result<OwnedItem, B::Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            if let Some(item) = this.parser.next() {
                return Poll::Ready(Some(Ok(item)));
            }
            let Some(body) = this.body.as_mut().as_pin_mut() else {
                return Poll::Ready(None);
            };
            match ready!(body.poll_frame(context)) {
                Some(Ok(frame)) => {
                    if let Ok(mut data) = frame.into_data() {
                        this.parser.feed(data.copy_to_bytes(data.remaining()));
                    }
                }
                failed_or_ended => {
                    this.body.set(None);
                    let error = failed_or_ended.and_then(Result::err);
                    return Poll::Ready(error.map(Err));
                }
            }
        }
    }
}

impl<B: Body> FusedStream for EventReader<B> {
    fn is_terminated(&self) -> bool {
        self.body.is_none()
    }
}

impl<B: fmt::Debug> fmt::Debug for EventReader<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventReader")
            .field("body", &self.body)
            .field("last_event_id", &self.last_event_id())
            .finish_non_exhaustive()
    }
}
