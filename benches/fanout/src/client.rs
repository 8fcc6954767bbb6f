//! A server's process and its listeners.

use std::cell::Cell;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::Contestant;

/// What is done to a server.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    pub subscribers: usize,
    pub at_once: usize,
    pub lasting: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// Events that reached a listener.
    pub deliveries: usize,
    pub elapsed: Duration,
    /// Processor time of the server.
    pub busy: Duration,
    /// Resident bytes of the server for each connection.
    pub connection_bytes: usize,
    /// From publishing to the arrival at the last listener: the middle and the worst in a hundred.
    pub latency: [Duration; 2],
}

/// The clients have the second core for themselves.
pub fn on_its_core() -> io::Result<()> {
    let mut core = rustix::thread::CpuSet::new();
    core.set(1);
    Ok(rustix::thread::sched_setaffinity(None, &core)?)
}

/// Publishes as fast as everything arrives.
pub fn at_most(contestant: Contestant, run: &Run) -> io::Result<Outcome> {
    drive(contestant, run, None)
}

/// Publishes one event after each interval.
pub fn at_rate(contestant: Contestant, run: &Run, interval: Duration) -> io::Result<Outcome> {
    drive(contestant, run, Some(interval))
}

fn drive(contestant: Contestant, run: &Run, interval: Option<Duration>) -> io::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut server = Server::start(contestant)?;
        let alone = server.resident()?;
        let listeners = Listeners::connect(server.port, run.subscribers).await?;
        listeners.all_have(run.subscribers).await;
        let connection_bytes = server.resident()?.saturating_sub(alone) / run.subscribers;
        // The first comment of each does not count.
        let opened = listeners.arrived.get();
        let busy = server.busy()?;
        let begin = Instant::now();
        let mut published = 0;
        let mut latencies = Vec::new();
        while begin.elapsed() < run.lasting {
            let sent = Instant::now();
            server.publish(run.at_once)?;
            published += run.at_once;
            listeners
                .all_have(opened + published * run.subscribers)
                .await;
            latencies.push(sent.elapsed());
            if let Some(interval) = interval {
                tokio::time::sleep_until((sent + interval).into()).await;
            }
        }
        let elapsed = begin.elapsed();
        latencies.sort_unstable();
        Ok(Outcome {
            deliveries: listeners.arrived.get() - opened,
            elapsed,
            busy: server.busy()? - busy,
            connection_bytes,
            latency: [50, 99].map(|part| latencies[(latencies.len() - 1) * part / 100]),
        })
    })
}

/// A server in a process of its own, which ends with this.
struct Server {
    child: Child,
    orders: ChildStdin,
    port: u16,
}

impl Server {
    fn start(contestant: Contestant) -> io::Result<Self> {
        use clap::ValueEnum as _;
        let value = contestant.to_possible_value().expect("all can be named");
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--serve", value.get_name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take().expect("it is piped");
        let mut said = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut port = String::new();
        said.read_line(&mut port)?;
        let port = port.trim().parse().map_err(io::Error::other)?;
        Ok(Self {
            child,
            orders,
            port,
        })
    }

    fn publish(&mut self, events: usize) -> io::Result<()> {
        writeln!(self.orders, "{events}")
    }

    fn stat(&self, file: &str) -> io::Result<String> {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))
    }

    /// Processor time so far, user and system.
    fn busy(&self) -> io::Result<Duration> {
        let stat = self.stat("stat")?;
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * 10))
    }

    fn resident(&self) -> io::Result<usize> {
        let status = self.stat("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.and_then(|kib| kib.parse::<usize>().ok()).unwrap_or(0) * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Connections that count the blocks they are sent.
struct Listeners {
    arrived: Rc<Cell<usize>>,
    wanted: Rc<Cell<usize>>,
    reached: Rc<Notify>,
}

impl Listeners {
    async fn connect(port: u16, count: usize) -> io::Result<Self> {
        let listeners = Self {
            arrived: Rc::default(),
            wanted: Rc::new(Cell::new(usize::MAX)),
            reached: Rc::default(),
        };
        for _ in 0..count {
            let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
            let request = b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n";
            socket.write_all(request).await?;
            tokio::task::spawn_local(listeners.listen(socket));
        }
        Ok(listeners)
    }

    /// Counts what arrives. A server that sends no first comment is not waited for.
    fn listen(&self, mut socket: TcpStream) -> impl Future<Output = io::Result<()>> + use<> {
        let (arrived, wanted) = (Rc::clone(&self.arrived), Rc::clone(&self.wanted));
        let reached = Rc::clone(&self.reached);
        async move {
            let mut buffer = vec![0; 64 << 10];
            let mut ends_in_newline = false;
            let mut is_open = false;
            loop {
                let length = socket.read(&mut buffer).await?;
                if length == 0 {
                    return Ok(());
                }
                let bytes = &buffer[..length];
                let mut blocks = usize::from(ends_in_newline && bytes[0] == b'\n');
                blocks += memchr::memmem::find_iter(bytes, b"\n\n").count();
                ends_in_newline = bytes.last() == Some(&b'\n') && !bytes.ends_with(b"\n\n");
                if !std::mem::replace(&mut is_open, true) && blocks == 0 {
                    // The head alone: this one is open too.
                    blocks = 1;
                }
                arrived.set(arrived.get() + blocks);
                if arrived.get() >= wanted.get() {
                    wanted.set(usize::MAX);
                    reached.notify_one();
                }
            }
        }
    }

    /// Until so many blocks have arrived in all.
    async fn all_have(&self, count: usize) {
        self.wanted.set(count);
        if self.arrived.get() < count {
            self.reached.notified().await;
        }
        self.wanted.set(usize::MAX);
    }
}
