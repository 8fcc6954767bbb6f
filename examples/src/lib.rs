//! What every example server shares: the command line, the store it names, and a hyper
//! server that stops cleanly. An application copies what it likes.

mod connection;
mod failure;
mod h2_streams;
mod limits;
mod open_files;
mod server;
mod store;

use std::io::IsTerminal as _;

pub use failure::Failure;
pub use h2_streams::{Pieces, Streams};
pub use limits::{LimitOptions, RETURN};
pub use open_files::allow_all_open_files;
pub use server::{ListenOptions, Server, Stopping};
pub use store::{StoreOptions, open_store};

/// Logs to stderr, at the level of `RUST_LOG`: `warn` unless set.
pub fn log_to_stderr() {
    let level = std::env::var("RUST_LOG")
        .ok()
        .and_then(|level| level.parse().ok());
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_max_level(level.unwrap_or(tracing::Level::WARN))
        .init();
}
