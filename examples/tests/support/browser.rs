//! A headless Chromium, driven through chromedriver, that leaves nothing behind.

use std::env;
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

const WHAT_IS_MISSING: &str = "the browser tests need Chromium and its driver: \
    apt-get install chromium chromium-driver";

/// Where the two programs are.
#[derive(Debug)]
pub(crate) struct Programs {
    chromium: PathBuf,
    chromedriver: PathBuf,
}

impl Programs {
    /// None where one is missing, which is said aloud.
    ///
    /// # Panics
    /// Where one is missing under continuous integration, that is with `CI` set: a test that
    /// was left out there would look like one that passed.
    pub(crate) fn find() -> Option<Self> {
        let chromium = ["chromium", "chromium-browser", "google-chrome"];
        let found = chromium.into_iter().find_map(on_path).and_then(|chromium| {
            let chromedriver = on_path("chromedriver")?;
            Some(Self {
                chromium,
                chromedriver,
            })
        });
        if found.is_none() {
            assert!(env::var_os("CI").is_none(), "{WHAT_IS_MISSING}");
            // Written past the test harness, which would keep it to itself.
            let line = format!("\nNOT TESTED: {WHAT_IS_MISSING}\n");
            io::stderr().write_all(line.as_bytes()).expect("a stderr");
        }
        found
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
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
    pub(crate) async fn start(programs: &Programs) -> Self {
        let mut driver = Driver::start(&programs.chromedriver);
        let profile = tempfile::tempdir().expect("a directory for temporary files");
        let mut args: Vec<String> = CHROMIUM_FLAGS.map(str::to_owned).into();
        args.push(format!("--user-data-dir={}", profile.path().display()));
        let options = json!({"binary": programs.chromium, "args": args});
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(
                [("goog:chromeOptions".to_owned(), options)]
                    .into_iter()
                    .collect(),
            )
            .connect(&format!("http://{}:{}", Ipv4Addr::LOCALHOST, driver.port))
            .await
            .expect("chromedriver starts Chromium");
        driver.browser = client
            .capabilities()
            .and_then(|capabilities| capabilities.get("goog:processID")?.as_u64());
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

    /// Types into what has the focus, as a keyboard does.
    pub(crate) async fn type_keys(&self, tab: &Tab, keys: &str) {
        let focused = self.to(tab).await.active_element().await;
        let focused = focused.expect("a page has an active element");
        focused.send_keys(keys).await.expect("a field to type in");
    }

    /// Makes the page so large, and a picture of it at `TARGET/tmp/NAME.png`.
    pub(crate) async fn picture(&self, tab: &Tab, name: &str, (width, height): (u32, u32)) {
        let client = self.to(tab).await;
        client.set_window_size(width, height).await.expect("a size");
        let script = "return innerWidth === arguments[0]";
        self.until(tab, script, json!([width])).await;
        let picture = client.screenshot().await.expect("a picture");
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
        fs::write(&path, picture).expect("a target directory that can be written to");
        eprintln!("a picture of the page: {}", path.display());
    }

    async fn to(&self, tab: &Tab) -> &Client {
        let switched = self.client.switch_to_window(tab.0.clone()).await;
        switched.expect("a tab that is open");
        &self.client
    }
}

/// chromedriver, on a port that it chose.
#[derive(Debug)]
struct Driver {
    child: Child,
    port: u16,
    /// The process id of the browser it started.
    browser: Option<u64>,
}

impl Driver {
    fn start(program: &Path) -> Self {
        let mut child = Command::new(program)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let stdout = child.stdout.take().expect("stdout is a pipe");
        Self {
            child,
            port: port_said_on(stdout),
            browser: None,
        }
    }

    /// Asks chromedriver to end, its browser first.
    fn ask_to_end(&self) -> io::Result<()> {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        socket.set_read_timeout(Some(ENDS_WITHIN))?;
        socket
            .write_all(b"GET /shutdown HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
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

/// `ChromeDriver was started successfully on port 38967.`
fn port_said_on(stdout: ChildStdout) -> u16 {
    let mut stdout = BufReader::new(stdout);
    let mut line = String::new();
    let port = loop {
        line.clear();
        let bytes = stdout
            .read_line(&mut line)
            .expect("chromedriver says where it listens");
        assert_ne!(bytes, 0, "chromedriver ended before it listened");
        let port = line
            .trim_end()
            .trim_end_matches('.')
            .rsplit_once("successfully on port ");
        if let Some((_, port)) = port {
            break port.parse().expect("a port is a number");
        }
    };
    // A pipe that is not read would stop the driver that writes to it.
    thread::spawn(move || io::copy(&mut stdout, &mut io::sink()));
    port
}
