//! The servers. Each listens on a port it prints, publishes as many events as each line of its
//! standard input says, and ends with it.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use axum::response::sse::{Event, Sse};
use axum::routing::get;
use bytes::Bytes;
use eventwire_feed::{Feed, FeedOptions, Follow, From, Offer};
use eventwire_sse_body::SseResponse;
use eventwire_store::{Append, EventStore, EventType, MemoryStore, NewEvent, Query, StreamName};
use eventwire_takeover::{Served, WriterOptions, Writers};
use futures_util::StreamExt;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

use crate::Contestant;

/// A payload that makes a block of some 214 bytes.
const PAYLOAD_BYTES: usize = 150;

/// How long our own streams are silent at most.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What channels hold: more than is ever published at once.
const HELD: usize = 4096;

pub fn run(contestant: Contestant) -> io::Result<()> {
    on_its_core()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        say(listener.local_addr()?)?;
        match contestant {
            Contestant::Eventwire => eventwire(listener, false).await,
            Contestant::TakeOver => eventwire(listener, true).await,
            Contestant::AxumBytes => axum_bytes(listener).await,
            Contestant::AxumSse => axum_sse(listener).await,
            Contestant::Raw => raw(listener).await,
        }
    })
}

fn on_its_core() -> io::Result<()> {
    let mut core = rustix::thread::CpuSet::new();
    core.set(0);
    Ok(rustix::thread::sched_setaffinity(None, &core)?)
}

fn say(address: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{}", address.port())?;
    out.flush()
}

/// The numbers of events to publish, one after the other.
struct Orders(BufReader<tokio::io::Stdin>);

impl Orders {
    fn new() -> Self {
        Self(BufReader::new(tokio::io::stdin()))
    }

    async fn next(&mut self) -> Option<usize> {
        let mut line = String::new();
        self.0.read_line(&mut line).await.ok()?;
        line.trim().parse().ok()
    }
}

fn payload() -> String {
    format!("{{\"text\":\"{}\"}}", "x".repeat(PAYLOAD_BYTES))
}

async fn eventwire(listener: TcpListener, is_taken_over: bool) -> io::Result<()> {
    let store = MemoryStore::new();
    let feed = Feed::start(store.clone(), FeedOptions::default())
        .await
        .map_err(io::Error::other)?;
    let one = const { NonZeroUsize::new(1).expect("not zero") };
    let writers = is_taken_over.then(|| Writers::start(WriterOptions::default().tasks(one)));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(answer(socket, feed.clone(), writers.clone()));
        }
    });
    let stream = StreamName::new("room-1").map_err(io::Error::other)?;
    let event_type = EventType::new("posted").map_err(io::Error::other)?;
    let mut orders = Orders::new();
    while let Some(count) = orders.next().await {
        let event = || NewEvent::new(event_type.clone(), payload());
        let append = Append::to(stream.clone()).extend((0..count).map(|_| event()));
        store.append(append).await.map_err(io::Error::other)?;
    }
    Ok(())
}

/// Serves a connection with hyper; with writers, as far as the head of its stream.
async fn answer(socket: TcpStream, feed: Feed, writers: Option<Writers>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let service = service_fn(move |_| {
        let follow = Follow::new(Query::all()).from(From::End);
        let offer = Offer::new(feed.clone(), follow, HEARTBEAT);
        let mut response = SseResponse::new(offer.frames())
            .heartbeat(HEARTBEAT)
            .into_response();
        response.extensions_mut().insert(offer);
        async move { Ok::<_, std::convert::Infallible>(response) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    let io = TokioIo::new(socket);
    let Some(writers) = writers else {
        let served = http.writev(false).serve_connection(io, service);
        return served.await.map_err(io::Error::other);
    };
    let served = eventwire_takeover::serve(&http, io, service);
    if let Served::Begun(io, answer) = served.await.map_err(io::Error::other)? {
        writers.write(io.into_inner(), answer);
    }
    Ok(())
}

/// The block that is sent by those who encode it once.
fn block(number: usize) -> Bytes {
    format!(
        "event: posted\nid: b5ba5b60d003.{number}\ndata: {}\n\n",
        payload()
    )
    .into()
}

async fn axum_bytes(listener: TcpListener) -> io::Result<()> {
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
        while let Some(count) = orders.next().await {
            for _ in 0..count {
                number += 1;
                let _no_listeners = publisher.send(block(number));
            }
        }
    };
    serve_axum(listener, router, publish).await
}

async fn axum_sse(listener: TcpListener) -> io::Result<()> {
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
        while let Some(count) = orders.next().await {
            for _ in 0..count {
                number += 1;
                let _no_listeners = publisher.send((number, payload()));
            }
        }
    };
    serve_axum(listener, router, publish).await
}

async fn serve_axum(
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

async fn raw(listener: TcpListener) -> io::Result<()> {
    let sockets = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let accepted = std::rc::Rc::clone(&sockets);
    let accept = async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = [0; 1024];
            let _request = socket.read(&mut head).await?;
            socket.set_nodelay(true)?;
            socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n:\n\n").await?;
            accepted.borrow_mut().push(socket);
        }
        Ok(())
    };
    let publish = async move {
        let mut orders = Orders::new();
        let mut number = 0;
        while let Some(count) = orders.next().await {
            for _ in 0..count {
                number += 1;
                let block = block(number);
                for socket in sockets.borrow().iter() {
                    // Sockets have room for all that is published at once.
                    let written = socket.try_write(&block)?;
                    assert_eq!(written, block.len(), "the socket is full");
                }
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    tokio::select! {
        ended = accept => ended,
        ended = publish => ended,
    }
}
