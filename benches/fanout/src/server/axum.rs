use std::io;

use axum::response::sse::{Event, Sse};
use axum::routing::get;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

use super::{Orders, block, payload};

/// What channels hold: more than is ever published at once.
const HELD: usize = 4096;

pub async fn bytes(listener: TcpListener) -> io::Result<()> {
    let (publisher, _) = broadcast::channel::<Bytes>(HELD);
    let subscribe = publisher.clone();
    let router = axum::Router::new().route(
        "/events",
        get(move || async move {
            let events = BroadcastStream::new(subscribe.subscribe());
            let body = axum::body::Body::from_stream(events);
            ([(http::header::CONTENT_TYPE, "text/event-stream")], body)
        }),
    );
    let publish = async {
        let mut orders = Orders::new();
        let mut number = 0;
        while let Some((count, _)) = orders.next().await {
            for _ in 0..count {
                number += 1;
                let _no_listeners = publisher.send(block(number));
            }
        }
    };
    serve(listener, router, publish).await
}

pub async fn sse(listener: TcpListener) -> io::Result<()> {
    let (publisher, _) = broadcast::channel::<(usize, String)>(HELD);
    let subscribe = publisher.clone();
    let router = axum::Router::new().route(
        "/events",
        get(move || async move {
            let events = BroadcastStream::new(subscribe.subscribe());
            Sse::new(events.map(|item| {
                item.map(|(number, payload)| {
                    Event::default()
                        .event("posted")
                        .id(format!("b5ba5b60d003.{number}"))
                        .data(payload)
                })
            }))
        }),
    );
    let publish = async {
        let mut orders = Orders::new();
        let mut number = 0;
        while let Some((count, _)) = orders.next().await {
            for _ in 0..count {
                number += 1;
                let _no_listeners = publisher.send((number, payload()));
            }
        }
    };
    serve(listener, router, publish).await
}

async fn serve(
    listener: TcpListener,
    router: axum::Router,
    publish: impl Future<Output = ()>,
) -> io::Result<()> {
    use axum::serve::ListenerExt as _;
    let listener = listener.tap_io(|socket| {
        let _as_it_is = socket.set_nodelay(true);
    });
    tokio::select! {
        served = async { axum::serve(listener, router).await } => served,
        () = publish => Ok(()),
    }
}
