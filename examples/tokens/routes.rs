use std::convert::Infallible;
use std::error::Error;

use bytes::Bytes;
use eventwire::gateway::Gateway;
use eventwire::store::StreamName;
use eventwire_examples::Stopping;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use tower_service::Service;

use crate::brief::BriefAnswers;
use crate::model::Model;
use crate::once;
use crate::runs::{RunError, Runs};

/// The page and what it loads, compiled in: path, media type, content.
const FILES: [(&str, &str, &str); 3] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("page/index.html"),
    ),
    (
        "/app.js",
        "text/javascript; charset=utf-8",
        include_str!("page/app.js"),
    ),
    (
        "/style.css",
        "text/css; charset=utf-8",
        include_str!("page/style.css"),
    ),
];

/// Only what this server sends may run or be connected to.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'self'; frame-ancestors 'none'; base-uri 'none'");

/// The longest question, in bytes.
const MOST: usize = 64 << 10;

type Body = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// Everything the server answers with.
#[derive(Clone)]
pub(crate) struct App {
    /// Shows runs.
    pub(crate) gateway: Gateway,
    /// Shows brief answers.
    pub(crate) of_brief: Gateway,
    pub(crate) runs: Runs,
    pub(crate) brief: BriefAnswers,
    pub(crate) model: Model,
    pub(crate) stopping: Stopping,
}

#[derive(Debug, Deserialize)]
struct Question {
    prompt: String,
}

impl App {
    pub(crate) async fn answer(
        mut self,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        Ok(match (&method, &segments[..]) {
            (&Method::POST, ["runs"]) => self.start(request).await.unwrap_or_else(refusal),
            (&Method::POST, ["runs", run, "stop"]) => self.stop(run).await.unwrap_or_else(refusal),
            (&Method::POST, ["brief"]) => self.briefly(request).await.unwrap_or_else(refusal),
            (_, ["brief", ..]) => self.of_brief.call(request).await?.map(boxed),
            (&Method::POST, ["once"]) => self.once(request).await.unwrap_or_else(refusal),
            (&Method::GET | &Method::HEAD, _) if file(&path).is_some() => {
                file(&path).expect("it was found")
            }
            _ => self.gateway.call(request).await?.map(boxed),
        })
    }

    async fn start(&self, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        let Question { prompt } = question(request).await?;
        let run = self.runs.start(prompt).await?;
        let json = format!(r#"{{"run":"{run}"}}"#);
        Ok(answer(StatusCode::CREATED, "application/json", json))
    }

    async fn stop(&self, run: &str) -> Result<Response<Body>, Refusal> {
        let nothing = |_| Refusal(StatusCode::NOT_FOUND, "there is no such run".into());
        let name = StreamName::new(run).map_err(nothing)?;
        self.runs.stop(name).await?;
        Ok(answer(StatusCode::OK, "application/json", "{}"))
    }

    async fn briefly(&self, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        let Question { prompt } = question(request).await?;
        let tag = self.brief.start(prompt);
        let json = format!(r#"{{"tag":"{tag}"}}"#);
        Ok(answer(StatusCode::CREATED, "application/json", json))
    }

    async fn once(&self, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        let Question { prompt } = question(request).await?;
        let answer = once::answer(self.model.clone(), prompt, self.stopping.clone());
        Ok(answer.into_response().map(boxed))
    }
}

/// Why nothing was done.
struct Refusal(StatusCode, String);

impl From<RunError> for Refusal {
    fn from(error: RunError) -> Self {
        match error {
            RunError::NotUnderWay => Self(StatusCode::CONFLICT, error.to_string()),
            RunError::Store(_) | RunError::Read(_) => {
                tracing::error!(?error, "refused");
                Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
        }
    }
}

fn refusal(Refusal(status, detail): Refusal) -> Response<Body> {
    answer(status, "text/plain; charset=utf-8", detail)
}

async fn question(request: Request<Incoming>) -> Result<Question, Refusal> {
    // Any page may send text without being asked for leave; JSON it may not.
    let media_type = request.headers().get(CONTENT_TYPE);
    let is_json = media_type.is_some_and(|it| it.as_bytes().starts_with(b"application/json"));
    if !is_json {
        let detail = "a question is application/json";
        return Err(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail.into()));
    }
    let malformed = |error: &dyn std::fmt::Display| {
        Refusal(StatusCode::BAD_REQUEST, format!("no question: {error}"))
    };
    let body = Limited::new(request.into_body(), MOST).collect().await;
    let body = body.map_err(|error| malformed(&error))?.to_bytes();
    serde_json::from_slice(&body).map_err(|error| malformed(&error))
}

fn file(path: &str) -> Option<Response<Body>> {
    let (_, media_type, content) = FILES.iter().find(|(at, ..)| *at == path)?;
    let mut response = answer(StatusCode::OK, media_type, *content);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    Some(response)
}

fn answer(
    status: StatusCode,
    media_type: &'static str,
    content: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(boxed(Full::new(content.into())));
    *response.status_mut() = status;
    let media_type = HeaderValue::from_static(media_type);
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

fn boxed<B>(body: B) -> Body
where
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    body.map_err(Into::into).boxed_unsync()
}
