//! The examples as programs.

use std::collections::HashMap;
use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// An example's executable, built like the test itself: `TARGET/PROFILE/examples/NAME` beside
/// `TARGET/PROFILE/deps/this_test`.
pub(crate) fn program(name: &'static str) -> PathBuf {
    static BUILT: Mutex<Option<HashMap<&str, PathBuf>>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let built = built.get_or_insert_default();
    built.entry(name).or_insert_with(|| build(name)).clone()
}

fn build(name: &str) -> PathBuf {
    let this_test = env::current_exe().expect("a test has a path");
    let [_deps, built, target] = this_test.ancestors().skip(1).take(3).collect::<Vec<_>>()[..]
    else {
        panic!("{} is not in a target directory", this_test.display());
    };
    let profile = match built.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(other) => other,
        None => panic!("{} names no profile", built.display()),
    };
    // The whole workspace, so that the features are those of `cargo test --workspace`, and
    // what that has built need not be built again.
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--workspace", "--example", name])
        .args(["--profile", profile, "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo starts");
    assert!(status.success(), "the {name} example does not build");
    built.join("examples").join(name)
}
