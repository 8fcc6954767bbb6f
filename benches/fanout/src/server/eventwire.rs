use std::convert::Infallible;
use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

use eventwire_feed::{Feed, FeedOptions, Follow, From, Offer};
use eventwire_sse_body::SseResponse;
use eventwire_store::{Append, EventStore, EventType, MemoryStore, NewEvent, Query, StreamName};
use eventwire_takeover::{Served, WriterOptions, Writers};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

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

pub async fn serve(listener: TcpListener, mode: Mode) -> io::Result<()> {
    let store = MemoryStore::new();
    let feed = Feed::start(store.clone(), FeedOptions::default())
        .await
        .map_err(io::Error::other)?;
    let one = const { NonZeroUsize::new(1).expect("not zero") };
    let writers = match mode {
        Mode::TakenOver => Some(Writers::start(WriterOptions::default().tasks(one))),
        Mode::Http1 | Mode::Http2 => None,
    };
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(answer(socket, feed.clone(), mode, writers.clone()));
        }
    });
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

/// Serves a connection with hyper; with writers, as far as the head of its stream.
async fn answer(
    socket: TcpStream,
    feed: Feed,
    mode: Mode,
    writers: Option<Writers>,
) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let service = service_fn(move |request: Request<Incoming>| {
        let follow = Follow::new(wanted(&request)).from(From::End);
        let offer = Offer::new(feed.clone(), follow, HEARTBEAT);
        let mut response = SseResponse::new(offer.frames())
            .heartbeat(HEARTBEAT)
            .into_response();
        response.extensions_mut().insert(offer);
        async move { Ok::<_, Infallible>(response) }
    });
    let io = TokioIo::new(socket);
    let mut http = http1::Builder::new();
    match (mode, writers) {
        (Mode::TakenOver, Some(writers)) => {
            let served = eventwire_takeover::serve(&http, io, service).await;
            if let Served::Begun(io, answer) = served.map_err(io::Error::other)? {
                writers.write(io.into_inner(), answer);
            }
        }
        (Mode::Http2, _) => {
            let http = http2::Builder::new(TokioExecutor::new());
            let served = http.serve_connection(io, service).await;
            served.map_err(io::Error::other)?;
        }
        _ => {
            let served = http.writev(false).serve_connection(io, service).await;
            served.map_err(io::Error::other)?;
        }
    }
    Ok(())
}

/// The events of the topic in the query of the request's target, or all.
fn wanted(request: &Request<Incoming>) -> Query {
    let topic = request.uri().query().and_then(|query| {
        let topic = query.strip_prefix("topic=")?.parse().ok()?;
        room(topic).ok()
    });
    topic.map_or_else(Query::all, Query::stream)
}
