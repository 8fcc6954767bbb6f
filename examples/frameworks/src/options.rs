use std::future::Future;
use std::io;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// The command line of every example here.
#[derive(Debug, Clone, Parser)]
pub struct Options {
    /// Where to listen; port 0 picks one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// The time between two ticks.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    pub every: Duration,
}

impl Options {
    /// Says on stdout where the server listens.
    ///
    /// # Errors
    /// Where stdout is closed.
    pub fn listening(address: SocketAddr) -> io::Result<()> {
        writeln!(io::stdout(), "listening on http://{address}")
    }
}

/// Ready at the first SIGINT or SIGTERM from now on.
///
/// # Errors
/// Where the system takes no handler.
pub fn stopped() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
