//! The tokens server as a process: a page that is reloaded in the middle of an answer, and a
//! server that is killed there. Nothing in here knows the crates behind it.

mod support {
    pub(crate) mod blocks;
    pub(crate) mod port;
    pub(crate) mod program;
}

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
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
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use support::blocks::{Block, Blocks};
use support::port::free_port;
use support::program::program;

/// Longer than anything here takes; a server that hangs fails the test.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of every answer of the model that stands in.
const LENGTH: usize = 160;
const KILLS: usize = 4;

/// A running server; killed when dropped.
struct Server {
    child: Child,
    /// What it logs.
    log: mpsc::Receiver<String>,
}

/// Where a server lives: an address and a directory, which outlive the process.
struct Place {
    address: SocketAddr,
    data: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, free_port()).into(),
            data: tempfile::tempdir().expect("a directory for temporary files"),
        }
    }

    /// Starts a server and waits until it listens.
    fn start(&self, pace: &str) -> Server {
        let mut child = Command::new(program("tokens"))
            .args([
                "--listen",
                &self.address.to_string(),
                "--pace",
                pace,
                "--data",
            ])
            .arg(self.data.path())
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tokens example starts");
        let said = lines(child.stdout.take().expect("stdout is a pipe"));
        let log = lines(child.stderr.take().expect("stderr is a pipe"));
        let first = said
            .recv_timeout(PATIENCE)
            .expect("it says where it listens");
        assert_eq!(first, format!("listening on http://{}", self.address));
        Server { child, log }
    }
}

/// The lines of a pipe, which is read to its end.
fn lines(pipe: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (say, said) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // Nobody listens to all of it.
            let _not_heard = say.send(line);
        }
    });
    said
}

impl Server {
    /// Waits for a line of the log with this text.
    fn logs(&self, text: &str) {
        while !self
            .log
            .recv_timeout(PATIENCE)
            .expect("it says so")
            .contains(text)
        {}
    }
}

impl Drop for Server {
    /// `kill -9`: it ends at once, and has no say in it.
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

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
            base: format!("http://{}", place.address),
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
        let answer = self.post("/runs", json!({"prompt": prompt})).await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        let body = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        body["run"].as_str().expect("a name").to_owned()
    }

    /// Follows a run, from its start or after an id, as a page does.
    async fn follow(&self, run: &str, after: Option<&str>) -> Reader {
        let uri = format!("{}/events?stream={run}&from=start", self.base);
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
                Some("run-finished" | "run-stopped") => self.end.clone_from(&block.name),
                Some("run-started" | "eventwire.progress" | "eventwire.busy") => {}
                other => panic!("an event that nobody sent: {other:?} {}", block.data),
            }
            self.last_id = block.id.or(self.last_id.take());
        }
    }
}

/// What the model says: the words of the prompt over and over.
fn expected(prompt: &str) -> Vec<String> {
    let words = prompt.split(' ').cycle().take(LENGTH);
    words
        .enumerate()
        .map(|(nth, word)| {
            if nth == 0 {
                word.into()
            } else {
                format!(" {word}")
            }
        })
        .collect()
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
