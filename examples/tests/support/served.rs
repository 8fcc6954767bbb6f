//! A server in the test's own process, over a store in memory, that cuts off after some seconds who
//! takes nothing or is gone.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::Parser as _;
use eventwire::feed::{Feed, FeedOptions};
use eventwire::gateway::{Gateway, GatewayBuilder};
use eventwire::store::{Append, EventStore, EventType, MemoryStore, NewEvent};
use eventwire_examples::{ListenOptions, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::mode::Mode;

/// Longer than it takes for any client to be cut off.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How long a client may take nothing: longer than what is asked while it still has its place takes
/// on a busy machine.
pub(crate) const STALLED_AFTER: Duration = Duration::from_secs(4);

/// Where it listens.
pub(crate) async fn serve(
    store: &MemoryStore,
    mode: Mode,
    limits: impl FnOnce(GatewayBuilder) -> GatewayBuilder,
) -> SocketAddr {
    serve_on("127.0.0.1", store, mode, limits).await
}

pub(crate) async fn serve_on(
    host: &str,
    store: &MemoryStore,
    mode: Mode,
    limits: impl FnOnce(GatewayBuilder) -> GatewayBuilder,
) -> SocketAddr {
    let listen = format!("{host}:0");
    let stalled_after = format!("{}s", STALLED_AFTER.as_secs());
    let options = [
        "test",
        "--listen",
        &listen,
        "--stalled-after",
        &stalled_after,
    ];
    let options = options.iter().chain(mode.flags());
    let server = Server::bind(ListenOptions::parse_from(options))
        .await
        .expect("a port is free");
    let address = server.address().expect("it listens");
    let feed = Feed::start(store.clone(), FeedOptions::default())
        .await
        .expect("a store in memory can be read");
    let gateway = Gateway::builder(feed).heartbeat(Duration::from_millis(100));
    tokio::spawn(server.run(limits(gateway).build()));
    address
}

/// Appends more than both sides of a connection keep for it.
pub(crate) async fn append_much(store: &MemoryStore) {
    let event_type = EventType::new("large").expect("a type");
    for _ in 0..30 {
        let data = format!("\"{}\"", "x".repeat(500_000));
        let event = NewEvent::new(event_type.clone(), data);
        let appended = store.append(Append::new().event(event)).await;
        appended.expect("memory takes it");
    }
}

/// A connection that has asked for all events, and has not read.
pub(crate) async fn ask(address: SocketAddr) -> io::Result<TcpStream> {
    let mut socket = TcpStream::connect(address).await?;
    let request =
        b"GET /events?from=start HTTP/1.1\r\nhost: here\r\naccept: text/event-stream\r\n\r\n";
    socket.write_all(request).await?;
    Ok(socket)
}

/// The status of the answer to one who asks.
pub(crate) async fn status(address: SocketAddr) -> io::Result<u16> {
    let mut socket = ask(address).await?;
    let mut head = [0; 12];
    socket.read_exact(&mut head).await?;
    let text = std::str::from_utf8(&head[9..]).map_err(io::Error::other)?;
    text.parse().map_err(io::Error::other)
}

/// Waits until a stream is opened again where there may be but so many.
pub(crate) async fn is_open_in_time(address: SocketAddr) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if matches!(status(address).await, Ok(200)) {
            return true;
        }
        sleep(Duration::from_millis(100)).await;
    }
    false
}
