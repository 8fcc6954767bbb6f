use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use eventwire_feed::{FeedError, OfferedFrames};
use eventwire_sse_body::SseBody;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project_lite::pin_project;

use crate::open_streams::OpenStream;
use crate::steps::StepFrames;

pin_project! {
    /// The body of every answer: bytes, or an event stream.
    #[derive(Debug)]
    pub struct GatewayBody {
        #[pin]
        content: Content,
    }
}

pin_project! {
    #[project = ContentProjection]
    #[derive(Debug)]
    enum Content {
        Full { #[pin] body: Full<Bytes> },
        Events { #[pin] body: SseBody<OfferedFrames> },
        Steps { #[pin] body: SseBody<StepFrames>, open: OpenStream },
        // The answer to HEAD: of a length that is not told, since it is that of GET.
        Withheld,
    }
}

impl GatewayBody {
    pub(crate) fn full(bytes: Bytes) -> Self {
        Self {
            content: Content::Full {
                body: Full::new(bytes),
            },
        }
    }

    pub(crate) fn empty() -> Self {
        Self::full(Bytes::new())
    }

    pub(crate) fn withheld() -> Self {
        Self {
            content: Content::Withheld,
        }
    }

    /// An event stream, unless somebody else has taken it before this is polled.
    pub(crate) fn events(body: SseBody<OfferedFrames>) -> Self {
        Self {
            content: Content::Events { body },
        }
    }

    /// What a command tells, which is counted as a stream.
    pub(crate) fn steps(body: SseBody<StepFrames>, open: OpenStream) -> Self {
        Self {
            content: Content::Steps { body, open },
        }
    }
}

impl Body for GatewayBody {
    type Data = Bytes;
    type Error = FeedError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, FeedError>>> {
        match self.project().content.project() {
            ContentProjection::Full { body } => {
                body.poll_frame(context).map_err(|never| match never {})
            }
            ContentProjection::Events { body } => body.poll_frame(context),
            ContentProjection::Steps { body, .. } => {
                body.poll_frame(context).map_err(|never| match never {})
            }
            ContentProjection::Withheld => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Full { body } => body.is_end_stream(),
            Content::Events { body } => body.is_end_stream(),
            Content::Steps { body, .. } => body.is_end_stream(),
            Content::Withheld => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Full { body } => body.size_hint(),
            Content::Events { body } => body.size_hint(),
            Content::Steps { body, .. } => body.size_hint(),
            Content::Withheld => SizeHint::default(),
        }
    }
}
