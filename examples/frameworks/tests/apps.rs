//! Each application as a program, over real sockets.

mod support {
    pub(crate) mod app;
    #[path = "../../../tests/support/blocks.rs"]
    pub(crate) mod blocks;
    #[path = "../../../tests/support/program.rs"]
    pub(crate) mod program;
}

use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};

use support::app::{App, Stream};

const LAST_EVENT_ID: &str = "last-event-id";

async fn ticks_go_on_after_the_last_event_id(name: &'static str) {
    let app = App::start(name);
    let mut stream = Stream::open(&app, Request::get("/ticks")).await;
    check_head(&stream.headers);
    let seen = stream.next_ids(3).await;
    assert_eq!(seen[1..], [seen[0] + 1, seen[0] + 2]);
    drop(stream);

    // Ticks have gone by, and all of them are told.
    let resumed = Request::get("/ticks").header(LAST_EVENT_ID, seen[0].to_string());
    let mut stream = Stream::open(&app, resumed).await;
    let told = stream.next_ids(5).await;
    let expected: Vec<u64> = (1..=5).map(|n| seen[0] + n).collect();
    assert_eq!(told, expected);

    let too_long = Request::get("/ticks").header(LAST_EVENT_ID, "7".repeat(1025));
    let refused = app.send(too_long.body(Full::default())).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);

    // Told to stop, it ends the stream, and itself, well.
    app.terminate();
    stream.ends().await;
    app.ends_well();
}

fn check_head(headers: &HeaderMap) {
    assert_eq!(headers[CONTENT_TYPE], "text/event-stream");
    assert_eq!(headers[CACHE_CONTROL], "no-cache, no-transform");
    assert_eq!(headers["x-accel-buffering"], "no");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axum_resumes_ticks() {
    ticks_go_on_after_the_last_event_id("axum-app").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actix_web_resumes_ticks() {
    ticks_go_on_after_the_last_event_id("actix-app").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn warp_resumes_ticks() {
    ticks_go_on_after_the_last_event_id("warp-app").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axum_serves_the_whole_gateway_beside_its_own_routes() {
    let app = App::start("axum-app");
    let mut follow = Stream::open(&app, Request::get("/api/events")).await;
    check_head(&follow.headers);

    let append = Request::post("/api/streams/room-1")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::from(r#"{"type":"posted","data":{"text":"hello"}}"#));
    let appended = app.send(append).await;
    assert_eq!(appended.status(), StatusCode::CREATED);
    let location = appended.headers()[LOCATION].to_str().expect("ASCII");
    assert!(location.starts_with("/api/streams/room-1?"), "{location}");

    let event = loop {
        let block = follow.next_block().await;
        if block.name.as_deref() == Some("posted") {
            break block;
        }
    };
    assert_eq!(event.data, r#"{"text":"hello"}"#);

    // What the answer points to is there.
    let mut stream = Stream::open(&app, Request::get(location)).await;
    assert_eq!(stream.next_block().await.id, event.id);

    let page = app.send(Request::get("/").body(Full::default())).await;
    assert_eq!(page.status(), StatusCode::OK);
    let body = page.into_body().collect().await.expect("a page");
    let page = String::from_utf8(body.to_bytes().into()).expect("UTF-8");
    assert!(page.contains("EventSource"));
    let elsewhere = app.send(Request::get("/none").body(Full::default())).await;
    assert_eq!(elsewhere.status(), StatusCode::NOT_FOUND);

    app.terminate();
    follow.ends().await;
    stream.ends().await;
    app.ends_well();
}
