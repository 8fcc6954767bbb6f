use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use eventwire_feed::{Offer, Offered};
use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, DATE, HeaderMap, TRANSFER_ENCODING, UPGRADE,
};
use http::{Response, StatusCode};

/// An event stream that answers a request, for [`Writers`](crate::Writers) to write: the head of
/// the response, and what its body sends.
pub struct Answer {
    pub(crate) head: Bytes,
    pub(crate) offered: Offered,
}

/// Fields that say how the body is sent: where somebody has set one, it is not ours to send.
const ABOUT_THE_BODY: [http::HeaderName; 5] = [
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    UPGRADE,
];

impl Answer {
    /// The answer to a request of HTTP/1.1 that is not HEAD, where the response carries an
    /// [`Offer`] and its body is still the one that was offered: of status 200, not compressed,
    /// and of no length. Else the response as it was, but for the offer.
    ///
    /// The body is dropped, and whatever was wrapped around it: that somebody has done something to
    /// it is told by the headers about it alone. A layer whose wrapping is to take place removes the
    /// offer.
    ///
    /// # Errors
    /// The response, to be sent by a server as it is.
    pub fn of<B>(mut response: Response<B>) -> Result<Self, Response<B>> {
        let offer = response.extensions_mut().remove::<Offer>();
        let headers = response.headers();
        let is_plain = response.status() == StatusCode::OK
            && !ABOUT_THE_BODY.iter().any(|name| headers.contains_key(name));
        match offer.filter(|_| is_plain).and_then(|offer| offer.take()) {
            Some(offered) => Ok(Self {
                head: head(response.headers()),
                offered,
            }),
            None => Err(response),
        }
    }
}

/// The connection is closed after the stream: whoever sent more requests is told that they get no
/// answer.
fn head(headers: &HeaderMap) -> Bytes {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n",
    );
    for (name, value) in headers {
        put_field(&mut out, name.as_str(), value.as_bytes());
    }
    if !headers.contains_key(DATE) {
        let date = httpdate::fmt_http_date(SystemTime::now());
        put_field(&mut out, DATE.as_str(), date.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.into()
}

fn put_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("offered", &self.offered)
            .finish_non_exhaustive()
    }
}
