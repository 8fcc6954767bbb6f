//! Every way to be refused: what the answer says, where, and that nothing was written.

use crate::server::{Ask, JSON, PAGE, server};
use eventwire_store::EventStore;
use http_body_util::BodyExt;

#[tokio::test]
async fn bad_requests_are_answered_with_a_problem_that_says_what_and_where() {
    let server = server().await;
    let large = format!(r#"{{"type":"t","data":"{}"}}"#, "x".repeat(5000));
    let long_name = format!("POST /streams/{}", "x".repeat(300));
    for (ask, status, kind, field) in [
        (Ask("GET /", &[], ""), 404, "not-found", None),
        (Ask("GET /nothing", &[], ""), 404, "not-found", None),
        (
            Ask(
                "POST /commands/add",
                &[JSON],
                r#"{"counter":"vault","by":1}"#,
            ),
            403,
            "forbidden",
            None,
        ),
        (
            Ask("DELETE /events", &[], ""),
            405,
            "method-not-allowed",
            None,
        ),
        (
            Ask("GET /commands/add", &[], ""),
            405,
            "method-not-allowed",
            None,
        ),
        (
            Ask("GET /events", &[("accept", "text/html")], ""),
            406,
            "not-acceptable",
            Some("Accept"),
        ),
        (
            Ask("GET /events", &[("last-event-id", "41")], ""),
            400,
            "malformed",
            Some("Last-Event-ID"),
        ),
        (
            Ask("GET /events?last_event_id=x.y", &[], ""),
            400,
            "malformed",
            Some("Last-Event-ID"),
        ),
        (
            Ask("GET /events?after=%00", &[], ""),
            400,
            "malformed",
            Some("after"),
        ),
        (
            Ask("GET /events?from=middle", &[], ""),
            400,
            "malformed",
            Some("from"),
        ),
        (
            Ask("GET /events?type=a%0Ab", &[], ""),
            400,
            "malformed",
            Some("type"),
        ),
        (
            Ask("GET /events?stream=a&category=b", &[], ""),
            400,
            "malformed",
            Some("category"),
        ),
        (
            Ask("GET /events?limit=-1", &[PAGE], ""),
            400,
            "malformed",
            Some("limit"),
        ),
        (
            Ask("GET /events?limit=0", &[PAGE], ""),
            400,
            "malformed",
            Some("limit"),
        ),
        (
            Ask("GET /events?category=a&category=b", &[], ""),
            400,
            "malformed",
            Some("category"),
        ),
        (
            Ask("GET /events", &[("accept", "text/event-stream;q=0")], ""),
            406,
            "not-acceptable",
            Some("Accept"),
        ),
        (
            Ask("POST /commands/add", &[JSON], r#"["a",1]"#),
            400,
            "malformed",
            Some("body"),
        ),
        (
            Ask("POST /streams/s", &[JSON], r#"[["t",1,[],null,null]]"#),
            400,
            "malformed",
            Some("body"),
        ),
        (
            Ask(
                "POST /streams/s",
                &[JSON, ("if-none-match", "\"7\"")],
                r#"{"type":"t"}"#,
            ),
            400,
            "malformed",
            Some("If-None-Match"),
        ),
        (
            Ask("GET /events?direction=up", &[PAGE], ""),
            400,
            "malformed",
            Some("direction"),
        ),
        (
            Ask("POST /commands/add", &[], "{}"),
            415,
            "unsupported-media-type",
            Some("Content-Type"),
        ),
        (
            Ask(
                "POST /commands/add",
                &[("content-type", "text/plain")],
                "{}",
            ),
            415,
            "unsupported-media-type",
            Some("Content-Type"),
        ),
        (
            Ask("POST /commands/nothing", &[JSON], "{}"),
            404,
            "not-found",
            None,
        ),
        (
            Ask("POST /commands/add", &[JSON], "{"),
            400,
            "malformed",
            Some("body"),
        ),
        (
            Ask("POST /commands/add", &[JSON], r#"{"counter":"a"}"#),
            400,
            "malformed",
            Some("body"),
        ),
        (
            Ask("POST /commands/add", &[JSON], r#"{"counter":"a","by":11}"#),
            422,
            "refused",
            None,
        ),
        (
            Ask(
                "POST /commands/add",
                &[JSON, ("if-match", "7")],
                r#"{"counter":"a","by":1}"#,
            ),
            400,
            "malformed",
            Some("If-Match"),
        ),
        (
            Ask(
                "POST /commands/add",
                &[JSON, ("if-match", "\"7\"")],
                r#"{"counter":"a","by":1}"#,
            ),
            412,
            "precondition-failed",
            None,
        ),
        (
            Ask(
                "POST /commands/add",
                &[JSON, ("idempotency-key", "")],
                r#"{"counter":"a","by":1}"#,
            ),
            400,
            "malformed",
            Some("Idempotency-Key"),
        ),
        (Ask("GET /queries/nothing", &[], ""), 404, "not-found", None),
        (
            Ask("GET /queries/echo", &[("eventwire-wait-for", "x")], ""),
            400,
            "malformed",
            Some("Eventwire-Wait-For"),
        ),
        (
            Ask("POST /streams/s", &[JSON], &large),
            413,
            "too-large",
            Some("body"),
        ),
        (
            Ask("POST /streams/s", &[JSON], "[]"),
            422,
            "invalid",
            Some("body"),
        ),
        (
            Ask("POST /streams/s", &[JSON], r#"{"type":""}"#),
            422,
            "invalid",
            Some("type"),
        ),
        (
            Ask("POST /streams/s", &[JSON], r#"{"type":"eventwire.gap"}"#),
            422,
            "invalid",
            Some("type"),
        ),
        (
            Ask("POST /streams/s", &[JSON], r#"{"type":"t","id":"x"}"#),
            422,
            "invalid",
            Some("id"),
        ),
        (
            Ask("POST /streams/s", &[JSON], r#"{"type":"t","surplus":1}"#),
            400,
            "malformed",
            Some("body"),
        ),
        (
            Ask(
                "POST /streams/s",
                &[JSON, ("if-match", "*")],
                r#"{"type":"t"}"#,
            ),
            412,
            "precondition-failed",
            None,
        ),
        (
            Ask(
                "POST /streams/s",
                &[("content-type", "application/x-ndjson")],
                "{\"type\":\"t\"}\n{",
            ),
            400,
            "malformed",
            Some("body"),
        ),
        (
            Ask(&long_name, &[JSON], r#"{"type":"t"}"#),
            422,
            "invalid",
            Some("stream"),
        ),
    ] {
        let line = ask.0;
        let response = server.ask(ask).await;
        let headers = response.headers().clone();
        let code = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(code, status, "{line}: {problem}");
        assert_eq!(
            headers["content-type"], "application/problem+json",
            "{line}"
        );
        assert!(headers.contains_key("x-request-id"), "{line}");
        assert_eq!(
            problem["type"],
            format!("urn:eventwire:problem/{kind}"),
            "{line}: {problem}"
        );
        assert_eq!(problem["status"], status, "{line}");
        assert_eq!(problem["field"].as_str(), field, "{line}: {problem}");
        assert!(!problem["detail"].as_str().unwrap().is_empty(), "{line}");
        assert_eq!(headers.contains_key("allow"), status == 405, "{line}");
    }
    let (_, page) = server.json(Ask("GET /events", &[PAGE], "")).await;
    assert_eq!(page["events"], serde_json::json!([]), "nothing was written");
    assert_eq!(
        server.store.head().await.unwrap(),
        eventwire_store::Position::ORIGIN
    );
}

#[tokio::test]
async fn a_line_of_a_batch_that_is_wrong_is_named() {
    let server = server().await;
    let ndjson = ("content-type", "application/x-ndjson");
    let (_, problem) = server
        .json(Ask(
            "POST /streams/s",
            &[ndjson],
            "{\"type\":\"t\"}\n\n{\"typ\":1}",
        ))
        .await;
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("line 3: unknown field `typ`"),
        "{detail}"
    );
}

#[tokio::test(start_paused = true)]
async fn who_waits_when_the_server_closes_is_told_at_once() {
    let server = server().await;
    let begun = tokio::time::Instant::now();
    let (poll, ()) = tokio::join!(
        server.ask(Ask("GET /events", &[PAGE, ("prefer", "wait=20")], "")),
        async {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            server.gateway.close().await;
        }
    );
    assert_eq!(poll.status(), 503);
    assert!(begun.elapsed() < std::time::Duration::from_secs(2));
}

#[tokio::test]
async fn what_a_closing_server_is_asked_it_refuses_and_its_streams_end() {
    let server = server().await;
    let mut open = server
        .ask(Ask("GET /events?from=start", &[], ""))
        .await
        .into_body();
    crate::server::read_until(&mut open, ":\n\n").await;
    server.append("s", r#"{"type":"t","data":1}"#).await;
    server.gateway.close().await;
    let rest = String::from_utf8(open.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    assert!(
        rest.contains("data: 1\n\n"),
        "what was acknowledged is sent first: {rest:?}"
    );
    let refused = server
        .ask(Ask("POST /streams/s", &[JSON], r#"{"type":"t"}"#))
        .await;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
}
