//! An application as a process, and a stream of its.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Builder;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use super::blocks::{Block, Blocks};
use super::program::program;

/// Longer than anything here takes; what hangs fails the test.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running application; killed when dropped.
#[derive(Debug)]
pub(crate) struct App {
    child: Mutex<Child>,
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl App {
    pub(crate) fn start(name: &'static str) -> Self {
        let mut child = Command::new(program(name))
            .args(["--listen", "127.0.0.1:0", "--every", "20ms"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let mut line = String::new();
        let said = BufReader::new(stdout).read_line(&mut line);
        said.expect("the example says where it listens");
        let base = line
            .trim_end()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("an address, not {line:?}"))
            .to_owned();
        Self {
            child: Mutex::new(child),
            base,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    pub(crate) async fn send(
        &self,
        request: http::Result<Request<Full<Bytes>>>,
    ) -> Response<Incoming> {
        let mut request = request.expect("a request");
        let uri = format!("{}{}", self.base, request.uri());
        *request.uri_mut() = uri.parse::<Uri>().expect("a URI");
        let answer = timeout(PATIENCE, self.client.request(request)).await;
        answer.expect("an answer in time").expect("an answer")
    }

    /// `kill -TERM`.
    pub(crate) fn terminate(&self) {
        let id = self.child.lock().expect("no panic holds it").id();
        let status = Command::new("sh")
            .args(["-c", &format!("kill -TERM {id}")])
            .status()
            .expect("a shell");
        assert!(status.success());
    }

    /// With exit code 0, and soon.
    pub(crate) fn ends_well(&self) {
        let begun = Instant::now();
        let mut child = self.child.lock().expect("no panic holds it");
        while begun.elapsed() < PATIENCE {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                assert_eq!(status.code(), Some(0));
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("it did not end within {PATIENCE:?} of SIGTERM");
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if let Ok(child) = self.child.get_mut() {
            // It may have ended already, which is what is wanted.
            let _ended = child.kill().and_then(|()| child.wait());
        }
    }
}

/// An event stream that is read.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) headers: HeaderMap,
    body: Incoming,
    blocks: Blocks,
    read: std::collections::VecDeque<Block>,
}

impl Stream {
    pub(crate) async fn open(app: &App, request: Builder) -> Self {
        let answer = app.send(request.body(Full::default())).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let (parts, body) = answer.into_parts();
        Self {
            headers: parts.headers,
            body,
            blocks: Blocks::default(),
            read: std::collections::VecDeque::new(),
        }
    }

    pub(crate) async fn next_block(&mut self) -> Block {
        loop {
            if let Some(block) = self.read.pop_front() {
                return block;
            }
            let frame = timeout(PATIENCE, self.body.frame()).await;
            let frame = frame.expect("an event in time").expect("more events");
            if let Ok(bytes) = frame.expect("no error").into_data() {
                self.read.extend(self.blocks.feed(&bytes));
            }
        }
    }

    /// The ids of the next ticks, which are numbers, as their data is.
    pub(crate) async fn next_ids(&mut self, count: usize) -> Vec<u64> {
        let mut ids = Vec::new();
        while ids.len() < count {
            let block = self.next_block().await;
            assert_eq!(block.name.as_deref(), Some("tick"));
            assert_eq!(block.id.as_ref(), Some(&block.data));
            ids.push(block.data.parse().expect("a number"));
        }
        ids
    }

    /// Reads to the end, which is a good one.
    pub(crate) async fn ends(self) {
        let rest = timeout(PATIENCE, self.body.collect()).await;
        rest.expect("an end in time").expect("no error");
    }
}
