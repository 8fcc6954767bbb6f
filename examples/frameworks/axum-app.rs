//! Eventwire in axum: `cargo run --example axum-app`.
//!
//! `GET /ticks` is a route of the application's own that answers with an event stream, and goes on
//! after `Last-Event-ID`. Everything below `/api` is the whole gateway: `POST /api/streams/{stream}`
//! appends, `GET /api/events` follows.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use clap::Parser;
use eventwire::feed::{Feed, FeedOptions};
use eventwire::gateway::{Gateway, PeerAddress};
use eventwire::sse_body::{LastEventId, SseResponse};
use eventwire::store::MemoryStore;
use eventwire_examples_frameworks::{Options, Ticks, stopped};
use futures_util::StreamExt;
use tokio::net::TcpListener;
use tokio::sync::watch;

#[derive(Clone)]
struct App {
    ticks: Ticks,
    stop: watch::Receiver<bool>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    let feed = Feed::start(MemoryStore::new(), FeedOptions::default()).await?;
    // `route_service` leaves the path whole, and the gateway knows its prefix: so the addresses in
    // its answers are right, which those below `nest_service` could not be.
    let gateway = Gateway::builder(feed).prefix("/api").raw_log().build();
    let (stop, stopping) = watch::channel(false);
    let app = Router::new()
        .route("/", get(Html(PAGE)))
        .route("/ticks", get(ticks))
        .route_service("/api/{*below}", gateway.clone())
        // For `GatewayBuilder::max_streams_per_address`.
        .layer(axum::middleware::map_request(with_peer))
        .with_state(App {
            ticks: Ticks::every(options.every),
            stop: stopping,
        });

    let stopped = stopped()?;
    let listener = TcpListener::bind(options.listen).await?;
    Options::listening(listener.local_addr()?)?;
    let served = axum::serve(
        listener,
        app.into_make_service_with_connect_info::<SocketAddr>(),
    );
    // axum waits for every response, and event streams have no end of their own.
    let ending = async move {
        stopped.await;
        stop.send_replace(true);
        gateway.close().await;
    };
    served.with_graceful_shutdown(ending).await?;
    Ok(())
}

async fn ticks(State(app): State<App>, last: Option<LastEventId>) -> impl IntoResponse {
    let mut stop = app.stop;
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    SseResponse::from_stream(app.ticks.after(last.as_ref()).take_until(Box::pin(stopped)))
}

async fn with_peer(ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: Request) -> Request {
    request.extensions_mut().insert(PeerAddress(peer.ip()));
    request
}

const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><h1 id="tick">...</h1><script>
new EventSource("/ticks").addEventListener("tick", (event) => tick.textContent = event.data)
</script>"#;
