use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use eventwire_sse::Parser;
use futures_core::{FusedStream, Stream};
use http_body::Body;
use pin_project_lite::pin_project;

use crate::received::Received;

/// How much is parsed at once, so that what waits to be taken is bounded whatever a body's
/// pieces are: at worst some 1,400 empty events.
const PIECE: usize = 8 * 1024;

pin_project! {
    /// The events of a body: the reverse of [`SseBody`](crate::SseBody).
    ///
    /// Yields events, comments and reconnection times in the order of the bytes, each as soon as
    /// its last byte is there. Ends with the body, or after its error; an event that was not
    /// finished then is none (WHATWG HTML 9.2.6).
    ///
    /// # Cancel safety
    /// What was read stays in the reader, so dropping a future that waits for the next item
    /// loses nothing.
    #[must_use = "a stream does nothing until it is polled"]
    pub struct EventReader<B> {
        // None once it has ended.
        #[pin]
        body: Option<B>,
        parser: Parser,
        // What came of the body and was not parsed.
        unread: Bytes,
        // What was parsed and not yielded.
        parsed: VecDeque<Received>,
        // The last event id at the last item yielded. The parser's own is ahead of it, by what is
        // in `parsed`.
        place: String,
    }
}

impl<B> EventReader<B> {
    /// Reads a body with the parser's usual limits.
    pub fn new(body: B) -> Self {
        Self::with_parser(body, Parser::new())
    }

    /// Reads a body with a parser that has limits, or a last event id, of its own.
    pub fn with_parser(body: B, parser: Parser) -> Self {
        Self {
            body: Some(body),
            parser,
            unread: Bytes::new(),
            parsed: VecDeque::new(),
            place: String::new(),
        }
    }

    /// The id to send as `Last-Event-ID` to go on after the last item yielded; empty where there
    /// is none. It belongs to the stream and not to a connection: resume the next one's parser
    /// with it.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        if self.parsed.is_empty() {
            self.parser.last_event_id()
        } else {
            &self.place
        }
    }

    /// The next item of what has come.
    fn take(self: Pin<&mut Self>) -> Option<Received> {
        let this = self.project();
        while this.parsed.is_empty() && !this.unread.is_empty() {
            let piece = this.unread.split_to(this.unread.len().min(PIECE));
            this.parser.last_event_id().clone_into(this.place);
            this.parser
                .feed_each(&piece, |item| this.parsed.extend(Received::keep(item)));
        }
        let taken = this.parsed.pop_front()?;
        if let Received::Event(event) = &taken {
            event.id().clone_into(this.place);
        }
        Some(taken)
    }
}

impl<B: Body> Stream for EventReader<B> {
    type Item = Result<Received, B::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(received) = self.as_mut().take() {
                return Poll::Ready(Some(Ok(received)));
            }
            let mut this = self.as_mut().project();
            let Some(body) = this.body.as_mut().as_pin_mut() else {
                return Poll::Ready(None);
            };
            match ready!(body.poll_frame(context)) {
                Some(Ok(frame)) => {
                    if let Ok(mut data) = frame.into_data() {
                        *this.unread = data.copy_to_bytes(data.remaining());
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
