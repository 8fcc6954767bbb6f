use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use http::{Method, Request, Response, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::Service;
use pin_project_lite::pin_project;

use crate::answer::Answer;

/// Serves a connection of HTTP/1.1 with hyper until it ends, or until a request is answered with
/// an event stream that can be [written elsewhere](Answer::of): hyper is then left, and the
/// connection is the caller's.
///
/// Such an answer is not shown to hyper at all. Answers to earlier requests have left before.
///
/// # Cancel safety
/// Dropped, the connection is closed.
pub fn serve<I, S, B>(http: &http1::Builder, io: I, service: S) -> Serving<I, S, B>
where
    I: Read + Write + Unpin,
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let desk = Arc::new(Desk::default());
    let io = Watched {
        io,
        desk: Arc::clone(&desk),
    };
    let service = Diverting {
        service,
        desk: Arc::clone(&desk),
    };
    Serving {
        connection: Some(http.serve_connection(io, service)),
        desk,
    }
}

/// What came of a connection.
#[derive(Debug)]
pub enum Served<I> {
    /// It has ended.
    Ended,
    /// It is to be [written to](crate::Writers::write) from here on.
    Begun(I, Answer),
}

/// A connection that is served; see [`serve`].
#[must_use = "a future does nothing until it is polled"]
pub struct Serving<I, S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body,
{
    connection: Option<http1::Connection<Watched<I>, Diverting<S>>>,
    desk: Arc<Desk>,
}

/// Where those who look after the parts of a connection meet.
#[derive(Debug, Default)]
struct Desk {
    answer: Mutex<Option<Answer>>,
    /// Whether hyper has bytes that the socket had no room for.
    is_unwritten: AtomicBool,
}

impl Desk {
    /// The answer, once nothing is to be written before it.
    fn take(&self) -> Option<Answer> {
        if self.is_unwritten.load(Ordering::Relaxed) {
            return None;
        }
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        answer.take()
    }
}

impl<I, S, B> Serving<I, S, B>
where
    I: Read + Write + Unpin,
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Ends the connection after the request that is under way, if any.
    pub fn graceful_shutdown(&mut self) {
        if let Some(connection) = &mut self.connection {
            Pin::new(connection).graceful_shutdown();
        }
    }
}

impl<I, S, B> Future for Serving<I, S, B>
where
    I: Read + Write + Unpin,
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = hyper::Result<Served<I>>;

    /// # Panics
    /// Where it is polled after it was ready.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let connection = this.connection.as_mut().expect("it has not been ready");
        if let Poll::Ready(ended) = Pin::new(connection).poll(context) {
            this.connection = None;
            return Poll::Ready(ended.map(|()| Served::Ended));
        }
        match this.desk.take() {
            Some(answer) => {
                let connection = this.connection.take().expect("it was there");
                let io = connection.into_parts().io.io;
                Poll::Ready(Ok(Served::Begun(io, answer)))
            }
            None => Poll::Pending,
        }
    }
}

impl<I, S, B> fmt::Debug for Serving<I, S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").finish_non_exhaustive()
    }
}

/// The service, whose event streams go elsewhere.
#[derive(Debug)]
struct Diverting<S> {
    service: S,
    desk: Arc<Desk>,
}

impl<S, B> Service<Request<Incoming>> for Diverting<S>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = DivertingFuture<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let is_chunked = request.version() == Version::HTTP_11;
        let may_divert = is_chunked && *request.method() != Method::HEAD;
        DivertingFuture {
            answer: self.service.call(request),
            desk: may_divert.then(|| Arc::clone(&self.desk)),
            is_diverted: false,
        }
    }
}

pin_project! {
    /// The answer, or nothing ever, where it goes elsewhere.
    struct DivertingFuture<F> {
        #[pin]
        answer: F,
        // None where the answer has to be hyper's.
        desk: Option<Arc<Desk>>,
        is_diverted: bool,
    }
}

impl<F, B, E> Future for DivertingFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if *this.is_diverted {
            return Poll::Pending;
        }
        let response = ready!(this.answer.poll(context))?;
        let Some(desk) = this.desk else {
            return Poll::Ready(Ok(response));
        };
        match Answer::of(response) {
            Ok(answer) => {
                *this.is_diverted = true;
                *desk.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
                Poll::Pending
            }
            Err(response) => Poll::Ready(Ok(response)),
        }
    }
}

/// A socket that knows whether all was written: hyper flushes it once its buffer is empty.
#[derive(Debug)]
struct Watched<I> {
    io: I,
    desk: Arc<Desk>,
}

impl<I> Watched<I> {
    fn set_unwritten(&self, is_unwritten: bool) {
        self.desk
            .is_unwritten
            .store(is_unwritten, Ordering::Relaxed);
    }
}

impl<I: Read + Unpin> Read for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<I: Write + Unpin> Write for Watched<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.set_unwritten(true);
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        self.set_unwritten(!matches!(flushed, Poll::Ready(Ok(()))));
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.set_unwritten(true);
        Pin::new(&mut self.io).poll_write_vectored(context, parts)
    }
}
