use std::convert::Infallible;
use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

use eventwire_feed::{Feed, FeedOptions, Follow, From, Offer, OfferedFrames};
use eventwire_sse_body::{JoinedWrites, SseBody, SseResponse};
use eventwire_store::{Append, EventStore, EventType, MemoryStore, NewEvent, Query, StreamName};
use eventwire_takeover::{Served, WriterOptions, Writers};
use futures_util::FutureExt as _;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use super::{Orders, payload};

/// How long a stream is silent at most.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Who writes to the sockets.
#[derive(Debug, Clone, Copy)]
pub enum Mode {
    Http1,
    Http2,
    TakenOver,
}

pub async fn serve(listener: TcpListener, mode: Mode, gather: Duration) -> io::Result<()> {
    let store = MemoryStore::new();
    let feed = Feed::start(store.clone(), FeedOptions::default().gather(gather))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(accept(listener, feed, mode));
    let event_type = EventType::new("posted").map_err(io::Error::other)?;
    let mut orders = Orders::new();
    while let Some((count, topic)) = orders.next().await {
        let event = || NewEvent::new(event_type.clone(), payload());
        let append = Append::to(room(topic)?).extend((0..count).map(|_| event()));
        store.append(append).await.map_err(io::Error::other)?;
    }
    Ok(())
}

fn room(topic: usize) -> io::Result<StreamName> {
    StreamName::new(format!("room-{topic}")).map_err(io::Error::other)
}

/// Serves each connection in a task that is as large as what serves it.
async fn accept(listener: TcpListener, feed: Feed, mode: Mode) -> io::Result<()> {
    let one = const { NonZeroUsize::new(1).expect("not zero") };
    let writers = Writers::start(WriterOptions::default().tasks(one));
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let feed = feed.clone();
        // In a box, as the gateway's is: hyper keeps the room for as long as the connection lives.
        let service = service_fn(move |request| {
            let response = answer(&feed, &request);
            Box::pin(async move { Ok::<_, Infallible>(response) })
        });
        let http = http1::Builder::new();
        match mode {
            Mode::Http1 => {
                let io = TokioIo::new(JoinedWrites::new(socket));
                drop(tokio::spawn(http.serve_connection(io, service)));
            }
            Mode::Http2 => {
                let io = TokioIo::new(socket);
                let http = http2::Builder::new(TokioExecutor::new());
                drop(tokio::spawn(http.serve_connection(io, service)));
            }
            Mode::TakenOver => {
                let io = TokioIo::new(socket);
                let serving = eventwire_takeover::serve(&http, io, service);
                let writers = writers.clone();
                tokio::spawn(serving.map(move |served| {
                    if let Ok(Served::Begun(io, answer)) = served {
                        writers.write(io.into_inner(), answer);
                    }
                }));
            }
        }
    }
}

fn answer(feed: &Feed, request: &Request<Incoming>) -> Response<SseBody<OfferedFrames>> {
    let follow = Follow::new(wanted(request)).from(From::End);
    let offer = Offer::new(feed.follow(follow), HEARTBEAT);
    let mut response = SseResponse::new(offer.frames())
        .heartbeat(HEARTBEAT)
        .into_response();
    response.extensions_mut().insert(offer);
    response
}

/// The events of the topic in the query of the request's target, or all.
fn wanted(request: &Request<Incoming>) -> Query {
    let topic = request.uri().query().and_then(|query| {
        let topic = query.strip_prefix("topic=")?.parse().ok()?;
        room(topic).ok()
    });
    topic.map_or_else(Query::all, Query::stream)
}
