//! A clock over Server-Sent Events: `cargo run --example hello`, then open the printed page.

use std::{convert::Infallible, time::Duration, time::SystemTime};

use bytes::Bytes;
use clap::Parser;
use eventwire::{sse::Event, sse_body::SseResponse};
use eventwire_examples::{Failure, ListenOptions, Server};
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::{Either, Full};

const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><h1 id="clock">...</h1><script>
new EventSource("/time").onmessage = (event) => clock.textContent = event.data</script>"#;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let server = Server::bind(ListenOptions::parse()).await?;
    let stop = server.stopping();
    let answer = tower::service_fn(move |request: Request<_>| {
        let response = match request.uri().path() {
            "/time" => SseResponse::from_stream(ticks().take_until(stop.clone()))
                .into_response()
                .map(Either::Left),
            _ => Response::builder()
                .header("content-type", "text/html")
                .body(Either::Right(Full::<Bytes>::from(PAGE)))
                .expect("a valid header"),
        };
        std::future::ready(Ok::<_, Infallible>(response))
    });
    server.run(answer).await;
    Ok(())
}

fn ticks() -> impl stream::Stream<Item = Event> {
    stream::unfold(
        tokio::time::interval(Duration::from_secs(1)),
        |mut clock| async {
            clock.tick().await;
            let now = humantime::format_rfc3339_seconds(SystemTime::now());
            Some((Event::new(now.to_string()), clock))
        },
    )
}
