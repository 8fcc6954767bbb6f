//! Streams that share connections of HTTP/2.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use memchr::memmem;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::contestant::Contestant;
use crate::process::Server;
use crate::server::END;

/// As many as a server allows at least (RFC 9113, section 6.5.2).
pub const A_CONNECTION: usize = 100;

const PATIENCE: Duration = Duration::from_secs(20);

/// Resident bytes of the server for each of so many streams, of which each gets an event.
pub fn stream_bytes(contestant: Contestant, streams: usize) -> io::Result<usize> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut server = Server::start(contestant)?;
        let alone = server.resident()?;
        let mut senders = Vec::new();
        let mut bodies = Vec::new();
        while bodies.len() < streams {
            let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).await?;
            let executor = TokioExecutor::new();
            let opened = http2::handshake(executor, TokioIo::new(socket)).await;
            let (mut sender, connection) = opened.map_err(io::Error::other)?;
            tokio::spawn(connection);
            for _ in 0..A_CONNECTION.min(streams - bodies.len()) {
                let url = format!("http://localhost:{}/events", server.port);
                let request = Request::get(url).body(Empty::<Bytes>::new());
                let request = request.map_err(io::Error::other)?;
                let response = sender.send_request(request).await;
                bodies.push(response.map_err(io::Error::other)?.into_body());
            }
            senders.push(sender);
        }
        sleep(Duration::from_millis(500)).await;
        let resident = server.resident()?.saturating_sub(alone) / streams;
        server.publish(1, 0)?;
        for body in &mut bodies {
            let has_event = timeout(PATIENCE, has_event(body)).await;
            if !has_event.map_err(io::Error::other)? {
                return Err(io::Error::other("a stream has ended without an event"));
            }
        }
        Ok(resident)
    })
}

/// Whether an event comes before the stream ends.
async fn has_event(body: &mut Incoming) -> bool {
    let mut seen = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        seen.extend(frame.into_data().unwrap_or_default());
        if memmem::find(&seen, END).is_some() {
            return true;
        }
    }
    false
}
