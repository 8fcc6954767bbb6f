//! Bodies behind a real hyper server, in front of a real hyper client.

use std::convert::Infallible;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use eventwire_sse::{Event, EventId, Frame};
use eventwire_sse_body::{LastEventId, SseResponse};
use futures_util::{Stream, StreamExt, stream};
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The numbers after the one that the request names: those that are there, then those to come.
fn numbers(
    request: &Request<Incoming>,
    mut newest: watch::Receiver<u64>,
) -> impl Stream<Item = Event> + Send + use<> {
    let id = LastEventId::from_request(request.headers(), request.uri().query());
    let seen = id
        .expect("a good id")
        .map_or(0, |id| id.as_str().parse().expect("a number"));
    newest.mark_changed();
    let batches = stream::unfold((newest, seen), |(mut newest, seen)| async move {
        newest.changed().await.ok()?;
        let last = *newest.borrow_and_update();
        Some((stream::iter(seen + 1..=last), (newest, last)))
    });
    batches.flatten().map(|number| {
        let id = EventId::new(number.to_string()).expect("digits");
        Event::new(number.to_string()).id(id)
    })
}

/// Serves one connection.
async fn serve(socket: TcpStream, version: Version, newest: watch::Receiver<u64>) {
    socket.set_nodelay(true).expect("a socket");
    let io = TokioIo::new(socket);
    let service = service_fn(move |request: Request<Incoming>| {
        let numbers = numbers(&request, newest.clone());
        async { Ok::<_, Infallible>(SseResponse::from_stream(numbers).into_response()) }
    });
    let served = if version == Version::HTTP_2 {
        use hyper::server::conn::http2::Builder;
        Builder::new(TokioExecutor::new())
            .serve_connection(io, service)
            .await
    } else {
        hyper::server::conn::http1::Builder::new()
            .serve_connection(io, service)
            .await
    };
    // A client that leaves in the middle of a response is how a stream usually ends.
    drop(served);
}

/// A new connection, and what has to run for it.
async fn get(
    address: std::net::SocketAddr,
    version: Version,
    last_event_id: Option<&str>,
) -> Response<Incoming> {
    let io = TokioIo::new(
        TcpStream::connect(address)
            .await
            .expect("a listening server"),
    );
    let mut request = Request::get("http://here/numbers");
    if let Some(id) = last_event_id {
        request = request.header("Last-Event-ID", id);
    }
    let request = request.body(Empty::<Bytes>::new()).expect("a request");
    if version == Version::HTTP_2 {
        use hyper::client::conn::http2::handshake;
        let (mut sender, connection) = handshake(TokioExecutor::new(), io)
            .await
            .expect("a handshake");
        tokio::spawn(connection);
        sender.send_request(request).await.expect("a response")
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io)
            .await
            .expect("a handshake");
        tokio::spawn(connection);
        sender.send_request(request).await.expect("a response")
    }
}

/// What a response brings, up to a text it must bring.
async fn read_until(response: &mut Response<Incoming>, text: &str) -> String {
    let mut read = String::new();
    while !read.contains(text) {
        let frame = response
            .frame()
            .await
            .expect("more data")
            .expect("no error");
        let data = frame.into_data().expect("there are no trailers");
        read.push_str(std::str::from_utf8(&data).expect("ASCII"));
    }
    read
}

async fn within<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("done long before")
}

async fn round_trip(version: Version) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (publish, newest) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, version, newest.clone()));
        }
    });

    // The head and a first comment are there before any event is.
    let mut response = get(address, version, None).await;
    assert_eq!(response.status(), StatusCode::OK);
    let header = |name| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    assert_eq!(header("content-type"), Some("text/event-stream"));
    assert_eq!(header("cache-control"), Some("no-cache, no-transform"));
    assert_eq!(header("x-accel-buffering"), Some("no"));
    assert_eq!(header("connection"), None);
    assert_eq!(header("content-length"), None);
    assert_eq!(read_until(&mut response, "\n\n").await, ":\n\n");

    publish.send_replace(2);
    let read = read_until(&mut response, "data: 2\n\n").await;
    assert_eq!(read, "id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n");
    drop(response);

    // Another connection goes on where this one was, and ends when the stream does.
    publish.send_replace(4);
    let mut response = get(address, version, Some("2")).await;
    let read = read_until(&mut response, "data: 4\n\n").await;
    assert_eq!(read, ":\n\nid: 3\ndata: 3\n\nid: 4\ndata: 4\n\n");
    drop(publish);
    let rest = response.into_body().collect().await.expect("a good end");
    assert_eq!(rest.to_bytes(), "");
}

#[tokio::test]
async fn http1_carries_a_stream_that_is_resumed() {
    within(round_trip(Version::HTTP_11)).await;
}

#[tokio::test]
async fn http2_carries_a_stream_that_is_resumed() {
    within(round_trip(Version::HTTP_2)).await;
}

/// The other end of a hyper server that answers every request with this response.
fn answering<S, E>(make: fn() -> SseResponse<S>) -> DuplexStream
where
    S: Stream<Item = Result<Frame, E>> + Send + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
{
    let (client, server) = duplex(1024);
    tokio::spawn(async move {
        let service = service_fn(move |_| {
            let response = make().into_response();
            async { Ok::<_, Infallible>(response) }
        });
        let served = hyper::server::conn::http1::Builder::new()
            .auto_date_header(false)
            .serve_connection(TokioIo::new(server), service)
            .await;
        // Fails where the stream does.
        drop(served);
    });
    client
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n";

async fn answer(mut client: DuplexStream) -> String {
    client.write_all(REQUEST).await.expect("an open connection");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("ASCII");
    answer
}

const HEAD: &str = "HTTP/1.1 200 OK\r\n\
    content-type: text/event-stream\r\n\
    cache-control: no-cache, no-transform\r\n\
    x-accel-buffering: no\r\n\
    connection: close\r\n\
    transfer-encoding: chunked\r\n\r\n";

#[tokio::test]
async fn on_the_wire_it_is_a_head_and_chunks() {
    let events = || SseResponse::from_stream(stream::iter(["1", "2"]).map(Event::new)).coalesce(13);
    let expected = "C\r\n:\n\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n";
    assert_eq!(
        within(answer(answering(events))).await,
        format!("{HEAD}{expected}")
    );
}

#[tokio::test]
async fn an_error_of_the_stream_leaves_the_response_unfinished() {
    let events = || {
        SseResponse::new(stream::iter([
            Ok(Frame::comment("before")),
            Err("the store is gone"),
        ]))
    };
    let answer = within(answer(answering(events))).await;
    assert!(answer.ends_with(":\n\n: before\n\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_its_stream() {
    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    let endless = || {
        let frame = Frame::comment(&"x".repeat(1_000));
        SseResponse::new(stream::repeat_with(move || {
            TAKEN.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(frame.clone())
        }))
    };
    let mut client = answering(endless);
    client.write_all(REQUEST).await.expect("an open connection");
    // All of it is in memory and on this thread, so a turn in which nothing was taken is the last.
    let (mut taken, mut before) = (0, usize::MAX);
    while taken == 0 || taken != before {
        before = taken;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        taken = TAKEN.load(Ordering::Relaxed);
    }
    assert!(
        taken < 1_000,
        "{taken} kilobytes for a client that reads none"
    );
    drop(client);
}
