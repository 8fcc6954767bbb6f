use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use eventwire::gateway::PeerAddress;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt as _;
use tower_service::Service;

use crate::server::Stopping;

/// How long a client may take to send the head of its request.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// How long to wait for the rest of the few bytes that tell the protocol.
const PAUSE_IN_PREFACE: Duration = Duration::from_millis(5);

/// How an HTTP/2 connection begins (RFC 9113, section 3.4), as far as nothing of HTTP/1.1 does.
const PREFACE: &[u8] = b"PRI";

/// One connection of a client.
///
/// A peer that is gone is found by the system: what was written and not acknowledged for so long
/// closes the connection (`TCP_USER_TIMEOUT`), and heartbeats see to it that an idle stream writes.
/// One that is there and takes nothing is found by the write that waits for it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: TcpStream,
    pub(crate) peer: IpAddr,
    pub(crate) stalled_after: Duration,
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
        let service = TowerToHyperService::new(service);
        let protocol = tokio::select! {
            protocol = timeout(HEAD_WITHIN, speaks_http2(&self.socket)) => protocol,
            () = self.stopping => return,
        };
        let mut io = TimeoutStream::new(self.socket);
        io.set_write_timeout(Some(self.stalled_after));
        let io = TokioIo::new(Box::pin(io));
        let ended = match protocol {
            Ok(Ok(true)) => {
                let connection = http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .keep_alive_interval(self.stalled_after)
                    .keep_alive_timeout(self.stalled_after)
                    .serve_connection(io, service);
                graceful.watch(connection).await
            }
            Ok(Ok(false)) => {
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_WITHIN)
                    .serve_connection(io, service);
                graceful.watch(connection).await
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
        let probes = TcpKeepalive::new()
            .with_time(self.stalled_after)
            .with_interval(self.stalled_after / 3);
        socket.set_tcp_keepalive(&probes)?;
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(self.stalled_after))?;
        Ok(())
    }
}

/// Which protocol a client speaks, by its first bytes, which stay where they are.
async fn speaks_http2(socket: &TcpStream) -> io::Result<bool> {
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
        sleep(PAUSE_IN_PREFACE).await;
    }
}
