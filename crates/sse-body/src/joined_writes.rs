use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Up to so many bytes are put together: what a thread keeps for it, and small enough to stay in
/// the cache of a core.
const MOST_BYTES: usize = 16 << 10;

thread_local! {
    /// Taken while it is used: writing may come back here, where one is within another.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

pin_project! {
    /// A connection that writes several buffers as one, put together in memory that all connections
    /// of a thread share.
    ///
    /// For sockets under hyper, or any server that writes a chunk as its length, its bytes and its
    /// end. Told that a connection takes several buffers at once, hyper does not copy what it sends into
    /// a buffer of that connection: of thousands of connections that one has long left the caches when the
    /// next event comes, and the copy waits for it. A write of many buffers, on the other hand,
    /// costs the system more than one of a single buffer. So they are joined here, up to
    /// 16 KiB; longer ones are passed on as they are, where what is below takes several.
    ///
    /// With hyper leave `writev` as it is, or set it; without it hyper joins by itself, where it copies.
    #[derive(Debug)]
    #[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
    pub struct JoinedWrites<T> {
        #[pin]
        io: T,
    }
}

impl<T> JoinedWrites<T> {
    /// Joins what is written to `io`. What is read comes as it is.
    pub const fn new(io: T) -> Self {
        Self { io }
    }

    /// What it writes to.
    pub const fn inner(&self) -> &T {
        &self.io
    }

    /// What it wrote to; nothing is held back.
    pub fn into_inner(self) -> T {
        self.io
    }
}

impl<T: AsyncRead> AsyncRead for JoinedWrites<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.project().io.poll_read(context, buffer)
    }
}

impl<T: AsyncWrite> AsyncWrite for JoinedWrites<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.project().io.poll_write(context, bytes)
    }

    /// Writes all of the buffers, or what there is room for, in one write.
    ///
    /// # Cancel safety
    /// What was not written is not held either: the caller writes it again.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let io = self.project().io;
        let bytes = buffers.iter().map(|buffer| buffer.len()).sum::<usize>();
        if bytes > MOST_BYTES && io.is_write_vectored() {
            return io.poll_write_vectored(context, buffers);
        }
        let mut joined = BUFFER.take();
        joined.clear();
        for buffer in buffers {
            let room = MOST_BYTES - joined.len();
            joined.extend_from_slice(&buffer[..buffer.len().min(room)]);
        }
        let written = io.poll_write(context, &joined);
        BUFFER.set(joined);
        written
    }

    /// Always, whatever is below.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().io.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().io.poll_shutdown(context)
    }
}
