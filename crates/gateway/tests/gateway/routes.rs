//! What each route answers when it is used as it should be.

use std::time::Duration;

use crate::server::{Ask, JSON, PAGE, read_until, server};
use eventwire_gateway::Gateway;
use eventwire_store::{Keep, MemoryStore, Retention};
use http::StatusCode;
use http_body::Body as _;
use http_body_util::Full;
use serde_json::{Value, json};
use tower::ServiceExt as _;

#[tokio::test]
async fn a_command_answers_with_where_it_ended_up() {
    let server = server().await;
    let response = server
        .ask(Ask(
            "POST /commands/add",
            &[JSON],
            r#"{"counter":"a","by":3}"#,
        ))
        .await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["etag"], "\"1\"");
    assert_eq!(
        response.headers()["eventwire-position"],
        server.cursor(1).as_str()
    );
    let (_, receipt) = server
        .json(Ask(
            "POST /commands/add",
            &[JSON, ("if-match", "\"1\"")],
            r#"{"counter":"a","by":4}"#,
        ))
        .await;
    let (first, second) = (server.cursor(1), server.cursor(2));
    let expected = json!({
        "position": second, "positions": [second], "streams": {"counter-a": 2}, "follow": first, "duplicate": false,
    });
    assert_eq!(receipt, expected);
}

#[tokio::test]
async fn a_command_that_decides_to_do_nothing_answers_with_the_head() {
    let server = server().await;
    let (status, receipt) = server
        .json(Ask(
            "POST /commands/add",
            &[JSON],
            r#"{"counter":"a","by":0}"#,
        ))
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&receipt["position"], &receipt["follow"]),
        (&Value::Null, &json!(server.cursor(0)))
    );
}

#[tokio::test]
async fn the_same_key_answers_with_the_first_receipt_and_another_body_is_refused() {
    let server = server().await;
    let key = ("idempotency-key", "k1");
    for (path, body, other) in [
        (
            "POST /commands/add",
            r#"{"counter":"a","by":9}"#,
            r#"{"counter":"a","by":8}"#,
        ),
        ("POST /streams/s", r#"{"type":"t"}"#, r#"{"type":"u"}"#),
    ] {
        let key = if path.contains("streams") {
            ("idempotency-key", "k2")
        } else {
            key
        };
        let (_, first) = server.json(Ask(path, &[JSON, key], body)).await;
        let (_, second) = server.json(Ask(path, &[JSON, key], body)).await;
        assert_eq!(
            (&first["duplicate"], &second["duplicate"]),
            (&json!(false), &json!(true)),
            "{path}"
        );
        assert_eq!(
            (&first["position"], &first["follow"]),
            (&second["position"], &second["follow"]),
            "{path}"
        );
        let (status, problem) = server.json(Ask(path, &[JSON, key], other)).await;
        assert_eq!(
            (status.as_u16(), &problem["type"]),
            (422, &json!("urn:eventwire:problem/key-reused")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_stream_opens_with_its_head_and_a_comment_and_shows_history_then_live() {
    let server = server().await;
    server
        .append("room-1", r#"{"type":"posted","data":{"text":"a"}}"#)
        .await;
    server
        .append("room-2", r#"{"type":"posted","data":{"text":"other"}}"#)
        .await;
    let response = server
        .ask(Ask(
            "GET /streams/room-1?from=start",
            &[("accept", "text/event-stream")],
            "",
        ))
        .await;
    assert_eq!(response.status(), StatusCode::OK);
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache, no-transform"),
        ("x-accel-buffering", "no"),
    ] {
        assert_eq!(response.headers()[name], value);
    }
    assert!(!response.headers().contains_key("connection"));
    let mut body = response.into_body();
    let text = read_until(&mut body, "data:").await;
    let id = server.cursor(1);
    assert_eq!(
        text,
        format!(":\n\nevent: posted\nid: {id}\nretry: 1000\ndata: {{\"text\":\"a\"}}\n\n")
    );
    server
        .append("room-1", r#"{"type":"posted","data":{"text":"b"}}"#)
        .await;
    let id = server.cursor(3);
    let text = read_until(&mut body, "data:").await;
    assert_eq!(
        text,
        format!("event: posted\nid: {id}\ndata: {{\"text\":\"b\"}}\n\n")
    );
}

#[tokio::test]
async fn a_stream_resumes_after_the_id_in_its_header_before_any_other_start() {
    let server = server().await;
    for number in 0..3 {
        server
            .append("s", &format!(r#"{{"type":"t","data":{number}}}"#))
            .await;
    }
    let (second, first) = (server.cursor(2), server.cursor(1));
    let header = [("last-event-id", second.as_str())];
    for (line, headers) in [
        (format!("GET /events?from=start&after={first}"), &header[..]),
        (
            format!("GET /events?from=start&last_event_id={second}&after={first}"),
            &[],
        ),
        (format!("GET /events?from=start&lastEventId={second}"), &[]),
        (format!("GET /events?from=end&after={second}"), &[]),
    ] {
        let mut body = server.ask(Ask(&line, headers, "")).await.into_body();
        let text = read_until(&mut body, "data:").await;
        assert!(
            text.ends_with("data: 2\n\n") && !text.contains("data: 1\n"),
            "{line}: {text:?}"
        );
    }
}

#[tokio::test]
async fn a_stream_opened_from_a_receipt_shows_what_the_receipt_is_for() {
    let server = server().await;
    server.append("s", r#"{"type":"t","data":"before"}"#).await;
    let receipt = server.append("s", r#"{"type":"t","data":"mine"}"#).await;
    let line = format!("GET /events?after={}", receipt["follow"].as_str().unwrap());
    let mut body = server.ask(Ask(&line, &[], "")).await.into_body();
    let text = read_until(&mut body, "data:").await;
    assert!(
        text.contains("data: \"mine\"\n\n") && !text.contains("before"),
        "{text:?}"
    );
}

#[tokio::test]
async fn several_events_are_appended_together_as_an_array_or_as_lines() {
    let server = server().await;
    let array = r#"[{"type":"a","data":1,"tags":["x","y"]},{"type":"b","metadata":{"by":"ada"}}]"#;
    let (status, receipt) = server.json(Ask("POST /streams/s", &[JSON], array)).await;
    assert_eq!(
        (status, &receipt["streams"]),
        (StatusCode::CREATED, &json!({"s": 2}))
    );
    let ndjson = ("content-type", "application/x-ndjson; charset=utf-8");
    let response = server
        .ask(Ask(
            "POST /streams/s%201-x",
            &[ndjson],
            "{\"type\":\"c\"}\n{\"type\":\"d\"}\n",
        ))
        .await;
    assert_eq!(
        response.headers()["location"],
        format!("/streams/s%201-x?after={}", server.cursor(2)).as_str()
    );

    let (_, page) = server.json(Ask("GET /streams/s", &[PAGE], "")).await;
    let events = page["events"].as_array().unwrap();
    let (first, second) = (&events[0], &events[1]);
    assert_eq!(
        (&first["type"], &first["data"], &first["tags"]),
        (&json!("a"), &json!(1), &json!(["x", "y"]))
    );
    assert_eq!(
        (&second["version"], &second["metadata"], &second["data"]),
        (&json!(2), &json!({"by": "ada"}), &Value::Null)
    );
    assert_eq!(
        (&second["stream"], &second["position"]),
        (&json!("s"), &json!(server.cursor(2)))
    );
    assert_eq!(second["id"].as_str().unwrap().len(), 36);
    assert!(second["time"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn pages_go_through_the_log_both_ways() {
    let server = server().await;
    for number in 0..5 {
        server
            .append("s", &format!(r#"{{"type":"t","data":{number}}}"#))
            .await;
    }
    for (direction, expected) in [("forward", [0, 1, 2, 3, 4]), ("backward", [4, 3, 2, 1, 0])] {
        let mut seen = Vec::new();
        let mut line = format!("GET /events?direction={direction}&limit=2");
        loop {
            let (status, page) = server.json(Ask(&line, &[PAGE], "")).await;
            assert_eq!(status, StatusCode::OK);
            seen.extend(
                page["events"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|event| event["data"].as_i64().unwrap()),
            );
            if page["caught_up"] == true {
                break;
            }
            line = format!(
                "GET /events?direction={direction}&limit=2&after={}",
                page["next"].as_str().unwrap()
            );
        }
        assert_eq!(seen, expected, "{direction}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_waits_for_what_it_asks_for_and_no_longer_than_it_says() {
    let server = server().await;
    let wait = [PAGE, ("prefer", "wait=20")];
    let begun = tokio::time::Instant::now();
    let (_, empty) = server.json(Ask("GET /streams/s", &wait, "")).await;
    assert_eq!(
        (begun.elapsed(), &empty["events"]),
        (Duration::from_secs(20), &json!([]))
    );
    let line = format!("GET /streams/s?after={}", empty["next"].as_str().unwrap());
    let (poll, _) = tokio::join!(server.json(Ask(&line, &wait, "")), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.append("other", r#"{"type":"t"}"#).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.append("s", r#"{"type":"t"}"#).await;
    });
    assert_eq!(begun.elapsed(), Duration::from_secs(22));
    assert_eq!(poll.1["events"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_page_backward_begins_with_the_newest_event_and_an_empty_one_says_where_it_ended() {
    let server = server().await;
    let line = "GET /events?direction=backward&from=end";
    let (_, empty) = server.json(Ask(line, &[PAGE], "")).await;
    assert_eq!(
        (&empty["next"], &empty["caught_up"]),
        (&json!(server.cursor(0)), &json!(true))
    );
    server.append("s", r#"{"type":"t","data":0}"#).await;
    server.append("s", r#"{"type":"t","data":1}"#).await;
    for line in [line, "GET /events?direction=backward"] {
        let (_, page) = server.json(Ask(line, &[PAGE], "")).await;
        assert_eq!(page["events"][0]["data"], 1, "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_waits_keeps_the_gap_it_found() {
    let server = server().await;
    server.append("s", r#"{"type":"t","data":0}"#).await;
    server.append("s", r#"{"type":"t","data":1}"#).await;
    server
        .store
        .trim_log(Keep::all().max_events(0))
        .await
        .unwrap();
    let line = format!("GET /events?after={}", server.cursor(1));
    let (poll, _) = tokio::join!(
        server.json(Ask(&line, &[PAGE, ("prefer", "wait=20")], "")),
        async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            server.append("s", r#"{"type":"t","data":2}"#).await;
        }
    );
    assert_eq!(poll.1["events"][0]["data"], 2);
    assert_eq!(poll.1["gap"]["reason"], "retention");
}

#[tokio::test]
async fn a_prefix_ends_at_a_segment() {
    let feed =
        eventwire_feed::Feed::start(MemoryStore::new(), eventwire_feed::FeedOptions::default());
    let gateway = Gateway::builder(feed.await.unwrap())
        .prefix("/api/")
        .build();
    for (path, status) in [
        ("/api/events", 204),
        ("/apievents", 404),
        ("/api", 404),
        ("/events", 404),
    ] {
        let request = http::Request::options(path).body(Full::<bytes::Bytes>::default());
        let response = gateway.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
    }
}

#[tokio::test]
async fn a_page_after_a_cursor_of_another_log_says_so() {
    let server = server().await;
    server.append("s", r#"{"type":"t"}"#).await;
    let (_, page) = server.json(Ask("GET /events?after=0.7", &[PAGE], "")).await;
    assert_eq!(
        page["gap"],
        json!({"requested": "0.7", "resumed_at": server.cursor(0), "reason": "epoch"})
    );
    assert_eq!(page["events"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_page_after_a_cursor_older_than_what_is_held_says_so() {
    let server = server().await;
    for number in 0..5 {
        server
            .append("s", &format!(r#"{{"type":"t","data":{number}}}"#))
            .await;
    }
    let keep = Keep::all().max_events(2);
    server.store.trim_log(keep).await.unwrap();
    let (requested, resumed_at) = (server.cursor(1), server.cursor(3));
    let (_, page) = server
        .json(Ask(&format!("GET /events?after={requested}"), &[PAGE], ""))
        .await;
    let gap = json!({"requested": requested, "resumed_at": resumed_at, "reason": "retention"});
    assert_eq!(page["gap"], gap);
    assert_eq!(page["events"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn queries_take_a_body_or_the_query_string() {
    let server = server().await;
    let at = server.append("s", r#"{"type":"t"}"#).await["position"]
        .as_str()
        .unwrap()
        .to_owned();
    for (ask, expected) in [
        (
            Ask("GET /queries/echo?a=1&b=x%20y", &[], ""),
            json!({"a": "1", "b": "x y"}),
        ),
        (
            Ask(
                "POST /queries/echo",
                &[JSON, ("eventwire-wait-for", &at)],
                r#"{"a":1}"#,
            ),
            json!({"a": 1}),
        ),
    ] {
        assert_eq!(server.json(ask).await, (StatusCode::OK, expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_query_waits_a_bounded_time_for_a_position() {
    let server = server().await;
    let ahead = server.cursor(7);
    let ask = Ask("GET /queries/echo", &[("eventwire-wait-for", &ahead)], "");
    assert_eq!(
        server.ask(ask).await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test]
async fn head_is_get_without_its_body_and_options_names_the_methods() {
    let server = server().await;
    for path in ["/events", "/streams/s", "/queries/echo"] {
        let response = server.ask(Ask(&format!("HEAD {path}"), &[], "")).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(
            response.body().size_hint().exact(),
            None,
            "{path}: the length is that of GET"
        );
    }
    let response = server.ask(Ask("OPTIONS /events", &[], "")).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(response.headers()["allow"], "GET, HEAD, OPTIONS");
}

#[tokio::test]
async fn a_request_keeps_the_id_it_came_with() {
    let server = server().await;
    let response = server
        .ask(Ask("OPTIONS /events", &[("x-request-id", "mine")], ""))
        .await;
    assert_eq!(response.headers()["x-request-id"], "mine");
}
