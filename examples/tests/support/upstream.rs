//! The gateway in this process, which can be away for a while.

use std::convert::Infallible;
use std::future::pending;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use eventwire::feed::{Feed, FeedOptions};
use eventwire::gateway::{Gateway, GatewayBody, GatewayBuilder};
use eventwire::sse_body::compress;
use eventwire::store::{Append, EventStore, EventType, MemoryStore, NewEvent};
use eventwire::takeover::{self, Served, WriterOptions, Writers};
use http::{HeaderMap, Request, Response};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;
use tower_service::Service as _;

use super::port::free_port;

/// How it serves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SetUp {
    pub(crate) gateway: fn(GatewayBuilder) -> GatewayBuilder,
    /// Whether streams are compressed for who takes it.
    pub(crate) is_compressing: bool,
    /// Whether streams are taken over from hyper.
    pub(crate) is_taken_over: bool,
}

/// Its address and its events outlive it.
pub(crate) struct Upstream {
    address: SocketAddr,
    pub(super) store: MemoryStore,
    set_up: SetUp,
    pub(super) serving: Serving,
}

pub(super) struct Serving {
    gateway: Gateway,
    pub(super) reset: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Upstream {
    pub(crate) async fn start(set_up: SetUp) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let store = MemoryStore::new();
        let serving = Serving::start(address, store.clone(), set_up).await;
        Self {
            address,
            store,
            set_up,
            serving,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it, and breaks all its connections off in the middle of what they were at.
    pub(crate) async fn stop(&mut self) {
        self.serving.reset.send_replace(());
        self.serving.task.abort();
        let _aborted = (&mut self.serving.task).await;
    }

    pub(crate) async fn start_again(&mut self) {
        self.serving = Serving::start(self.address, self.store.clone(), self.set_up).await;
    }

    /// Ends every stream as it should be, and is away for a moment.
    pub(crate) async fn end_streams(&mut self) {
        self.serving.gateway.close().await;
        // Their last bytes leave; who waits for more hears of the end all the same.
        sleep(Duration::from_millis(200)).await;
        self.stop().await;
        self.start_again().await;
    }

    /// Appends an event of type `posted`.
    pub(crate) async fn publish(&self, data: impl Into<String>) {
        let event_type = EventType::new("posted").expect("a type");
        let event = NewEvent::new(event_type, data.into());
        let appended = self.store.append(Append::new().event(event)).await;
        appended.expect("memory takes it");
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.task.abort();
    }
}

impl Serving {
    async fn start(address: SocketAddr, store: MemoryStore, set_up: SetUp) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free address");
        let options = FeedOptions::default().return_within(Duration::from_millis(200));
        let feed = Feed::start(store, options).await;
        let feed = feed.expect("a store in memory can be read");
        let gateway = (set_up.gateway)(Gateway::builder(feed)).build();
        let (reset, is_reset) = watch::channel(());
        let serving = serve(listener, gateway.clone(), set_up, is_reset);
        let task = tokio::spawn(serving);
        Self {
            gateway,
            reset,
            task,
        }
    }
}

async fn serve(listener: TcpListener, gateway: Gateway, set_up: SetUp, reset: watch::Receiver<()>) {
    let is_compressing = set_up.is_compressing;
    // Dropped with this task, and every connection with them.
    let mut connections = JoinSet::new();
    let writers = Writers::start(WriterOptions::default());
    while let Ok((socket, _)) = listener.accept().await {
        socket.set_nodelay(true).expect("a socket");
        let gateway = gateway.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let mut taken = HeaderMap::new();
            if is_compressing {
                taken.clone_from(request.headers());
            }
            let answer = answer(gateway.clone(), request);
            async move { answer.await.map(|answer| compress(&taken, answer)) }
        });
        let mut reset = reset.clone();
        reset.mark_unchanged();
        let writers = set_up.is_taken_over.then(|| writers.clone());
        connections.spawn(async move {
            let handle = SockRef::from(&socket).try_clone().expect("a handle");
            let http = http1::Builder::new();
            let serving = async {
                let Some(writers) = writers else {
                    // Who hangs up is how most streams end.
                    return drop(http.serve_connection(TokioIo::new(socket), service).await);
                };
                let served = takeover::serve(&http, TokioIo::new(socket), service).await;
                if let Ok(Served::Begun(io, answer)) = served {
                    writers.write(io.into_inner(), answer);
                    // It can be reset.
                    pending::<()>().await;
                }
            };
            tokio::select! {
                () = serving => {}
                _ = reset.changed() => {
                    let set = handle.set_linger(Some(Duration::ZERO));
                    set.expect("an option of every socket");
                    // Whoever writes to it lets go of it.
                    drop(handle.shutdown(Shutdown::Read));
                }
            }
        });
    }
}

/// An empty page at `/`, and the gateway.
async fn answer(
    mut gateway: Gateway,
    request: Request<Incoming>,
) -> Result<Response<Either<GatewayBody, Full<Bytes>>>, Infallible> {
    if request.uri().path() == "/" {
        let page = Response::builder().header("content-type", "text/html");
        let page = page.body(Either::Right(Full::from("<!doctype html>")));
        return Ok(page.expect("a valid header"));
    }
    Ok(gateway.call(request).await?.map(Either::Left))
}
