//! A browser that nobody looks at, driven through its driver, that leaves nothing behind.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use fantoccini::wd::WindowHandle;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use super::driver::Driver;
pub(crate) use super::engine::{Engine, Programs};

/// Long enough for a busy machine; nothing waits so long that goes well.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(25);

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
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(programs.capabilities(profile.path()))
            .connect(&format!("http://{}:{}", Ipv4Addr::LOCALHOST, driver.port()))
            .await
            .expect("the driver starts its browser");
        let session = client.session_id().await.expect("a session that is open");
        driver.has_begun(session, client.capabilities());
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
