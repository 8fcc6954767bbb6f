//! A gateway over a memory store with a small domain, and a client without a socket.

use std::pin::Pin;

use bytes::Bytes;
use eventwire_cqrs::{Boundary, CommandRequest, Decider, Dispatcher, DomainEvent, layers};
use eventwire_feed::{Feed, FeedOptions};
use eventwire_gateway::{Gateway, GatewayBody, GatewayBuilder, PeerAddress};
use eventwire_store::{EventStore, MemoryStore, NameError, StreamName};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower::ServiceExt;

/// A counter that refuses to go past ten.
#[derive(Debug, Default)]
pub(crate) struct Counter(u64);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Command {
    Add { counter: String, by: u64 },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Event {
    Added { by: u64 },
}

impl DomainEvent for Event {}

#[derive(Debug, thiserror::Error)]
#[error("{by} more would make it {sum}; the most is 10")]
pub(crate) struct TooMuch {
    by: u64,
    sum: u64,
}

impl Decider for Counter {
    type Command = Command;
    type Event = Event;
    type Refusal = TooMuch;

    fn boundary(command: &Command) -> Result<Boundary, NameError> {
        let Command::Add { counter, .. } = command;
        Ok(Boundary::stream(StreamName::new(format!(
            "counter-{counter}"
        ))?))
    }

    fn evolve(&mut self, event: &Event) {
        let Event::Added { by } = event;
        self.0 += by;
    }

    fn decide(&self, command: &Command) -> Result<Vec<Event>, TooMuch> {
        let Command::Add { by, .. } = *command;
        match (by, self.0 + by) {
            (0, _) => Ok(Vec::new()),
            (_, sum) if sum > 10 => Err(TooMuch { by, sum }),
            _ => Ok(vec![Event::Added { by }]),
        }
    }
}

pub(crate) struct Server {
    pub(crate) store: MemoryStore,
    pub(crate) gateway: Gateway,
}

pub(crate) async fn server() -> Server {
    server_with(|gateway| gateway).await
}

/// The same server with more to it.
pub(crate) async fn server_with(more: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> Server {
    let store = MemoryStore::new();
    let feed = Feed::start(store.clone(), FeedOptions::default())
        .await
        .unwrap();
    let dispatcher = Dispatcher::builder(store.clone())
        .command::<Counter>("add")
        .layer(layers::authorize(|request: &CommandRequest| match request
            .body()
            .starts_with(br#"{"counter":"vault""#)
        {
            true => Err("the vault is not for everyone".to_owned()),
            false => Ok(()),
        }))
        .query("echo", async |input: Value| {
            Ok::<_, eventwire_cqrs::QueryError>(input)
        })
        .build();
    let gateway = Gateway::builder(feed)
        .dispatcher(dispatcher)
        .raw_log()
        .max_body(4096);
    let gateway = more(gateway).build();
    Server { store, gateway }
}

/// One request: its method and path, its headers, its body.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a>(
    pub(crate) &'a str,
    pub(crate) &'a [(&'a str, &'a str)],
    pub(crate) &'a str,
);

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");
pub(crate) const PAGE: (&str, &str) = ("accept", "application/json");

impl Server {
    pub(crate) async fn ask(
        &self,
        Ask(line, headers, body): Ask<'_>,
    ) -> Response<Pin<Box<GatewayBody>>> {
        self.ask_from([127, 0, 0, 1], Ask(line, headers, body))
            .await
    }

    /// The same from another address.
    pub(crate) async fn ask_from(
        &self,
        peer: [u8; 4],
        Ask(line, headers, body): Ask<'_>,
    ) -> Response<Pin<Box<GatewayBody>>> {
        let (method, path) = line.split_once(' ').expect("METHOD path");
        let request = Request::builder().method(method).uri(path);
        let mut request = request.extension(PeerAddress(peer.into()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::<Bytes>::from(body.to_owned())).unwrap();
        let answer = self.gateway.clone().oneshot(request).await;
        answer.unwrap_or_else(|never| match never {}).map(Box::pin)
    }

    /// The whole answer, its body as JSON.
    pub(crate) async fn json(&self, ask: Ask<'_>) -> (StatusCode, Value) {
        let response = self.ask(ask).await;
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub(crate) async fn append(&self, stream: &str, event: &str) -> Value {
        let (status, receipt) = self
            .json(Ask(&format!("POST /streams/{stream}"), &[JSON], event))
            .await;
        assert_eq!(status, StatusCode::CREATED, "{receipt}");
        receipt
    }

    /// The id a client is shown for the n-th event of the log.
    pub(crate) fn cursor(&self, position: u64) -> String {
        format!("{}.{position}", self.store.epoch())
    }
}

/// What a stream sends first, up to and including the frame that contains `last`.
pub(crate) async fn read_until(body: &mut Pin<Box<GatewayBody>>, last: &str) -> String {
    let mut text = String::new();
    while !text.contains(last) {
        let frame = body.frame().await.expect("the stream goes on").unwrap();
        text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
    }
    text
}
