//! A reader of an event stream, by HTTP/1.1 or HTTP/2, that reads no further than it is asked to.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use super::blocks::{Block, Blocks};

/// Longer than anything takes that comes at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) headers: HeaderMap,
    body: Incoming,
    blocks: Blocks,
    read: VecDeque<Block>,
    /// All bytes so far.
    bytes: usize,
    // The connection ends with it.
    _client: Client<HttpConnector, Empty<Bytes>>,
}

impl Follower {
    /// The stream at `path`, after the event of this id; the status where it is not `200`.
    pub(crate) async fn open(
        address: SocketAddr,
        is_http2: bool,
        path: &str,
        last_event_id: Option<&str>,
    ) -> Result<Self, StatusCode> {
        let client = Client::builder(TokioExecutor::new())
            .http2_only(is_http2)
            .build_http();
        let mut request =
            Request::get(format!("http://{address}{path}")).header("accept", "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let request = request.body(Empty::new()).expect("a request");
        let answer = timeout(PATIENCE, client.request(request)).await;
        let answer = answer.expect("the head comes before any event");
        let answer = answer.map_err(|_hung_up| StatusCode::BAD_GATEWAY)?;
        if answer.status() != StatusCode::OK {
            return Err(answer.status());
        }
        let (parts, body) = answer.into_parts();
        Ok(Self {
            headers: parts.headers,
            body,
            blocks: Blocks::default(),
            read: VecDeque::new(),
            bytes: 0,
            _client: client,
        })
    }

    /// Waits for the first bytes, which are a comment.
    pub(crate) async fn opening(&mut self) {
        while self.bytes == 0 {
            assert!(self.read_more().await, "a stream begins with a comment");
        }
    }

    /// The next event of the log; none where the stream ends before, well or not.
    pub(crate) async fn next(&mut self) -> Option<Block> {
        loop {
            while let Some(block) = self.read.pop_front() {
                if block.name.as_deref() != Some("eventwire.progress") {
                    return Some(block);
                }
            }
            if !self.read_more().await {
                return None;
            }
        }
    }

    async fn read_more(&mut self) -> bool {
        let frame = timeout(PATIENCE, self.body.frame()).await;
        let Some(Ok(frame)) = frame.expect("what was sent comes through") else {
            return false;
        };
        if let Ok(data) = frame.into_data() {
            self.bytes += data.len();
            self.read.extend(self.blocks.feed(&data));
        }
        true
    }
}
