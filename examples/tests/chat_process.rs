//! The chat server as a process: killed with `kill -9` while people post, started again, and
//! stopped politely. Nothing in here knows the crates behind it.

mod support {
    pub(crate) mod blocks;
    pub(crate) mod chat;
    pub(crate) mod http;
    pub(crate) mod mode;
    pub(crate) mod port;
    pub(crate) mod program;
    pub(crate) mod tail;
}

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use support::blocks::{Block, Blocks};
use support::chat::Place;
use support::http::{Http, Message};
use support::mode::{Mode, in_both_modes};
use support::tail::Tail;

in_both_modes! {
    what_was_answered_survives_kills_once_and_in_order,
    a_key_stands_for_one_request_over_restarts,
    sigterm_ends_open_streams_after_what_was_answered,
    the_page_comes_with_the_server,
}

const WRITERS: usize = 4;
const KILLS: u32 = 30;
/// At most so many answers between a start and the next kill; sometimes none.
const ANSWERS_BETWEEN_KILLS: usize = 100;

async fn what_was_answered_survives_kills_once_and_in_order(mode: Mode) {
    let place = Place::new(mode);
    let mut server = place.start();
    let tail = Tail::of(Http::of(&place));
    let (answers, mut answered) = watch::channel(0_usize);
    let (stop, stopped) = watch::channel(false);
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let http = Http::of(&place);
        let (answers, stopped) = (answers.clone(), stopped.clone());
        writers.spawn(write(http, format!("writer {number}"), answers, stopped));
    }
    drop(answers);

    for kill in 0..KILLS {
        let goal = *answered.borrow() + fastrand::usize(..ANSWERS_BETWEEN_KILLS);
        let reached = answered.wait_for(|answers| *answers >= goal).await;
        drop(reached.expect("a writer has failed; its panic is above"));
        server.kill();
        if kill % 3 == 0 {
            let (starting, _said) = place.launch();
            sleep(Duration::from_micros(fastrand::u64(..20_000))).await;
            starting.kill();
        }
        server = place.start();
    }
    stop.send(true).expect("the writers are at work");
    let receipts: Vec<Message> = writers.join_all().await.into_iter().flatten().collect();

    let http = Http::of(&place);
    let (_, receipt) = http.post("end", "end", "end").await.expect("an answer");
    let end = receipt["position"].as_str().expect("a position");
    let history = http.history().await;
    assert_eq!(tail.until(end).await, history);
    assert_eq!(history.len(), receipts.len() + 1);
    for receipt in &receipts {
        assert!(
            history.contains(receipt),
            "{receipt:?} was answered and is lost"
        );
    }
    for writer in 0..WRITERS {
        let author = format!("writer {writer}");
        let said = history.iter().filter(|message| message.author == author);
        for (number, message) in said.enumerate() {
            assert_eq!(message.text, format!("message {number}"), "by {author}");
        }
    }
    eprintln!("{} messages, {KILLS} kills", history.len());
}

/// Posts one message after the other, each until it is answered: what the receipts say.
async fn write(
    http: Http,
    author: String,
    answers: watch::Sender<usize>,
    stopped: watch::Receiver<bool>,
) -> Vec<Message> {
    let mut receipts = Vec::new();
    while !*stopped.borrow() {
        let text = format!("message {}", receipts.len());
        let key = format!("{author}, {text}");
        let id = loop {
            match http.post(&key, &author, &text).await {
                Ok((StatusCode::OK, receipt)) => {
                    break receipt["position"].as_str().expect("a position").to_owned();
                }
                // Away, or not in the mood: the same again, under the same key.
                Err(_) | Ok((StatusCode::SERVICE_UNAVAILABLE | StatusCode::CONFLICT, _)) => {
                    sleep(Duration::from_millis(5)).await;
                }
                Ok((status, problem)) => panic!("{key} got {status}: {problem}"),
            }
        };
        let author = author.clone();
        receipts.push(Message { id, author, text });
        answers.send_modify(|answers| *answers += 1);
    }
    receipts
}

async fn a_key_stands_for_one_request_over_restarts(mode: Mode) {
    let place = Place::new(mode);
    let server = place.start();
    let (status, first) = Http::of(&place)
        .post("key", "Ada", "once")
        .await
        .expect("an answer");
    assert_eq!(
        (status, &first["duplicate"]),
        (StatusCode::OK, &json!(false))
    );
    server.kill();
    let _server = place.start();

    let http = Http::of(&place);
    let (status, second) = http.post("key", "Ada", "once").await.expect("an answer");
    assert_eq!(
        (status, &second["duplicate"]),
        (StatusCode::OK, &json!(true))
    );
    assert_eq!(second["position"], first["position"]);
    let (status, problem) = http.post("key", "Ada", "another").await.expect("an answer");
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    assert_eq!(http.history().await.len(), 1);
}

async fn sigterm_ends_open_streams_after_what_was_answered(mode: Mode) {
    let place = Place::new(mode);
    let http = Http::of(&place);
    let server = place.start();
    let mut streams = JoinSet::new();
    for _ in 0..3 {
        let request = http.request("/events?stream=room-lobby&from=start");
        let request = request.body(Full::<Bytes>::default()).expect("a request");
        let response = http.send(request).await.expect("a stream");
        assert_eq!(response.status(), StatusCode::OK);
        streams.spawn(async move {
            let whole = response.into_body().collect().await;
            whole.expect("a stream that ends cleanly").to_bytes()
        });
    }
    let (status, receipt) = http
        .post("key", "Ada", "the last")
        .await
        .expect("an answer");
    assert_eq!(status, StatusCode::OK);
    let (status, took) = tokio::task::spawn_blocking(|| server.terminate())
        .await
        .expect("the server ends");

    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(2), "it took {took:?}");
    for stream in streams.join_all().await {
        let blocks = Blocks::default().feed(&stream);
        let [Block { id, data, .. }, farewell] = &blocks[..] else {
            panic!("one event was answered, and the stream held {blocks:?}");
        };
        assert_eq!(farewell.name.as_deref(), Some("eventwire.busy"));
        assert_eq!(receipt["position"], json!(id));
        assert!(data.contains("the last"), "{data}");
    }
}

async fn the_page_comes_with_the_server(mode: Mode) {
    let place = Place::new(mode);
    let http = Http::of(&place);
    let _server = place.start();
    for (path, media_type, holds) in [
        ("/", "text/html", r#"src="/app.js""#),
        ("/?room=den", "text/html", r#"href="/style.css""#),
        ("/app.js", "text/javascript", "EventSource"),
        ("/style.css", "text/css", "color-scheme"),
    ] {
        let request = http.request(path).body(Full::default()).expect("a request");
        let answer = http.exchange(request).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let kind = answer.headers()["content-type"].to_str().expect("ASCII");
        assert!(kind.starts_with(media_type), "{path}: {kind}");
        let text = String::from_utf8_lossy(answer.body());
        assert!(text.contains(holds), "{path} lacks {holds}");
    }
}
