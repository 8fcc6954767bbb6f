//! Commands that tell how far they are: as an event stream, as JSON, heard to the end or not.

use std::time::Duration;

use eventwire_cqrs::{CommandError, Dispatcher, Run};
use eventwire_feed::{Feed, FeedOptions};
use eventwire_gateway::{Gateway, GatewayBuilder, Streaming};
use eventwire_store::{EventStore, MemoryStore, Position};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::server::{Ask, Command, Counter, JSON, Server, read_until};

const SSE: (&str, &str) = ("accept", "text/event-stream");

/// Adds each number to a counter, tells it, and waits a second before the next. `0` is where it
/// panics.
async fn add_all(numbers: Vec<u64>, run: Run) -> Result<eventwire_cqrs::Receipt, CommandError> {
    let mut last = Err(CommandError::Denied {
        reason: "nothing to add".to_owned(),
    });
    for (index, by) in numbers.into_iter().enumerate() {
        assert_ne!(by, 0, "told to panic");
        let add = Command::Add {
            counter: "a".to_owned(),
            by,
        };
        let part = run.part(&index.to_string())?;
        last = Ok(run.dispatcher().execute_with::<Counter>(add, part).await?);
        run.tell(&by).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    last
}

async fn server_that(streams: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> Server {
    let store = MemoryStore::new();
    let feed = Feed::start(store.clone(), FeedOptions::default())
        .await
        .unwrap();
    let dispatcher = Dispatcher::builder(store.clone())
        .command::<Counter>("add")
        .streamed("add-all", add_all)
        .streamed("tell-late", tell_late)
        .build();
    let gateway = streams(Gateway::builder(feed).dispatcher(dispatcher)).build();
    Server { store, gateway }
}

async fn text(server: &Server, ask: Ask<'_>) -> String {
    let answer = server.ask(ask).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// The data of the event that is last.
fn last_data(text: &str, name: &str) -> Value {
    let (_, last) = text.trim_end().rsplit_once("\n\n").unwrap();
    let data = last
        .strip_prefix(&format!("event: {name}\ndata: "))
        .unwrap();
    serde_json::from_str(data).unwrap()
}

async fn written(server: &Server) -> Position {
    server.store.head().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn progress_comes_as_data_and_the_receipt_as_done() {
    let server = server_that(|gateway| gateway.streamed("add-all", Streaming::while_heard())).await;
    let text = text(
        &server,
        Ask("POST /commands/add-all", &[JSON, SSE], "[1,2]"),
    )
    .await;
    assert!(
        text.contains("\n\ndata: 1\n\ndata: 2\n\nevent: done\n"),
        "{text}"
    );
    assert!(!text.contains("id:") && !text.contains("retry:"), "{text}");
    let receipt = last_data(&text, "done");
    assert_eq!(receipt["position"], server.cursor(2));
    assert_eq!(receipt["follow"], server.cursor(1));
}

#[tokio::test(start_paused = true)]
async fn a_failure_comes_as_failed_after_what_was_told() {
    let server = server_that(|gateway| gateway.streamed("add-all", Streaming::while_heard())).await;
    for (body, told, kind, status) in [
        ("[9,9]", "data: 9\n\nevent: failed\n", "refused", 422),
        ("[]", ":\n\nevent: failed\n", "forbidden", 403),
        ("{}", ":\n\nevent: failed\n", "malformed", 400),
        ("[1,0]", "data: 1\n\nevent: failed\n", "internal", 500),
    ] {
        let text = text(&server, Ask("POST /commands/add-all", &[JSON, SSE], body)).await;
        assert!(text.contains(told), "{body}: {text}");
        let problem = last_data(&text, "failed");
        assert_eq!(problem["type"], format!("urn:eventwire:problem/{kind}"));
        assert_eq!(problem["status"], status);
    }
}

#[tokio::test(start_paused = true)]
async fn who_accepts_json_gets_the_receipt_alone() {
    let server = server_that(|gateway| gateway.streamed("add-all", Streaming::while_heard())).await;
    for accept in ["application/json", "*/*", "text/html"] {
        let headers = [JSON, ("accept", accept)];
        let (status, receipt) = server
            .json(Ask("POST /commands/add-all", &headers, "[1,2]"))
            .await;
        assert_eq!(status, 200, "{accept}: {receipt}");
        assert_eq!(receipt["positions"].as_array().unwrap().len(), 1);
    }
    let (status, _) = server
        .json(Ask("POST /commands/add-all", &[JSON], "[]"))
        .await;
    assert_eq!(status, 403);
}

#[tokio::test(start_paused = true)]
async fn any_command_tells_its_end_to_who_asks_for_a_stream() {
    let server = server_that(|gateway| gateway).await;
    let add = r#"{"counter":"a","by":6}"#;
    let done = text(&server, Ask("POST /commands/add", &[JSON, SSE], add)).await;
    assert_eq!(last_data(&done, "done")["streams"]["counter-a"], 1);
    let failed = text(&server, Ask("POST /commands/add", &[JSON, SSE], add)).await;
    assert_eq!(last_data(&failed, "failed")["status"], 422);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_the_request_itself_is_a_status() {
    let server = server_that(|gateway| gateway.streamed("add-all", Streaming::while_heard())).await;
    let [stale, twice] = [("if-match", "\"1\""), ("idempotency-key", "")];
    for (ask, status) in [
        (Ask("POST /commands/none", &[JSON, SSE], "{}"), 404),
        (Ask("POST /commands/add-all", &[SSE], "[1]"), 415),
        (
            Ask("POST /commands/add-all", &[JSON, SSE, stale], "[1]"),
            400,
        ),
        (
            Ask("POST /commands/add-all", &[JSON, SSE, twice], "[1]"),
            400,
        ),
    ] {
        let (got, problem) = server.json(ask).await;
        assert_eq!(got, status, "{} {problem}", ask.0);
    }
    assert_eq!(written(&server).await, Position::ORIGIN);
}

#[tokio::test(start_paused = true)]
async fn a_streamed_command_is_served_only_where_that_was_said() {
    let server = server_that(|gateway| gateway).await;
    for headers in [&[JSON][..], &[JSON, SSE]] {
        let (status, _) = server
            .json(Ask("POST /commands/add-all", headers, "{}"))
            .await;
        assert_eq!(status, 404);
    }
}

#[tokio::test(start_paused = true)]
async fn strict_clients_see_data_alone_whatever_they_accept() {
    for (how, done) in [
        (Streaming::while_heard().for_strict_clients(), ""),
        (
            Streaming::while_heard().closed_by("[DONE]"),
            "data: [DONE]\n\n",
        ),
    ] {
        let server = server_that(|gateway| gateway.streamed("add-all", how)).await;
        for accept in ["application/json", "*/*", "text/event-stream"] {
            let headers = [JSON, ("accept", accept)];
            let text = text(&server, Ask("POST /commands/add-all", &headers, "[1,2]")).await;
            assert_eq!(
                text,
                format!(":\n\ndata: 1\n\ndata: 2\n\n{done}"),
                "{accept}"
            );
        }
        let failed = text(&server, Ask("POST /commands/add-all", &[JSON], "[]")).await;
        let error = r#"{"error":{"message":"nothing to add","type":"forbidden","code":403}}"#;
        assert_eq!(failed, format!(":\n\ndata: {error}\n\n"));
    }
}

/// Tells a number a minute after it was asked for.
async fn tell_late(number: u64, run: Run) -> Result<eventwire_cqrs::Receipt, CommandError> {
    tokio::time::sleep(Duration::from_secs(60)).await;
    run.tell(&number).await?;
    add_all(vec![number], run).await
}

#[tokio::test(start_paused = true)]
async fn heartbeats_are_not_for_strict_clients() {
    for (how, beats) in [
        (Streaming::while_heard(), true),
        (Streaming::while_heard().for_strict_clients(), false),
    ] {
        let server = server_that(|gateway| gateway.streamed("tell-late", how)).await;
        let answer = text(&server, Ask("POST /commands/tell-late", &[JSON, SSE], "7")).await;
        let (before, _) = answer.split_once("data: 7").unwrap();
        // What opens the stream is a comment; all after it are heartbeats.
        assert_eq!(before.matches(':').count() > 1, beats, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn whether_the_work_goes_on_unheard_is_the_commands_choice() {
    for (how, events) in [(Streaming::while_heard(), 1), (Streaming::to_the_end(), 3)] {
        let server = server_that(|gateway| gateway.streamed("add-all", how)).await;
        let answer = server
            .ask(Ask("POST /commands/add-all", &[JSON, SSE], "[1,2,3]"))
            .await;
        let mut body = answer.into_body();
        read_until(&mut body, "data: 1").await;
        drop(body);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(written(&server).await, Position::from_parts(0, events));
    }
}

#[tokio::test(start_paused = true)]
async fn the_choice_holds_for_who_waits_for_json_too() {
    for (how, events) in [(Streaming::while_heard(), 1), (Streaming::to_the_end(), 3)] {
        let server = server_that(|gateway| gateway.streamed("add-all", how)).await;
        let ask = server.ask(Ask("POST /commands/add-all", &[JSON], "[1,2,3]"));
        let cut = tokio::time::timeout(Duration::from_millis(500), ask).await;
        assert!(cut.is_err(), "it takes three seconds");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(written(&server).await, Position::from_parts(0, events));
    }
}

#[tokio::test(start_paused = true)]
async fn closing_ends_the_stream_and_says_that_the_outcome_is_not_known() {
    for (how, events) in [(Streaming::while_heard(), 1), (Streaming::to_the_end(), 3)] {
        let server = server_that(|gateway| gateway.streamed("add-all", how)).await;
        let answer = server
            .ask(Ask("POST /commands/add-all", &[JSON, SSE], "[1,2,3]"))
            .await;
        let mut body = answer.into_body();
        read_until(&mut body, "data: 1").await;
        server.gateway.close().await;
        let rest = tokio::time::timeout(Duration::from_millis(100), body.collect()).await;
        let rest = rest.expect("it ends at once").unwrap().to_bytes();
        let rest = String::from_utf8(rest.to_vec()).unwrap();
        assert!(rest.starts_with("event: failed\n"), "{rest}");
        assert!(
            rest.contains("urn:eventwire:problem/indeterminate"),
            "{rest}"
        );
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(written(&server).await, Position::from_parts(0, events));
    }
}

#[tokio::test(start_paused = true)]
async fn closing_ends_who_waits_for_json_too() {
    for (how, events) in [(Streaming::while_heard(), 1), (Streaming::to_the_end(), 3)] {
        let server = server_that(|gateway| gateway.streamed("add-all", how)).await;
        let closing = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            server.gateway.close().await;
            tokio::time::Instant::now()
        };
        let asking = async {
            let answer = server
                .json(Ask("POST /commands/add-all", &[JSON], "[1,2,3]"))
                .await;
            (answer, tokio::time::Instant::now())
        };
        let (closed, ((status, problem), answered)) = tokio::join!(closing, asking);
        assert_eq!(problem["type"], "urn:eventwire:problem/indeterminate");
        assert_eq!(u64::from(status.as_u16()), problem["status"]);
        assert!(answered <= closed + Duration::from_millis(100));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(written(&server).await, Position::from_parts(0, events));
    }
}

#[tokio::test(start_paused = true)]
async fn repeating_it_with_its_key_repeats_no_part() {
    let server = server_that(|gateway| gateway.streamed("add-all", Streaming::while_heard())).await;
    let headers = [JSON, SSE, ("idempotency-key", "k")];
    let ask = Ask("POST /commands/add-all", &headers, "[1,2]");
    let mut cut = server.ask(ask).await.into_body();
    read_until(&mut cut, "data: 1").await;
    drop(cut);
    let text = text(&server, ask).await;
    assert!(text.contains("data: 1\n\ndata: 2\n\nevent: done"), "{text}");
    assert_eq!(written(&server).await, Position::from_parts(0, 2));
}

#[tokio::test(start_paused = true)]
async fn an_open_command_counts_as_a_stream() {
    let server = server_that(|gateway| {
        gateway
            .max_streams(1)
            .streamed("add-all", Streaming::while_heard())
    })
    .await;
    let first = server
        .ask(Ask("POST /commands/add-all", &[JSON, SSE], "[1]"))
        .await;
    let (status, _) = server
        .json(Ask("POST /commands/add-all", &[JSON, SSE], "[1]"))
        .await;
    assert_eq!(status, 503);
    drop(first);
    let again = server
        .ask(Ask("POST /commands/add-all", &[JSON, SSE], "[1]"))
        .await;
    assert_eq!(again.status(), 200);
}

#[tokio::test]
#[should_panic(expected = "no streamed command `add`")]
async fn only_a_streamed_command_can_be_served_so() {
    let unknown = |gateway: GatewayBuilder| gateway.streamed("add", Streaming::to_the_end());
    drop(server_that(unknown).await);
}
