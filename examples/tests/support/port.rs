//! Ports for what has to be told where to listen.

use std::net::{Ipv4Addr, TcpListener};

/// Ports below those the system hands out by itself: while a server is down, no connection
/// that is being made can take its place.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

pub(crate) fn free_port() -> u16 {
    let mut ports = std::iter::repeat_with(|| fastrand::u16(PORTS)).take(1000);
    ports
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("one of a thousand ports is free")
}
