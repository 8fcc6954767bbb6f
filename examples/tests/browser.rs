//! The chat page in a real browser: what its users see while the server dies and comes back.

mod support {
    pub(crate) mod browser;
    pub(crate) mod chat;
    pub(crate) mod driver;
    pub(crate) mod engine;
    pub(crate) mod http;
    pub(crate) mod installed;
    pub(crate) mod mode;
    pub(crate) mod picture;
    pub(crate) mod port;
    pub(crate) mod program;
    pub(crate) mod refusing;
    pub(crate) mod screen;
}

use std::time::Duration;

use fantoccini::key::Key;
use http::StatusCode;
use serde_json::{Value, json};

use support::browser::{Browser, Engine, Programs, Tab};
use support::chat::Place;
use support::http::{Http, Message};
use support::mode::{Mode, in_both_modes};
use support::picture;
use support::refusing::Refusing;

in_both_modes! {
    two_tabs_talk_on_through_a_killed_server,
    two_tabs_talk_on_through_a_killed_server_in_firefox,
    two_tabs_talk_on_through_a_killed_server_in_webkit,
    a_message_outlives_the_page_it_was_typed_in,
    a_refused_message_can_be_sent_again_or_given_up,
    a_log_that_was_replaced_is_shown_from_its_beginning,
}

const DESKTOP: (u32, u32) = (1280, 800);
const PHONE: (u32, u32) = (390, 844);

const LONGEST_ABSENCE: Duration = Duration::from_secs(30);

/// How many messages each tab has on its way when the server is killed.
const BURST: usize = 40;

/// Markup that would run if any of it were taken for markup.
const HOSTILE: &str =
    r#"<img src=x onerror="pwned=1"><script>pwned=1</script></li><b>&amp; javascript:pwned=1"#;

/// What a tab finds at the server's address after the kill.
#[derive(Debug, Clone, Copy)]
enum Absence {
    /// Nobody: an `EventSource` tries again by itself.
    Nobody,
    /// A `503` to everything: an `EventSource` gives up for good, and the page makes another.
    Refusal,
}

async fn two_tabs_talk_on_through_a_killed_server(mode: Mode) {
    two_tabs(Engine::Chromium, mode).await;
}

async fn two_tabs_talk_on_through_a_killed_server_in_firefox(mode: Mode) {
    two_tabs(Engine::Firefox, mode).await;
}

async fn two_tabs_talk_on_through_a_killed_server_in_webkit(mode: Mode) {
    two_tabs(Engine::WebKit, mode).await;
}

async fn two_tabs(engine: Engine, mode: Mode) {
    let Some(programs) = Programs::find(engine) else {
        return;
    };
    let place = Place::new(mode);
    let mut server = place.start();
    let first = Http::of(&place)
        .post("first", "Eve", "I was here first")
        .await;
    assert_eq!(first.expect("an answer").0, StatusCode::OK);

    let browser = Browser::start(&programs).await;
    let mut ada = Person::enter(&browser, &place, "Ada").await;
    let mut grace = Person::enter(&browser, &place, "Grace").await;
    ada.sees("I was here first").await;
    grace.sees("I was here first").await;

    ada.types("Is anybody there?").await;
    grace.sees("Is anybody there?").await;
    grace.types(HOSTILE).await;
    ada.sees(HOSTILE).await;
    ada.sees_text_alone().await;

    for absence in [Absence::Nobody, Absence::Refusal] {
        ada.says_at_once((0..BURST).map(|n| format!("{absence:?} {n}")))
            .await;
        grace
            .says_at_once((0..BURST).map(|n| format!("{absence:?} {n}")))
            .await;
        ada.sees(&format!("{absence:?} {}", BURST / 4)).await;
        server.kill();
        for person in [&mut ada, &mut grace] {
            person.is("reconnecting").await;
            person.types("Are you still there?").await;
            person.has_on_its_way("Are you still there?").await;
        }
        if let Absence::Refusal = absence {
            // Only an EventSource that the page has made anew asks like this.
            let mut refusing = Refusing::at(place.address());
            refusing.wait_for(["last_event_id=", "person=Ada"], LONGEST_ABSENCE);
            refusing.wait_for(["last_event_id=", "person=Grace"], LONGEST_ABSENCE);
        }
        server = place.start();
        for person in [&ada, &grace] {
            person.is("live").await;
            person.has_nothing_on_its_way().await;
        }
    }
    ada.types("Nothing is lost.").await;
    ada.sees("Nothing is lost.").await;
    grace.sees("Nothing is lost.").await;

    let log = Http::of(&place).history().await;
    assert_eq!(ada.shown().await, log);
    assert_eq!(grace.shown().await, log);
    assert_eq!(said_by("Ada", &log), ada.said);
    assert_eq!(said_by("Grace", &log), grace.said);
    assert_eq!(log.len(), 1 + ada.said.len() + grace.said.len());

    if engine == Engine::Chromium {
        // Firefox makes no window as narrow as a phone.
        picture::take(&browser, &grace.tab, "chat-desktop", DESKTOP).await;
        picture::take(&browser, &ada.tab, "chat-phone", PHONE).await;
        ada.sees_the_whole_width().await;
    }

    let (status, took) = server.terminate();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(2), "it took {took:?}");
    ada.is("reconnecting").await;
    ada.types("Come back!").await;
    ada.has_on_its_way("Come back!").await;
    if engine == Engine::Chromium {
        picture::take(&browser, &ada.tab, "chat-away", PHONE).await;
    }
}

async fn a_message_outlives_the_page_it_was_typed_in(mode: Mode) {
    let Some(programs) = Programs::find(Engine::Chromium) else {
        return;
    };
    let place = Place::new(mode);
    let server = place.start();
    let browser = Browser::start(&programs).await;
    let mut ada = Person::enter(&browser, &place, "Ada").await;
    server.kill();
    ada.types("Keep this").await;
    ada.has_on_its_way("Keep this").await;

    browser.go(&ada.tab, "about:blank").await;
    let _server = place.start();
    browser.go(&ada.tab, &page_of(&place, "Ada")).await;
    ada.sees("Keep this").await;
    ada.has_nothing_on_its_way().await;
    assert_eq!(ada.shown().await, Http::of(&place).history().await);
    assert_eq!(ada.shown().await.len(), 1);
}

async fn a_refused_message_can_be_sent_again_or_given_up(mode: Mode) {
    let Some(programs) = Programs::find(Engine::Chromium) else {
        return;
    };
    let place = Place::new(mode);
    let _server = place.start();
    let http = Http::of(&place);
    let browser = Browser::start(&programs).await;
    let mut ada = Person::enter(&browser, &place, "Ada").await;
    for (command, text, choice) in [
        ("reopen-room", "Let me in", "Try again"),
        ("reopen-room", "Never mind", "Discard"),
    ] {
        let closed = http
            .command("close-room", &format!("close, {text}"), json!({}))
            .await;
        assert_eq!(closed.expect("an answer").0, StatusCode::OK);
        ada.types(text).await;
        ada.is_told("the room is closed").await;
        let opened = http
            .command(command, &format!("open, {text}"), json!({}))
            .await;
        assert_eq!(opened.expect("an answer").0, StatusCode::OK);
        ada.presses(choice).await;
        ada.has_nothing_on_its_way().await;
    }
    assert_eq!(said_by("Ada", &http.history().await), ["Let me in"]);
    assert_eq!(ada.shown().await, http.history().await);
}

async fn a_log_that_was_replaced_is_shown_from_its_beginning(mode: Mode) {
    let Some(programs) = Programs::find(Engine::Chromium) else {
        return;
    };
    let place = Place::new(mode);
    let server = place.start();
    let browser = Browser::start(&programs).await;
    let mut ada = Person::enter(&browser, &place, "Ada").await;
    ada.types("In the old log").await;
    ada.sees("In the old log").await;
    server.kill();

    let place = Place::at(place.address(), mode);
    let _server = place.start();
    ada.types("In the new log").await;
    ada.sees("In the new log").await;
    assert_eq!(ada.shown().await, Http::of(&place).history().await);
    assert_eq!(ada.shown().await.len(), 1);
}

/// Someone in the lobby, by a tab.
struct Person<'a> {
    browser: &'a Browser,
    tab: Tab,
    said: Vec<String>,
}

impl<'a> Person<'a> {
    async fn enter(browser: &'a Browser, place: &Place, name: &str) -> Self {
        let tab = browser.open(&page_of(place, name)).await;
        let person = Self {
            browser,
            tab,
            said: Vec::new(),
        };
        person.is("live").await;
        let script = "author.value = arguments[0]; author.dispatchEvent(new Event('change'))";
        browser.run(&person.tab, script, json!([name])).await;
        person
    }

    /// With the keyboard.
    async fn types(&mut self, text: &str) {
        let script = "document.getElementById('text').focus()";
        self.browser.run(&self.tab, script, json!([])).await;
        let keys = format!("{text}{}", char::from(Key::Enter));
        let focused = self.browser.to(&self.tab).await.active_element().await;
        let focused = focused.expect("a page has an active element");
        focused.send_keys(&keys).await.expect("a field to type in");
        self.said.push(text.to_owned());
    }

    /// Faster than a keyboard: all of it is on its way when this returns.
    async fn says_at_once(&mut self, texts: impl Iterator<Item = String>) {
        let texts: Vec<String> = texts.collect();
        let script = "for (const said of arguments[0]) {
            document.getElementById('text').value = said;
            document.getElementById('composer').requestSubmit();
        }";
        self.browser.run(&self.tab, script, json!([texts])).await;
        self.said.extend(texts);
    }

    async fn presses(&self, button: &str) {
        let script = "[...document.querySelectorAll('button')]
            .find((button) => button.textContent === arguments[0]).click()";
        self.browser.run(&self.tab, script, json!([button])).await;
    }

    async fn sees(&self, text: &str) {
        self.finds("#messages .text", text).await;
    }

    async fn has_on_its_way(&self, text: &str) {
        self.finds("#outbox .text", text).await;
    }

    async fn is_told(&self, reason: &str) {
        self.finds("#outbox [role=alert]", &format!("Not sent: {reason}"))
            .await;
    }

    async fn is(&self, state: &str) {
        self.finds(&format!("#connection[data-state={state}]"), "*")
            .await;
    }

    async fn has_nothing_on_its_way(&self) {
        let script = "return document.querySelector('#outbox').childElementCount === 0";
        self.browser.until(&self.tab, script, json!([])).await;
    }

    /// Waits for an element of this text, whatever it is where `*` is asked for.
    async fn finds(&self, selector: &str, text: &str) {
        let script = "const [selector, text] = arguments;
            return [...document.querySelectorAll(selector)]
                .some((element) => text === '*' || element.textContent === text)";
        self.browser
            .until(&self.tab, script, json!([selector, text]))
            .await;
    }

    /// Whatever was posted, the list holds what the page itself is made of.
    async fn sees_text_alone(&self) {
        let script = "return window.pwned === undefined
            && document.querySelector('#messages :not(li, p, span, time)') === null";
        assert_eq!(self.browser.run(&self.tab, script, json!([])).await, true);
    }

    async fn sees_the_whole_width(&self) {
        let script = "const { scrollWidth, clientWidth } = document.documentElement;
            return scrollWidth === clientWidth";
        assert_eq!(self.browser.run(&self.tab, script, json!([])).await, true);
    }

    /// Every message of the page, in its order.
    async fn shown(&self) -> Vec<Message> {
        let script = "return [...document.querySelectorAll('#messages .message')]
            .map(({ dataset, children: [head, text] }) =>
                ({ id: dataset.id, author: head.firstChild.textContent, text: text.textContent }))";
        let shown = self.browser.run(&self.tab, script, json!([])).await;
        let Value::Array(shown) = shown else {
            panic!("a list of messages, not {shown}");
        };
        let message = |shown: Value| {
            let id = shown["id"]
                .as_str()
                .expect("a message has an id")
                .to_owned();
            Message::of_payload(id, shown)
        };
        shown.into_iter().map(message).collect()
    }
}

/// `person` is of no meaning to the page; it tells whose requests are whose.
fn page_of(place: &Place, name: &str) -> String {
    format!("http://{}/?room=lobby&person={name}", place.address())
}

fn said_by(author: &str, log: &[Message]) -> Vec<String> {
    log.iter()
        .filter(|message| message.author == author)
        .map(|message| message.text.clone())
        .collect()
}
