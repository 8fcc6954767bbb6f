use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use eventwire_store::{Cursor, IdempotencyKey};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::problem::{Kind, Problem};

/// Names a request that may be sent more than once.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// How long a client may take to send a body.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// A JSON object, and not the array that a lenient reader takes for one.
pub(crate) fn require_object(text: &str) -> Result<(), Problem> {
    if text.trim_start().starts_with('{') {
        Ok(())
    } else {
        Err(Problem::malformed("body", "expected a JSON object"))
    }
}

/// The key the request carries, if any.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Problem::malformed("Idempotency-Key", "give it once"));
    }
    let text = std::str::from_utf8(value.as_bytes())
        .map_err(|_| Problem::malformed("Idempotency-Key", "not UTF-8"))?;
    let key = IdempotencyKey::new(text);
    key.map(Some)
        .map_err(|error| Problem::malformed("Idempotency-Key", error.to_string()))
}

/// The body's media type, without parameters and in lower case; empty where there is none.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// Commands are JSON, and say so: `text/plain` would skip a browser's preflight.
pub(crate) fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let media_type = media_type(headers);
    let is_json = media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"));
    if is_json {
        Ok(())
    } else {
        Err(Problem::new(Kind::UnsupportedMediaType, "send application/json").field("Content-Type"))
    }
}

/// A cursor a client gives back.
pub(crate) fn cursor(field: &'static str, text: &str) -> Result<Cursor, Problem> {
    text.parse()
        .map_err(|error| Problem::malformed(field, format!("`{}` is {error}", text.escape_debug())))
}

/// The whole of a request's body, if it is within the limit.
pub(crate) async fn read_all<B>(body: B, limit: usize) -> Result<Bytes, Problem>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(too_large(limit));
    }
    let Ok(read) = tokio::time::timeout(BODY_WITHIN, Limited::new(body, limit).collect()).await
    else {
        let detail = format!("the body did not come within {BODY_WITHIN:?}");
        return Err(Problem::new(Kind::RequestTimeout, detail).field("body"));
    };
    match read {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Err(error) => Err(Problem::malformed(
            "body",
            format!("the body could not be read: {error}"),
        )),
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        Kind::TooLarge,
        format!("the limit is {limit} bytes; send less"),
    )
    .field("body")
}
