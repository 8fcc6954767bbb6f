use std::error::Error;
use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use clap::Parser;
use eventwire::takeover::{WriterOptions, Writers};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tower_service::Service;

use crate::connection::Connection;
use crate::open_files::allow_all_open_files;

/// How long requests under way may take once the server was told to stop, and how long a
/// client that does not read its stream is waited for.
const GRACE: Duration = Duration::from_secs(1);

/// How long to wait where a connection cannot be accepted (too many open files, say).
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// Where a server listens.
#[derive(Debug, Clone, Copy, Parser)]
pub struct ListenOptions {
    /// Where to listen; port 0 picks one.
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:8080",
        env = "EVENTWIRE_LISTEN"
    )]
    listen: SocketAddr,
    /// How long a client may take nothing of what it is sent before its connection is closed; by
    /// HTTP/2 each stream of which it takes less than 16 KiB in that time is reset.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    stalled_after: Duration,
    /// Take event streams of HTTP/1.1 over from hyper: less memory and time for each.
    #[arg(long)]
    take_over: bool,
}

/// A hyper server on one address, HTTP/1.1 and HTTP/2 in clear text, that runs until it
/// is told to stop by SIGINT or SIGTERM.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    stalled_after: Duration,
    writers: Option<Writers>,
    interrupt: Signal,
    terminate: Signal,
    stop: watch::Sender<bool>,
}

impl Server {
    /// Listens, and says where on stdout.
    ///
    /// # Errors
    /// What the operating system says; where the address is taken, what to do about it.
    pub async fn bind(options: ListenOptions) -> io::Result<Self> {
        allow_all_open_files();
        let address = options.listen;
        let listener = TcpListener::bind(address).await.map_err(|error| {
            let hint = match error.kind() {
                io::ErrorKind::AddrInUse => "; choose another with --listen, port 0 for any",
                _ => "",
            };
            io::Error::new(
                error.kind(),
                format!("cannot listen on {address}: {error}{hint}"),
            )
        })?;
        // Before anyone is told that there is a server to stop.
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        let address = listener.local_addr()?;
        writeln!(io::stdout(), "listening on http://{address}")?;
        let stalled_after = options.stalled_after;
        let writers = WriterOptions::default().stalled_after(stalled_after);
        Ok(Self {
            listener,
            stalled_after,
            writers: options.take_over.then(|| Writers::start(writers)),
            interrupt,
            terminate,
            stop: watch::Sender::new(false),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Ready when the server is told to stop: what would otherwise never end, ends then.
    pub fn stopping(&self) -> Stopping {
        Stopping::when(self.stop.subscribe())
    }

    /// Serves until SIGINT or SIGTERM; then takes no more connections and gives those that
    /// are open a second to end.
    pub async fn run<S, B>(mut self, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let graceful = GracefulShutdown::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((socket, peer)) => {
                        let connection = Connection {
                            socket,
                            peer: peer.ip(),
                            stalled_after: self.stalled_after,
                            writers: self.writers.clone(),
                            stopping: self.stopping(),
                        };
                        tokio::spawn(connection.serve(service.clone(), graceful.watcher()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                    }
                },
                _ = self.interrupt.recv() => break,
                _ = self.terminate.recv() => break,
            }
        }
        drop(self.listener);
        self.stop.send_replace(true);
        let ended = async {
            graceful.shutdown().await;
            if let Some(writers) = self.writers {
                writers.idle().await;
            }
        };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::warn!("stopped with requests still under way");
        }
    }
}

/// Ready when a [`Server`] is told to stop.
#[must_use = "a future does nothing until it is polled"]
pub struct Stopping {
    stop: watch::Receiver<bool>,
    stopped: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
}

impl Stopping {
    fn when(stop: watch::Receiver<bool>) -> Self {
        let mut watched = stop.clone();
        let stopped = Box::pin(async move {
            // An error means that the server is gone, which is a stop too.
            let _gone = watched.wait_for(|stop| *stop).await;
        });
        Self { stop, stopped }
    }
}

impl Clone for Stopping {
    fn clone(&self) -> Self {
        Self::when(self.stop.clone())
    }
}

impl Future for Stopping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.stopped.as_mut().poll(context)
    }
}

impl fmt::Debug for Stopping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopping").finish_non_exhaustive()
    }
}
