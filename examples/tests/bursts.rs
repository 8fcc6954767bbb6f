//! Clients that come and reset their connections, ten thousand at a time: what a server keeps of them.

mod support {
    pub(crate) mod mode;
    pub(crate) mod program;
}

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

use support::mode::{Mode, in_both_modes};
use support::program::program;

in_both_modes! {
    a_burst_of_resets_leaves_no_memory,
}

const BURST: usize = 10_000;

/// How many come at once.
const CLIENTS: usize = 50;

/// What may be more after two more bursts: 100 bytes for each connection. It was a quarter of that
/// at the most.
const MOST: usize = 2 * BURST * 100;

const PATIENCE: Duration = Duration::from_secs(60);

const ASK: &[u8] =
    b"GET /events?from=start HTTP/1.1\r\nhost: here\r\naccept: text/event-stream\r\n\r\n";

/// The raw log as a program, which holds nothing but what it needs for its clients.
#[derive(Debug)]
struct Log {
    child: Child,
    address: SocketAddr,
}

impl Log {
    fn start(mode: Mode) -> Self {
        let mut child = Command::new(program("log"))
            .args(["--listen", "127.0.0.1:0", "--store", "memory"])
            .args(mode.flags())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the log starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let read = BufReader::new(stdout).read_line(&mut line);
        read.expect("it says where it listens");
        let address = line.trim_end().strip_prefix("listening on http://");
        let address = address.and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}"));
        Self { child, address }
    }

    fn files(&self) -> usize {
        let files = fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        files.expect("it runs").count()
    }

    /// Bytes that are in memory.
    fn resident(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        let kib: Option<usize> = kib.and_then(|kib| kib.parse().ok());
        kib.expect("a number of KiB") * 1024
    }

    /// Half of the clients leave as soon as they have asked, half once the stream has begun.
    async fn burst(&self) {
        let files = self.files();
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let address = self.address;
            clients.spawn(async move {
                for number in 0..BURST / CLIENTS {
                    come_and_go(address, number % 2 == 0).await;
                }
            });
        }
        while let Some(came) = clients.join_next().await {
            came.expect("a client does not panic");
        }
        let begun = Instant::now();
        while self.files() > files {
            assert!(
                begun.elapsed() < PATIENCE,
                "{} files are open, {files} were before",
                self.files()
            );
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

async fn come_and_go(address: SocketAddr, reads: bool) {
    let socket = TcpStream::connect(address).await;
    let mut socket = socket.expect("the server takes who comes");
    socket.write_all(ASK).await.expect("a request is short");
    if reads {
        let read = socket.read_u8().await;
        read.expect("a stream begins at once");
    }
    // A reset in place of an orderly end.
    let reset = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
    reset.expect("an option of every socket");
}

async fn a_burst_of_resets_leaves_no_memory(mode: Mode) {
    // What is measured is one process; the machine need not be two's.
    static ALONE: Mutex<()> = Mutex::const_new(());
    let _alone = ALONE.lock().await;
    let log = Log::start(mode);
    let mut resident = Vec::new();
    for _ in 0..4 {
        log.burst().await;
        resident.push(log.resident());
    }
    // The first two bring the allocator to its size.
    assert!(
        resident[3] < resident[1] + MOST,
        "{resident:?} bytes after each burst"
    );
}
