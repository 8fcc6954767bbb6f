//! The servers that are Rust. Each listens on a port it prints, publishes what each line of its
//! standard input says, and ends with that.

mod axum;
mod eventwire;
mod raw;

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;

use crate::contestant::Contestant;
use eventwire::Mode;

/// A payload that makes a block of some 214 bytes.
const PAYLOAD_BYTES: usize = 150;

/// How an event ends, and nothing else that is sent.
pub const END: &[u8] = b"x\"}\n\n";

/// Is this server until standard input ends; one of ours gathers events for so long.
pub fn run(contestant: Contestant, gather: Duration) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        say(listener.local_addr()?)?;
        match contestant {
            Contestant::Eventwire => eventwire::serve(listener, Mode::Http1, gather).await,
            Contestant::TakeOver => eventwire::serve(listener, Mode::TakenOver, gather).await,
            Contestant::Http2 => eventwire::serve(listener, Mode::Http2, gather).await,
            Contestant::AxumBytes => axum::bytes(listener).await,
            Contestant::AxumSse => axum::sse(listener).await,
            Contestant::Raw => raw::serve(listener, 1).await,
            Contestant::RawJoined => raw::serve(listener, usize::MAX).await,
            Contestant::Nchan | Contestant::Node => unreachable!("these are other programs"),
        }
    })
}

fn say(address: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{}", address.port())?;
    out.flush()
}

/// The numbers of events to publish, and the topic of each.
struct Orders(BufReader<tokio::io::Stdin>);

impl Orders {
    fn new() -> Self {
        Self(BufReader::new(tokio::io::stdin()))
    }

    async fn next(&mut self) -> Option<(usize, usize)> {
        let mut line = String::new();
        self.0.read_line(&mut line).await.ok()?;
        let (count, topic) = line.trim().split_once(' ')?;
        Some((count.parse().ok()?, topic.parse().ok()?))
    }
}

/// What an event says.
pub fn payload() -> String {
    format!("{{\"text\":\"{}\"}}", "x".repeat(PAYLOAD_BYTES))
}

/// The block that is sent by those who encode it once.
fn block(number: usize) -> Bytes {
    format!(
        "event: posted\nid: b5ba5b60d003.{number}\ndata: {}\n\n",
        payload()
    )
    .into()
}
