//! The gateway in this process, which can be away for a while.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use eventwire::feed::{Feed, FeedOptions};
use eventwire::gateway::Gateway;
use eventwire::store::{Append, EventStore, EventType, MemoryStore, NewEvent};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use super::port::free_port;

/// Its address and its events outlive it.
pub(crate) struct Upstream {
    address: SocketAddr,
    store: MemoryStore,
    heartbeat: Duration,
    gateway: Gateway,
    serving: JoinHandle<()>,
}

impl Upstream {
    pub(crate) async fn start(heartbeat: Duration) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let store = MemoryStore::new();
        let gateway = gateway(store.clone(), heartbeat).await;
        let serving = serve(address, gateway.clone()).await;
        Self {
            address,
            store,
            heartbeat,
            gateway,
            serving,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it, and all its connections in the middle of what they were at.
    pub(crate) async fn stop(&mut self) {
        self.serving.abort();
        let _aborted = (&mut self.serving).await;
    }

    pub(crate) async fn start_again(&mut self) {
        self.gateway = gateway(self.store.clone(), self.heartbeat).await;
        self.serving = serve(self.address, self.gateway.clone()).await;
    }

    /// Ends every stream as it should be, and is away for a moment.
    pub(crate) async fn end_streams(&mut self) {
        self.gateway.close().await;
        // Their last bytes leave; a proxy that waits for more hears of the end all the same.
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
        self.serving.abort();
    }
}

async fn gateway(store: MemoryStore, heartbeat: Duration) -> Gateway {
    let feed = Feed::start(store, FeedOptions::default()).await;
    let feed = feed.expect("a store in memory can be read");
    Gateway::builder(feed).heartbeat(heartbeat).build()
}

async fn serve(address: SocketAddr, gateway: Gateway) -> JoinHandle<()> {
    let listener = TcpListener::bind(address).await.expect("a free address");
    tokio::spawn(async move {
        // Dropped with this task, and every connection with it.
        let mut connections = JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            socket.set_nodelay(true).expect("a socket");
            let service = TowerToHyperService::new(gateway.clone());
            connections.spawn(async move {
                let serving = http1::Builder::new().serve_connection(TokioIo::new(socket), service);
                // A proxy that hangs up is how most streams end.
                let _ended = serving.await;
            });
        }
    })
}
