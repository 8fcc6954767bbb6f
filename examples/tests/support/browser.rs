//! A headless Chromium or Firefox, driven through its driver, that leaves nothing behind.

use std::fs;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fantoccini::wd::WindowHandle;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use super::installed::installed;

/// No screen, no graphics card, no traffic but the test's own; and root, which continuous
/// integration often is, may not have a sandbox.
const CHROMIUM_FLAGS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// Long enough for a busy machine; nothing waits so long that goes well.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(25);
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// What keeps Firefox to itself.
const FIREFOX_PREFERENCES: [(&str, bool); 5] = [
    ("app.update.disabledForTesting", true),
    ("datareporting.policy.dataSubmissionEnabled", false),
    ("network.captive-portal-service.enabled", false),
    ("network.connectivity-service.enabled", false),
    ("toolkit.telemetry.enabled", false),
];

/// Whose browser it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Chromium,
    Firefox,
}

/// Where the two programs are, browser and driver.
#[derive(Debug)]
pub(crate) struct Programs {
    engine: Engine,
    browser: PathBuf,
    driver: PathBuf,
}

impl Programs {
    /// None where one is missing, as [`installed`] has it.
    pub(crate) fn find(engine: Engine) -> Option<Self> {
        let (browsers, packages): (&[&str], _) = match engine {
            Engine::Chromium => (
                &["chromium", "chromium-browser", "google-chrome"],
                "apt-get install chromium chromium-driver",
            ),
            Engine::Firefox => (
                &["firefox-esr", "firefox"],
                "apt-get install firefox-esr; cargo install geckodriver",
            ),
        };
        Some(Self {
            engine,
            browser: installed(browsers, packages)?,
            driver: installed(&[engine.driver()], packages)?,
        })
    }

    /// What to ask the driver for.
    fn capabilities(&self, profile: &Path) -> (&'static str, Value) {
        match self.engine {
            Engine::Chromium => {
                let mut args: Vec<String> = CHROMIUM_FLAGS.map(str::to_owned).into();
                args.push(format!("--user-data-dir={}", profile.display()));
                let options = json!({"binary": self.browser, "args": args});
                ("goog:chromeOptions", options)
            }
            Engine::Firefox => {
                let preferences: serde_json::Map<_, _> = FIREFOX_PREFERENCES
                    .map(|(name, is_on)| (name.to_owned(), is_on.into()))
                    .into_iter()
                    .collect();
                let options =
                    json!({"binary": self.browser, "args": ["-headless"], "prefs": preferences});
                ("moz:firefoxOptions", options)
            }
        }
    }
}

impl Engine {
    fn driver(self) -> &'static str {
        match self {
            Self::Chromium => "chromedriver",
            Self::Firefox => "geckodriver",
        }
    }

    /// The capability that tells the browser's process id.
    fn process_id(self) -> &'static str {
        match self {
            Self::Chromium => "goog:processID",
            Self::Firefox => "moz:processID",
        }
    }

    /// What stands before the port where the driver says that it listens.
    fn before_port(self) -> &'static str {
        match self {
            Self::Chromium => "successfully on port ",
            Self::Firefox => "Listening on 127.0.0.1:",
        }
    }
}

/// A browser with a profile of its own. It ends with its value.
#[derive(Debug)]
pub(crate) struct Browser {
    client: Client,
    // Before the profile, which the browser writes to until it has ended.
    _driver: Driver,
    _profile: TempDir,
}

/// One of the browser's tabs.
#[derive(Debug)]
pub(crate) struct Tab(WindowHandle);

impl Browser {
    /// It takes any certificate.
    pub(crate) async fn start(programs: &Programs) -> Self {
        let profile = tempfile::tempdir().expect("a directory for temporary files");
        let mut driver = Driver::start(programs, profile.path());
        let (key, options) = programs.capabilities(profile.path());
        let capabilities = [
            (key.to_owned(), options),
            ("acceptInsecureCerts".to_owned(), true.into()),
        ];
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities.into_iter().collect())
            .connect(&format!("http://{}:{}", Ipv4Addr::LOCALHOST, driver.port))
            .await
            .expect("the driver starts its browser");
        driver.session = client.session_id().await.expect("a session that is open");
        driver.browser = client
            .capabilities()
            .and_then(|capabilities| capabilities.get(driver.engine.process_id())?.as_u64());
        Self {
            client,
            _driver: driver,
            _profile: profile,
        }
    }

    /// A new tab that has loaded `url`.
    pub(crate) async fn open(&self, url: &str) -> Tab {
        let opened = self.client.new_window(true).await.expect("a new tab");
        let tab = Tab(opened.handle);
        self.go(&tab, url).await;
        tab
    }

    pub(crate) async fn go(&self, tab: &Tab, url: &str) {
        self.to(tab)
            .await
            .goto(url)
            .await
            .expect("a page that loads");
    }

    /// What `script`, the body of a function, returns in the page.
    pub(crate) async fn run(&self, tab: &Tab, script: &str, args: Value) -> Value {
        let Value::Array(args) = args else {
            panic!("arguments are an array, not {args}");
        };
        let client = self.to(tab).await;
        client
            .execute(script, args)
            .await
            .expect("a script that runs")
    }

    /// Runs `script` again and again until it returns true.
    pub(crate) async fn until(&self, tab: &Tab, script: &str, args: Value) {
        let begun = Instant::now();
        while self.run(tab, script, args.clone()).await != true {
            if begun.elapsed() > PATIENCE {
                let text = "return document.documentElement.innerText";
                let text = self.run(tab, text, json!([])).await;
                panic!("waited for `{script}` of {args}, and the page says {text:#}");
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// What can be done with the tab, by the driver.
    pub(crate) async fn to(&self, tab: &Tab) -> &Client {
        let switched = self.client.switch_to_window(tab.0.clone()).await;
        switched.expect("a tab that is open");
        &self.client
    }
}

/// A driver, on a port that it chose.
#[derive(Debug)]
struct Driver {
    engine: Engine,
    child: Child,
    port: u16,
    /// What geckodriver calls the browser it started.
    session: Option<String>,
    /// The browser's process id.
    browser: Option<u64>,
}

impl Driver {
    /// What it leaves behind is in `home`.
    fn start(programs: &Programs, home: &Path) -> Self {
        let mut child = Command::new(&programs.driver)
            .arg("--port=0")
            .env("HOME", home)
            .env("TMPDIR", home)
            .env("MOZ_CRASHREPORTER_DISABLE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a driver starts");
        let stdout = child.stdout.take().expect("stdout is a pipe");
        Self {
            engine: programs.engine,
            child,
            port: port_said_on(stdout, programs.engine),
            session: None,
            browser: None,
        }
    }

    /// Ends the browser, and then the driver.
    fn ask_to_end(&mut self) -> io::Result<()> {
        match self.engine {
            Engine::Chromium => self.ask("GET /shutdown"),
            Engine::Firefox => {
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

/// The port it says it listens on, in the words of [`Engine::before_port`].
fn port_said_on(stdout: ChildStdout, engine: Engine) -> u16 {
    let mut stdout = BufReader::new(stdout);
    let mut line = String::new();
    let port = loop {
        line.clear();
        let bytes = stdout
            .read_line(&mut line)
            .expect("a driver says where it listens");
        assert_ne!(bytes, 0, "the driver ended before it listened");
        let port = line
            .trim_end()
            .trim_end_matches('.')
            .rsplit_once(engine.before_port());
        if let Some((_, port)) = port {
            break port.parse().expect("a port is a number");
        }
    };
    // A pipe that is not read would stop the driver that writes to it.
    thread::spawn(move || io::copy(&mut stdout, &mut io::sink()));
    port
}
