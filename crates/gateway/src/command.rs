use bytes::Bytes;
use eventwire_cqrs::{Caller, CommandRequest, Dispatcher};
use eventwire_store::EventStore;
use http::{HeaderMap, Response, StatusCode};

use crate::body::GatewayBody;
use crate::precondition::expectation;
use crate::problem::Problem;
use crate::receipt::Receipt;
use crate::request::{idempotency_key, require_json};

/// `POST /commands/{name}`: runs the command and answers with where it ended up.
pub(crate) async fn run(
    dispatcher: &Dispatcher,
    store: &dyn EventStore,
    name: &str,
    caller: Caller,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response<GatewayBody>, Problem> {
    require_json(headers)?;
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::malformed("body", "expected a JSON object"));
    }
    let mut request = CommandRequest::new(name, body).from_caller(caller);
    if let Some(expect) = expectation(headers)? {
        request = request.expect(expect);
    }
    if let Some(key) = idempotency_key(headers)? {
        request = request.key(key);
    }
    let receipt = dispatcher.dispatch(request).await?;
    let receipt = match &receipt.appended {
        Some(appended) => Receipt::of(appended, store.epoch()),
        None => Receipt::of_nothing(store.head().await?, store.epoch()),
    };
    Ok(receipt.into_response(StatusCode::OK))
}
