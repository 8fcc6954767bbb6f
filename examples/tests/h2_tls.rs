//! The `h2-tls` example: many streams over one connection, to hyper's client and to browsers.

mod support {
    pub(crate) mod blocks;
    pub(crate) mod browser;
    pub(crate) mod driver;
    pub(crate) mod engine;
    pub(crate) mod installed;
    pub(crate) mod port;
    pub(crate) mod program;
    pub(crate) mod screen;
    pub(crate) mod tls_server;
}

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;

use support::blocks::Blocks;
use support::browser::{Browser, Engine, Programs};
use support::tls_server::TlsServer;

const PATIENCE: Duration = Duration::from_secs(60);

const H2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// More than a browser opens, and more than the 100 of RFC 9113, section 6.5.2, that a server should
/// allow at the least.
const STREAMS: usize = 120;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_share_one_connection_and_each_has_every_event() {
    let server = TlsServer::start();
    let socket = server.connect(server.by_any, &[H2, HTTP1]).await;
    assert_eq!(socket.get_ref().1.alpn_protocol(), Some(H2));
    let connected = http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await;
    let (client, connection) = connected.expect("a connection by HTTP/2");
    tokio::spawn(connection);

    // All are open before any is read.
    let mut bodies = Vec::new();
    for _ in 0..STREAMS {
        let mut client = client.clone();
        client.ready().await.expect("a connection that is open");
        let answer = timeout(PATIENCE, client.send_request(request())).await;
        let answer = answer.expect("a head in time").expect("an answer");
        assert_eq!(
            (answer.status(), answer.version()),
            (StatusCode::OK, Version::HTTP_2)
        );
        bodies.push(answer.into_body());
    }
    let mut readers = JoinSet::new();
    for body in bodies {
        readers.spawn(has_every_event(body));
    }
    while let Some(read) = readers.join_next().await {
        read.expect("every stream has every event");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http1_is_served_to_who_offers_nothing_else_and_where_nothing_else_is_offered() {
    let server = TlsServer::start();
    for (address, offered) in [
        (server.by_any, &[HTTP1][..]),
        (server.by_http1, &[H2, HTTP1]),
    ] {
        let socket = server.connect(address, offered).await;
        assert_eq!(socket.get_ref().1.alpn_protocol(), Some(HTTP1));
        let connected = http1::handshake(TokioIo::new(socket)).await;
        let (mut client, connection) = connected.expect("a connection by HTTP/1.1");
        tokio::spawn(connection);
        let answer = timeout(PATIENCE, client.send_request(request())).await;
        let answer = answer.expect("a head in time").expect("an answer");
        assert_eq!(
            (answer.status(), answer.version()),
            (StatusCode::OK, Version::HTTP_11)
        );
        has_every_event(answer.into_body()).await;
    }
}

fn request() -> Request<Empty<Bytes>> {
    let request = Request::get("https://localhost/events?from=start");
    request.body(Empty::new()).expect("a request")
}

/// The first fifty, none missing and none twice.
async fn has_every_event(mut body: Incoming) {
    let mut blocks = Blocks::default();
    let mut expected = 1..=50;
    loop {
        let frame = timeout(PATIENCE, body.frame()).await;
        let frame = frame
            .expect("an event in time")
            .expect("the stream goes on");
        let Ok(data) = frame.expect("no error").into_data() else {
            continue;
        };
        for block in blocks.feed(&data) {
            let Some(number) = expected.next() else {
                return;
            };
            assert_eq!(block.data, number.to_string());
        }
    }
}

async fn twelve_streams(engine: Engine) {
    let Some(programs) = Programs::find(engine) else {
        return;
    };
    let server = TlsServer::start();
    let browser = Browser::start(&programs).await;
    let tab = browser.open(&format!("https://{}/", server.by_any)).await;
    let shows = "return document.querySelector('h1').textContent
        === `${arguments[0]} of 12 streams are open by ${arguments[1]}`";
    browser.until(&tab, shows, json!([12, "HTTP/2"])).await;
    let all_tick = "return [...document.querySelectorAll('li')]
        .filter((item) => Number(item.textContent) > 0).length === arguments[0]";
    browser.until(&tab, all_tick, json!([12])).await;

    // The streams of the page before are closed with it.
    browser
        .go(&tab, &format!("https://{}/", server.by_http1))
        .await;
    browser.until(&tab, shows, json!([6, "HTTP/1.1"])).await;
    browser.until(&tab, all_tick, json!([6])).await;
    // Events go by, and nothing more is opened.
    let first = "return Number(document.querySelector('li').textContent)";
    let now = browser.run(&tab, first, json!([])).await;
    let goes_by = "return Number(document.querySelector('li').textContent) > arguments[0] + 50";
    browser.until(&tab, goes_by, json!([now])).await;
    assert_eq!(browser.run(&tab, shows, json!([6, "HTTP/1.1"])).await, true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chromium_opens_six_streams_by_http1_and_all_by_http2() {
    twelve_streams(Engine::Chromium).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn firefox_opens_six_streams_by_http1_and_all_by_http2() {
    twelve_streams(Engine::Firefox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webkit_opens_six_streams_by_http1_and_all_by_http2() {
    twelve_streams(Engine::WebKit).await;
}
