//! Programs that tests need and cargo cannot bring.

use std::env;
use std::io::{self, Write as _};
use std::path::PathBuf;

/// Where servers are that only root is expected to start.
const SYSTEM_PROGRAMS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// Where a program is, by the first of its names that is there. None where it is missing, which is
/// said aloud, with `how_to_get_it`.
///
/// # Panics
/// Where it is missing under continuous integration, that is with `CI` set: a test that was left
/// out there would look like one that passed.
pub(crate) fn installed(names: &[&str], how_to_get_it: &str) -> Option<PathBuf> {
    let found = names.iter().find_map(|name| on_path(name));
    if found.is_none() {
        let missing = format!("{} is missing: {how_to_get_it}", names[0]);
        assert!(env::var_os("CI").is_none(), "{missing}");
        // Written past the test harness, which would keep it to itself.
        let line = format!("\nNOT TESTED: {missing}\n");
        io::stderr().write_all(line.as_bytes()).expect("a stderr");
    }
    found
}

fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .chain(SYSTEM_PROGRAMS.map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}
