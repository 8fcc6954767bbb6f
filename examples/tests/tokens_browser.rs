//! The page of the tokens server in a real browser: reloaded in the middle of an answer, and left
//! alone with a server that was killed there.

mod support {
    pub(crate) mod browser;
    pub(crate) mod driver;
    pub(crate) mod engine;
    pub(crate) mod installed;
    pub(crate) mod port;
    pub(crate) mod program;
    pub(crate) mod screen;
    pub(crate) mod tokens;
}

use serde_json::json;

use support::browser::{Browser, Engine, Programs, Tab};
use support::tokens::{LENGTH, Place, expected};

const PROMPT: &str = "tell me of <b>tokens</b> & kings";

const ASK: &str = "const form = document.querySelector('form');
    form.prompt.value = arguments[0];
    form.requestSubmit();";

/// After how many tokens the page is reloaded.
const RELOADS: [usize; 3] = [1, 6, 12];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_shows_each_token_once_through_reloads_and_a_killed_server() {
    each_token_once(Engine::Chromium).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_shows_each_token_once_in_firefox() {
    each_token_once(Engine::Firefox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_shows_each_token_once_in_webkit() {
    each_token_once(Engine::WebKit).await;
}

async fn each_token_once(engine: Engine) {
    let Some(programs) = Programs::find(engine) else {
        return;
    };
    let place = Place::new();
    // So slow that the answer is under way until the server is killed.
    let server = place.start("700ms");
    let browser = Browser::start(&programs).await;
    let tab = browser.open(&place.base()).await;
    browser.run(&tab, ASK, json!([PROMPT])).await;

    let expected = expected(PROMPT);
    for tokens in RELOADS {
        has(&browser, &tab, tokens).await;
        let shown = shown(&browser, &tab).await;
        assert_eq!(shown, expected[..shown.len()]);
        assert!(shown.len() < LENGTH, "it is in the middle");
        let tab = browser.to(&tab).await;
        tab.refresh().await.expect("a page that loads");
    }
    has(&browser, &tab, RELOADS[2] + 1).await;
    drop(server);
    is_told(&browser, &tab, "The server is away.").await;
    let _server = place.start("1ms");
    is_told(&browser, &tab, "That is all.").await;
    assert_eq!(shown(&browser, &tab).await, expected);

    // And is the same to one who comes late.
    browser.to(&tab).await.refresh().await.expect("a page");
    is_told(&browser, &tab, "That is all.").await;
    assert_eq!(shown(&browser, &tab).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_can_stop_its_answer() {
    let Some(programs) = Programs::find(Engine::Chromium) else {
        return;
    };
    let place = Place::new();
    let server = place.start("200ms");
    let browser = Browser::start(&programs).await;
    let tab = browser.open(&place.base()).await;
    browser.run(&tab, ASK, json!([PROMPT])).await;
    has(&browser, &tab, 2).await;
    let stop = "document.querySelector('#stop').click()";
    browser.run(&tab, stop, json!([])).await;
    is_told(&browser, &tab, "Stopped.").await;
    let shown = shown(&browser, &tab).await;
    assert_eq!(shown, expected(PROMPT)[..shown.len()]);
    server.logs("stopped, or written by another");
}

/// Waits for so many tokens.
async fn has(browser: &Browser, tab: &Tab, tokens: usize) {
    let script = "return document.querySelector('#answer').childNodes.length >= arguments[0]";
    browser.until(tab, script, json!([tokens])).await;
}

async fn is_told(browser: &Browser, tab: &Tab, state: &str) {
    let script = "return document.querySelector('#state').textContent === arguments[0]";
    browser.until(tab, script, json!([state])).await;
}

/// The tokens of the page, in their order. Each is a text of its own; markup would be none.
async fn shown(browser: &Browser, tab: &Tab) -> Vec<String> {
    let script = "return [...document.querySelector('#answer').childNodes]
        .map((node) => node.nodeType === Node.TEXT_NODE ? node.data : node.outerHTML)";
    let shown = browser.run(tab, script, json!([])).await;
    serde_json::from_value(shown).expect("a list of texts")
}
