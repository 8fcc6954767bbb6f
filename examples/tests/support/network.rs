//! Another host, as far as the kernel can be one: a network namespace behind a cable that can be cut.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

use super::installed::installed;

/// The host and the cable are gone with it.
#[derive(Debug)]
pub(crate) struct Network {
    ip: PathBuf,
    curl: PathBuf,
    name: String,
    host: String,
}

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// A client on the other host, which ends with its value.
#[derive(Debug)]
pub(crate) struct Follower(Child);

impl Network {
    /// None, which is said aloud, where a program is missing or the system allows no such thing:
    /// that takes root.
    pub(crate) fn new() -> Option<Self> {
        static LAST: AtomicU8 = AtomicU8::new(0);
        let ip = installed(&["ip"], "apt-get install iproute2")?;
        let curl = installed(&["curl"], "apt-get install curl")?;
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        // Addresses for tests between networks (RFC 2544), a pair for each process and test.
        let [_, _, high, low] = process.to_be_bytes();
        let prefix = format!("198.18.{}", high ^ low);
        let network = Self {
            ip,
            curl,
            name: format!("ew{process}-{number}"),
            host: format!("{prefix}.{}", 4 * number + 1),
        };
        let peer = format!("{prefix}.{}", 4 * number + 2);
        if network.lay(&peer).is_none() {
            let line = "\nNOT TESTED: a host that is cut off takes root and network namespaces\n";
            io::stderr().write_all(line.as_bytes()).expect("a stderr");
            return None;
        }
        Some(network)
    }

    fn lay(&self, peer: &str) -> Option<()> {
        let (name, near, far) = (&*self.name, self.near(), self.far());
        let (host, peer) = (format!("{}/30", self.host), format!("{peer}/30"));
        for arguments in [
            &["netns", "add", name][..],
            &[
                "link", "add", &near, "type", "veth", "peer", "name", &far, "netns", name,
            ],
            &["address", "add", &host, "dev", &near],
            &["link", "set", &near, "up"],
            &["-n", name, "address", "add", &peer, "dev", &far],
            &["-n", name, "link", "set", &far, "up"],
        ] {
            self.run(arguments)?;
        }
        Some(())
    }

    /// Names of interfaces have fifteen characters at most.
    fn near(&self) -> String {
        format!("{}n", self.name)
    }

    fn far(&self) -> String {
        format!("{}f", self.name)
    }

    fn run(&self, arguments: &[&str]) -> Option<()> {
        let ran = Command::new(&self.ip)
            .args(arguments)
            .stderr(Stdio::null())
            .status();
        ran.is_ok_and(|status| status.success()).then_some(())
    }

    /// This host's address on the cable.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Has curl follow an event stream on the other host, and waits until something comes.
    pub(crate) fn follow(&self, url: &str, protocol: Protocol) -> Follower {
        let protocol = match protocol {
            Protocol::Http1 => "--http1.1",
            Protocol::Http2 => "--http2-prior-knowledge",
        };
        let mut curl = Command::new(&self.ip)
            .args(["netns", "exec", &self.name])
            .arg(&self.curl)
            .args([
                "--silent",
                "--no-buffer",
                protocol,
                "--header",
                "accept: text/event-stream",
                url,
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("curl starts");
        let mut said = BufReader::new(curl.stdout.take().expect("stdout is a pipe"));
        let mut line = String::new();
        said.read_line(&mut line).expect("a pipe can be read");
        assert_eq!(line, ":\n", "the comment that opens a stream");
        // It writes to nobody from here on, who is there all the same.
        curl.stdout = Some(said.into_inner());
        Follower(curl)
    }

    /// Takes the other host its address: what is sent is lost, and nobody is told. A cable that is cut
    /// would be noticed at this end.
    pub(crate) fn cut(&self) {
        let far = self.far();
        self.run(&["-n", &self.name, "address", "flush", "dev", &far])
            .expect("the cable is there");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // And what is in it.
        let near = self.near();
        self.run(&["link", "delete", &near]);
        self.run(&["netns", "delete", &self.name]);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
