//! A client of HTTP/1.1 that knows nothing but sockets, and looks at every byte.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::blocks::{Block, Blocks};

/// Longer than anything takes that comes at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// An event stream that is read chunk by chunk.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) socket: TcpStream,
    /// The head of the response, once it was read.
    pub(crate) head: String,
    unread: Vec<u8>,
    blocks: Blocks,
    /// Whether the last chunk was read.
    pub(crate) is_ended: bool,
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: here\r\naccept: text/event-stream\r\n\r\n")
}

impl Wire {
    /// Sends a request, and whatever else is in `bytes`.
    pub(crate) async fn send(address: SocketAddr, bytes: &str) -> io::Result<Self> {
        Self::begin(TcpStream::connect(address).await?, bytes).await
    }

    async fn begin(mut socket: TcpStream, bytes: &str) -> io::Result<Self> {
        socket.write_all(bytes.as_bytes()).await?;
        Ok(Self {
            socket,
            head: String::new(),
            unread: Vec::new(),
            blocks: Blocks::default(),
            is_ended: false,
        })
    }

    /// Asks for an event stream.
    pub(crate) async fn ask(address: SocketAddr, path: &str) -> io::Result<Self> {
        Self::send(address, &request(path)).await
    }

    /// The same by a socket that holds but a few kilobytes that were not read.
    pub(crate) async fn ask_with_little_room(address: SocketAddr, path: &str) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        Self::begin(socket.connect(address).await?, &request(path)).await
    }

    /// Reads a head, which stays in [`head`](Self::head).
    pub(crate) async fn read_head(&mut self) -> io::Result<()> {
        self.head = self.read_to(b"\r\n\r\n").await?;
        Ok(())
    }

    /// The bytes of a body whose length the head tells.
    pub(crate) async fn read_body(&mut self) -> io::Result<Vec<u8>> {
        let lines = self.head.lines();
        let length = lines
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, length)| length.parse().ok());
        let length: usize = length.expect("the length is told");
        while self.unread.len() < length {
            self.read_more().await?;
        }
        Ok(self.unread.drain(..length).collect())
    }

    /// The blocks of the next chunk; none at the last, after which the socket is closed.
    pub(crate) async fn chunk(&mut self) -> io::Result<Vec<Block>> {
        if self.head.is_empty() {
            self.read_head().await?;
        }
        let line = self.read_to(b"\r\n").await?;
        let length = usize::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
        while self.unread.len() < length + 2 {
            self.read_more().await?;
        }
        let chunk: Vec<u8> = self.unread.drain(..length).collect();
        let end: Vec<u8> = self.unread.drain(..2).collect();
        assert_eq!(end, b"\r\n", "a chunk ends as it says");
        self.is_ended = length == 0;
        Ok(self.blocks.feed(&chunk))
    }

    /// The data of the next events of type `t`, so many.
    pub(crate) async fn events(&mut self, count: usize) -> io::Result<Vec<String>> {
        let mut events = Vec::new();
        while events.len() < count {
            let blocks = self.chunk().await?;
            assert!(!self.is_ended, "the stream ended after {events:?}");
            let named = blocks
                .into_iter()
                .filter(|b| b.name.as_deref() == Some("t"));
            events.extend(named.map(|block| block.data));
        }
        assert_eq!(events.len(), count, "there were more: {events:?}");
        Ok(events)
    }

    /// All blocks to the end of the stream, and of the connection.
    pub(crate) async fn rest(&mut self) -> io::Result<Vec<Block>> {
        let mut blocks = Vec::new();
        while !self.is_ended {
            blocks.extend(self.chunk().await?);
        }
        Ok(blocks)
    }

    /// Reads to the end of the connection, where nothing is to come.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && self.read_more().await.is_err() && self.unread.is_empty()
    }

    async fn read_to(&mut self, end: &[u8]) -> io::Result<String> {
        let at = loop {
            let mut windows = self.unread.windows(end.len());
            match windows.position(|window| window == end) {
                Some(at) => break at + end.len(),
                None => self.read_more().await?,
            }
        };
        let bytes = self.unread.drain(..at).collect();
        String::from_utf8(bytes).map_err(io::Error::other)
    }

    async fn read_more(&mut self) -> io::Result<()> {
        let read = self.socket.read_buf(&mut self.unread);
        match timeout(PATIENCE, read).await {
            Ok(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => read.map(drop),
            Err(_elapsed) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}
