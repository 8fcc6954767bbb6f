//! The chat server seen over HTTP, by a client that takes nothing from the crates under test.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::request::Builder;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::chat::Place;

/// Longer than any answer takes; a server that hangs fails the test.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// A message as it is shown, whether by the log as JSON, by the stream or by the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// The id of its event.
    pub(crate) id: String,
    pub(crate) author: String,
    pub(crate) text: String,
}

/// The payload of `message-posted`.
#[derive(Debug, Deserialize)]
struct Posted {
    author: String,
    text: String,
}

impl Message {
    pub(crate) fn of_payload(id: impl Into<String>, payload: Value) -> Self {
        let Posted { author, text } =
            serde_json::from_value(payload).expect("a message has an author and a text");
        let id = id.into();
        Self { id, author, text }
    }
}

/// A client of the server at one place, which may be away.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
}

impl Http {
    pub(crate) fn of(place: &Place) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            base: format!("http://{}", place.address()),
        }
    }

    pub(crate) fn request(&self, path: &str) -> Builder {
        Request::builder().uri(format!("{}{path}", self.base))
    }

    /// The head of the answer, in time.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Failure> {
        Ok(timeout(ANSWERS_WITHIN, self.client.request(request)).await??)
    }

    /// The whole answer, in time.
    pub(crate) async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, Failure> {
        let (head, body) = self.send(request).await?.into_parts();
        let body = timeout(ANSWERS_WITHIN, body.collect()).await??;
        Ok(Response::from_parts(head, body.to_bytes()))
    }

    /// Runs a command of the lobby: the status, and the receipt or the problem.
    pub(crate) async fn command(
        &self,
        name: &str,
        key: &str,
        mut fields: Value,
    ) -> Result<(StatusCode, Value), Failure> {
        fields["room"] = json!("lobby");
        let request = self
            .request(&format!("/commands/{name}"))
            .method("POST")
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", key)
            .body(Full::from(fields.to_string()))?;
        let answer = self.exchange(request).await?;
        Ok((answer.status(), serde_json::from_slice(answer.body())?))
    }

    /// Posts a message to the lobby.
    pub(crate) async fn post(
        &self,
        key: &str,
        author: &str,
        text: &str,
    ) -> Result<(StatusCode, Value), Failure> {
        let fields = json!({"author": author, "text": text});
        self.command("post-message", key, fields).await
    }

    /// All that was posted to the lobby, page by page.
    pub(crate) async fn history(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.page(&after).await.expect("a page of history");
            let events = page["events"].as_array().expect("a page has events");
            for event in events {
                assert_eq!(event["stream"], "room-lobby");
                if event["type"] == "message-posted" {
                    let id = event["position"].as_str().expect("a position is text");
                    messages.push(Message::of_payload(id, event["data"].clone()));
                }
            }
            if page["caught_up"] == true {
                return messages;
            }
            let next = page["next"]
                .as_str()
                .expect("a page says where the next begins");
            after = format!("&after={next}");
        }
    }

    async fn page(&self, after: &str) -> Result<Value, Failure> {
        let request = self
            .request(&format!("/events?stream=room-lobby&limit=50{after}"))
            .header(ACCEPT, "application/json")
            .body(Full::default())?;
        let answer = self.exchange(request).await?;
        assert_eq!(answer.status(), StatusCode::OK);
        Ok(serde_json::from_slice(answer.body())?)
    }
}
