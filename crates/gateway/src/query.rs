use std::time::Duration;

use bytes::Bytes;
use eventwire_cqrs::Dispatcher;
use eventwire_store::EventStore;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Response};

use crate::body::GatewayBody;
use crate::problem::Problem;
use crate::request::{cursor, require_json};

/// How long a query waits for what it depends on.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// `GET` or `POST /queries/{name}`: the input is the JSON body, or the query string as an
/// object of strings.
pub(crate) async fn run(
    dispatcher: &Dispatcher,
    store: &dyn EventStore,
    name: &str,
    parts: &Parts,
    body: Bytes,
) -> Result<Response<GatewayBody>, Problem> {
    let input = if parts.method == Method::POST {
        require_json(&parts.headers)?;
        body
    } else {
        parameters(parts.uri.query().unwrap_or_default())
    };
    wait_for(store, &parts.headers).await?;
    let answer = dispatcher.query(name, input).await?;
    let mut response = Response::new(GatewayBody::full(answer));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn parameters(query: &str) -> Bytes {
    let pairs = form_urlencoded::parse(query.as_bytes())
        .map(|(key, value)| (key.into_owned(), value.into_owned().into()));
    let object: serde_json::Map<String, serde_json::Value> = pairs.collect();
    Bytes::from(serde_json::Value::Object(object).to_string())
}

/// `Eventwire-Wait-For`: reads one's own writes, within a bounded time.
async fn wait_for(store: &dyn EventStore, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(value) = headers.get("eventwire-wait-for") else {
        return Ok(());
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    let wanted = cursor("Eventwire-Wait-For", &text)?;
    if wanted.epoch != store.epoch() {
        return Err(Problem::malformed(
            "Eventwire-Wait-For",
            "the position belongs to another log",
        ));
    }
    match tokio::time::timeout(MAX_WAIT, store.wait_for(wanted.position)).await {
        Ok(reached) => Ok(reached?),
        Err(_elapsed) => Err(Problem::busy(format!(
            "what is read has not reached {text} yet"
        ))),
    }
}
