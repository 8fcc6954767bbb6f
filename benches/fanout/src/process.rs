//! A server's process, what it is told and what it takes.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use crate::contestant::Contestant;
use crate::peers;

/// The core of the servers.
const SERVERS: usize = 0;

/// The core of this process.
pub const LISTENERS: usize = 1;

/// Files a process may have open, where the system lets it: a connection is one on either side.
const FILES: u64 = 110_000;

/// Runs the thread on a core, and what it starts from now on.
pub fn run_on(core: usize) -> io::Result<()> {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(core);
    Ok(rustix::thread::sched_setaffinity(None, &cores)?)
}

/// Has the system let this process and those it starts open as many files as it does.
pub fn allow_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = |maximum| Rlimit {
        current: Some(FILES),
        maximum,
    };
    let least = limit.maximum.map(|maximum| maximum.max(FILES));
    if setrlimit(Resource::Nofile, raised(least)).is_err() {
        let all = Rlimit {
            current: limit.maximum,
            ..limit
        };
        let _fewer = setrlimit(Resource::Nofile, all);
    }
}

/// How many connections a process may have, and some files besides.
pub fn connections() -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(FILES);
    usize::try_from(files)
        .unwrap_or(usize::MAX)
        .saturating_sub(100)
}

/// A server in a process of its own, on its core, which ends with this.
pub struct Server {
    child: Child,
    desk: Desk,
    pub port: u16,
    _directory: Option<TempDir>,
}

/// How a server is told to publish.
pub enum Desk {
    /// By a line of its standard input.
    Line(ChildStdin),
    /// By requests over one connection.
    Http(TcpStream),
}

impl Server {
    /// # Errors
    /// What the system says; of a program that is missing, [`Contestant::missing`] has told.
    pub fn start(contestant: Contestant) -> io::Result<Self> {
        Self::gathering(contestant, Duration::ZERO)
    }

    /// One of ours, whose feed gathers events for so long.
    pub fn gathering(contestant: Contestant, time: Duration) -> io::Result<Self> {
        run_on(SERVERS)?;
        let started = match contestant {
            Contestant::Nchan => peers::nchan(),
            Contestant::Node => Self::of_lines(peers::node()),
            _ => std::env::current_exe().and_then(|own| {
                use clap::ValueEnum as _;
                let value = contestant.to_possible_value().expect("all can be named");
                let mut command = Command::new(own);
                command.args(["--serve", value.get_name()]);
                command.args(["--gather", &time.as_millis().to_string()]);
                Self::of_lines(command)
            }),
        };
        run_on(LISTENERS)?;
        started
    }

    /// One that says its port and reads how many events to publish of which topic.
    fn of_lines(mut command: Command) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let desk = child.stdin.take().expect("it is piped");
        let port = port(child.stdout.take().expect("it is piped"))?;
        Ok(Self::new(child, Desk::Line(desk), port, None))
    }

    /// One that runs, and the directory that is its own.
    pub fn new(child: Child, desk: Desk, port: u16, directory: Option<TempDir>) -> Self {
        Self {
            child,
            desk,
            port,
            _directory: directory,
        }
    }

    /// Publishes so many events of a topic.
    pub fn publish(&mut self, events: usize, topic: usize) -> io::Result<()> {
        match &mut self.desk {
            Desk::Line(orders) => writeln!(orders, "{events} {topic}"),
            Desk::Http(socket) => {
                // Its answers are nobody's; they only have to be out of the way.
                let mut answers = [0; 64 << 10];
                while matches!(socket.read(&mut answers), Ok(length) if length > 0) {}
                socket.write_all(&peers::requests(events, topic))
            }
        }
    }

    fn stat(&self, file: &str) -> io::Result<String> {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))
    }

    /// Processor time so far, user and system.
    pub fn busy(&self) -> io::Result<Duration> {
        busy(&self.stat("stat")?)
    }

    /// Resident bytes.
    pub fn resident(&self) -> io::Result<usize> {
        let status = self.stat("status")?;
        kib(&status, "VmRSS:").ok_or_else(|| io::Error::other("no size"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn port(said: ChildStdout) -> io::Result<u16> {
    let mut port = String::new();
    BufReader::new(said).read_line(&mut port)?;
    port.trim().parse().map_err(io::Error::other)
}

/// Processor time of this process.
pub fn own_busy() -> io::Result<Duration> {
    busy(&std::fs::read_to_string("/proc/self/stat")?)
}

fn busy(stat: &str) -> io::Result<Duration> {
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    let a_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_millis(ticks * 1000 / a_second))
}

/// Bytes the kernel has in its own structures and in the buffers of TCP, of all processes.
pub fn kernel_bytes() -> io::Result<usize> {
    let memory = std::fs::read_to_string("/proc/meminfo")?;
    let slab = kib(&memory, "Slab:").ok_or_else(|| io::Error::other("no slab"))?;
    let sockets = std::fs::read_to_string("/proc/net/sockstat")?;
    let tcp = sockets.lines().find(|line| line.starts_with("TCP:"));
    let pages = tcp.and_then(|line| line.split_once(" mem "));
    let pages = pages.and_then(|(_, pages)| pages.trim().parse::<usize>().ok());
    Ok(slab + pages.unwrap_or(0) * rustix::param::page_size())
}

/// A line of a file of `/proc` that is in KiB, in bytes.
fn kib(text: &str, name: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib = line.split_whitespace().next()?;
    Some(kib.parse::<usize>().ok()? * 1024)
}
