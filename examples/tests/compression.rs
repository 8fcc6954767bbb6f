//! Compressed streams, to curl, and through a proxy.

mod support {
    pub(crate) mod installed;
    pub(crate) mod port;
    pub(crate) mod proxy;
    pub(crate) mod upstream;
}

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use support::installed::installed;
use support::proxy::{Kind, Proxy, Setup};
use support::upstream::{SetUp, Upstream};

/// No heartbeat comes while the test runs, which could push what is held back.
const COMPRESSING: SetUp = SetUp {
    gateway: |gateway| gateway.heartbeat(Duration::from_secs(3600)),
    is_compressing: true,
};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_shows_each_event_before_the_next_is_made() {
    let upstream = Upstream::start(COMPRESSING).await;
    let address = upstream.address();
    shows_each_event_before_the_next(upstream, address).await;
}

macro_rules! through {
    ($($name:ident: $kind:expr),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            passes_compressed_events_on($kind).await;
        }
    )*};
}

through! {
    nginx_passes_compressed_events_on_as_they_come: Kind::Nginx,
    haproxy_passes_compressed_events_on_as_they_come: Kind::Haproxy,
    caddy_passes_compressed_events_on_as_they_come: Kind::Caddy,
    varnish_passes_compressed_events_on_as_they_come: Kind::Varnish,
}

async fn passes_compressed_events_on(kind: Kind) {
    let upstream = Upstream::start(COMPRESSING).await;
    let Some(proxy) = Proxy::start(kind, Setup::default(), upstream.address()) else {
        return;
    };
    shows_each_event_before_the_next(upstream, proxy.address()).await;
}

/// What curl is told at an address behind which the upstream is.
async fn shows_each_event_before_the_next(mut upstream: Upstream, address: SocketAddr) {
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
        upstream.publish(&text).await;
        until(&format!("data: {text}"));
    }
    // Checksum and length at the end are right, or curl says that they are not.
    upstream.end_streams().await;
    let status = curl.wait().expect("curl ends");
    assert_eq!(status.code(), Some(0));
}
