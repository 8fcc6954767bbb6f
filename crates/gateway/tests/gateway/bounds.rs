//! What is looked at before what, and how much and how long exactly.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use eventwire_gateway::{Authorize, Authorizing, Denial, Principal};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;
use tower::ServiceExt;

use crate::server::{Ask, JSON, PAGE, Server, server, server_with};

/// What a client sends as a body: pieces, and an end or none.
struct Sent {
    pieces: Vec<&'static str>,
    ends: bool,
    /// What it says of its length.
    told: u64,
    was_read: Arc<AtomicBool>,
}

impl Sent {
    fn new(pieces: &[&'static str]) -> Self {
        Self {
            pieces: pieces.iter().rev().copied().collect(),
            ends: true,
            told: 0,
            was_read: Arc::default(),
        }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.was_read.store(true, Ordering::Relaxed);
        match self.pieces.pop() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece.into())))),
            None if self.ends => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(self.told);
        hint
    }
}

const EVENT: &str = r#"{"type":"t","data":1}"#;

/// Appends one event, whose text is sent as a body.
async fn append(server: &Server, body: Sent, headers: &[(&str, &str)]) -> Response<()> {
    let mut request = Request::post("/streams/s").header(JSON.0, JSON.1);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body).unwrap();
    let answer = server.gateway.clone().oneshot(request).await;
    answer.unwrap_or_else(|never| match never {}).map(drop)
}

/// Knows nobody, and counts who asks.
#[derive(Clone, Default)]
struct Nobody(Arc<AtomicUsize>);

impl Authorize for Nobody {
    fn authorize<'a>(&'a self, _request: &'a Parts) -> Authorizing<'a> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let basic = HeaderValue::from_static("Basic");
        Box::pin(async { Err::<Principal, _>(Denial::unauthenticated(basic, "who are you")) })
    }
}

#[tokio::test]
async fn nobodys_body_is_read_before_it_is_known_that_it_may_be() {
    let hook = Nobody::default();
    let guarded = server_with(|gateway| gateway.authorize(hook.clone()).allow_host("here.example"));
    let guarded = guarded.await;
    let open = server().await;
    let tells_too_much = Sent {
        told: 4097,
        ..Sent::new(&[EVENT])
    };
    for (server, host, body, status, asked) in [
        // A host that is not served is refused before the hook is asked.
        (&guarded, "evil.example", Sent::new(&[EVENT]), 403, 0),
        (&guarded, "here.example", Sent::new(&[EVENT]), 401, 1),
        (&open, "here.example", tells_too_much, 413, 1),
    ] {
        let was_read = Arc::clone(&body.was_read);
        let answer = append(server, body, &[("host", host)]).await;
        assert_eq!(answer.status(), status);
        assert!(!was_read.load(Ordering::Relaxed), "{status}");
        assert_eq!(hook.0.load(Ordering::Relaxed), asked, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_has_thirty_seconds() {
    let server = server().await;
    let begun = Instant::now();
    let body = Sent {
        ends: false,
        ..Sent::new(&[EVENT])
    };
    let answer = append(&server, body, &[]).await;
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(begun.elapsed().as_secs(), 30);
}

#[tokio::test]
async fn a_body_of_the_limit_is_taken_and_a_byte_more_is_not() {
    // The length is not told before.
    const ROOM: usize = 4096 - EVENT.len();
    let server = server().await;
    for (spaces, status) in [(ROOM, 201), (ROOM + 1, 413)] {
        let spaces: &'static str = " ".repeat(spaces).leak();
        let answer = append(&server, Sent::new(&[spaces, EVENT]), &[]).await;
        assert_eq!(answer.status(), status);
    }
}

#[tokio::test]
async fn a_request_has_one_key() {
    let server = server().await;
    let key = ("idempotency-key", "a");
    let twice = append(&server, Sent::new(&[EVENT]), &[key, key]).await;
    assert_eq!(twice.status(), StatusCode::BAD_REQUEST);
    let once = append(&server, Sent::new(&[EVENT]), &[key]).await;
    assert_eq!(once.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn nobody_is_told_to_come_back_after_no_time() {
    for (delay, seconds) in [
        (Some(Duration::from_millis(100)), "1"),
        (Some(Duration::from_secs(7)), "7"),
        (None, "1"),
    ] {
        let hook = move |_: &Parts| async move { Err(Denial::unavailable(delay)) };
        let server = server_with(|gateway| gateway.authorize(hook)).await;
        let answer = server.ask(Ask("GET /events", &[PAGE], "")).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()["retry-after"], seconds, "{delay:?}");
    }
}

#[tokio::test]
async fn a_page_has_a_thousand_events_at_most() {
    let server = server_with(|gateway| gateway.max_body(1 << 20)).await;
    let lines = ("content-type", "application/x-ndjson");
    let events = "{\"type\":\"t\"}\n".repeat(1001);
    let answer = server.ask(Ask("POST /streams/s", &[lines], &events)).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    for line in [
        "GET /events?limit=5000",
        "GET /events?limit=5000&direction=backward",
    ] {
        let (_, page) = server.json(Ask(line, &[PAGE], "")).await;
        assert_eq!(page["events"].as_array().unwrap().len(), 1000, "{line}");
        assert_eq!(page["caught_up"], false, "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_wait_is_longer_than_proxies_wait() {
    let server = server().await;
    let begun = Instant::now();
    let headers = [PAGE, ("prefer", "wait=1000")];
    let answer = server.ask(Ask("GET /events", &headers, "")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(begun.elapsed().as_secs(), 25);

    let begun = Instant::now();
    let ahead = server.cursor(7);
    let ask = Ask("GET /queries/echo", &[("eventwire-wait-for", &ahead)], "");
    let answer = server.ask(ask).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn a_place_of_another_log_is_waited_for_by_nobody() {
    let server = server().await;
    let elsewhere = crate::server::server().await.cursor(0);
    let ask = Ask(
        "GET /queries/echo",
        &[("eventwire-wait-for", &elsewhere)],
        "",
    );
    let (status, problem) = server.json(ask).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(problem["field"], "Eventwire-Wait-For");
}

#[tokio::test]
async fn what_is_answered_is_kept_by_no_cache() {
    let server = server().await;
    let stream = ("accept", "text/event-stream");
    for (line, accept, cached, varies) in [
        ("GET /events", PAGE, "no-store", true),
        ("GET /events", stream, "no-cache, no-transform", true),
        ("GET /queries/echo", PAGE, "no-store", false),
        ("GET /nowhere", PAGE, "no-store", false),
    ] {
        let answer = server.ask(Ask(line, &[accept], "")).await;
        let headers = answer.headers();
        assert_eq!(headers["cache-control"], cached, "{line}");
        let varies_by = headers.get("vary").map(HeaderValue::as_bytes);
        assert_eq!(varies_by, varies.then_some(&b"Accept"[..]), "{line}");
    }
}

#[tokio::test]
async fn a_question_that_is_sent_says_that_it_is_json() {
    let server = server().await;
    for (media_type, status) in [("text/plain", 415), ("application/json", 200)] {
        let headers = [("content-type", media_type)];
        let answer = server.ask(Ask("POST /queries/echo", &headers, "{}")).await;
        assert_eq!(answer.status(), status, "{media_type}");
    }
}
