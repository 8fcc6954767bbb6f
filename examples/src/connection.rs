use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use eventwire::gateway::PeerAddress;
use eventwire::sse_body::JoinedWrites;
use eventwire::takeover::{self, Served, Serving, Writers};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt as _;
use tower_service::Service;

use crate::h2_streams::{Pieces, Streams};
use crate::server::Stopping;

/// How long a client may take to send the head of its request.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// How much of what a client does not read may wait in hyper, beside one piece of a body: 400 KiB
/// unless set. The head of a request may have as much.
const AHEAD: usize = 16 << 10;

/// How long to wait for the rest of the few bytes that tell the protocol, at first.
const PAUSE_IN_PREFACE: Duration = Duration::from_millis(5);

/// How an HTTP/2 connection begins (RFC 9113, section 3.4). hyper would wait for the rest of it for
/// ever; from there on it asks the client for signs of life.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One connection of a client.
///
/// A peer that is gone is found by the system: what was written and not acknowledged for so long
/// closes the connection (`TCP_USER_TIMEOUT`), and heartbeats see to it that an idle stream writes.
/// One that is there and takes nothing is found by the write that waits for it; over HTTP/2 also by
/// the ping it does not answer, or the stream it gives no window.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: TcpStream,
    pub(crate) peer: IpAddr,
    pub(crate) stalled_after: Duration,
    /// Who writes event streams of HTTP/1.1 in hyper's place.
    pub(crate) writers: Option<Writers>,
    pub(crate) stopping: Stopping,
}

impl Connection {
    /// Serves it to its end. HTTP/1.1 and HTTP/2 have their own half of hyper: one that could be
    /// either holds twice the buffers for as long as it lives.
    pub(crate) async fn serve<S, B>(self, service: S, graceful: Watcher)
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        if let Err(error) = self.prepare() {
            tracing::debug!(%error, "cannot set the options of a socket");
        }
        let peer = PeerAddress(self.peer);
        let service = service.map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            request
        });
        // What is waited for is in a box of its own size: the task would have room for the largest
        // of all of it, twice, for as long as it lives.
        let protocol = tokio::select! {
            protocol = Box::pin(timeout(HEAD_WITHIN, speaks_http2(&self.socket))) => protocol,
            () = self.stopping.clone() => return,
        };
        let mut io = TimeoutStream::new(self.socket);
        io.set_write_timeout(Some(self.stalled_after));
        let io = TokioIo::new(JoinedWrites::new(Box::pin(io)));
        let ended = match protocol {
            Ok(Ok(true)) => {
                let streams = Streams::stalled_after(self.stalled_after);
                let service = service.map_response(|response| response.map(Pieces::of));
                let service = TowerToHyperService::new(service);
                let connection = http2::Builder::new(streams)
                    .timer(TokioTimer::new())
                    .keep_alive_interval(self.stalled_after)
                    .keep_alive_timeout(self.stalled_after)
                    .serve_connection(io, service);
                Box::pin(graceful.watch(connection)).await
            }
            Ok(Ok(false)) => {
                let service = TowerToHyperService::new(service);
                let mut http = http1::Builder::new();
                http.timer(TokioTimer::new())
                    .header_read_timeout(HEAD_WITHIN)
                    .max_buf_size(AHEAD);
                match self.writers {
                    Some(writers) => {
                        // Whoever has the watcher is waited for.
                        let _graceful = graceful;
                        let serving = takeover::serve(&http, io, service);
                        Box::pin(serve_or_write(serving, &writers, self.stopping)).await
                    }
                    None => {
                        let connection = http.serve_connection(io, service);
                        Box::pin(graceful.watch(connection)).await
                    }
                }
            }
            // It said nothing, and is owed nothing.
            Ok(Err(_)) | Err(_) => return,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended with an error");
        }
    }

    fn prepare(&self) -> io::Result<()> {
        self.socket.set_nodelay(true)?;
        let socket = SockRef::from(&self.socket);
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(self.stalled_after))?;
        // The system counts these in whole seconds, and refuses none.
        let second = Duration::from_secs(1);
        let probes = TcpKeepalive::new()
            .with_time(self.stalled_after.max(second))
            .with_interval((self.stalled_after / 3).max(second));
        socket.set_tcp_keepalive(&probes)?;
        Ok(())
    }
}

/// A socket whose writes are timed, and each is one.
type TimedIo = TokioIo<JoinedWrites<Pin<Box<TimeoutStream<TcpStream>>>>>;

/// Serves a connection of HTTP/1.1, and leaves it to the writers where it becomes an event stream.
async fn serve_or_write<S, B>(
    mut serving: Serving<TimedIo, S, B>,
    writers: &Writers,
    stopping: Stopping,
) -> hyper::Result<()>
where
    S: hyper::service::Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let served = tokio::select! {
        served = &mut serving => served,
        () = stopping => {
            serving.graceful_shutdown();
            serving.await
        }
    };
    if let Served::Begun(io, answer) = served? {
        match untimed(&io) {
            Ok(socket) => writers.write(socket, answer),
            Err(error) => tracing::warn!(%error, "cannot take a connection over"),
        }
    }
    Ok(())
}

/// The socket again, without the timer, which is pinned around it.
fn untimed(io: &TimedIo) -> io::Result<TcpStream> {
    let descriptor = io.inner().inner().get_ref().as_fd().try_clone_to_owned()?;
    TcpStream::from_std(descriptor.into())
}

/// Which protocol a client speaks, by its first bytes, which stay where they are.
async fn speaks_http2(socket: &TcpStream) -> io::Result<bool> {
    let mut pause = PAUSE_IN_PREFACE;
    loop {
        let mut first = [0; PREFACE.len()];
        let length = socket.peek(&mut first).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !PREFACE.starts_with(&first[..length]) {
            return Ok(false);
        }
        if length == PREFACE.len() {
            return Ok(true);
        }
        sleep(pause).await;
        pause *= 2;
    }
}
