//! A server that says what no server of ours would, byte by byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 15\r\n\
    connection: close\r\n\r\n<!doctype html>";

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
    cache-control: no-store\r\nconnection: close\r\n\r\n";

/// An empty page at `/`; at `/events` one stream after the other, each ended at once but the last,
/// which is left open for who comes then.
#[derive(Debug)]
pub(crate) struct Scripted {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Option<String>>>>,
    task: JoinHandle<()>,
}

impl Scripted {
    pub(crate) async fn start(streams: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let ids = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut socket, _)) = listener.accept().await {
                let head = head_of(&mut socket).await;
                if !head.starts_with("GET /events") {
                    let _not_needed = socket.write_all(PAGE).await;
                    continue;
                }
                let number = {
                    let mut ids = ids.lock().expect("no panic holds it");
                    ids.push(last_event_id(&head));
                    ids.len() - 1
                };
                let stream = streams.get(number).copied().unwrap_or_default();
                let said = [HEAD, stream.as_bytes()].concat();
                socket.write_all(&said).await.expect("the browser listens");
                if number + 1 >= streams.len() {
                    open.push(socket);
                }
            }
        });
        Self {
            address,
            asked,
            task,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The `Last-Event-ID` of each request for the stream.
    pub(crate) fn asked(&self) -> Vec<Option<String>> {
        self.asked.lock().expect("no panic holds it").clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Empty where a browser connected ahead of need.
async fn head_of(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_gone) => return String::new(),
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

fn last_event_id(head: &str) -> Option<String> {
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    let header = headers.find(|(name, _)| name.eq_ignore_ascii_case("last-event-id"));
    header.map(|(_, id)| id.to_owned())
}
