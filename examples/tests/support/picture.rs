//! Pictures of pages, for people to look at.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::browser::{Browser, Tab};

/// Makes the page so large, and a picture of it at `TARGET/tmp/NAME.png`.
pub(crate) async fn take(browser: &Browser, tab: &Tab, name: &str, (width, height): (u32, u32)) {
    let client = browser.to(tab).await;
    client.set_window_size(width, height).await.expect("a size");
    let script = "return innerWidth === arguments[0]";
    browser.until(tab, script, json!([width])).await;
    let picture = client.screenshot().await.expect("a picture");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
    fs::write(&path, picture).expect("a target directory that can be written to");
    eprintln!("a picture of the page: {}", path.display());
}
