use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eventwire::gateway::PeerAddress;
use eventwire_examples::{Pieces, Streams};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rcgen::{CertifiedKey, KeyPair};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tower::ServiceExt as _;
use tower_service::Service;

/// How long a client may take to agree on keys, and to send the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// How long to wait where a connection cannot be accepted (too many open files, say).
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// How much of what a client does not read may wait in hyper, beside one piece of a body: 400 KiB
/// unless set. The head of a request may have as much.
const AHEAD: usize = 16 << 10;

/// How many streams a client may have on a connection by HTTP/2; hyper allows 200.
const STREAMS: u32 = 1000;

/// How long a client may take nothing of what it is sent; by HTTP/2 it is also asked so often whether it
/// is there, and may take so long to say so.
const STALLED_AFTER: Duration = Duration::from_secs(30);

/// A certificate that signs itself.
pub(crate) struct Certificate(CertifiedKey<KeyPair>);

impl Certificate {
    /// For whoever comes from this machine.
    pub(crate) fn for_this_machine() -> Result<Self, rcgen::Error> {
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        rcgen::generate_simple_self_signed(names).map(Self)
    }

    pub(crate) fn pem(&self) -> String {
        self.0.cert.pem()
    }

    /// TLS with this certificate; the client has its choice of the protocols, of which the first is
    /// liked best (ALPN, RFC 7301).
    pub(crate) fn offering(
        &self,
        protocols: &[&str],
    ) -> Result<TlsAcceptor, tokio_rustls::rustls::Error> {
        let chain = vec![self.0.cert.der().clone()];
        let key = PrivatePkcs8KeyDer::from(self.0.signing_key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key.into())?;
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().into())
            .collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// Where clients connect, and what they are offered.
pub(crate) struct Endpoint {
    listener: TcpListener,
    tls: TlsAcceptor,
}

impl Endpoint {
    pub(crate) fn new(listener: TcpListener, tls: TlsAcceptor) -> Self {
        Self { listener, tls }
    }

    /// Serves every connection in a task of its own, without end.
    pub(crate) async fn serve<S, B>(self, service: S, graceful: &GracefulShutdown)
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        loop {
            match self.listener.accept().await {
                Ok((socket, peer)) => {
                    let tls = self.tls.clone();
                    let peer = PeerAddress(peer.ip());
                    let service = service.clone().map_request(move |mut request: Request<_>| {
                        request.extensions_mut().insert(peer);
                        request
                    });
                    let watcher = graceful.watcher();
                    tokio::spawn(async move {
                        if let Err(error) = connection(socket, tls, service, watcher).await {
                            tracing::debug!(%error, "connection ended with an error");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }
}

async fn connection<S, B>(
    socket: TcpStream,
    tls: TlsAcceptor,
    service: S,
    graceful: Watcher,
) -> Result<(), Box<dyn Error + Send + Sync>>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    socket.set_nodelay(true)?;
    // A peer that is gone is found by what it does not acknowledge.
    #[cfg(target_os = "linux")]
    SockRef::from(&socket).set_tcp_user_timeout(Some(STALLED_AFTER))?;
    // One that is there and takes nothing, by the write that waits for it: below TLS, which takes a
    // heartbeat at once, as long as there is room in its buffer.
    let mut socket = TimeoutStream::new(socket);
    socket.set_write_timeout(Some(STALLED_AFTER));
    let handshake = tokio::time::timeout(HEAD_WITHIN, tls.accept(Box::pin(socket))).await;
    let mut socket = handshake.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    if socket.get_ref().1.alpn_protocol() == Some(b"h2") {
        // Who is there answers pings.
        let timed = socket.get_mut().0.as_mut();
        timed.set_read_timeout_pinned(Some(3 * STALLED_AFTER));
        let io = TokioIo::new(socket);
        let service = service.map_response(|response| response.map(Pieces::of));
        let service = TowerToHyperService::new(service);
        let connection = http2::Builder::new(Streams::stalled_after(STALLED_AFTER))
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .keep_alive_interval(STALLED_AFTER)
            .keep_alive_timeout(STALLED_AFTER)
            .serve_connection(io, service);
        graceful.watch(connection).await?;
    } else {
        let io = TokioIo::new(socket);
        let service = TowerToHyperService::new(service);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .max_buf_size(AHEAD)
            .serve_connection(io, service);
        graceful.watch(connection).await?;
    }
    Ok(())
}
