//! Real processes that write and meet an end: by a signal, by the power of the file system they
//! write to, by a system call that fails. What they said was written is there.
//!
//! `docs/testing.md` says what each proves, and how it is made to run longer.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod kill;
mod ledger;
mod load;
mod machine;
mod power_cut;
mod system_calls;

use std::env;

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// What the random choices of a test follow from. The schedule of the machine does not.
fn seed() -> u64 {
    number("EVENTWIRE_SEED", fastrand::u64(..))
}
