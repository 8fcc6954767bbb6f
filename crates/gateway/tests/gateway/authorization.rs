//! Who a request is from: asked on every request, believed by commands.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eventwire_cqrs::{CommandRequest, Dispatcher, layers};
use eventwire_feed::{Feed, FeedOptions};
use eventwire_gateway::{Authorize, Authorizing, Denial, Gateway, GatewayBuilder, Principal};
use eventwire_store::{EventStore, MemoryStore, Position};
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::ServiceExt;

use crate::server::{Ask, Counter, JSON, PAGE, Server, server_with};

/// Knows people by `Bearer NAME` and counts how often it was asked.
#[derive(Clone, Default)]
struct Guard {
    asked: Arc<AtomicUsize>,
}

struct Claims {
    may_add: bool,
}

impl Authorize for Guard {
    fn authorize<'a>(&'a self, request: &'a Parts) -> Authorizing<'a> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let token = request.headers.get("authorization");
            let name = token
                .and_then(|token| token.to_str().ok())
                .and_then(|token| token.strip_prefix("Bearer "));
            tokio::task::yield_now().await;
            match name {
                Some("banned") => Err(Denial::forbidden("you were banned")),
                Some("unlucky") => Err(Denial::unavailable(Some(Duration::from_secs(7)))),
                Some(name) => Ok(Principal::new(name).with(Claims {
                    may_add: name == "ada",
                })),
                None => Err(Denial::unauthenticated(
                    HeaderValue::from_static("Bearer realm=\"room\""),
                    "send a token",
                )),
            }
        })
    }
}

/// The counter, for those who may add to it.
async fn guarded(with: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> Server {
    let store = MemoryStore::new();
    let feed = Feed::start(store.clone(), FeedOptions::default())
        .await
        .unwrap();
    let dispatcher = Dispatcher::builder(store.clone())
        .command::<Counter>("add")
        .layer(layers::authorize(|request: &CommandRequest| {
            let principal = request.caller().as_ref::<Principal>();
            match principal.and_then(Principal::claims::<Claims>) {
                Some(Claims { may_add: true }) => Ok(()),
                _ => Err("only those who may add".to_owned()),
            }
        }))
        .build();
    let gateway = with(Gateway::builder(feed).dispatcher(dispatcher).raw_log()).build();
    Server { store, gateway }
}

const ADD: &str = r#"{"counter":"a","by":1}"#;

#[tokio::test]
async fn every_request_is_asked_who_it_is_from_before_anything_else() {
    let guard = Guard::default();
    let server = server_with(|gateway| gateway.authorize(guard.clone())).await;
    let ways = [
        Ask("POST /commands/add", &[JSON], ADD),
        Ask("POST /commands/none", &[], "not even JSON"),
        Ask("GET /queries/echo", &[], ""),
        Ask("POST /streams/a", &[JSON], r#"{"type":"t","data":1}"#),
        Ask("GET /events", &[], ""),
        Ask("GET /events", &[PAGE], ""),
        Ask("GET /streams/a", &[("last-event-id", "x.1")], ""),
        Ask("HEAD /events", &[], ""),
        Ask("OPTIONS /events", &[], ""),
        Ask("DELETE /nothing", &[], ""),
    ];
    for (index, ask) in ways.into_iter().enumerate() {
        let answer = server.ask(ask).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{}", ask.0);
        assert_eq!(
            answer.headers()["www-authenticate"],
            "Bearer realm=\"room\""
        );
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert_eq!(guard.asked.load(Ordering::Relaxed), index + 1, "{}", ask.0);
    }
    assert_eq!(server.store.head().await.unwrap(), Position::ORIGIN);
}

#[tokio::test]
async fn the_answer_says_why() {
    let server = server_with(|gateway| gateway.authorize(Guard::default())).await;
    for (token, status, kind, detail) in [
        ("Basic x", 401, "unauthenticated", "send a token"),
        ("Bearer banned", 403, "forbidden", "you were banned"),
        (
            "Bearer unlucky",
            503,
            "busy",
            "it cannot be found out at the moment who asks",
        ),
    ] {
        let ask = Ask("GET /events", &[("authorization", token)], "");
        let answer = server.ask(ask).await;
        let retry = answer.headers().get("retry-after").cloned();
        assert_eq!(retry.is_some(), status == 503, "{token}");
        assert!(retry.is_none_or(|seconds| seconds == "7"));
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("urn:eventwire:problem/{kind}"));
        assert_eq!(problem["detail"], detail);
    }
}

#[tokio::test]
async fn commands_are_told_who_asks() {
    let server = guarded(|gateway| gateway.authorize(Guard::default())).await;
    for (token, status) in [("Bearer ada", 200), ("Bearer grace", 403)] {
        let headers = [JSON, ("authorization", token)];
        let (got, body) = server.json(Ask("POST /commands/add", &headers, ADD)).await;
        assert_eq!(got, status, "{body}");
    }
}

#[tokio::test]
async fn a_stream_is_refused_however_it_resumes() {
    let server = server_with(|gateway| gateway.authorize(Guard::default())).await;
    let ada = ("authorization", "Bearer ada");
    let post = Ask("POST /streams/a", &[JSON, ada], r#"{"type":"t","data":1}"#);
    let (status, receipt) = server.json(post).await;
    assert_eq!(status, StatusCode::CREATED);
    let cursor = receipt["follow"].as_str().unwrap();
    for (headers, status) in [
        (&[("last-event-id", cursor), ada][..], 200),
        (&[("last-event-id", cursor)], 401),
        (
            &[
                ("last-event-id", cursor),
                ("authorization", "Bearer banned"),
            ],
            403,
        ),
    ] {
        let answer = server.ask(Ask("GET /streams/a", headers, "")).await;
        assert_eq!(answer.status(), status, "{headers:?}");
    }
}

#[tokio::test]
async fn a_function_is_a_hook() {
    let hook = |request: &Parts| {
        let is_local = request.uri.path().ends_with("/events");
        async move {
            is_local
                .then(Principal::anonymous)
                .ok_or(Denial::forbidden("only events"))
        }
    };
    let server = server_with(|gateway| gateway.authorize(hook)).await;
    let events = server.ask(Ask("GET /events", &[], "")).await;
    assert_eq!(events.status(), StatusCode::OK);
    let add = server.ask(Ask("POST /commands/add", &[JSON], ADD)).await;
    assert_eq!(add.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn without_a_hook_a_layer_around_the_gateway_is_believed() {
    let server = guarded(|gateway| gateway).await;
    for (principal, status) in [
        (None, 403),
        (Some(Principal::new("ada")), 403),
        (
            Some(Principal::new("ada").with(Claims { may_add: true })),
            200,
        ),
    ] {
        let mut request = Request::post("/commands/add")
            .header("content-type", "application/json")
            .body(Full::<bytes::Bytes>::from(ADD))
            .unwrap();
        if let Some(principal) = principal.clone() {
            request.extensions_mut().insert(principal);
        }
        let answer = server.gateway.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), status, "{principal:?}");
    }
}

#[tokio::test]
async fn a_hook_does_not_believe_what_was_said_before_it() {
    let server = guarded(|gateway| gateway.authorize(Guard::default())).await;
    let mut request = Request::post("/commands/add")
        .header("content-type", "application/json")
        .header("authorization", "Bearer grace")
        .body(Full::<bytes::Bytes>::from(ADD))
        .unwrap();
    let forged = Principal::new("ada").with(Claims { may_add: true });
    request.extensions_mut().insert(forged);
    let answer = server.gateway.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_the_hook() {
    let server = server_with(|gateway| {
        gateway.authorize(|_: &Parts| std::future::pending::<Result<Principal, Denial>>())
    })
    .await;
    let ask = server.ask(Ask("GET /events", &[], ""));
    let close = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.gateway.close().await;
    };
    let (answer, ()) = tokio::join!(ask, close);
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
}
