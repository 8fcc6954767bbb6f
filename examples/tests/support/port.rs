//! Ports for what has to be told where to listen.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Ports below those the system hands out by itself: while a server is down, no connection
/// that is being made can take its place.
const PORTS: Range<u16> = 20_000..32_000;

/// A port that nobody listens on, and that no other test of this program is told.
pub(crate) fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicUsize> =
        LazyLock::new(|| AtomicUsize::new(fastrand::usize(..PORTS.len())));
    let next = || {
        let number = NEXT.fetch_add(1, Ordering::Relaxed) % PORTS.len();
        PORTS.start + u16::try_from(number).expect("there are no more ports")
    };
    let mut ports = std::iter::repeat_with(next).take(1000);
    ports
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("one of a thousand ports is free")
}
