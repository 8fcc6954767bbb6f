//! Compressed streams, read by another implementation of gzip's other half piece by piece.
#![cfg(feature = "gzip")]

use std::convert::Infallible;
use std::pin::pin;

use bytes::Bytes;
use eventwire_sse::Frame;
use eventwire_sse_body::{SseResponse, compress};
use flate2::{Decompress, FlushDecompress, Status};
use futures_util::stream;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use http::{HeaderMap, HeaderValue, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};

fn taking(codings: &'static str) -> HeaderMap {
    [(ACCEPT_ENCODING, HeaderValue::from_static(codings))]
        .into_iter()
        .collect()
}

/// What can be read of what has come.
struct Reader {
    gzip: Decompress,
    has_ended: bool,
}

impl Reader {
    fn new() -> Self {
        Self {
            gzip: Decompress::new_gzip(15),
            has_ended: false,
        }
    }

    fn read(&mut self, compressed: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(4 << 20);
        let before = self.gzip.total_in();
        let status = self
            .gzip
            .decompress_vec(compressed, &mut text, FlushDecompress::None)
            .expect("gzip");
        self.has_ended = status == Status::StreamEnd;
        assert_eq!(self.gzip.total_in() - before, compressed.len() as u64);
        text
    }
}

/// Frames of every length around those at which the output needs more room, of what compresses
/// well and of what does not.
fn frames() -> Vec<Frame> {
    let lengths = (0..40).chain([
        500, 511, 512, 513, 1024, 4095, 4096, 4097, 70_000, 1_000_000,
    ]);
    let mut seed = 1_u64;
    let mut noise = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + u8::try_from(seed >> 58).expect("six bits"))
    };
    let dull = lengths.clone().map(|length| "ab".repeat(length));
    let wild = lengths.map(|length| (0..length).map(|_| noise()).collect());
    let texts: Vec<String> = dull.chain(wild).collect();
    texts.iter().map(|text| Frame::comment(text)).collect()
}

#[tokio::test]
async fn each_piece_can_be_read_before_the_next_is_made() {
    let frames = frames();
    let sent = stream::iter(frames.clone().into_iter().map(Ok::<_, Infallible>));
    let response = SseResponse::new(sent).without_heartbeat().without_opening();
    let response = compress(&taking("gzip"), response.coalesce(0).into_response());
    assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
    let mut body = pin!(response.into_body());
    let mut reader = Reader::new();
    for frame in &frames {
        assert!(!body.is_end_stream());
        let piece = body.frame().await.expect("a piece").expect("no error");
        let piece = piece.into_data().expect("data");
        assert!(reader.read(&piece) == frame.as_bytes(), "{frame:?}");
    }
    let rest = body.frame().await.expect("the end").expect("no error");
    assert_eq!(reader.read(&rest.into_data().expect("data")), b"");
    assert!(reader.has_ended && body.is_end_stream());
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn an_error_comes_through_and_leaves_the_stream_unfinished() {
    let sent = stream::iter([Ok(Frame::comment("before")), Err("the store is gone")]);
    let response = SseResponse::new(sent).without_heartbeat().into_response();
    let mut body = pin!(compress(&taking("gzip"), response).into_body());
    let mut reader = Reader::new();
    let piece = body.frame().await.expect("a piece").expect("no error");
    let text = reader.read(&piece.into_data().expect("data"));
    assert_eq!(text, b":\n\n: before\n\n");
    let failed = body.frame().await.expect("an error");
    assert_eq!(failed.err(), Some("the store is gone"));
    assert!(body.frame().await.is_none() && !reader.has_ended);
}

#[tokio::test]
async fn only_event_streams_are_compressed_and_only_for_who_takes_it() {
    let stream = || {
        let none = stream::empty::<Result<Frame, Infallible>>();
        let mut response = SseResponse::new(none).without_heartbeat().into_response();
        response.extensions_mut().insert("of the body");
        response
            .headers_mut()
            .insert(VARY, HeaderValue::from_static("Accept"));
        response
    };
    let compressed = compress(&taking("gzip"), stream());
    assert_eq!(compressed.extensions().get::<&str>(), None);
    let plain = compress(&taking("br"), stream());
    assert!(!plain.headers().contains_key(CONTENT_ENCODING));
    assert_eq!(plain.extensions().get(), Some(&"of the body"));
    for headers in [compressed.headers(), plain.headers()] {
        let varies: Vec<_> = headers.get_all(VARY).iter().collect();
        assert_eq!(varies, ["Accept", "accept-encoding"]);
    }
    let body = plain.into_body().collect().await.expect("no error");
    assert_eq!(body.to_bytes(), ":\n\n");

    let page = Response::new(Full::new(Bytes::from("a page")));
    let page = compress(&taking("gzip"), page);
    assert!(page.headers().is_empty());
    assert_eq!(page.into_body().size_hint().exact(), Some(6));
}
