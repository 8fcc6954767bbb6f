//! The engine on a medium that loses power, fails, fills up and forgets.
//!
//! Each run prints its seed where it fails. `EVENTWIRE_FAULT_SEEDS` sets how many seeds are
//! tried, each at every operation.

mod account;
mod backup;
mod compacted;
mod faults;
mod flips;
mod following;
mod indexes;
mod power;
mod repair;
mod retention;
mod workload;

pub(crate) use workload::open;

use std::ops::Range;
use std::thread;

fn seeds(default: u64) -> Range<u64> {
    let number = std::env::var("EVENTWIRE_FAULT_SEEDS").map_or(default, |text| {
        text.parse().expect("EVENTWIRE_FAULT_SEEDS is a number")
    });
    0..number
}

/// Says which run it was that failed.
struct Run(String);

impl Drop for Run {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("failed in: {}", self.0);
        }
    }
}
