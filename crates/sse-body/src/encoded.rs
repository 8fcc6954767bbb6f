use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use eventwire_sse::Frame;
use futures_core::Stream;
use pin_project_lite::pin_project;

pin_project! {
    /// A stream of events, each encoded when it is taken.
    #[derive(Debug, Clone)]
    #[must_use = "a stream does nothing until it is polled"]
    pub struct Encoded<S> {
        #[pin]
        events: S,
    }
}

impl<S> Encoded<S> {
    pub(crate) fn new(events: S) -> Self {
        Self { events }
    }
}

impl<S> Stream for Encoded<S>
where
    S: Stream<Item: Into<Frame>>,
{
    type Item = Result<Frame, Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let event = self.project().events.poll_next(context);
        event.map(|event| event.map(|event| Ok(event.into())))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.events.size_hint()
    }
}
