//! A screen in memory, for browsers that cannot do without one.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// An X server with a number that it chose. It ends with its value.
#[derive(Debug)]
pub(crate) struct Screen {
    server: Child,
    name: String,
}

impl Screen {
    pub(super) fn start(server: &Path) -> Self {
        let mut server = Command::new(server)
            .args(["-displayfd", "1", "-screen", "0", "1280x1024x24"])
            .args(["-nolisten", "tcp"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("an X server starts");
        let mut number = String::new();
        let stdout = server.stdout.take().expect("stdout is a pipe");
        let said = BufReader::new(stdout).read_line(&mut number);
        said.expect("an X server says its number");
        let number: u32 = number.trim_end().parse().expect("a number");
        Self {
            server,
            name: format!(":{number}"),
        }
    }

    /// What `DISPLAY` is to be for who shows itself on it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Politely, so that it takes its socket and its lock away.
        let _asked = Command::new("sh")
            .args(["-c", &format!("kill -TERM {}", self.server.id())])
            .status();
        let _ended = self.server.wait();
    }
}
