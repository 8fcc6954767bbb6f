use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde::Serialize;

use crate::body::GatewayBody;

/// What every problem's `type` begins with; a short stable name follows.
pub const PROBLEM_TYPE: &str = "urn:eventwire:problem/";

/// How long a client is asked to stay away where nobody knows better.
const RETRY_SOON: Duration = Duration::from_secs(1);

/// What can be wrong, each with one row of [`Kind::row`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Malformed,
    Unauthenticated,
    Forbidden,
    RequestTimeout,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    Conflict,
    PreconditionFailed,
    TooLarge,
    UnsupportedMediaType,
    Invalid,
    KeyReused,
    Refused,
    TooMany,
    Internal,
    Busy,
    Indeterminate,
}

impl Kind {
    /// The status, the name in the `type`, and the title.
    const fn row(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::Malformed => (S::BAD_REQUEST, "malformed", "the request is malformed"),
            Self::Unauthenticated => (
                S::UNAUTHORIZED,
                "unauthenticated",
                "it is not known who asks",
            ),
            Self::Forbidden => (S::FORBIDDEN, "forbidden", "the caller may not"),
            Self::RequestTimeout => (
                S::REQUEST_TIMEOUT,
                "request-timeout",
                "the request did not come in time",
            ),
            Self::NotFound => (S::NOT_FOUND, "not-found", "there is nothing here"),
            Self::MethodNotAllowed => (
                S::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "the resource has no such method",
            ),
            Self::NotAcceptable => (
                S::NOT_ACCEPTABLE,
                "not-acceptable",
                "the resource has no such form",
            ),
            Self::Conflict => (S::CONFLICT, "conflict", "others kept writing"),
            Self::PreconditionFailed => (
                S::PRECONDITION_FAILED,
                "precondition-failed",
                "the precondition does not hold",
            ),
            Self::TooLarge => (S::PAYLOAD_TOO_LARGE, "too-large", "the body is too large"),
            Self::UnsupportedMediaType => (
                S::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "the body is in no known form",
            ),
            Self::Invalid => (
                S::UNPROCESSABLE_ENTITY,
                "invalid",
                "the request can never be carried out",
            ),
            Self::KeyReused => (
                S::UNPROCESSABLE_ENTITY,
                "key-reused",
                "the key stands for another request",
            ),
            Self::Refused => (S::UNPROCESSABLE_ENTITY, "refused", "the domain says no"),
            Self::TooMany => (
                S::TOO_MANY_REQUESTS,
                "too-many",
                "the caller has too much open",
            ),
            Self::Internal => (S::INTERNAL_SERVER_ERROR, "internal", "the server failed"),
            Self::Busy => (S::SERVICE_UNAVAILABLE, "busy", "not now"),
            Self::Indeterminate => (
                S::SERVICE_UNAVAILABLE,
                "indeterminate",
                "the outcome is not known",
            ),
        }
    }
}

/// An error answer: `application/problem+json` (RFC 9457).
#[derive(Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    /// The part of the request that is at fault.
    field: Option<&'static str>,
    allow: Option<&'static str>,
    challenge: Option<HeaderValue>,
    retry_after: Option<Duration>,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            field: None,
            allow: None,
            challenge: None,
            retry_after: None,
        }
    }

    /// A part of the request that cannot be read.
    pub(crate) fn malformed(field: &'static str, detail: impl Into<String>) -> Self {
        Self::new(Kind::Malformed, detail).field(field)
    }

    /// A part of the request that can be read, and never be carried out.
    pub(crate) fn invalid(field: &'static str, detail: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, detail).field(field)
    }

    /// A path that names nothing this gateway serves.
    pub(crate) fn nothing_at(path: &str) -> Self {
        Self::new(Kind::NotFound, format!("there is no resource at `{path}`"))
    }

    /// A name that no command has.
    pub(crate) fn no_command(name: &str) -> Self {
        Self::new(Kind::NotFound, format!("no command is named {name:?}"))
    }

    /// Something that is worth asking for again.
    pub(crate) fn busy(detail: impl Into<String>) -> Self {
        Self::new(Kind::Busy, detail).retry_after(None)
    }

    pub(crate) fn field(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    pub(crate) fn allow(mut self, methods: &'static str) -> Self {
        self.allow = Some(methods);
        self
    }

    /// How to be known.
    pub(crate) fn challenge(mut self, challenge: HeaderValue) -> Self {
        self.challenge = Some(challenge);
        self
    }

    /// When to try again; soon, where nobody knows better.
    pub(crate) fn retry_after(mut self, delay: Option<Duration>) -> Self {
        self.retry_after = Some(delay.unwrap_or(RETRY_SOON));
        self
    }

    #[cfg(test)]
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The document (RFC 9457, section 3).
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let (status, name, title) = self.kind.row();
        let document = Document {
            r#type: format!("{PROBLEM_TYPE}{name}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            field: self.field,
        };
        serde_json::to_vec(&document).expect("strings and a number have a JSON form")
    }

    /// The form in which SDKs of language models know errors within a stream.
    pub(crate) fn to_strict_json(&self) -> Vec<u8> {
        let (status, name, _) = self.kind.row();
        let error = StrictError {
            message: &self.detail,
            r#type: name,
            code: status.as_u16(),
        };
        serde_json::to_vec(&Strict { error }).expect("strings and a number have a JSON form")
    }

    pub(crate) fn into_response(self) -> Response<GatewayBody> {
        let (status, ..) = self.kind.row();
        let body = self.to_json();
        let mut response = Response::new(GatewayBody::full(Bytes::from(body)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(methods) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(methods));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(delay) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(delay.as_secs().max(1)));
        }
        response
    }
}

/// RFC 9457, section 3.1, and the field at fault.
#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
}

#[derive(Serialize)]
struct Strict<'a> {
    error: StrictError<'a>,
}

#[derive(Serialize)]
struct StrictError<'a> {
    message: &'a str,
    r#type: &'static str,
    code: u16,
}
