//! A driver, which starts a browser and does with it what it is asked to.

use std::fs;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fantoccini::wd::Capabilities;

use super::engine::{Engine, Programs};
use super::port::free_port;
use super::screen::Screen;

const LOOK_EVERY: Duration = Duration::from_millis(25);
const ENDS_WITHIN: Duration = Duration::from_secs(10);
const LISTENS_WITHIN: Duration = Duration::from_secs(30);

/// A driver, on a port of its own. It ends with its value, and its browser before it.
#[derive(Debug)]
pub(crate) struct Driver {
    engine: Engine,
    child: Child,
    port: u16,
    /// What it calls the browser it started.
    session: Option<String>,
    /// The browser's process id, where it is told.
    browser: Option<u64>,
    /// A browser whose screen is gone ends.
    _screen: Option<Screen>,
}

impl Driver {
    /// What it leaves behind is in `home`.
    pub(super) fn start(programs: &Programs, home: &Path) -> Self {
        let engine = programs.engine;
        let before_port = engine.before_port();
        let mut port = before_port.map_or_else(free_port, |_| 0);
        let mut driver = Command::new(&programs.driver);
        driver
            .arg(format!("--port={port}"))
            .env("HOME", home)
            .env("TMPDIR", home)
            .env("MOZ_CRASHREPORTER_DISABLE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut screen = None;
        if engine == Engine::WebKit {
            let screen = screen.insert(Screen::start(&programs.shown));
            driver
                .env("DISPLAY", screen.name())
                .env("XDG_RUNTIME_DIR", home)
                // Root, which continuous integration often is, may not have a sandbox.
                .env("WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS", "1");
        }
        let mut child = driver.spawn().expect("a driver starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        match before_port {
            Some(words) => port = port_said_on(&mut stdout, words),
            None => wait_for_listener(port),
        }
        // A pipe that is not read would stop the driver that writes to it.
        thread::spawn(move || io::copy(&mut stdout, &mut io::sink()));
        Self {
            engine,
            child,
            port,
            session: None,
            browser: None,
            _screen: screen,
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Its browser runs.
    pub(super) fn has_begun(&mut self, session: Option<String>, told: Option<&Capabilities>) {
        self.session = session;
        let process_id = self.engine.process_id();
        self.browser = process_id.and_then(|name| told?.get(name)?.as_u64());
    }

    /// Ends the browser, and then the driver.
    fn ask_to_end(&mut self) -> io::Result<()> {
        match self.engine {
            Engine::Chromium => self.ask("GET /shutdown"),
            Engine::Firefox | Engine::WebKit => {
                if let Some(session) = self.session.take() {
                    self.ask(&format!("DELETE /session/{session}"))?;
                }
                self.child.kill()
            }
        }
    }

    fn ask(&self, request: &str) -> io::Result<()> {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        socket.set_read_timeout(Some(ENDS_WITHIN))?;
        let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        socket.write_all(head.as_bytes())?;
        socket.read_to_end(&mut Vec::new())?;
        Ok(())
    }

    fn has_ended(&mut self) -> bool {
        // A process that has ended has no program any more, even where nobody has asked how
        // it ended.
        let is_browser_gone = self
            .browser
            .is_none_or(|id| fs::read_link(format!("/proc/{id}/exe")).is_err());
        is_browser_gone && matches!(self.child.try_wait(), Ok(Some(_)))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Where it does not take the request, it is killed below.
        let _asked = self.ask_to_end();
        let begun = Instant::now();
        while !self.has_ended() && begun.elapsed() < ENDS_WITHIN {
            thread::sleep(LOOK_EVERY);
        }
        if self.has_ended() {
            return;
        }
        let ids = self.browser.into_iter().chain([self.child.id().into()]);
        for id in ids {
            // One of them may have ended by itself.
            let _killed = Command::new("sh")
                .args(["-c", &format!("kill -9 {id}")])
                .status();
        }
        let _ended = self.child.wait();
    }
}

/// The port it says it listens on, after these words.
fn port_said_on(stdout: &mut BufReader<ChildStdout>, words: &str) -> u16 {
    let mut line = String::new();
    loop {
        line.clear();
        let bytes = stdout
            .read_line(&mut line)
            .expect("a driver says where it listens");
        assert_ne!(bytes, 0, "the driver ended before it listened");
        let port = line.trim_end().trim_end_matches('.').rsplit_once(words);
        if let Some((_, port)) = port {
            return port.parse().expect("a port is a number");
        }
    }
}

fn wait_for_listener(port: u16) {
    let begun = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(
            begun.elapsed() < LISTENS_WITHIN,
            "the driver does not listen"
        );
        thread::sleep(LOOK_EVERY);
    }
}
