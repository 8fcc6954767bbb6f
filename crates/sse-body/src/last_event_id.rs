use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use eventwire_sse::EventId;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

const HEADER: HeaderName = HeaderName::from_static("last-event-id");

/// The names under which clients that cannot set headers send the id in the query: Mercure's,
/// event-source-polyfill's and better-sse's. The first that is there and not empty counts.
const QUERY_NAMES: [&str; 3] = ["last_event_id", "lastEventId", "evs_last_event_id"];

/// The id of the last event a client saw, as it says itself: where its stream is to go on.
///
/// It has the form an event id can have, and nothing else is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LastEventId(EventId);

impl LastEventId {
    /// The longest id that [`from_request`](Self::from_request) takes, in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// The id a request carries: the header `Last-Event-ID` (WHATWG HTML 9.2.3), as UTF-8, else
    /// the parameter `last_event_id`, `lastEventId` or `evs_last_event_id` of the query. An
    /// empty one is none.
    ///
    /// # Errors
    /// [`LastEventIdError`] where there is an id that no event can have had, or one longer than
    /// [`MAX_BYTES`](Self::MAX_BYTES).
    pub fn from_request(
        headers: &HeaderMap,
        query: Option<&str>,
    ) -> Result<Option<Self>, LastEventIdError> {
        Self::from_request_up_to(Self::MAX_BYTES, headers, query)
    }

    /// The same, with ids of up to `max` bytes.
    ///
    /// # Errors
    /// As [`from_request`](Self::from_request).
    pub fn from_request_up_to(
        max: usize,
        headers: &HeaderMap,
        query: Option<&str>,
    ) -> Result<Option<Self>, LastEventIdError> {
        Self::from_values_up_to(max, headers.get(HEADER).map(HeaderValue::as_bytes), query)
    }

    /// The same of a request whose headers are not `http`'s: the value of its `Last-Event-ID`, and
    /// its query.
    ///
    /// ```
    /// use eventwire_sse_body::LastEventId;
    ///
    /// let id = LastEventId::from_values(Some(b"41"), Some("last_event_id=7"))?;
    /// assert_eq!(id.as_ref().map(LastEventId::as_str), Some("41"));
    /// # Ok::<_, eventwire_sse_body::LastEventIdError>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_request`](Self::from_request).
    pub fn from_values(
        header: Option<&[u8]>,
        query: Option<&str>,
    ) -> Result<Option<Self>, LastEventIdError> {
        Self::from_values_up_to(Self::MAX_BYTES, header, query)
    }

    fn from_values_up_to(
        max: usize,
        header: Option<&[u8]>,
        query: Option<&str>,
    ) -> Result<Option<Self>, LastEventIdError> {
        if let Some(id) = header.filter(|id| !id.is_empty()) {
            return Self::checked(id.into(), max).map(Some);
        }
        let parameters = query.unwrap_or_default();
        QUERY_NAMES
            .iter()
            .find_map(|name| parameter(parameters, name))
            .map(|id| Self::checked(id, max))
            .transpose()
    }

    fn checked(id: Cow<'_, [u8]>, max: usize) -> Result<Self, LastEventIdError> {
        if id.len() > max {
            return Err(LastEventIdError::TooLong {
                bytes: id.len(),
                max,
            });
        }
        let text = String::from_utf8(id.into_owned()).map_err(|_| LastEventIdError::NotUtf8)?;
        EventId::new(text)
            .map(Self)
            .map_err(|_| LastEventIdError::LineBreakOrNul)
    }

    /// The id as text; never empty.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// The value of a parameter, form-decoded; none where it is not there or empty.
fn parameter<'a>(query: &'a str, name: &str) -> Option<Cow<'a, [u8]>> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, value)| *key == name && !value.is_empty())
        .map(|(_, value)| decoded(value))
}

fn decoded(value: &str) -> Cow<'_, [u8]> {
    if value.contains('+') {
        let spaced = value.replace('+', " ");
        return Cow::Owned(percent_decode_str(&spaced).collect());
    }
    percent_decode_str(value).into()
}

impl AsRef<str> for LastEventId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for LastEventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<LastEventId> for EventId {
    fn from(id: LastEventId) -> Self {
        id.0
    }
}

/// A last event id that no event of this server can have had: the request is at fault, and
/// would be again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LastEventIdError {
    /// It is longer than ids may be.
    TooLong {
        /// Its length.
        bytes: usize,
        /// What was allowed.
        max: usize,
    },
    /// It is not UTF-8.
    NotUtf8,
    /// It holds a carriage return, a line feed or NUL.
    LineBreakOrNul,
}

impl fmt::Display for LastEventIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes, max } => {
                write!(f, "the last event id has {bytes} bytes; send at most {max}")
            }
            Self::NotUtf8 => f.write_str("the last event id is not UTF-8; send it as it came"),
            Self::LineBreakOrNul => {
                f.write_str("the last event id has a line break or NUL; send it as it came")
            }
        }
    }
}

impl Error for LastEventIdError {}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    /// The header, the query, and what is made of them.
    type Case<T> = (Option<&'static [u8]>, Option<&'static str>, T);

    fn check(
        header: Option<&[u8]>,
        query: Option<&str>,
    ) -> Result<Option<String>, LastEventIdError> {
        let mut headers = HeaderMap::new();
        if let Some(id) = header {
            let id = HeaderValue::from_bytes(id).expect("a header value");
            headers.insert("Last-Event-ID", id);
        }
        let id = LastEventId::from_request_up_to(8, &headers, query);
        id.map(|id| id.map(|id| id.to_string()))
    }

    #[test]
    fn ids_come_from_the_header_first_then_from_the_query() {
        let cases: &[Case<Option<&str>>] = &[
            (None, None, None),
            (None, Some(""), None),
            (Some(b""), None, None),
            (Some(b"7"), None, Some("7")),
            (Some(b"7"), Some("last_event_id=8"), Some("7")),
            (Some(b""), Some("last_event_id=8"), Some("8")),
            (Some("\u{e9}7".as_bytes()), None, Some("\u{e9}7")),
            (Some(b" 7 8"), None, Some(" 7 8")),
            (None, Some("last_event_id=8"), Some("8")),
            (None, Some("lastEventId=8"), Some("8")),
            (None, Some("evs_last_event_id=8"), Some("8")),
            (
                None,
                Some("evs_last_event_id=1&lastEventId=2&last_event_id=3"),
                Some("3"),
            ),
            (None, Some("last_event_id=&lastEventId=2"), Some("2")),
            (None, Some("last_event_id=1&last_event_id=2"), Some("1")),
            (None, Some("a=b&lastEventId=a%3Db%26c&d"), Some("a=b&c")),
            (None, Some("lastEventId=%C3%A9+%2b"), Some("\u{e9} +")),
            (None, Some("lastEventId=a=b"), Some("a=b")),
            (None, Some("lastEventId"), None),
            (None, Some("LastEventId=8&xlastEventId=8"), None),
            (None, Some("lastEventId=%zz%"), Some("%zz%")),
            (Some(b"12345678"), None, Some("12345678")),
            (
                None,
                Some("lastEventId=%31%32%33%34%35%36%37%38"),
                Some("12345678"),
            ),
        ];
        for (header, query, id) in cases {
            assert_eq!(
                check(*header, *query),
                Ok(id.map(Into::into)),
                "{header:?} {query:?}"
            );
        }
    }

    #[test]
    fn ids_that_cannot_be_are_refused() {
        let too_long = LastEventIdError::TooLong { bytes: 9, max: 8 };
        let cases: &[Case<LastEventIdError>] = &[
            (Some(b"123456789"), None, too_long),
            (Some(b"123456789"), Some("lastEventId=8"), too_long),
            (None, Some("lastEventId=123456789"), too_long),
            (Some(b"\xff7"), None, LastEventIdError::NotUtf8),
            (None, Some("lastEventId=%FF"), LastEventIdError::NotUtf8),
            (None, Some("lastEventId=%C3+"), LastEventIdError::NotUtf8),
            (
                None,
                Some("lastEventId=7%0A8"),
                LastEventIdError::LineBreakOrNul,
            ),
            (
                None,
                Some("lastEventId=7%0d"),
                LastEventIdError::LineBreakOrNul,
            ),
            (
                None,
                Some("lastEventId=%00"),
                LastEventIdError::LineBreakOrNul,
            ),
        ];
        for (header, query, error) in cases {
            assert_eq!(check(*header, *query), Err(*error), "{header:?} {query:?}");
        }
    }

    #[test]
    fn a_request_may_carry_1024_bytes() {
        let query = format!("lastEventId={}", "7".repeat(1024));
        let id = LastEventId::from_request(&HeaderMap::new(), Some(&query));
        assert_eq!(id.map(|id| id.map(|id| id.as_str().len())), Ok(Some(1024)));
        let id = LastEventId::from_request(&HeaderMap::new(), Some(&(query + "7")));
        assert_eq!(
            id,
            Err(LastEventIdError::TooLong {
                bytes: 1025,
                max: 1024
            })
        );
    }

    #[test]
    fn errors_say_what_to_do() {
        let cases = [
            (
                LastEventIdError::TooLong { bytes: 9, max: 8 },
                "the last event id has 9 bytes; send at most 8",
            ),
            (
                LastEventIdError::NotUtf8,
                "the last event id is not UTF-8; send it as it came",
            ),
            (
                LastEventIdError::LineBreakOrNul,
                "the last event id has a line break or NUL; send it as it came",
            ),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
        }
    }
}
