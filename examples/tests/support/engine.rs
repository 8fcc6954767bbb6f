//! Browsers of three engines, and the programs that drive them.

use std::path::{Path, PathBuf};

use fantoccini::wd::Capabilities;
use serde_json::{Value, json};

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
    /// What Safari and Epiphany are made of, in the browser that comes with its GTK library.
    WebKit,
}

/// Where the programs are.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(super) engine: Engine,
    pub(super) driver: PathBuf,
    /// The browser; for WebKit the screen it shows itself on, and the driver knows the browser.
    pub(super) shown: PathBuf,
}

impl Programs {
    /// None where one is missing, as [`installed`] has it.
    pub(crate) fn find(engine: Engine) -> Option<Self> {
        let (shown, packages): (&[&str], _) = match engine {
            Engine::Chromium => (
                &["chromium", "chromium-browser", "google-chrome"],
                "apt-get install chromium chromium-driver",
            ),
            Engine::Firefox => (
                &["firefox-esr", "firefox"],
                "apt-get install firefox-esr; cargo install geckodriver",
            ),
            Engine::WebKit => (&["Xvfb"], "apt-get install webkit2gtk-driver xvfb"),
        };
        Some(Self {
            engine,
            shown: installed(shown, packages)?,
            driver: installed(&[engine.driver()], packages)?,
        })
    }

    /// What to ask the driver for: a browser with this profile, that takes any certificate.
    pub(super) fn capabilities(&self, profile: &Path) -> Capabilities {
        let any_certificate = ("acceptInsecureCerts".to_owned(), true.into());
        let options = self.options(profile);
        let options = options.map(|(engine, options)| (engine.to_owned(), options));
        [any_certificate].into_iter().chain(options).collect()
    }

    fn options(&self, profile: &Path) -> Option<(&'static str, Value)> {
        match self.engine {
            Engine::Chromium => {
                let mut args: Vec<String> = CHROMIUM_FLAGS.map(str::to_owned).into();
                args.push(format!("--user-data-dir={}", profile.display()));
                let options = json!({"binary": self.shown, "args": args});
                Some(("goog:chromeOptions", options))
            }
            Engine::Firefox => {
                let preferences: serde_json::Map<_, _> = FIREFOX_PREFERENCES
                    .map(|(name, is_on)| (name.to_owned(), is_on.into()))
                    .into_iter()
                    .collect();
                let options =
                    json!({"binary": self.shown, "args": ["-headless"], "prefs": preferences});
                Some(("moz:firefoxOptions", options))
            }
            Engine::WebKit => None,
        }
    }
}

impl Engine {
    fn driver(self) -> &'static str {
        match self {
            Self::Chromium => "chromedriver",
            Self::Firefox => "geckodriver",
            Self::WebKit => "WebKitWebDriver",
        }
    }

    /// The capability that tells the browser's process id.
    pub(super) fn process_id(self) -> Option<&'static str> {
        match self {
            Self::Chromium => Some("goog:processID"),
            Self::Firefox => Some("moz:processID"),
            Self::WebKit => None,
        }
    }

    /// What stands before the port where the driver says that it listens; None where it says
    /// nothing, and has to be told a port.
    pub(super) fn before_port(self) -> Option<&'static str> {
        match self {
            Self::Chromium => Some("successfully on port "),
            Self::Firefox => Some("Listening on 127.0.0.1:"),
            Self::WebKit => None,
        }
    }
}
