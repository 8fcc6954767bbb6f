//! Streams that are written by hand.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eventwire_sse::{Event, Frame};
use eventwire_sse_body::{Disconnected, FrameSender, SseResponse, TrySendError, channel};
use futures_util::{FutureExt, StreamExt};
use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn place_for(frames: usize) -> NonZeroUsize {
    NonZeroUsize::new(frames).expect("not zero")
}

#[tokio::test]
async fn frames_come_in_order_and_the_stream_ends_with_its_senders() {
    let (sender, mut frames) = channel(place_for(4));
    let other = sender.clone();
    sender.send(Event::new("1")).await.expect("a client");
    other.send(Frame::comment("2")).await.expect("a client");
    drop(sender);
    other.send(Event::new("3")).await.expect("a client");
    drop(other);
    for expected in ["data: 1\n\n", ": 2\n\n", "data: 3\n\n"] {
        let frame = frames.next().await.expect("it was sent");
        assert_eq!(frame.as_bytes(), expected.as_bytes());
    }
    assert_eq!(frames.next().await, None);
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_its_sender_up() {
    let (sender, mut frames) = channel(place_for(2));
    for number in 0..2 {
        let sent = sender.send(Event::new(number.to_string())).now_or_never();
        assert_eq!(sent, Some(Ok(())));
    }
    let third = Frame::from(Event::new("2"));
    assert_eq!(
        sender.try_send(third.clone()),
        Err(TrySendError::Full(third))
    );
    let mut waiting = Box::pin(sender.send(Event::new("2")));
    assert_eq!((&mut waiting).now_or_never(), None);
    assert!(frames.next().await.is_some());
    assert_eq!(waiting.now_or_never(), Some(Ok(())));
}

#[tokio::test]
async fn a_sender_is_told_at_once_that_its_client_has_left() {
    let (sender, frames) = channel(place_for(1));
    sender.send(Event::new("0")).await.expect("a client");
    let stuck = sender.send(Event::new("1"));
    let told = sender.disconnected();
    let work = sender.while_connected(std::future::pending::<()>());
    assert!(!sender.is_disconnected());
    let leaving = async {
        tokio::task::yield_now().await;
        drop(frames);
    };
    let (stuck, (), work, ()) = tokio::join!(stuck, told, work, leaving);
    assert_eq!((stuck, work), (Err(Disconnected), Err(Disconnected)));
    assert!(sender.is_disconnected());
    let late = sender.try_send(Event::new("2"));
    assert_eq!(late, Err(TrySendError::Disconnected));
    let late = sender.while_connected(async { "never begun" }).await;
    assert_eq!(late, Err(Disconnected));
}

#[tokio::test]
async fn work_that_is_done_is_answered() {
    let (sender, _frames) = channel(place_for(1));
    assert_eq!(sender.while_connected(async { 7 }).await, Ok(7));
}

/// Sends so much that no socket holds it, and counts what it could.
async fn pour(sender: FrameSender, sent: Arc<AtomicUsize>, left: mpsc::Sender<Disconnected>) {
    let frame = Frame::from(Event::new("x".repeat(64 * 1024)));
    let work = async {
        loop {
            match sender.send(frame.clone()).await {
                Ok(()) => sent.fetch_add(1, Ordering::Relaxed),
                Err(left) => return left,
            };
        }
    };
    let gone = match sender.while_connected(work).await {
        Ok(gone) | Err(gone) => gone,
    };
    left.send(gone).await.expect("the test waits for it");
}

/// Over a socket: what is not read stays unsent, and a client that goes is told of while the
/// sender is stuck.
#[tokio::test]
async fn over_a_socket_the_sender_waits_and_learns_that_the_client_has_left() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let sent = Arc::new(AtomicUsize::new(0));
        let (left, mut told) = mpsc::channel(1);
        let server = {
            let sent = Arc::clone(&sent);
            tokio::spawn(async move {
                let (socket, _) = listener.accept().await.expect("a client");
                let service = service_fn(move |_: Request<Incoming>| {
                    let (sender, frames) = channel(place_for(3));
                    tokio::spawn(pour(sender, Arc::clone(&sent), left.clone()));
                    async { Ok::<_, Infallible>(SseResponse::from_stream(frames).into_response()) }
                });
                let io = TokioIo::new(socket);
                let served = if version == Version::HTTP_2 {
                    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    builder.serve_connection(io, service).await
                } else {
                    let builder = hyper::server::conn::http1::Builder::new();
                    builder.serve_connection(io, service).await
                };
                // A client that leaves in the middle is how this ends.
                drop(served);
            })
        };
        let socket = TcpStream::connect(address).await.expect("a server");
        let io = TokioIo::new(socket);
        let request = Request::get("http://here/").body(Empty::<bytes::Bytes>::new());
        let request = request.expect("a request");
        let (response, connection) = if version == Version::HTTP_2 {
            let executor = TokioExecutor::new();
            let (mut client, connection) = hyper::client::conn::http2::handshake(executor, io)
                .await
                .expect("HTTP/2");
            let connection = tokio::spawn(async { drop(connection.await) });
            (client.send_request(request).await, connection)
        } else {
            let (mut client, connection) = hyper::client::conn::http1::handshake(io)
                .await
                .expect("HTTP/1.1");
            let connection = tokio::spawn(async { drop(connection.await) });
            (client.send_request(request).await, connection)
        };
        let mut body = response.expect("an answer").into_body();
        body.frame().await.expect("an opening").expect("data");
        // Until what is on the way is full, and nothing more is sent.
        let mut before = usize::MAX;
        while std::mem::replace(&mut before, sent.load(Ordering::Relaxed)) != before {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(told.try_recv().is_err(), "the client is still there");
        drop(body);
        connection.abort();
        let told = timeout(PATIENCE, told.recv())
            .await
            .expect("the sender is told");
        assert_eq!(told, Some(Disconnected), "{version:?}");
        timeout(PATIENCE, server)
            .await
            .expect("it ends")
            .expect("no panic");
    }
}
