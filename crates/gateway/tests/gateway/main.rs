//! The HTTP profile, without a socket.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

mod authorization;
mod bounds;
mod errors;
mod presentation;
mod routes;
mod server;
mod streamed;
mod streams;
