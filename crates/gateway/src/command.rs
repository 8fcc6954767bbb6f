use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use eventwire_cqrs::{Caller, CommandRequest, Dispatcher};
use eventwire_sse_body::SseResponse;
use eventwire_store::EventStore;
use http::header::{HeaderValue, VARY};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use tokio::sync::watch;

use crate::accept::preferred;
use crate::body::GatewayBody;
use crate::events::ReadingOptions;
use crate::open_streams::Whose;
use crate::precondition::expectation;
use crate::problem::Problem;
use crate::receipt;
use crate::request::{idempotency_key, require_json};
use crate::steps;
use crate::streaming::Streaming;

/// The commands that are served, and how those that tell how far they are.
pub(crate) struct Commands {
    pub(crate) dispatcher: Dispatcher,
    pub(crate) streamed: HashMap<String, Streaming>,
}

/// What carries a command out besides the dispatcher.
#[derive(Clone, Copy)]
pub(crate) struct Around<'a> {
    pub(crate) store: &'a Arc<dyn EventStore>,
    pub(crate) reading: &'a ReadingOptions,
    pub(crate) is_closing: &'a watch::Sender<bool>,
}

impl Commands {
    /// `POST /commands/{name}`: runs the command and answers with where it ended up, or with a
    /// stream of how far it is.
    pub(crate) async fn run(
        &self,
        name: &str,
        caller: Caller,
        parts: &Parts,
        body: Bytes,
        around: Around<'_>,
    ) -> Result<Response<GatewayBody>, Problem> {
        let request = request(name, &parts.headers, body)?.from_caller(caller);
        let streamed = self.streamed.get(name);
        let is_strict = streamed.is_some_and(Streaming::is_strict);
        let mut response = if is_strict || prefers_stream(&parts.headers) {
            self.stream(request, streamed, parts, around)?
        } else {
            let done = match streamed {
                Some(how) => {
                    let steps = self.steps(request, &parts.headers)?;
                    let is_closing = around.is_closing.subscribe();
                    steps::outcome(steps, how.goes_on_unheard, is_closing).await?
                }
                None => {
                    let request = expecting(request, &parts.headers)?;
                    self.dispatcher.dispatch(request).await?
                }
            };
            let receipt = receipt::of_command(&done, &**around.store).await?;
            receipt.into_response(StatusCode::OK)
        };
        response
            .headers_mut()
            .insert(VARY, HeaderValue::from_static("Accept"));
        Ok(response)
    }

    fn stream(
        &self,
        request: CommandRequest,
        streamed: Option<&Streaming>,
        parts: &Parts,
        around: Around<'_>,
    ) -> Result<Response<GatewayBody>, Problem> {
        let steps = match streamed {
            Some(_) => self.steps(request, &parts.headers)?,
            None if self
                .dispatcher
                .command_names()
                .any(|known| known == request.name()) =>
            {
                self.dispatcher.steps(expecting(request, &parts.headers)?)
            }
            None => return Err(Problem::no_command(request.name())),
        };
        let open = around.reading.open.open(Whose::of(parts))?;
        // One that tells nothing but its end is over soon, and is not worth cutting short.
        let unstreamed = Streaming::to_the_end();
        let how = streamed.unwrap_or(&unstreamed);
        let frames = steps::carry_out(
            steps,
            how,
            Arc::clone(around.store),
            around.is_closing.subscribe(),
        );
        let response = SseResponse::new(frames).opening(around.reading.opening.clone());
        let response = match how.is_strict() {
            true => response.without_heartbeat(),
            false => response.heartbeat(around.reading.heartbeat),
        };
        Ok(response
            .into_response()
            .map(|body| GatewayBody::steps(body, open)))
    }

    /// The steps of a streamed command.
    fn steps(
        &self,
        request: CommandRequest,
        headers: &HeaderMap,
    ) -> Result<eventwire_cqrs::Steps, Problem> {
        if expectation(headers)?.is_some() {
            return Err(Problem::malformed(
                "If-Match",
                "a streamed command is made of several, and none is about one stream",
            ));
        }
        Ok(self.dispatcher.steps(request))
    }
}

fn request(name: &str, headers: &HeaderMap, body: Bytes) -> Result<CommandRequest, Problem> {
    require_json(headers)?;
    let request = CommandRequest::new(name, body);
    Ok(match idempotency_key(headers)? {
        Some(key) => request.key(key),
        None => request,
    })
}

/// A command of the domain: an object, under the request's preconditions.
fn expecting(request: CommandRequest, headers: &HeaderMap) -> Result<CommandRequest, Problem> {
    if request.body().trim_ascii_start().starts_with(b"[") {
        return Err(Problem::malformed("body", "expected a JSON object"));
    }
    Ok(match expectation(headers)? {
        Some(expect) => request.expect(expect),
        None => request,
    })
}

/// JSON, unless a stream is asked for. What is neither is given JSON: commands were carried out
/// before anybody looked at what a client accepts.
fn prefers_stream(headers: &HeaderMap) -> bool {
    let forms = [("application/json", false), ("text/event-stream", true)];
    preferred(headers, &forms).unwrap_or(false)
}
