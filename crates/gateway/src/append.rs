use bytes::Bytes;
use eventwire_store::{Append, EventStore, Expect, Fingerprint, NewEvent, StreamName};
use http::header::{HeaderMap, HeaderValue, LOCATION};
use http::{Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::value::RawValue;

use crate::body::GatewayBody;
use crate::event_json::NewEventJson;
use crate::precondition::expectation;
use crate::problem::Problem;
use crate::receipt::Receipt;
use crate::request::{idempotency_key, media_type, require_json, require_object};

/// All but the characters a path segment may hold as they are (RFC 3986, section 2.3), and
/// the dot, of which `.` and `..` are made.
const NOT_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// `POST /streams/{stream}`: one event, or several that are written together or not at all.
pub(crate) async fn append(
    store: &dyn EventStore,
    prefix: &str,
    stream: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response<GatewayBody>, Problem> {
    let stream =
        StreamName::new(stream).map_err(|error| Problem::invalid("stream", error.to_string()))?;
    let events = events(headers, &body)?;
    let expect = expectation(headers)?.unwrap_or(Expect::Any);
    let mut append = Append::to(stream.clone()).expect(expect).extend(events);
    if let Some(key) = idempotency_key(headers)? {
        append = append
            .key(key)
            .fingerprint(Fingerprint::of([stream.as_str().as_bytes(), &body[..]]));
    }
    let appended = store.append(append).await?;
    let receipt = Receipt::of(&appended, store.epoch());
    let location = format!(
        "{prefix}/streams/{}?after={}",
        utf8_percent_encode(stream.as_str(), NOT_UNRESERVED),
        receipt.follow
    );
    let mut response = receipt.into_response(StatusCode::CREATED);
    let location = HeaderValue::from_str(&location).expect("a percent-encoded path is ASCII");
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

fn events(headers: &HeaderMap, body: &[u8]) -> Result<Vec<NewEvent>, Problem> {
    let text = std::str::from_utf8(body).map_err(|error| {
        Problem::malformed(
            "body",
            format!("not UTF-8 from byte {} on", error.valid_up_to()),
        )
    })?;
    if media_type(headers) == "application/x-ndjson" {
        let lines = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty());
        return lines
            .map(|(index, line)| event(line, |error| format!("line {}: {error}", index + 1)))
            .collect();
    }
    require_json(headers)?;
    if text.trim_start().starts_with('[') {
        let events: Vec<&RawValue> = parse(text, |error| error.to_string())?;
        let numbered = events.into_iter().enumerate();
        return numbered
            .map(|(index, raw)| event(raw.get(), |error| format!("event {}: {error}", index + 1)))
            .collect();
    }
    event(text, |error| error.to_string()).map(|event| vec![event])
}

fn event(
    text: &str,
    describe: impl FnOnce(serde_json::Error) -> String,
) -> Result<NewEvent, Problem> {
    require_object(text)?;
    parse::<NewEventJson<'_>>(text, describe)?.into_event()
}

fn parse<'a, T: serde::Deserialize<'a>>(
    text: &'a str,
    describe: impl FnOnce(serde_json::Error) -> String,
) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|error| Problem::malformed("body", describe(error)))
}
