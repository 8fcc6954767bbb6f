//! The streams of an HTTP/2 connection, whose clients may each stop taking what they are sent while
//! the connection lives: the socket cannot tell, since it is the stream's window that is shut.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::task_local;
use tokio::time::{Instant, Sleep, sleep_until};

/// The most that is handed over at once. Of what a client has no window for two pieces are held, one
/// in h2 and one in hyper, beside what the body gave of which they were cut.
const PIECE: usize = 16 << 10;

task_local! {
    /// When a piece was handed over, until the next is asked for: the client has taken the one
    /// before then, or has a window for all of it.
    static HANDED_AT: Cell<Option<Instant>>;
}

/// Runs the streams of HTTP/2 connections, each to its end, or until its client has not taken a
/// [piece](Pieces) for so long: it is then reset, and the others of its connection go on. So is one
/// who takes some of a piece of 16 KiB in that time, and not all.
#[derive(Debug, Clone, Copy)]
pub struct Streams {
    stalled_after: Duration,
}

impl Streams {
    /// Streams of clients who may take nothing for so long.
    #[must_use]
    pub const fn stalled_after(time: Duration) -> Self {
        Self {
            stalled_after: time,
        }
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        tokio::spawn(TimedStream {
            stream,
            handed_at: None,
            stalled_after: self.stalled_after,
            timer: None,
        });
    }
}

pin_project! {
    /// One stream, as hyper runs it. Dropped, it is reset.
    struct TimedStream<F> {
        #[pin]
        stream: F,
        handed_at: Option<Instant>,
        stalled_after: Duration,
        // None until a piece has not been taken at once.
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<F: Future<Output = ()>> Future for TimedStream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let stream = this.stream;
        let (polled, handed_at) = HANDED_AT.sync_scope(Cell::new(*this.handed_at), || {
            let polled = stream.poll(context);
            (polled, HANDED_AT.with(Cell::get))
        });
        *this.handed_at = handed_at;
        if polled.is_ready() {
            return polled;
        }
        let Some(handed_at) = handed_at else {
            *this.timer = None;
            return Poll::Pending;
        };
        let stalled_at = handed_at + *this.stalled_after;
        let timer = this
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(stalled_at)));
        if timer.deadline() != stalled_at {
            timer.as_mut().reset(stalled_at);
        }
        ready!(timer.as_mut().poll(context));
        tracing::debug!("a client takes nothing of a stream, which is reset");
        Poll::Ready(())
    }
}

pin_project! {
    /// A body in pieces, each handed over once there is a window for the one before.
    ///
    /// hyper waits for a window before it passes a piece on, and is done with the stream, whose time
    /// is then no longer taken, once it has passed the last one on. Where the body says that it has
    /// ended, its last byte is therefore a piece of its own: there is a window for all before it by then.
    /// The end of another is waited for by nobody, with one piece that may lack a window.
    #[derive(Debug)]
    pub struct Pieces<B> {
        #[pin]
        body: B,
        rest: Bytes,
    }
}

impl<B> Pieces<B> {
    /// Those of a body, whose stream [`Streams`] run.
    #[must_use]
    pub fn of(body: B) -> Self {
        Self {
            body,
            rest: Bytes::new(),
        }
    }
}

impl<B: Body<Data = Bytes>> Body for Pieces<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        // An error means that nobody times this stream.
        let mark = |at| {
            let _untimed = HANDED_AT.try_with(|handed_at| handed_at.set(at));
        };
        mark(None);
        if this.rest.is_empty() {
            match ready!(this.body.as_mut().poll_frame(context)).transpose()? {
                Some(frame) => match frame.into_data() {
                    // As it is: who else is sent it has it in memory as well.
                    Ok(data) if data.len() <= PIECE && !this.body.is_end_stream() => {
                        mark(Some(Instant::now()));
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    Ok(data) => *this.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                None => return Poll::Ready(None),
            }
        }
        mark(Some(Instant::now()));
        let length = match this.rest.len() {
            length @ 2..=PIECE if this.body.is_end_stream() => length - 1,
            length => length.min(PIECE),
        };
        // What is lent would hold all it was cut from for as long as it is not taken.
        let piece = Bytes::copy_from_slice(&this.rest.split_to(length));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = u64::try_from(self.rest.len()).expect("a length in memory fits 64 bits");
        let body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}
