//! Eventwire in actix-web: `cargo run --example actix-app`.
//!
//! actix-web has its own types for heads and bodies. An `SseResponse` is also a
//! `Stream` of bytes, which it takes as it is; the head is copied, name by name.

use actix_web::http::header::HeaderValue;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, error, web};
use clap::Parser;
use eventwire::sse_body::{LastEventId, SseResponse, head};
use eventwire_examples_frameworks::{Options, Ticks, stopped};
use futures_util::StreamExt;
use tokio::sync::watch;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    let (stop, stopping) = watch::channel(false);
    let (clock, stopping) = (
        web::Data::new(Ticks::every(options.every)),
        web::Data::new(stopping),
    );
    let server = HttpServer::new(move || {
        App::new()
            .app_data(clock.clone())
            .app_data(stopping.clone())
            .route("/ticks", web::get().to(ticks))
    })
    .disable_signals()
    .bind(options.listen)?;
    let stopped = stopped()?;
    for address in server.addrs() {
        Options::listening(address)?;
    }
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(async move {
        stopped.await;
        // actix-web waits for every response, and event streams have no end of their own.
        stop.send_replace(true);
        handle.stop(true).await;
    });
    server.await?;
    Ok(())
}

async fn ticks(
    request: HttpRequest,
    clock: web::Data<Ticks>,
    stop: web::Data<watch::Receiver<bool>>,
) -> actix_web::Result<HttpResponse> {
    let header = request.headers().get("last-event-id");
    let header = header.map(HeaderValue::as_bytes);
    let last = LastEventId::from_values(header, Some(request.query_string()))
        .map_err(error::ErrorBadRequest)?;
    let mut stop = watch::Receiver::clone(&stop);
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    let events = clock.after(last.as_ref()).take_until(Box::pin(stopped));
    let mut response = HttpResponse::Ok();
    for (name, value) in head().headers() {
        response.insert_header((name.as_str(), value.as_bytes()));
    }
    Ok(response.streaming(SseResponse::from_stream(events).into_byte_stream()))
}
