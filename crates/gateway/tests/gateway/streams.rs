use std::time::Duration;

use eventwire_feed::Offer;
use futures_util::StreamExt;
use http::StatusCode;
use http_body_util::BodyExt;

use crate::server::{Ask, PAGE, read_until, server_with};

const STREAM: (&str, &str) = ("accept", "text/event-stream");
const FROM_BROWSER: (&str, &str) = ("sec-fetch-mode", "cors");

#[tokio::test]
async fn no_more_streams_are_opened_than_there_may_be() {
    let server = server_with(|gateway| gateway.max_streams(3).max_streams_per_address(2)).await;
    let ada = [10, 0, 0, 1];
    let first = server
        .ask_from(ada, Ask("GET /events", &[STREAM], ""))
        .await;
    let second = server
        .ask_from(ada, Ask("GET /events", &[STREAM], ""))
        .await;
    let refused = server
        .ask_from(ada, Ask("GET /events", &[STREAM], ""))
        .await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let seconds: u64 = refused.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((5..=15).contains(&seconds), "{seconds}");
    let page = server.ask_from(ada, Ask("GET /events", &[PAGE], "")).await;
    assert_eq!(page.status(), StatusCode::OK, "a page is no stream");

    let third = server.ask(Ask("GET /events", &[STREAM], "")).await;
    assert_eq!(third.status(), StatusCode::OK);
    let refused = server.ask(Ask("GET /events", &[STREAM], "")).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);

    // An EventSource would never come back after an error.
    let busy = server
        .ask(Ask("GET /events", &[STREAM, FROM_BROWSER], ""))
        .await;
    assert_eq!(busy.status(), StatusCode::OK);
    assert_eq!(busy.headers()["content-type"], "text/event-stream");
    let text = busy.into_body().collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&text).unwrap();
    assert!(text.starts_with("event: eventwire.busy\nretry: "), "{text}");
    assert!(text.ends_with("data: {}\n\n"), "{text}");

    drop((first, second));
    let again = server
        .ask_from(ada, Ask("GET /events", &[STREAM], ""))
        .await;
    assert_eq!(
        again.status(),
        StatusCode::OK,
        "those that ended do not count"
    );
    drop((third, again));
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_it_is_old_and_goes_on_elsewhere() {
    let age = Duration::from_secs(100);
    let server = server_with(|gateway| gateway.max_age(age)).await;
    server
        .append("room-1", r#"{"type":"posted","data":1}"#)
        .await;
    let begun = tokio::time::Instant::now();
    let mut ages = std::collections::BTreeSet::new();
    for _ in 0..10 {
        let begun_here = tokio::time::Instant::now();
        let ask = Ask("GET /events?from=start", &[STREAM], "");
        let mut body = server.ask(ask).await.into_body();
        let text = read_until(&mut body, "posted").await;
        assert!(
            text.contains(&format!("id: {}", server.cursor(1))),
            "{text}"
        );
        body.collect().await.expect("it ends well");
        ages.insert(begun_here.elapsed().as_millis());
    }
    assert!(
        ages.iter().all(|age| (49_000..=100_500).contains(age)),
        "{ages:?}"
    );
    assert!(ages.len() > 5, "they end apart: {ages:?}");
    assert!(begun.elapsed() > age);
}

#[tokio::test]
async fn a_stream_begins_with_the_padding_that_is_asked_for() {
    for (padding, opening) in [
        (0, ":\n\n".to_owned()),
        (2048, format!(": {:2048}\n\n", "")),
    ] {
        let server = server_with(|gateway| gateway.padding(padding)).await;
        let answer = server.ask(Ask("GET /events", &[STREAM], "")).await;
        let offer = answer.extensions().get::<Offer>().unwrap().clone();
        let mut body = answer.into_body();
        assert_eq!(read_until(&mut body, "\n\n").await, opening);
        assert!(offer.take().is_none(), "the body has the stream");

        let mut answer = server.ask(Ask("GET /events", &[STREAM], "")).await;
        let offered = answer.extensions_mut().remove::<Offer>().unwrap().take();
        assert_eq!(offered.unwrap().opening.as_bytes(), opening.as_bytes());
    }
}

#[tokio::test]
async fn a_server_can_take_the_frames_and_leave_the_body() {
    let server = server_with(|gateway| gateway.raw_log().max_streams(1)).await;
    let event = r#"{"type":"posted","data":{}}"#;
    let json = ("content-type", "application/json");
    server.ask(Ask("POST /streams/s", &[json], event)).await;
    let beginning = "GET /events?from=start";
    let mut body = server.ask(Ask(beginning, &[STREAM], "")).await.into_body();
    let of_body = read_until(&mut body, "data: {}\n\n").await;

    drop(body);
    let mut answer = server.ask(Ask(beginning, &[STREAM], "")).await;
    let offer = answer.extensions_mut().remove::<Offer>().unwrap();
    drop(answer);
    let mut offered = offer.take().unwrap();
    assert!(offer.take().is_none(), "there is one stream");
    assert!(offer.frames().next().await.is_none());
    assert_eq!(offered.heartbeat, Duration::from_secs(15));
    let frame = offered.frames.next().await.unwrap().unwrap();
    assert_eq!(
        of_body.strip_prefix(":\n\n").unwrap().as_bytes(),
        frame.as_bytes()
    );

    // The stream counts for as long as what was taken lives.
    drop((offer, offered.frames));
    let refused = server.ask(Ask(beginning, &[STREAM], "")).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.extensions().get::<Offer>().is_none());
    drop(offered.held);
    for no_stream in [
        Ask("HEAD /events", &[STREAM], ""),
        Ask("GET /events", &[PAGE], ""),
    ] {
        let answer = server.ask(no_stream).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.extensions().get::<Offer>().is_none());
    }
}
