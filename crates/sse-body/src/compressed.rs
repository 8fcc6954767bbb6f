use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, Entry, VARY};
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::accept_encoding::takes_gzip;

/// How far back a repetition is found: 2^12 bytes. Events of a stream repeat those just before
/// them, and a window of 2^15, the most there is, would take 112 KiB more for each stream.
const WINDOW_BITS: u8 = 12;

/// What is added to the output at a time, and enough for most pieces.
const ROOM: usize = 512;

/// Compresses a response where it is an event stream and the client takes gzip; any other is
/// passed on as it is.
///
/// Each piece of data is flushed: all of it is in what is sent for it, and never waits for the next.
/// `Content-Encoding` says so, and `Vary` does for both, compressed or not. What the server had put into
/// the extensions of a compressed response is gone, since it is of the body before.
///
/// `no-transform` in the head stays: it is others on the way who may not compress.
///
/// ```
/// use eventwire_sse::Event;
/// use eventwire_sse_body::{SseResponse, compress};
/// use futures_util::stream;
/// use http::{Request, Response};
///
/// fn answer(request: &Request<()>) -> Response<impl http_body::Body<Data = bytes::Bytes>> {
///     let ticks = stream::iter([Event::new("tick"), Event::new("tock")]);
///     let response = SseResponse::from_stream(ticks).without_heartbeat().into_response();
///     compress(request.headers(), response)
/// }
///
/// let request = Request::get("/").header("accept-encoding", "gzip, br");
/// assert_eq!(answer(&request.body(())?).headers()["content-encoding"], "gzip");
/// # Ok::<_, http::Error>(())
/// ```
#[cfg_attr(docsrs, doc(cfg(feature = "gzip")))]
pub fn compress<B>(request: &HeaderMap, response: Response<B>) -> Response<Compressed<B>>
where
    B: Body<Data = Bytes>,
{
    let (mut parts, body) = response.into_parts();
    if !is_event_stream(&parts.headers) || parts.headers.contains_key(CONTENT_ENCODING) {
        return Response::from_parts(parts, Compressed::identity(body));
    }
    vary(&mut parts.headers);
    if !takes_gzip(request) {
        return Response::from_parts(parts, Compressed::identity(body));
    }
    parts.extensions.clear();
    parts.headers.remove(CONTENT_LENGTH);
    parts
        .headers
        .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Response::from_parts(parts, Compressed::gzip(body))
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE);
    let text = content_type.and_then(|value| value.to_str().ok());
    let essence = text.and_then(|text| text.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// Tells caches that the answer depends on what the client takes.
fn vary(headers: &mut HeaderMap) {
    const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("accept-encoding");
    match headers.entry(VARY) {
        Entry::Occupied(mut others) => others.append(ACCEPT_ENCODING),
        Entry::Vacant(none) => {
            none.insert(ACCEPT_ENCODING);
        }
    }
}

pin_project! {
    /// A body, or what gzip makes of it (RFC 1952), each piece of data as it comes.
    ///
    /// A compressed stream keeps a state of its own, some 260 KiB, for as long as it lives. Made by
    /// [`compress`].
    #[must_use = "a body does nothing until it is polled"]
    #[cfg_attr(docsrs, doc(cfg(feature = "gzip")))]
    pub struct Compressed<B> {
        #[pin]
        body: B,
        state: State,
    }
}

enum State {
    /// Nothing is compressed.
    Identity,
    Open(Compress),
    /// The last bytes of gzip were sent, or the body failed and there are none.
    Ended,
}

impl<B> Compressed<B> {
    fn identity(body: B) -> Self {
        Self {
            body,
            state: State::Identity,
        }
    }

    fn gzip(body: B) -> Self {
        let gzip = Compress::new_gzip(Compression::fast(), WINDOW_BITS);
        Self {
            body,
            state: State::Open(gzip),
        }
    }
}

impl<B: Body<Data = Bytes>> Body for Compressed<B> {
    type Data = Bytes;
    type Error = B::Error;

    /// As of the body it is made of; at the end of a compressed one there is one piece more.
    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let gzip = match this.state {
            State::Identity => return this.body.poll_frame(context),
            State::Ended => return Poll::Ready(None),
            State::Open(gzip) => gzip,
        };
        let compressed = match ready!(this.body.poll_frame(context)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => run(gzip, &data, FlushCompress::Sync),
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            },
            Some(Err(error)) => {
                *this.state = State::Ended;
                return Poll::Ready(Some(Err(error)));
            }
            None => {
                let rest = run(gzip, &[], FlushCompress::Finish);
                *this.state = State::Ended;
                rest
            }
        };
        Poll::Ready(Some(Ok(Frame::data(compressed))))
    }

    fn is_end_stream(&self) -> bool {
        match self.state {
            State::Identity => self.body.is_end_stream(),
            State::Open(_) => false,
            State::Ended => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.state {
            State::Identity => self.body.size_hint(),
            State::Open(_) => SizeHint::default(),
            State::Ended => SizeHint::with_exact(0),
        }
    }
}

/// All of the input compressed, and flushed so that it can all be read.
fn run(gzip: &mut Compress, mut input: &[u8], flush: FlushCompress) -> Bytes {
    let mut output = Vec::with_capacity(ROOM);
    loop {
        let before = gzip.total_in();
        let status = gzip
            .compress_vec(input, &mut output, flush)
            .expect("an encoder that is not finished takes any input");
        let taken = usize::try_from(gzip.total_in() - before).expect("it was in memory");
        input = &input[taken..];
        // Room left over means that nothing is held back.
        let is_done = output.len() < output.capacity() && input.is_empty();
        if status == Status::StreamEnd || is_done {
            return Bytes::from(output);
        }
        output.reserve(ROOM.max(output.capacity()));
    }
}

impl<B: fmt::Debug> fmt::Debug for Compressed<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressed")
            .field("body", &self.body)
            .field("is_gzip", &!matches!(self.state, State::Identity))
            .finish_non_exhaustive()
    }
}
