//! Peers that die without a word, do not read, say nothing, or come and go in a burst.

mod peers {
    mod over_http2;
}
mod support {
    pub(crate) mod installed;
    pub(crate) mod mode;
    pub(crate) mod network;
    pub(crate) mod served;
}

use std::fs;
use std::time::{Duration, Instant};

use eventwire::gateway::GatewayBuilder;
use eventwire::store::MemoryStore;
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use support::mode::{Mode, in_both_modes};
use support::network::{Network, Protocol};
use support::served::{
    PATIENCE, STALLED_AFTER, append_much, ask, is_open_in_time, serve, serve_on, status,
};

in_both_modes! {
    who_is_cut_off_without_a_word_is_closed_in_time,
    who_does_not_read_is_closed_in_time_and_holds_nobodys_place,
    who_says_nothing_or_half_a_head_is_closed,
    who_says_its_head_slowly_is_closed,
    a_burst_of_connects_and_resets_leaves_nothing,
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
        let client = network.follow(&format!("http://{address}/events"), Protocol::Http1);
        sleep(STALLED_AFTER * 2 + Duration::from_secs(1)).await;
        let refused = status(address).await.expect("an answer");
        assert_eq!(refused, 503, "a client that is there keeps its place");
        network.cut();
        assert!(
            is_open_in_time(address).await,
            "a client that is gone is still served"
        );
        drop(client);
    }
}

async fn who_does_not_read_is_closed_in_time_and_holds_nobodys_place(mode: Mode) {
    let store = MemoryStore::new();
    append_much(&store).await;
    // The second stops in the middle of a chunk, of a frame and of a line.
    for read in [0, 123_456] {
        let address = serve(&store, mode, |gateway| gateway.max_streams(1)).await;
        let mut stalled = ask(address).await.expect("a connection");
        let mut bytes = vec![0; read];
        let taken = stalled.read_exact(&mut bytes).await;
        assert_eq!(taken.expect("there is more"), read);
        sleep(Duration::from_millis(300)).await;
        let refused = status(address).await.expect("an answer");
        assert_eq!(refused, 503, "the one place is taken");
        assert!(
            is_open_in_time(address).await,
            "a peer that has stopped after {read} bytes is still served"
        );
        drop(stalled);
    }
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
        let ended = timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
        // hyper answers half a head, or not; the end is what counts.
        let _how = ended.expect("a connection without a request is closed");
    }
}

/// A head that comes byte by byte is as good as none: what counts is when it is whole.
async fn who_says_its_head_slowly_is_closed(mode: Mode) {
    let address = serve(&MemoryStore::new(), mode, |gateway| gateway).await;
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    let mut head = b"GET /events HTTP/1.1\r\nhost: "
        .iter()
        .chain(std::iter::repeat(&b'h'));
    let begun = Instant::now();
    let mut answer = Vec::new();
    loop {
        let said = socket
            .write_all(&[*head.next().expect("it has no end")])
            .await;
        let pause = Duration::from_millis(100);
        let ended = timeout(pause, socket.read_to_end(&mut answer)).await;
        if said.is_err() || ended.is_ok() {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "it is still listened to");
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
    assert!(is_open_in_time(address).await);
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
