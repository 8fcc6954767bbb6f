//! Peers that die without a word, do not read, say nothing, or come and go in a burst.

mod support {
    pub(crate) mod installed;
    pub(crate) mod mode;
    pub(crate) mod network;
}

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::Parser as _;
use eventwire::feed::{Feed, FeedOptions};
use eventwire::gateway::{Gateway, GatewayBuilder};
use eventwire::store::{Append, EventStore, EventType, MemoryStore, NewEvent};
use eventwire_examples::{ListenOptions, Server};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use support::mode::{Mode, in_both_modes};
use support::network::Network;

in_both_modes! {
    who_is_cut_off_without_a_word_is_closed_in_time,
    who_does_not_read_is_closed_in_time_and_holds_nobodys_place,
    who_says_nothing_or_half_a_head_is_closed,
    a_burst_of_connects_and_resets_leaves_nothing,
}

/// A server in this process, over a store in memory.
async fn serve(
    store: &MemoryStore,
    mode: Mode,
    limits: impl FnOnce(GatewayBuilder) -> GatewayBuilder,
) -> SocketAddr {
    serve_on("127.0.0.1", store, mode, limits).await
}

async fn serve_on(
    host: &str,
    store: &MemoryStore,
    mode: Mode,
    limits: impl FnOnce(GatewayBuilder) -> GatewayBuilder,
) -> SocketAddr {
    let listen = format!("{host}:0");
    let options = ["test", "--listen", &listen, "--stalled-after", "1s"];
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

/// A connection that has asked for all events, and has not read.
async fn ask(address: SocketAddr) -> io::Result<TcpStream> {
    let mut socket = TcpStream::connect(address).await?;
    let request =
        b"GET /events?from=start HTTP/1.1\r\nhost: here\r\naccept: text/event-stream\r\n\r\n";
    socket.write_all(request).await?;
    Ok(socket)
}

/// The status of the answer to one who asks.
async fn status(address: SocketAddr) -> io::Result<u16> {
    let mut socket = ask(address).await?;
    let mut head = [0; 12];
    socket.read_exact(&mut head).await?;
    let text = std::str::from_utf8(&head[9..]).map_err(io::Error::other)?;
    text.parse().map_err(io::Error::other)
}

/// Waits until a stream is opened again where there may be but one.
async fn is_open_within(address: SocketAddr, time: Duration) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < time {
        if matches!(status(address).await, Ok(200)) {
            return true;
        }
        sleep(Duration::from_millis(100)).await;
    }
    false
}

/// No packet comes back any more: nothing says that the connection has ended.
async fn who_is_cut_off_without_a_word_is_closed_in_time(mode: Mode) {
    for is_silent in [false, true] {
        let Some(network) = Network::new() else {
            return;
        };
        let store = MemoryStore::new();
        let limits = |gateway: GatewayBuilder| match is_silent {
            // Nothing is written that could go unacknowledged: the system asks by itself.
            true => gateway.max_streams(1).heartbeat(Duration::from_secs(3600)),
            false => gateway.max_streams(1),
        };
        let address = serve_on(network.host(), &store, mode, limits).await;
        let client = network.follow(&format!("http://{address}/events"));
        sleep(Duration::from_secs(3)).await;
        let refused = status(address).await.expect("an answer");
        assert_eq!(refused, 503, "a client that is there keeps its place");
        network.cut();
        assert!(
            is_open_within(address, Duration::from_secs(30)).await,
            "a client that is gone is still served"
        );
        drop(client);
    }
}

async fn who_does_not_read_is_closed_in_time_and_holds_nobodys_place(mode: Mode) {
    let store = MemoryStore::new();
    let event_type = EventType::new("large").expect("a type");
    for _ in 0..30 {
        // More than both sides keep for a connection.
        let event = NewEvent::new(event_type.clone(), "x".repeat(500_000));
        let appended = store.append(Append::new().event(event)).await;
        appended.expect("memory takes it");
    }
    let address = serve(&store, mode, |gateway| gateway.max_streams(1)).await;
    let stalled = ask(address).await.expect("a connection");
    sleep(Duration::from_millis(300)).await;
    let refused = status(address).await.expect("an answer");
    assert_eq!(refused, 503, "the one place is taken");
    assert!(
        is_open_within(address, Duration::from_secs(30)).await,
        "a peer that reads nothing is still served"
    );
    drop(stalled);
}

async fn who_says_nothing_or_half_a_head_is_closed(mode: Mode) {
    let address = serve(&MemoryStore::new(), mode, |gateway| gateway).await;
    let mut connections = Vec::new();
    for said in [&b""[..], b"P", b"GET /events HTTP/1.1\r\nhost: h"] {
        let mut socket = TcpStream::connect(address).await.expect("a connection");
        socket.write_all(said).await.expect("it takes a few bytes");
        connections.push(socket);
    }
    for mut socket in connections {
        let mut answer = Vec::new();
        let ended = timeout(Duration::from_secs(30), socket.read_to_end(&mut answer)).await;
        // hyper answers half a head, or not; the end is what counts.
        let _how = ended.expect("a connection without a request is closed");
    }
}

async fn a_burst_of_connects_and_resets_leaves_nothing(mode: Mode) {
    let address = serve(&MemoryStore::new(), mode, |gateway| gateway.max_streams(1)).await;
    let files = || fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    // The server is of this runtime.
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let (files_before, tasks_before) = (files(), tasks());
    for number in 0..10_000 {
        let Ok(socket) = ask(address).await else {
            continue;
        };
        if number % 3 == 0 {
            tokio::task::yield_now().await;
        }
        // A reset in place of an orderly end.
        let reset = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
        reset.expect("an option of every socket");
    }
    assert!(is_open_within(address, Duration::from_secs(30)).await);
    let begun = Instant::now();
    while files() > files_before + 20 || tasks() > tasks_before {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{} files are open, and {} tasks run; there were {tasks_before}",
            files(),
            tasks()
        );
        sleep(Duration::from_millis(50)).await;
    }
}
