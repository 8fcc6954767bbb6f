//! The chat example as a process: built, started, killed, and started again where it was.

use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::mode::Mode;
use super::port::free_port;
use super::program::program;

const STARTS_WITHIN: Duration = Duration::from_secs(30);
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// Where a chat server lives: an address and a directory, which outlive the process.
#[derive(Debug)]
pub(crate) struct Place {
    address: SocketAddr,
    data: TempDir,
    mode: Mode,
}

impl Place {
    pub(crate) fn new(mode: Mode) -> Self {
        Self::at((Ipv4Addr::LOCALHOST, free_port()).into(), mode)
    }

    /// With nothing in its directory yet.
    pub(crate) fn at(address: SocketAddr, mode: Mode) -> Self {
        Self {
            address,
            mode,
            data: tempfile::tempdir().expect("a directory for temporary files"),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts a server here and waits until it listens.
    pub(crate) fn start(&self) -> ChatServer {
        let (mut server, said) = self.launch();
        let Ok(first_line) = said.recv_timeout(STARTS_WITHIN) else {
            let status = server.child.try_wait();
            panic!("the server said nothing for {STARTS_WITHIN:?}; its status is {status:?}");
        };
        assert_eq!(
            first_line,
            format!("listening on http://{}\n", self.address)
        );
        server
    }

    /// The process, and the first line it says.
    pub(crate) fn launch(&self) -> (ChatServer, mpsc::Receiver<String>) {
        let mut child = Command::new(program("chat"))
            .args(["--listen", &self.address.to_string(), "--data"])
            .arg(self.data.path())
            .args(self.mode.flags())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the chat example starts");
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let (say, said) = mpsc::channel();
        thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            let mut line = String::new();
            let read = stdout.read_line(&mut line);
            if read.is_ok_and(|bytes| bytes > 0) {
                // Whoever kills a server at once does not listen.
                let _not_heard = say.send(line);
            }
            // A pipe that is not read would stop the server that writes to it.
            io::copy(&mut stdout, &mut io::sink())
        });
        (ChatServer { child }, said)
    }
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub(crate) struct ChatServer {
    child: Child,
}

impl ChatServer {
    /// `kill -9`: it ends at once, and has no say in it.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a killed child ends");
    }

    /// `kill -TERM`: how it ended, and how long it took.
    pub(crate) fn terminate(mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        let signalled = Command::new("sh")
            .args(["-c", &format!("kill -TERM {}", self.child.id())])
            .status()
            .expect("a shell");
        assert!(signalled.success());
        while begun.elapsed() < ENDS_WITHIN {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return (status, begun.elapsed());
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("the server did not end within {ENDS_WITHIN:?} of SIGTERM");
    }
}

impl Drop for ChatServer {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}
