//! Compressed streams, to curl and through proxies, of servers that take streams over and of those
//! that do not: compressed, a stream is hyper's to the end, since it is of one client alone.

mod support {
    pub(crate) mod blocks;
    pub(crate) mod installed;
    pub(crate) mod mode;
    pub(crate) mod port;
    pub(crate) mod proxy;
    #[expect(dead_code, reason = "other tests need more of it")]
    pub(crate) mod wire;
}

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::Parser as _;
use eventwire::feed::{Feed, FeedOptions};
use eventwire::gateway::Gateway;
use eventwire::sse_body::compress;
use eventwire::store::{Append, EventStore, EventType, MemoryStore, NewEvent};
use eventwire_examples::{ListenOptions, Server};
use http::Request;
use hyper::body::Incoming;
use tower::service_fn;
use tower_service::Service as _;

use support::installed::installed;
use support::mode::{Mode, in_both_modes};
use support::proxy::{Kind, Proxy, Setup};
use support::wire::Wire;

in_both_modes! {
    curl_shows_each_event_before_the_next_is_made,
    who_takes_no_compression_is_sent_none,
    nginx_passes_compressed_events_on_as_they_come,
    haproxy_passes_compressed_events_on_as_they_come,
    caddy_passes_compressed_events_on_as_they_come,
    varnish_passes_compressed_events_on_as_they_come,
    apache_passes_compressed_events_on_as_they_come,
}

const PATIENCE: Duration = Duration::from_secs(20);

/// A server that compresses streams for who takes it, and its store.
struct Served {
    address: SocketAddr,
    store: MemoryStore,
    gateway: Gateway,
}

impl Served {
    async fn start(mode: Mode) -> Self {
        let flags = ["test", "--listen", "127.0.0.1:0"];
        let flags = flags.iter().chain(mode.flags());
        let server = Server::bind(ListenOptions::parse_from(flags)).await;
        let server = server.expect("a port is free");
        let address = server.address().expect("it listens");
        let store = MemoryStore::new();
        let feed = Feed::start(store.clone(), FeedOptions::default()).await;
        let gateway = Gateway::builder(feed.expect("a store in memory can be read"));
        // No heartbeat comes while a test runs, which could push what is held back.
        let gateway = gateway.heartbeat(Duration::from_secs(3600)).build();
        let inner = gateway.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let taken = request.headers().clone();
            let answer = inner.clone().call(request);
            async move { answer.await.map(|answer| compress(&taken, answer)) }
        });
        tokio::spawn(server.run(service));
        Self {
            address,
            store,
            gateway,
        }
    }

    async fn publish(&self, data: impl Into<String>) {
        let event = NewEvent::new(EventType::new("t").expect("a type"), data.into());
        let appended = self.store.append(Append::new().event(event)).await;
        appended.expect("memory takes it");
    }
}

async fn curl_shows_each_event_before_the_next_is_made(mode: Mode) {
    let served = Served::start(mode).await;
    let address = served.address;
    shows_each_event_before_the_next(served, address).await;
}

async fn nginx_passes_compressed_events_on_as_they_come(mode: Mode) {
    passes_compressed_events_on(Kind::Nginx, mode).await;
}

async fn haproxy_passes_compressed_events_on_as_they_come(mode: Mode) {
    passes_compressed_events_on(Kind::Haproxy, mode).await;
}

async fn caddy_passes_compressed_events_on_as_they_come(mode: Mode) {
    passes_compressed_events_on(Kind::Caddy, mode).await;
}

async fn varnish_passes_compressed_events_on_as_they_come(mode: Mode) {
    passes_compressed_events_on(Kind::Varnish, mode).await;
}

async fn apache_passes_compressed_events_on_as_they_come(mode: Mode) {
    passes_compressed_events_on(Kind::Apache, mode).await;
}

async fn passes_compressed_events_on(kind: Kind, mode: Mode) {
    let served = Served::start(mode).await;
    let Some(proxy) = Proxy::start(kind, Setup::default(), served.address) else {
        return;
    };
    shows_each_event_before_the_next(served, proxy.address()).await;
}

/// What curl is told at an address behind which the server is.
async fn shows_each_event_before_the_next(served: Served, address: SocketAddr) {
    let Some(curl) = installed(&["curl"], "apt-get install curl") else {
        return;
    };
    let mut curl = Command::new(curl)
        .args(["--silent", "--no-buffer", "--include", "--compressed"])
        .arg(format!("http://{address}/events?from=start"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl starts");
    let stdout = BufReader::new(curl.stdout.take().expect("stdout is a pipe"));
    let (say, said) = mpsc::channel();
    thread::spawn(move || {
        for line in stdout.lines() {
            // Lines that nobody waits for any more are not missed.
            let _heard = say.send(line.expect("UTF-8"));
        }
    });
    let until = |line: &str| loop {
        let next = said.recv_timeout(PATIENCE);
        let next = next.unwrap_or_else(|_| panic!("{line} did not come"));
        // A proxy may write names of headers its own way.
        if next.eq_ignore_ascii_case(line) {
            break;
        }
    };
    until("content-encoding: gzip");
    // The comment that opens the stream.
    until(":");
    for number in 0..50 {
        let text = format!("{number} {}", "la ".repeat(number * 20));
        served.publish(&text).await;
        until(&format!("data: {text}"));
    }
    // Checksum and length at the end are right, or curl says that they are not.
    served.gateway.close().await;
    let status = curl.wait().expect("curl ends");
    assert_eq!(status.code(), Some(0));
}

async fn who_takes_no_compression_is_sent_none(mode: Mode) {
    let served = Served::start(mode).await;
    served.publish("1").await;
    let ask = "GET /events?from=start HTTP/1.1\r\nhost: here\r\naccept: text/event-stream\r\n";
    let plain = format!("{ask}\r\n");
    let packed = format!("{ask}accept-encoding: gzip\r\n\r\n");
    for (request, is_packed) in [(plain, false), (packed, true)] {
        let wire = Wire::send(served.address, &request).await;
        let mut wire = wire.expect("a connection");
        wire.read_head().await.expect("a head");
        let head = wire.head.to_ascii_lowercase();
        assert_eq!(head.contains("\r\ncontent-encoding: gzip\r\n"), is_packed);
        // Whose connection was taken over is told that it closes.
        let is_taken_over = mode == Mode::TakenOver && !is_packed;
        assert_eq!(head.contains("\r\nconnection: close\r\n"), is_taken_over);
        if !is_packed {
            assert_eq!(wire.events(1).await.expect("an event"), ["1"]);
        }
    }
}
