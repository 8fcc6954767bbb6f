//! Eventwire in warp: `cargo run --example warp-app`.
//!
//! An `SseResponse` is also a `Stream` of bytes, which `warp::reply::stream` takes as it is.

use std::convert::Infallible;

use clap::Parser;
use eventwire::sse_body::{LastEventId, SseResponse, head};
use eventwire_examples_frameworks::{Options, Ticks, stopped};
use futures_util::StreamExt;
use tokio::net::TcpListener;
use tokio::sync::watch;
use warp::Filter;
use warp::http::{HeaderMap, StatusCode};
use warp::reply::{Reply, Response};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    let clock = Ticks::every(options.every);
    let (stop, stopping) = watch::channel(false);
    let ticks = warp::path!("ticks")
        .and(warp::get())
        .and(warp::header::headers_cloned())
        .then(move |headers| std::future::ready(ticks(&clock, &headers, stopping.clone())));

    let stopped = stopped()?;
    let listener = TcpListener::bind(options.listen).await?;
    Options::listening(listener.local_addr()?)?;
    // warp waits for every response, and event streams have no end of their own.
    let ending = async move {
        stopped.await;
        stop.send_replace(true);
    };
    warp::serve(ticks)
        .incoming(listener)
        .graceful(ending)
        .run()
        .await;
    Ok(())
}

fn ticks(clock: &Ticks, headers: &HeaderMap, mut stop: watch::Receiver<bool>) -> Response {
    let last = match LastEventId::from_request(headers, None) {
        Ok(last) => last,
        Err(error) => {
            return warp::reply::with_status(error.to_string(), StatusCode::BAD_REQUEST)
                .into_response();
        }
    };
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    let events = clock.after(last.as_ref()).take_until(Box::pin(stopped));
    let body = SseResponse::from_stream(events).into_byte_stream();
    let mut response = warp::reply::stream::<_, _, Infallible>(body).into_response();
    response.headers_mut().extend(head().into_parts().0.headers);
    response
}
