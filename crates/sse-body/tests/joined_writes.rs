//! What reaches a connection below, and in how many writes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use eventwire_sse_body::JoinedWrites;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What was done to a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Done {
    Write(Vec<u8>),
    Vectored(Vec<Vec<u8>>),
    Flush,
    Shutdown,
}

/// A connection that takes so many bytes of each write, or none now, and can be read from.
#[derive(Debug, Clone, Default)]
struct Below {
    is_vectored: bool,
    takes: Rc<RefCell<VecDeque<Poll<usize>>>>,
    done: Rc<RefCell<Vec<Done>>>,
}

impl Below {
    fn answer(&self, bytes: usize, done: Done) -> Poll<io::Result<usize>> {
        let next = self.takes.borrow_mut().pop_front();
        self.done.borrow_mut().push(done);
        match next.unwrap_or(Poll::Ready(usize::MAX)) {
            Poll::Ready(0) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Poll::Ready(most) => Poll::Ready(Ok(bytes.min(most))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Below {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        buffer.put_slice(b"read");
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Below {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.answer(bytes.len(), Done::Write(bytes.into()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let buffers: Vec<_> = buffers.iter().map(|buffer| buffer.to_vec()).collect();
        self.answer(buffers.concat().len(), Done::Vectored(buffers))
    }

    fn is_write_vectored(&self) -> bool {
        self.is_vectored
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.done.borrow_mut().push(Done::Flush);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.done.borrow_mut().push(Done::Shutdown);
        Poll::Ready(Ok(()))
    }
}

/// Writes the buffers until all is taken, and says what was done below.
fn written(below: &Below, buffers: &[&[u8]]) -> Vec<Done> {
    let mut io = JoinedWrites::new(below.clone());
    assert!(io.is_write_vectored());
    let mut context = Context::from_waker(Waker::noop());
    let mut buffers: Vec<_> = buffers.iter().map(|buffer| IoSlice::new(buffer)).collect();
    let mut left = &mut buffers[..];
    while !left.is_empty() {
        match Pin::new(&mut io).poll_write_vectored(&mut context, left) {
            Poll::Ready(Ok(bytes)) => IoSlice::advance_slices(&mut left, bytes),
            Poll::Ready(Err(_)) => break,
            Poll::Pending => {}
        }
    }
    below.done.take()
}

#[test]
fn several_buffers_are_one_write() {
    let below = Below::default();
    let chunk = || vec![Done::Write(b"5\r\ndata:\r\n".into())];
    assert_eq!(written(&below, &[b"5\r\n", b"data:", b"\r\n"]), chunk());
    assert_eq!(written(&below, &[b"5\r\n", b"", b"data:\r\n"]), chunk());
}

#[test]
fn what_was_not_taken_is_written_again_and_nothing_else() {
    let below = Below::default();
    let takes = [Poll::Pending, Poll::Ready(4), Poll::Pending, Poll::Ready(1)];
    below.takes.borrow_mut().extend(takes);
    let rest = [
        "5\r\ndata:\r\n",
        "5\r\ndata:\r\n",
        "ata:\r\n",
        "ata:\r\n",
        "ta:\r\n",
    ];
    let writes = rest.map(|rest| Done::Write(rest.into()));
    assert_eq!(written(&below, &[b"5\r\n", b"data:", b"\r\n"]), writes);

    below.takes.borrow_mut().push_back(Poll::Ready(0));
    let failed = [Done::Write(b"one".into())];
    assert_eq!(written(&below, &[b"on", b"e"]), failed);
    let next = [Done::Write(b"two".into())];
    assert_eq!(
        written(&below, &[b"tw", b"o"]),
        next,
        "nothing is left of it"
    );
}

#[test]
fn what_is_long_is_passed_on_where_that_can_be() {
    let long = vec![b'x'; 16 << 10];
    let parts: [&[u8]; 3] = [b"4000\r\n", &long, b"\r\n"];
    let passed = [Done::Vectored(parts.map(<[u8]>::to_vec).into())];
    let below = Below {
        is_vectored: true,
        ..Below::default()
    };
    assert_eq!(written(&below, &parts), passed);
    assert_eq!(written(&below, &[&long]), [Done::Write(long.clone())]);

    let all = parts.concat();
    let (first, rest) = all.split_at(16 << 10);
    let halves = [first, rest].map(|part| Done::Write(part.into()));
    assert_eq!(written(&Below::default(), &parts), halves);
}

/// Writes through another one to a third, as a program may that wraps one twice.
#[derive(Debug)]
struct Within(JoinedWrites<Below>);

impl AsyncWrite for Within {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let parts = [IoSlice::new(b"<"), IoSlice::new(bytes)];
        let written = Pin::new(&mut self.0).poll_write_vectored(context, &parts);
        written.map(|bytes| bytes.map(|bytes| bytes - 1))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn one_within_another_writes_what_it_is_given() {
    let below = Below::default();
    let mut outer = JoinedWrites::new(Within(JoinedWrites::new(below.clone())));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..2 {
        let parts = [IoSlice::new(b"a"), IoSlice::new(b"b")];
        let polled = Pin::new(&mut outer).poll_write_vectored(&mut context, &parts);
        assert!(matches!(polled, Poll::Ready(Ok(2))), "{polled:?}");
    }
    let once = || Done::Write(b"<ab".into());
    assert_eq!(below.done.take(), [once(), once()]);
}

#[tokio::test]
async fn all_else_is_as_it_is_below() {
    let below = Below::default();
    let mut io = JoinedWrites::new(below.clone());
    let mut read = [0; 4];
    assert_eq!(io.read_exact(&mut read).await.expect("it is there"), 4);
    assert_eq!(&read, b"read");

    let mut context = Context::from_waker(Waker::noop());
    let alone = Pin::new(&mut io).poll_write(&mut context, b"alone");
    assert!(matches!(alone, Poll::Ready(Ok(5))), "{alone:?}");
    assert!(Pin::new(&mut io).poll_flush(&mut context).is_ready());
    assert!(Pin::new(&mut io).poll_shutdown(&mut context).is_ready());
    let done = [Done::Write(b"alone".into()), Done::Flush, Done::Shutdown];
    assert_eq!(io.inner().done.take(), done);
    assert!(io.into_inner().done.borrow().is_empty());
}
