//! What `EventSource` of real browsers makes of our streams (WHATWG HTML, section 9.2), and where
//! a browser reads otherwise than the standard says.

mod support {
    pub(crate) mod browser;
    pub(crate) mod driver;
    pub(crate) mod engine;
    pub(crate) mod installed;
    pub(crate) mod mishaps;
    pub(crate) mod port;
    pub(crate) mod screen;
    pub(crate) mod scripted;
    pub(crate) mod upstream;
}

use std::net::SocketAddr;
use std::time::Duration;

use eventwire::gateway::GatewayBuilder;
use serde_json::json;
use tokio::time::sleep;

use support::browser::{Browser, Engine, Programs, Tab};
use support::mishaps;
use support::scripted::Scripted;
use support::upstream::{SetUp, Upstream};

/// Signs of life come often, and clients come back soon.
fn lively(gateway: GatewayBuilder) -> GatewayBuilder {
    let retry = Some(Duration::from_millis(50));
    gateway.heartbeat(Duration::from_millis(100)).retry(retry)
}

const LIVELY: SetUp = SetUp {
    gateway: lively,
    is_compressing: false,
    is_taken_over: false,
};

/// Its streams end of age.
const AGEING: SetUp = SetUp {
    gateway: |gateway| lively(gateway).max_age(Duration::from_secs(1)),
    is_compressing: true,
    is_taken_over: false,
};

/// A page that listens, and writes down all it hears.
struct Listener<'a> {
    browser: &'a Browser,
    tab: Tab,
}

impl<'a> Listener<'a> {
    async fn at(browser: &'a Browser, server: SocketAddr, path: &str) -> Self {
        let tab = browser.open(&format!("http://{server}/")).await;
        let script = "window.heard = []; window.count = { opened: 0, failed: 0 };
            window.source = new EventSource(arguments[0]);
            source.onopen = () => count.opened++;
            source.onerror = () => count.failed++;
            for (const name of ['message', 'posted', 'eventwire.gap'])
                source.addEventListener(name, ({ type, data }) =>
                    heard.push(type === 'eventwire.gap' ? type : data));";
        browser.run(&tab, script, json!([path])).await;
        Self { browser, tab }
    }

    /// Waits until just this was heard, in this order.
    async fn hears(&self, all: &[&str]) {
        let until = "return heard.length >= arguments[0]";
        self.browser
            .until(&self.tab, until, json!([all.len()]))
            .await;
        let heard = self.browser.run(&self.tab, "return heard", json!([])).await;
        assert_eq!(heard, json!(all));
    }

    async fn counts(&self, counter: &str) -> u64 {
        let script = format!("return count.{counter}");
        let count = self.browser.run(&self.tab, &script, json!([])).await;
        count.as_u64().expect("a number")
    }

    async fn counts_at_least(&self, counter: &str, number: u64) {
        let script = format!("return count.{counter} >= arguments[0]");
        self.browser
            .until(&self.tab, &script, json!([number]))
            .await;
    }
}

async fn a_life(engine: Engine, is_taken_over: bool) {
    let Some(programs) = Programs::find(engine) else {
        return;
    };
    let browser = Browser::start(&programs).await;
    let set_up = SetUp {
        is_taken_over,
        ..LIVELY
    };
    let mut upstream = Upstream::start(set_up).await;
    let page = Listener::at(&browser, upstream.address(), "/events?from=start").await;

    // The first comment opens it, before there is an event.
    page.counts_at_least("opened", 1).await;
    upstream.publish("1").await;
    page.hears(&["1"]).await;

    // Some heartbeats later it is still the first connection.
    sleep(Duration::from_secs(1)).await;
    upstream.publish("2").await;
    page.hears(&["1", "2"]).await;
    assert_eq!(
        (page.counts("opened").await, page.counts("failed").await),
        (1, 0)
    );

    // The server says goodbye, and returns.
    upstream.end_streams().await;
    upstream.publish("3").await;
    page.hears(&["1", "2", "3"]).await;
    page.counts_at_least("opened", 2).await;

    // The connection is reset.
    mishaps::reset(&upstream);
    upstream.publish("4").await;
    page.hears(&["1", "2", "3", "4"]).await;
    page.counts_at_least("opened", 3).await;

    // The server is gone, and refuses connections for a while.
    upstream.stop().await;
    let failed = page.counts("failed").await;
    upstream.publish("5").await;
    page.counts_at_least("failed", failed + 2).await;
    upstream.start_again().await;
    page.hears(&["1", "2", "3", "4", "5"]).await;

    // It comes back with another log, and says so.
    mishaps::forget(&mut upstream).await;
    upstream.publish("anew").await;
    page.hears(&["1", "2", "3", "4", "5", "eventwire.gap", "anew"])
        .await;
}

/// Compressed ones, which have a last word after their last event.
async fn streams_of_age(engine: Engine) {
    let Some(programs) = Programs::find(engine) else {
        return;
    };
    let browser = Browser::start(&programs).await;
    let upstream = Upstream::start(AGEING).await;
    let page = Listener::at(&browser, upstream.address(), "/events?from=start").await;
    let script =
        "fetch('/events').then(({ headers }) => window.coding = headers.get('content-encoding'))";
    browser.run(&page.tab, script, json!([])).await;
    browser
        .until(&page.tab, "return window.coding === 'gzip'", json!([]))
        .await;

    let mut all = Vec::new();
    // For as long as it takes to come back twice. Each is heard before the next is made.
    while page.counts("opened").await < 3 {
        let number = all.len().to_string();
        upstream.publish(number.clone()).await;
        all.push(number);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        page.hears(&all).await;
        assert!(all.len() < 10_000, "the streams do not end");
    }
}

/// What a stream is, what a page hears of it, and the id it comes back with, by each browser.
struct Reading {
    streams: &'static [&'static str],
    chromium: (&'static [&'static str], Option<&'static str>),
    firefox: (&'static [&'static str], Option<&'static str>),
    webkit: (&'static [&'static str], Option<&'static str>),
}

const READINGS: [Reading; 4] = [
    Reading {
        streams: &["retry: 50\nid: 7\ndata: seven\n\n", "data: end\n\n"],
        chromium: (&["seven", "end"], Some("7")),
        firefox: (&["seven", "end"], Some("7")),
        webkit: (&["seven", "end"], Some("7")),
    },
    // 9.2.6, to dispatch an event: the last event id is set first, and only then is a block without data
    // dropped. Firefox and WebKit drop it before.
    Reading {
        streams: &["retry: 50\nid: 7\n\n", "data: end\n\n"],
        chromium: (&["end"], Some("7")),
        firefox: (&["end"], None),
        webkit: (&["end"], None),
    },
    // 9.2.6, field `id`: one that contains NUL is ignored, and its event is not. Firefox loses both.
    Reading {
        streams: &["retry: 50\nid: 7\0\ndata: nul\n\n", "data: end\n\n"],
        chromium: (&["nul", "end"], None),
        firefox: (&["end"], None),
        webkit: (&["nul", "end"], None),
    },
    // 9.2.6, end of file: what no blank line has ended is dropped, id included.
    Reading {
        streams: &[
            "retry: 50\nid: 7\ndata: seven\n\nid: 8\ndata: unfinished",
            "data: end\n\n",
        ],
        chromium: (&["seven", "end"], Some("7")),
        firefox: (&["seven", "end"], Some("7")),
        webkit: (&["seven", "end"], Some("7")),
    },
];

async fn readings(engine: Engine) {
    let Some(programs) = Programs::find(engine) else {
        return;
    };
    let browser = Browser::start(&programs).await;
    for reading in READINGS {
        let (heard, id) = match engine {
            Engine::Chromium => reading.chromium,
            Engine::Firefox => reading.firefox,
            Engine::WebKit => reading.webkit,
        };
        let server = Scripted::start(reading.streams).await;
        let page = Listener::at(&browser, server.address(), "/events").await;
        page.hears(heard).await;
        let asked = server.asked();
        assert_eq!(
            asked,
            [None, id.map(str::to_owned)],
            "{:?}",
            reading.streams
        );
    }
}

macro_rules! browsers {
    ($($name:ident: $engine:expr),* $(,)?) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_stream_goes_on_through_all_that_befalls_it() {
                a_life($engine, false).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_stream_that_was_taken_over_goes_on_as_well() {
                a_life($engine, true).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn compressed_streams_that_end_of_age_lose_nothing() {
                streams_of_age($engine).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn blocks_are_read_as_the_standard_says_or_as_we_know() {
                readings($engine).await;
            }
        }
    )*};
}

browsers! {
    chromium: Engine::Chromium,
    firefox: Engine::Firefox,
    webkit: Engine::WebKit,
}
