//! Peers of HTTP/2 connections that give no window, answer no ping, stop within a frame, or are gone
//! without a word.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use eventwire::gateway::GatewayBuilder;
use eventwire::store::{Append, EventStore, EventType, MemoryStore, NewEvent};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::support::mode::Mode;
use crate::support::network::{Network, Protocol};
use crate::support::served::{
    PATIENCE, STALLED_AFTER, append_much, is_open_in_time, serve, serve_on, status,
};

/// Takes one frame of any event here, and of nothing else.
const WINDOW: u32 = 1024;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Settings of the peer: none (RFC 9113, section 6.5).
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// The fields of a request for all events (RFC 7541: three of the static table, two of its names
/// with a value).
const FIELDS: &[u8] =
    b"\x82\x86\x04\x12/events?from=start\x01\x04here\x0f\x04\x11text/event-stream";

/// A frame of a request's fields, of stream 1.
fn headers(flags: u8) -> Vec<u8> {
    let length = u8::try_from(FIELDS.len()).expect("it is short");
    [&[0, 0, length, 1, flags, 0, 0, 0, 1], FIELDS].concat()
}

/// The whole request (END_STREAM and END_HEADERS).
fn request() -> Vec<u8> {
    [PREFACE, SETTINGS, &headers(0x5)].concat()
}

async fn connect(address: SocketAddr) -> SendRequest<Empty<Bytes>> {
    let socket = TcpStream::connect(address).await.expect("a connection");
    let (client, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(WINDOW)
        .handshake(TokioIo::new(socket))
        .await
        .expect("a connection by HTTP/2");
    // It answers pings, whatever is read of its streams.
    tokio::spawn(connection);
    client
}

async fn open(client: &mut SendRequest<Empty<Bytes>>, path: &str, accept: &str) -> Incoming {
    let request = Request::get(format!("http://here{path}")).header("accept", accept);
    let request = request.body(Empty::new()).expect("a request");
    let answer = timeout(PATIENCE, client.send_request(request)).await;
    let answer = answer.expect("a head in time").expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    answer.into_body()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_a_stream_no_window_loses_it_and_no_other() {
    let store = MemoryStore::new();
    append_much(&store).await;
    let limits = |gateway: GatewayBuilder| gateway.max_streams(2);
    let address = serve(&store, Mode::Hyper, limits).await;
    let mut client = connect(address).await;
    let page = open(&mut client, "/events", "application/json").await;
    let stalled = open(&mut client, "/events?from=start", "text/event-stream").await;
    let mut read = open(&mut client, "/events?type=small", "text/event-stream").await;
    let reader = tokio::spawn(async move {
        let mut text = String::new();
        while !text.contains("data: here") {
            let frame = timeout(PATIENCE, read.frame()).await;
            let frame = frame.expect("the stream goes on").expect("it has no end");
            let data = frame.expect("it is not reset").into_data();
            text.push_str(std::str::from_utf8(&data.expect("data")).expect("UTF-8"));
        }
    });
    let refused = status(address).await.expect("an answer");
    assert_eq!(refused, 503, "both places are taken");
    assert!(
        is_open_in_time(address).await,
        "a stream of which nothing is taken is still served"
    );
    for (what, body) in [("a stream", stalled), ("a page", page)] {
        let whole = timeout(PATIENCE, body.collect()).await;
        assert!(whole.expect("it is over").is_err(), "{what} is reset");
    }
    let small = EventType::new("small").expect("a type");
    let append = Append::new().event(NewEvent::new(small, "here"));
    store.append(append).await.expect("memory takes it");
    reader.await.expect("who reads has what is new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_little_at_a_time_gets_all_of_it() {
    let store = MemoryStore::new();
    append_much(&store).await;
    let address = serve(&store, Mode::Hyper, |gateway| gateway).await;
    let mut client = connect(address).await;
    let mut page = open(&mut client, "/events?limit=1", "application/json").await;
    let (mut length, mut pauses) = (0, 0);
    while let Some(frame) = timeout(PATIENCE, page.frame()).await.expect("more comes") {
        let data = frame.expect("it is not reset").into_data();
        length += data.expect("data").len();
        // Longer in all than a client may take nothing.
        if length / 50_000 > pauses {
            pauses += 1;
            sleep(STALLED_AFTER / 8).await;
        }
    }
    assert!(length > 500_000, "{length} bytes");
    assert_eq!(pauses, length / 50_000);
}

/// hyper would be done with it, and nobody would wait for what h2 has left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_just_before_the_end_of_a_page_loses_it() {
    let store = MemoryStore::new();
    append_much(&store).await;
    let limits = |gateway: GatewayBuilder| gateway.max_streams(1);
    let address = serve(&store, Mode::Hyper, limits).await;
    let mut client = connect(address).await;
    let mut page = open(&mut client, "/events?limit=1", "application/json").await;
    // One more than what may come unasked for.
    let window = u64::from(WINDOW);
    while page.size_hint().exact().expect("a length") > 2 * window {
        let frame = timeout(PATIENCE, page.frame()).await;
        let frame = frame.expect("more comes").expect("it has no end yet");
        frame.expect("it is not reset");
    }
    assert!(page.size_hint().exact().expect("a length") > window);
    // It stalls later, so the page is over when its place is free.
    let stalled = open(&mut client, "/events?from=start", "text/event-stream").await;
    assert!(is_open_in_time(address).await, "a stream is still served");
    for (what, body) in [("the page", page), ("the stream", stalled)] {
        let whole = timeout(PATIENCE, body.collect()).await;
        assert!(whole.expect("it is over").is_err(), "{what} is reset");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_anywhere_and_answers_no_ping_is_closed() {
    let store = MemoryStore::new();
    let address = serve(&store, Mode::Hyper, |gateway| gateway.max_streams(1)).await;
    // END_STREAM alone: more fields are to come.
    let unfinished = [PREFACE, SETTINGS, &headers(0x1)].concat();
    let request = request();
    let mut peers = Vec::new();
    for (number, said) in [
        &PREFACE[..3],
        &PREFACE[..PREFACE.len() - 1],
        PREFACE,
        &request[..PREFACE.len() + 4],
        &request[..PREFACE.len() + SETTINGS.len()],
        &request[..request.len() - 5],
        &unfinished,
        &request,
    ]
    .into_iter()
    .enumerate()
    {
        let mut socket = TcpStream::connect(address).await.expect("a connection");
        socket.write_all(said).await.expect("it takes a few bytes");
        peers.push((number, said == request, socket));
    }
    for (number, is_whole, mut socket) in peers {
        let mut answer = Vec::new();
        let ended = timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
        // It reads all that comes; how it is told of the end is not what counts.
        let _how = ended.unwrap_or_else(|_| panic!("peer {number} is still served"));
        let was_answered = answer.windows(3).any(|bytes| bytes == b":\n\n");
        assert_eq!(was_answered, is_whole, "peer {number}");
    }
    assert!(is_open_in_time(address).await, "its place is held");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_closes_its_side_is_let_go() {
    let store = MemoryStore::new();
    let address = serve(&store, Mode::Hyper, |gateway| gateway.max_streams(1)).await;
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    socket.write_all(&request()).await.expect("it takes little");
    let mut answer = Vec::new();
    while !answer.windows(3).any(|bytes| bytes == b":\n\n") {
        let read = timeout(PATIENCE, socket.read_buf(&mut answer)).await;
        assert_ne!(read.expect("it comes").expect("it is open"), 0);
    }
    socket.shutdown().await.expect("half of it is closed");
    let ended = timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
    let _how = ended.expect("the other half is closed as well");
    assert!(is_open_in_time(address).await, "its place is held");
}

/// No packet comes back any more: nothing says that the connection has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_cut_off_without_a_word_is_closed_in_time() {
    for is_silent in [false, true] {
        let Some(network) = Network::new() else {
            return;
        };
        let store = MemoryStore::new();
        let limits = |gateway: GatewayBuilder| match is_silent {
            // Nothing is written but pings.
            true => gateway.max_streams(1).heartbeat(Duration::from_secs(3600)),
            false => gateway.max_streams(1),
        };
        let address = serve_on(network.host(), &store, Mode::Hyper, limits).await;
        let client = network.follow(&format!("http://{address}/events"), Protocol::Http2);
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
