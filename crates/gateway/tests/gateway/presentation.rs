//! What a principal is shown, on streams and on pages, and in which form.

use std::time::Duration;

use eventwire_feed::{Look, Present};
use eventwire_gateway::{Denial, GatewayBuilder, Principal};
use eventwire_store::{EventStore, RecordedEvent};
use http::StatusCode;
use http::request::Parts;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::server::{Ask, PAGE, Server, read_until, server, server_with};

const STREAM: (&str, &str) = ("accept", "text/event-stream");
const BATCH: (&str, &str) = ("accept", "application/cloudevents-batch+json");

/// Secrets are for those who are cleared; notes are shown to others without their text.
struct Clearance;

impl Present for Clearance {
    type View = bool;

    fn present(&self, is_cleared: &bool, event: &RecordedEvent) -> Look {
        match event.event_type.as_str() {
            _ if *is_cleared => Look::AsWritten,
            "secret" => Look::Hidden,
            "note" => Look::As(RecordedEvent {
                data: "{}".into(),
                metadata: "".into(),
                ..event.clone()
            }),
            _ => Look::AsWritten,
        }
    }
}

/// The header `user` says who asks, and whether somebody with clearance.
fn user(request: &Parts) -> std::future::Ready<Result<Principal, Denial>> {
    let name = request
        .headers
        .get("user")
        .and_then(|name| name.to_str().ok());
    std::future::ready(Ok(match name {
        Some(name) => Principal::new(name).with(name == "ada"),
        None => Principal::anonymous(),
    }))
}

fn cleared(gateway: GatewayBuilder) -> GatewayBuilder {
    gateway
        .authorize(user)
        .present(Clearance, |principal: &Principal| {
            principal.claims::<bool>().copied().unwrap_or(false)
        })
}

async fn filled() -> Server {
    let server = server_with(cleared).await;
    for event in [
        r#"{"type":"secret","data":1}"#,
        r#"{"type":"note","data":2,"metadata":{"by":"ada"}}"#,
        r#"{"type":"secret","data":3}"#,
        r#"{"type":"plain","data":4}"#,
        r#"{"type":"secret","data":5}"#,
    ] {
        server.append("s", event).await;
    }
    server
}

const ADA: (&str, &str) = ("user", "ada");
const BOB: (&str, &str) = ("user", "bob");

fn data(page: &Value) -> Vec<&Value> {
    let events = page["events"].as_array().unwrap();
    events.iter().map(|event| &event["data"]).collect()
}

#[tokio::test]
async fn a_stream_shows_a_principal_what_it_may_see_also_when_it_resumes() {
    let server = filled().await;
    let last = server.cursor(2);
    for (who, from, expected) in [
        (ADA, ("x", "x"), &["1", "2", "3", "4", "5"][..]),
        (BOB, ("x", "x"), &["{}", "4"]),
        (BOB, ("last-event-id", last.as_str()), &["4"]),
        (ADA, ("last-event-id", last.as_str()), &["3", "4", "5"]),
    ] {
        let ask = Ask("GET /events?from=start", &[STREAM, who, from], "");
        let mut body = server.ask(ask).await.into_body();
        server.append("s", r#"{"type":"plain","data":"end"}"#).await;
        let text = read_until(&mut body, "\"end\"").await;
        let shown: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .filter(|data| *data != "\"end\"")
            .collect();
        assert_eq!(shown, expected, "{who:?} {from:?}");
    }
}

#[tokio::test]
async fn a_page_shows_the_same_and_goes_on_over_what_is_hidden() {
    let server = filled().await;
    let (_, page) = server.json(Ask("GET /events", &[PAGE, ADA], "")).await;
    assert_eq!(
        data(&page),
        [&json!(1), &json!(2), &json!(3), &json!(4), &json!(5)]
    );
    let (_, page) = server.json(Ask("GET /events", &[PAGE, BOB], "")).await;
    assert_eq!(data(&page), [&json!({}), &json!(4)]);
    assert_eq!(page["events"][0].get("metadata"), None);
    assert_eq!(page["events"][0]["position"], server.cursor(2));
    assert_eq!(page["next"], server.cursor(5));

    for (direction, expected) in [
        ("forward", vec![json!({}), json!(4)]),
        ("backward", vec![json!(4), json!({})]),
    ] {
        let (mut shown, mut after) = (Vec::new(), String::new());
        for pages in 1.. {
            let line = format!("GET /events?limit=2&direction={direction}{after}");
            let (_, page) = server.json(Ask(&line, &[PAGE, BOB], "")).await;
            shown.extend(data(&page).into_iter().cloned());
            if page["caught_up"] == true {
                assert_eq!(
                    pages, 3,
                    "{direction}: two that match a page, hidden or not"
                );
                break;
            }
            after = format!("&after={}", page["next"].as_str().unwrap());
        }
        assert_eq!(shown, expected, "{direction}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_page_waits_for_what_is_shown() {
    let server = filled().await;
    let line = format!("GET /events?limit=1&after={}", server.cursor(5));
    let wait = ("prefer", "wait=20");
    let headers = [PAGE, BOB, wait];
    let asked = server.json(Ask(&line, &headers, ""));
    let written = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.append("s", r#"{"type":"secret","data":6}"#).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.append("s", r#"{"type":"note","data":7}"#).await;
    };
    let begun = tokio::time::Instant::now();
    let ((_, page), ()) = tokio::join!(asked, written);
    assert_eq!(data(&page), [&json!({})]);
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
    let (_, page) = server.json(Ask(&line, &[PAGE, ADA, wait], "")).await;
    assert_eq!(data(&page), [&json!(6)], "it is there at once");
}

#[tokio::test]
async fn cloud_events_come_as_stream_as_page_and_as_batch() {
    let server = filled().await;
    let line = "GET /events?format=cloudevents&from=start";
    let mut body = server.ask(Ask(line, &[STREAM, BOB], "")).await.into_body();
    let text = read_until(&mut body, "\"type\":\"plain\"").await;
    let block = text
        .split("\n\n")
        .find(|block| block.starts_with("event: note"))
        .unwrap();
    let streamed = block
        .lines()
        .find_map(|line| line.strip_prefix("data: "))
        .unwrap();
    let streamed: Value = serde_json::from_str(streamed).unwrap();
    assert_eq!(streamed["specversion"], "1.0");
    assert_eq!(streamed["subject"], "s");
    assert_eq!(streamed["data"], json!({}));

    let (_, page) = server.json(Ask(line, &[PAGE, BOB], "")).await;
    assert_eq!(page["events"][0], streamed);
    let batch = server.ask(Ask("GET /events", &[BATCH, BOB], "")).await;
    assert_eq!(
        batch.headers()["content-type"],
        "application/cloudevents-batch+json"
    );
    assert_eq!(batch.headers()["eventwire-next"], server.cursor(5));
    assert_eq!(batch.headers()["eventwire-caught-up"], "true");
    assert_eq!(batch.headers().get("eventwire-gap"), None);
    let batch = batch.into_body().collect().await.unwrap().to_bytes();
    let batch: Value = serde_json::from_slice(&batch).unwrap();
    assert_eq!(batch, page["events"]);

    let elsewhere = Ask("GET /events?after=abc.1", &[BATCH], "");
    let gap = server.ask(elsewhere).await.headers()["eventwire-gap"].clone();
    let gap: Value = serde_json::from_slice(gap.as_bytes()).unwrap();
    assert_eq!(gap["reason"], "epoch");

    let (status, problem) = server
        .json(Ask("GET /events?format=xml", &[PAGE], ""))
        .await;
    assert_eq!(
        (status, &problem["field"]),
        (StatusCode::BAD_REQUEST, &json!("format"))
    );
}

#[tokio::test]
async fn a_page_has_so_many_bytes_and_at_least_one_event() {
    let server = server_with(|gateway| gateway.max_page_bytes(250)).await;
    let sizes = [50, 50, 50, 400, 50, 100, 100, 10];
    for size in sizes {
        let data = "x".repeat(size);
        server
            .append("s", &format!(r#"{{"type":"t","data":"{data}"}}"#))
            .await;
    }
    for direction in ["forward", "backward"] {
        let (mut pages, mut after) = (Vec::new(), String::new());
        loop {
            let line = format!("GET /events?direction={direction}{after}");
            let (_, page) = server.json(Ask(&line, &[PAGE], "")).await;
            let lengths = data(&page)
                .into_iter()
                .map(|data| data.as_str().unwrap().len());
            pages.push(lengths.collect::<Vec<_>>());
            if page["caught_up"] == true {
                break;
            }
            after = format!("&after={}", page["next"].as_str().unwrap());
        }
        let expected = match direction {
            "forward" => vec![vec![50, 50, 50], vec![400], vec![50, 100], vec![100, 10]],
            _ => vec![vec![10, 100, 100], vec![50], vec![400], vec![50, 50, 50]],
        };
        assert_eq!(pages, expected, "{direction}");
    }
}

#[tokio::test]
async fn no_more_streams_are_opened_for_a_principal_than_it_may_have() {
    let limited = |gateway: GatewayBuilder| gateway.authorize(user).max_streams_per_principal(2);
    let server = server_with(limited).await;
    let open = async |who: &[(&str, &str)], peer: u8| {
        let headers = [&[STREAM], who].concat();
        server
            .ask_from([10, 0, 0, peer], Ask("GET /events", &headers, ""))
            .await
    };
    let first = open(&[ADA], 1).await;
    let second = open(&[ADA], 2).await;
    let refused = open(&[ADA], 3).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
    let told = open(&[ADA, ("sec-fetch-mode", "cors")], 3).await;
    assert_eq!(told.status(), StatusCode::OK);
    let text = told.into_body().collect().await.unwrap().to_bytes();
    assert!(
        text.starts_with(b"event: eventwire.busy\nretry: "),
        "{text:?}"
    );
    let mut others = vec![open(&[BOB], 1).await];
    for _ in 0..3 {
        others.push(open(&[], 1).await);
    }
    for other in &others {
        assert_eq!(other.status(), StatusCode::OK, "others are not affected");
    }
    drop((first, second));
    assert_eq!(open(&[ADA], 1).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_is_for_another_host_or_from_another_page_is_refused() {
    let listed = |gateway: GatewayBuilder| {
        let gateway = gateway.allow_host("localhost").allow_host("[::1]:8080");
        gateway.allow_origin("http://localhost:8080")
    };
    let server = server_with(listed).await;
    let localhost = ("host", "localhost:8080");
    for (headers, expected, field) in [
        (&[localhost][..], StatusCode::OK, Value::Null),
        (
            &[localhost, ("origin", "http://localhost:8080")],
            StatusCode::OK,
            Value::Null,
        ),
        (
            &[localhost, ("origin", "http://evil.example")],
            StatusCode::FORBIDDEN,
            json!("Origin"),
        ),
        (
            &[("host", "evil.example")],
            StatusCode::FORBIDDEN,
            json!("Host"),
        ),
        (&[], StatusCode::FORBIDDEN, json!("Host")),
    ] {
        for line in [
            "GET /events",
            "GET /nowhere",
            "POST /streams/s",
            "OPTIONS /events",
        ] {
            let headers = [headers, &[PAGE]].concat();
            let (status, problem) = server.json(Ask(line, &headers, "")).await;
            let is_refused = status == StatusCode::FORBIDDEN;
            assert_eq!(
                is_refused,
                expected == StatusCode::FORBIDDEN,
                "{line} {headers:?}"
            );
            if is_refused {
                assert_eq!(problem["field"], field);
                assert_eq!(problem["type"], "urn:eventwire:problem/forbidden");
            }
        }
    }
    assert_eq!(
        server.store.head().await.unwrap(),
        eventwire_store::Position::ORIGIN
    );
}

#[tokio::test]
async fn without_a_hook_everyone_is_shown_everything() {
    let server = server().await;
    server.append("s", r#"{"type":"secret","data":1}"#).await;
    let (_, page) = server.json(Ask("GET /events", &[PAGE], "")).await;
    assert_eq!(data(&page), [&json!(1)]);
}
