use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The bit of the capability to mount file systems, in Linux's `capability.h`.
const SYS_ADMIN: u32 = 21;

/// Whether programs are there that a test needs; said aloud where one is missing.
///
/// # Panics
/// Where one is missing under continuous integration, that is with `CI` set: a test that was
/// left out there would look like one that passed.
pub(crate) fn has(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| on_path(program).is_none());
    let Some(program) = missing else {
        return true;
    };
    assert!(env::var_os("CI").is_none(), "there is no {program}");
    not_tested(&format!("there is no {program}"));
    false
}

/// Whether file systems can be made and mounted here; said aloud where not. A machine that has
/// the right and the device, and then fails, fails the test.
pub(crate) fn can_mount() -> bool {
    let is_allowed = effective_capabilities() & (1 << SYS_ADMIN) != 0;
    let has_loop = Path::new("/dev/loop-control").exists();
    if !is_allowed {
        not_tested("mounting a file system takes root");
    } else if !has_loop {
        not_tested("there is no loop device");
    }
    is_allowed && has_loop
}

fn effective_capabilities() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bits = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    bits.map_or(0, |bits| u64::from_str_radix(bits.trim(), 16).unwrap())
}

/// Written past the test harness, which would keep it to itself.
pub(crate) fn not_tested(why: &str) {
    let line = format!("\nNOT TESTED: {why}\n");
    io::stderr().write_all(line.as_bytes()).unwrap();
}

fn on_path(program: &str) -> Option<PathBuf> {
    // Of root, which may have a user's path.
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(system)
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}
