//! The tokens server as a process: a page that is reloaded in the middle of an answer, and a
//! server that is killed there. Nothing in here knows the crates behind it.

mod support {
    pub(crate) mod blocks;
    pub(crate) mod port;
    pub(crate) mod program;
    pub(crate) mod tokens;
}

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use support::blocks::{Block, Blocks};
use support::tokens::{LENGTH, PATIENCE, Place, expected};

const KILLS: usize = 4;

struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
}

impl Http {
    fn of(place: &Place) -> Self {
        Self {
            // None is kept: one of a server that was killed is of no use.
            client: Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build_http(),
            base: place.base(),
        }
    }

    async fn post(&self, path: &str, body: Value) -> Response<Incoming> {
        let request = Request::post(format!("{}{path}", self.base))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body.to_string()))
            .expect("a request");
        let answer = timeout(PATIENCE, self.client.request(request)).await;
        answer.expect("an answer in time").expect("an answer")
    }

    /// Asks, and says what the run is called.
    async fn ask(&self, prompt: &str) -> String {
        self.ask_at("/runs", prompt, "run").await
    }

    /// Asks, and says by what name the answer is found.
    async fn ask_at(&self, path: &str, prompt: &str, name: &str) -> String {
        let answer = self.post(path, json!({"prompt": prompt})).await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        let body = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        body[name].as_str().expect("a name").to_owned()
    }

    /// Follows a run, from its start or after an id, as a page does.
    async fn follow(&self, run: &str, after: Option<&str>) -> Reader {
        self.follow_at(&format!("/events?stream={run}"), after)
            .await
    }

    async fn follow_at(&self, path: &str, after: Option<&str>) -> Reader {
        let uri = format!("{}{path}&from=start", self.base);
        let mut request = Request::get(uri).header(ACCEPT, "text/event-stream");
        if let Some(id) = after {
            request = request.header("last-event-id", id);
        }
        let request = request.body(Full::default()).expect("a request");
        let answer = timeout(PATIENCE, self.client.request(request)).await;
        let answer = answer.expect("an answer in time").expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        Reader::of(answer)
    }
}

/// A connection that is read.
struct Reader {
    body: Incoming,
    blocks: Blocks,
    ready: Vec<Block>,
}

impl Reader {
    fn of(answer: Response<Incoming>) -> Self {
        Self {
            body: answer.into_body(),
            blocks: Blocks::default(),
            ready: Vec::new(),
        }
    }

    /// The next block; none where the connection has ended or broken.
    async fn next(&mut self) -> Option<Block> {
        while self.ready.is_empty() {
            let frame = timeout(PATIENCE, self.body.frame()).await;
            let frame = frame.expect("the stream goes on").and_then(Result::ok)?;
            if let Ok(data) = frame.into_data() {
                self.ready = self.blocks.feed(&data);
                self.ready.reverse();
            }
        }
        self.ready.pop()
    }
}

/// What a page has of an answer.
#[derive(Debug, Default)]
struct Answer {
    tokens: Vec<String>,
    last_id: Option<String>,
    end: Option<String>,
}

impl Answer {
    /// Reads until there are so many tokens, or the answer or the connection has ended.
    async fn read(&mut self, reader: &mut Reader, tokens: usize) {
        while self.tokens.len() < tokens && self.end.is_none() {
            let Some(block) = reader.next().await else {
                return;
            };
            match block.name.as_deref() {
                Some("tokens") => {
                    let data: Value = serde_json::from_str(&block.data).expect("JSON");
                    let tokens = data["tokens"].as_array().expect("tokens");
                    let text = |token: &Value| token.as_str().expect("text").to_owned();
                    self.tokens.extend(tokens.iter().map(text));
                }
                Some("token") => self.tokens.push(block.data),
                Some("run-finished" | "run-stopped" | "done") => self.end.clone_from(&block.name),
                Some("run-started" | "eventwire.progress" | "eventwire.busy") => {}
                other => panic!("an event that nobody sent: {other:?} {}", block.data),
            }
            self.last_id = block.id.or(self.last_id.take());
        }
    }
}

#[tokio::test]
async fn a_page_that_is_reloaded_in_the_middle_of_an_answer_has_every_token_once() {
    let place = Place::new();
    let _server = place.start("3ms");
    let http = Http::of(&place);
    let prompt = "once upon a time";
    let run = http.ask(prompt).await;

    let mut page = Answer::default();
    while page.end.is_none() {
        let more = page.tokens.len() + 20;
        let mut reader = http.follow(&run, page.last_id.as_deref()).await;
        page.read(&mut reader, more).await;
    }
    assert_eq!(page.tokens, expected(prompt));
    assert_eq!(page.end.as_deref(), Some("run-finished"));

    // One that has forgotten everything, and one that comes late.
    for _ in 0..2 {
        let mut reader = http.follow(&run, None).await;
        let mut page = Answer::default();
        page.read(&mut reader, usize::MAX).await;
        assert_eq!(page.tokens, expected(prompt));
    }
}

#[tokio::test]
async fn an_answer_goes_on_after_its_server_was_killed() {
    let place = Place::new();
    let mut server = place.start("3ms");
    let http = Http::of(&place);
    let prompt = "there was a king who had three daughters";
    let run = http.ask(prompt).await;

    let mut page = Answer::default();
    for kill in 1..=KILLS {
        let mut reader = http.follow(&run, page.last_id.as_deref()).await;
        page.read(&mut reader, kill * LENGTH / (KILLS + 1)).await;
        assert_eq!(page.end, None, "it is in the middle");
        drop(server);
        // What had been sent before the end counts.
        page.read(&mut reader, usize::MAX).await;
        server = place.start("3ms");
    }
    while page.end.is_none() {
        let mut reader = http.follow(&run, page.last_id.as_deref()).await;
        page.read(&mut reader, usize::MAX).await;
    }
    assert_eq!(page.tokens, expected(prompt));
    assert_eq!(page.end.as_deref(), Some("run-finished"));
}

#[tokio::test]
async fn an_answer_that_is_stopped_ends_there_for_everyone() {
    let place = Place::new();
    let server = place.start("50ms");
    let http = Http::of(&place);
    let run = http.ask("a b").await;
    let mut reader = http.follow(&run, None).await;
    let mut page = Answer::default();
    page.read(&mut reader, 3).await;
    let path = format!("/runs/{run}/stop");
    assert_eq!(http.post(&path, json!({})).await.status(), StatusCode::OK);
    page.read(&mut reader, usize::MAX).await;
    assert_eq!(page.end.as_deref(), Some("run-stopped"));
    assert_eq!(page.tokens, expected("a b")[..page.tokens.len()]);
    assert_eq!(
        http.post(&path, json!({})).await.status(),
        StatusCode::CONFLICT
    );
    server.logs("stopped, or written by another");

    // And is not taken up again.
    drop((server, reader));
    let _server = place.start("1ms");
    sleep(Duration::from_millis(300)).await;
    let mut late = Answer::default();
    late.read(&mut http.follow(&run, None).await, usize::MAX)
        .await;
    assert_eq!((late.end, late.tokens), (page.end, page.tokens));
}

#[tokio::test]
async fn a_brief_answer_goes_on_over_reloads_and_ends_with_its_server() {
    let place = Place::new();
    let server = place.start("3ms");
    let http = Http::of(&place);
    let prompt = "once upon a time";
    let tag = http.ask_at("/brief", prompt, "tag").await;
    let path = format!("/brief/events?tag={tag}");

    let mut page = Answer::default();
    while page.end.is_none() {
        let more = page.tokens.len() + 20;
        let mut reader = http.follow_at(&path, page.last_id.as_deref()).await;
        page.read(&mut reader, more).await;
    }
    assert_eq!(page.tokens, expected(prompt));
    assert_eq!(page.end.as_deref(), Some("done"));
    let mut late = Answer::default();
    late.read(&mut http.follow_at(&path, None).await, usize::MAX)
        .await;
    assert_eq!(late.tokens, page.tokens);

    drop(server);
    let _server = place.start("3ms");
    let mut reader = http.follow_at(&path, page.last_id.as_deref()).await;
    let gap = reader
        .next()
        .await
        .expect("it is told that it is another log");
    assert_eq!(gap.name.as_deref(), Some("eventwire.gap"));
}

#[tokio::test]
async fn an_answer_of_which_nothing_is_kept_comes_whole_without_ids() {
    let place = Place::new();
    let _server = place.start("2ms");
    let http = Http::of(&place);
    let mut reader = Reader::of(http.post("/once", json!({"prompt": "a b c"})).await);
    let mut tokens = Vec::new();
    loop {
        let block = reader.next().await.expect("an end that says so");
        assert_eq!(block.id, None);
        if block.name.as_deref() == Some("done") {
            break;
        }
        tokens.push(block.data);
    }
    assert_eq!(tokens, expected("a b c"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_stops_when_the_only_one_who_reads_it_leaves() {
    let place = Place::new();
    // By itself it would end when nobody waits for it any more.
    let server = place.start("500ms");
    let http = Http::of(&place);
    let mut reader = Reader::of(http.post("/once", json!({"prompt": "a b c"})).await);
    for token in &expected("a b c")[..2] {
        let block = reader.next().await.expect("the model goes on");
        assert_eq!(&block.data, token);
    }
    drop(reader);
    server.logs("the model stops");
}
