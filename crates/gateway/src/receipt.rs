use std::collections::BTreeMap;

use bytes::Bytes;
use eventwire_store::{Appended, Cursor, Epoch, EventStore, Position};
use http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;

use crate::body::GatewayBody;
use crate::precondition::entity_tag;
use crate::problem::Problem;

/// The header that names the last event written, as the body's `position` does.
pub(crate) const EVENTWIRE_POSITION: HeaderName = HeaderName::from_static("eventwire-position");

/// The answer to whoever wrote. Positions leave the process as cursors, the text that is
/// the `id:` of the same event on a stream.
#[derive(Debug, Serialize)]
pub(crate) struct Receipt {
    position: Option<String>,
    positions: Vec<String>,
    streams: BTreeMap<String, u64>,
    /// A stream opened after this shows the events written.
    pub(crate) follow: String,
    duplicate: bool,
    #[serde(skip)]
    entity_tag: Option<String>,
}

impl Receipt {
    pub(crate) fn of(appended: &Appended, epoch: Epoch) -> Self {
        let cursor = |position| Cursor { epoch, position }.to_string();
        Self {
            position: Some(cursor(appended.last())),
            positions: appended.positions.iter().copied().map(cursor).collect(),
            streams: appended
                .streams
                .iter()
                .map(|(name, version)| (name.to_string(), version.get()))
                .collect(),
            follow: cursor(appended.before),
            duplicate: appended.duplicate,
            entity_tag: match &appended.streams[..] {
                [(_, version)] => Some(entity_tag(*version)),
                _ => None,
            },
        }
    }

    /// For a command that was decided by doing nothing.
    pub(crate) fn of_nothing(head: Position, epoch: Epoch) -> Self {
        Self {
            position: None,
            positions: Vec::new(),
            streams: BTreeMap::new(),
            follow: Cursor {
                epoch,
                position: head,
            }
            .to_string(),
            duplicate: false,
            entity_tag: None,
        }
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a receipt has string keys and so a JSON form")
    }

    pub(crate) fn into_response(self, status: StatusCode) -> Response<GatewayBody> {
        let mut response = json_response(status, &self);
        let headers = response.headers_mut();
        for (name, text) in [
            (EVENTWIRE_POSITION, &self.position),
            (ETAG, &self.entity_tag),
        ] {
            if let Some(text) = text {
                let value = HeaderValue::from_str(text).expect("cursors and entity tags are ASCII");
                headers.insert(name, value);
            }
        }
        response
    }
}

/// Of a command that was not refused.
pub(crate) async fn of_command(
    done: &eventwire_cqrs::Receipt,
    store: &dyn EventStore,
) -> Result<Receipt, Problem> {
    Ok(match &done.appended {
        Some(appended) => Receipt::of(appended, store.epoch()),
        None => Receipt::of_nothing(store.head().await?, store.epoch()),
    })
}

/// An answer of one JSON document.
pub(crate) fn json_response(
    status: StatusCode,
    document: &impl Serialize,
) -> Response<GatewayBody> {
    let body = serde_json::to_vec(document).expect("answers have string keys and so a JSON form");
    let mut response = Response::new(GatewayBody::full(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
