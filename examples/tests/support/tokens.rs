//! The tokens server as a process, and what its model says.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::port::free_port;
use super::program::program;

/// Longer than anything here takes; a server that hangs fails the test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Of every answer of the model that stands in.
pub(crate) const LENGTH: usize = 160;

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// What it logs.
    log: mpsc::Receiver<String>,
}

/// Where a server lives: an address and a directory, which outlive the process.
pub(crate) struct Place {
    address: SocketAddr,
    data: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, free_port()).into(),
            data: tempfile::tempdir().expect("a directory for temporary files"),
        }
    }

    /// Where the page is.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts a server and waits until it listens.
    pub(crate) fn start(&self, pace: &str) -> Server {
        let mut child = Command::new(program("tokens"))
            .args([
                "--listen",
                &self.address.to_string(),
                "--pace",
                pace,
                "--data",
            ])
            .arg(self.data.path())
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tokens example starts");
        let said = lines(child.stdout.take().expect("stdout is a pipe"));
        let log = lines(child.stderr.take().expect("stderr is a pipe"));
        let first = said
            .recv_timeout(PATIENCE)
            .expect("it says where it listens");
        assert_eq!(first, format!("listening on {}", self.base()));
        Server { child, log }
    }
}

/// The lines of a pipe, which is read to its end.
fn lines(pipe: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (say, said) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // Nobody listens to all of it.
            let _not_heard = say.send(line);
        }
    });
    said
}

impl Server {
    /// Waits for a line of the log with this text.
    pub(crate) fn logs(&self, text: &str) {
        while !self
            .log
            .recv_timeout(PATIENCE)
            .expect("it says so")
            .contains(text)
        {}
    }
}

impl Drop for Server {
    /// `kill -9`: it ends at once, and has no say in it.
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// What the model says: the words of the prompt over and over.
pub(crate) fn expected(prompt: &str) -> Vec<String> {
    let words = prompt.split(' ').cycle().take(LENGTH);
    words
        .enumerate()
        .map(|(nth, word)| {
            if nth == 0 {
                word.into()
            } else {
                format!(" {word}")
            }
        })
        .collect()
}
