//! A crate boundary is a dependency boundary: each crate may use what this table says, and
//! nothing else. Development dependencies are free.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Package, and what it may depend on. `docs/architecture.md` has the reasons.
const ALLOWED: [(&str, &[&str]); 13] = [
    (
        "eventwire-sse",
        &["bytes", "memchr", "serde", "serde_json", "simdutf8"],
    ),
    (
        "eventwire-sse-body",
        &[
            "axum-core",
            "bytes",
            "eventwire-sse",
            "flate2",
            "futures-core",
            "http",
            "http-body",
            "percent-encoding",
            "pin-project-lite",
            "tokio",
        ],
    ),
    ("eventwire-sse-hub", &["futures-core"]),
    (
        "eventwire-store",
        &[
            "bytes",
            "fastrand",
            "foldhash",
            "futures-core",
            "serde",
            "serde_json",
            "thiserror",
            "uuid",
            "xxhash-rust",
        ],
    ),
    (
        "eventwire-store-file",
        &[
            "bytes",
            "crc-fast",
            "eventwire-store",
            "foldhash",
            "hashbrown",
            "memmap2",
            "metrics",
            "rustix",
            "thiserror",
        ],
    ),
    (
        "eventwire-store-testkit",
        &[
            "bytes",
            "eventwire-store",
            "futures-core",
            "futures-executor",
            "proptest",
            "thiserror",
        ],
    ),
    (
        "eventwire-cqrs",
        &[
            "backon",
            "bytes",
            "eventwire-store",
            "foldhash",
            "futures-core",
            "metrics",
            "pin-project-lite",
            "serde",
            "serde_json",
            "smallvec",
            "thiserror",
            "tokio",
            "tower-layer",
            "tower-service",
            "tracing",
        ],
    ),
    (
        "eventwire-feed",
        &[
            "base64",
            "bytes",
            "eventwire-sse",
            "eventwire-sse-hub",
            "eventwire-store",
            "fastrand",
            "futures-core",
            "humantime",
            "metrics",
            "serde",
            "serde_json",
            "thiserror",
            "tokio",
            "tracing",
        ],
    ),
    (
        "eventwire-gateway",
        &[
            "base64",
            "bytes",
            "eventwire-cqrs",
            "eventwire-feed",
            "eventwire-sse",
            "eventwire-sse-body",
            "eventwire-store",
            "fastrand",
            "form_urlencoded",
            "futures-core",
            "http",
            "http-body",
            "http-body-util",
            "humantime",
            "percent-encoding",
            "pin-project-lite",
            "serde",
            "serde_json",
            "tokio",
            "tower-service",
            "tracing",
        ],
    ),
    (
        "eventwire-takeover",
        &[
            "bytes",
            "eventwire-feed",
            "eventwire-sse",
            "foldhash",
            "futures-core",
            "http",
            "http-body",
            "httpdate",
            "hyper",
            "pin-project-lite",
            "slab",
            "tokio",
            "tracing",
        ],
    ),
    (
        "eventwire",
        &[
            "eventwire-cqrs",
            "eventwire-feed",
            "eventwire-gateway",
            "eventwire-sse",
            "eventwire-sse-body",
            "eventwire-sse-hub",
            "eventwire-store",
            "eventwire-store-file",
            "eventwire-takeover",
        ],
    ),
    // Programs over all of them, not libraries: they may use what they like.
    ("eventwire-examples", &["*"]),
    ("eventwire-examples-frameworks", &["*"]),
];

#[test]
fn each_crate_depends_on_what_the_table_says_and_on_nothing_else() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> = ALLOWED
        .iter()
        .map(|(package, names)| (*package, names.iter().copied().collect()))
        .collect();
    let mut wrong = Vec::new();
    for (package, dependencies) in dependencies() {
        let Some(names) = allowed.get(package.as_str()) else {
            wrong.push(format!("{package} is not in the table"));
            continue;
        };
        if names.contains("*") {
            continue;
        }
        let extra = dependencies
            .iter()
            .filter(|name| !names.contains(name.as_str()));
        wrong.extend(extra.map(|name| format!("{package} may not depend on {name}")));
        let unused = names.iter().filter(|name| !dependencies.contains(**name));
        wrong.extend(
            unused.map(|name| {
                format!("{package} does not depend on {name}: take it out of the table")
            }),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each package of the workspace and what it depends on, development aside.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--manifest-path",
        ])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies");
            let names = dependencies
                .iter()
                .filter(|dependency| dependency["kind"] != "dev")
                .map(|dependency| text(&dependency["name"]))
                .collect();
            (text(&package["name"]), names)
        })
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}
