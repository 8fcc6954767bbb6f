//! `SseResponse` as an answer of axum's, and `LastEventId` as an argument of a handler.

use std::error::Error;

use axum_core::extract::OptionalFromRequestParts;
use axum_core::response::{IntoResponse, Response};
use eventwire_sse::Frame;
use futures_core::TryStream;
use http::StatusCode;
use http::request::Parts;

use crate::last_event_id::{LastEventId, LastEventIdError};
use crate::response::SseResponse;

/// A handler returns it as it is.
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<S> IntoResponse for SseResponse<S>
where
    S: TryStream<Ok = Frame> + Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>> + Send,
{
    fn into_response(self) -> Response {
        // The inherent method, which knows nothing of axum.
        Self::into_response(self).into_response()
    }
}

/// `Option<LastEventId>` as an argument: none where the request names no id.
///
/// # Errors
/// As [`LastEventId::from_request`]; answered with `400`.
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<S: Sync> OptionalFromRequestParts<S> for LastEventId {
    type Rejection = LastEventIdError;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Option<Self>, LastEventIdError> {
        Self::from_request(&parts.headers, parts.uri.query())
    }
}

/// `400`, with what is wrong as text.
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl IntoResponse for LastEventIdError {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, self.to_string()).into_response()
    }
}
