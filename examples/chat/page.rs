use std::convert::Infallible;

use bytes::Bytes;
use eventwire::gateway::{Gateway, GatewayBody};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use tower_service::Service;

/// The page and what it loads, compiled in: path, media type, content.
const FILES: [(&str, &str, &str); 4] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("page/index.html"),
    ),
    (
        "/app.js",
        "text/javascript; charset=utf-8",
        include_str!("page/app.js"),
    ),
    ("/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    (
        "/style.css",
        "text/css; charset=utf-8",
        include_str!("page/style.css"),
    ),
];

/// Only what this server sends may run or be connected to.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'self'; frame-ancestors 'none'; base-uri 'none'");

pub(crate) type Body = Either<Full<Bytes>, GatewayBody>;

/// Answers with the page where it is asked for, and leaves every other path to the gateway.
pub(crate) async fn answer(
    mut gateway: Gateway,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let path = request.uri().path();
    match FILES.iter().find(|(at, ..)| is_read && *at == path) {
        Some((_, media_type, content)) => Ok(page(media_type, content)),
        None => Ok(gateway.call(request).await?.map(Either::Right)),
    }
}

fn page(media_type: &'static str, content: &'static str) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::from(content)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    response
}
