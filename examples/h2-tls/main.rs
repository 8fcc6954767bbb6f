//! HTTP/2 over TLS without a proxy: `cargo run --example h2-tls`, then open the two printed addresses.
//!
//! The page opens twelve event streams. By HTTP/1.1 a browser keeps at most six connections to a host, and every
//! stream takes one: the other six wait, and so does whatever else the page asks for. By HTTP/2 all share one.
//!
//! The certificate is made at the start and nobody vouches for it: browsers ask before they go on.

mod tls;

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use eventwire::feed::{Feed, FeedOptions};
use eventwire::gateway::Gateway;
use eventwire::store::{Append, EventStore, EventType, MemoryStore, NewEvent};
use eventwire_examples::{Failure, RETURN, log_to_stderr};
use http::{Request, Response};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tower_service::Service as _;

use tls::{Certificate, Endpoint};

/// How long those who do not read are waited for in the end.
const GRACE: Duration = Duration::from_secs(1);

#[derive(Debug, Parser)]
#[command(about = "Twelve event streams in a page, by HTTP/2 and by HTTP/1.1")]
struct Options {
    /// Where to listen for HTTP/2 and HTTP/1.1, whichever the client prefers; port 0 picks one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// Where to listen for HTTP/1.1 alone.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8444")]
    listen_http1: SocketAddr,
    /// Where to write the certificate, for clients to trust: `curl --cacert FILE`.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The time between two events.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    every: Duration,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    log_to_stderr();
    let options = Options::parse();
    let store = MemoryStore::new();
    let feed = Feed::start(store.clone(), FeedOptions::default().return_within(RETURN)).await?;
    let gateway = Gateway::builder(feed).build();
    tokio::spawn(tick(store, options.every));

    let certificate = Certificate::for_this_machine()?;
    if let Some(path) = options.certificate {
        std::fs::write(path, certificate.pem())?;
    }
    let by_any = TcpListener::bind(options.listen).await?;
    let by_http1 = TcpListener::bind(options.listen_http1).await?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut out = io::stdout();
    writeln!(out, "listening on https://{}", by_any.local_addr()?)?;
    writeln!(
        out,
        "by HTTP/1.1 alone on https://{}",
        by_http1.local_addr()?
    )?;

    let graceful = GracefulShutdown::new();
    let service = tower::service_fn({
        let gateway = gateway.clone();
        move |request| answer(gateway.clone(), request)
    });
    tokio::select! {
        () = Endpoint::new(by_any, certificate.offering(&["h2", "http/1.1"])?).serve(service.clone(), &graceful) => {}
        () = Endpoint::new(by_http1, certificate.offering(&["http/1.1"])?).serve(service, &graceful) => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    gateway.close().await;
    let ended = tokio::time::timeout(GRACE, graceful.shutdown()).await;
    if ended.is_err() {
        tracing::warn!("stopped with requests still under way");
    }
    Ok(())
}

type Answer = Response<Either<eventwire::gateway::GatewayBody, Full<Bytes>>>;

/// The page, and the gateway for all else.
async fn answer(mut gateway: Gateway, request: Request<Incoming>) -> Result<Answer, Infallible> {
    if request.uri().path() == "/" {
        let page = Response::builder()
            .header("content-type", "text/html; charset=utf-8")
            .body(Either::Right(Full::from(include_str!("page.html"))));
        return Ok(page.expect("a valid header"));
    }
    Ok(gateway.call(request).await?.map(Either::Left))
}

/// Appends a number every so often, from 1 on.
async fn tick(store: MemoryStore, every: Duration) {
    let tick = EventType::new("tick").expect("a name without control characters");
    let mut clock = tokio::time::interval(every);
    for number in 1_u64.. {
        clock.tick().await;
        let event = NewEvent::new(tick.clone(), number.to_string());
        if let Err(error) = store.append(Append::new().event(event)).await {
            tracing::error!(%error, "the clock has stopped");
            return;
        }
    }
}
