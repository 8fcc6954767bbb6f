//! The engine on a medium that loses power, fails, fills up and forgets.
//!
//! Each run prints its seed where it fails. `EVENTWIRE_FAULT_SEEDS` sets how many seeds are
//! tried, each at every operation.

mod account;
mod backup;
mod compacted;
mod faults;
mod filing;
mod flips;
mod following;
mod indexes;
mod power;
mod reading;
mod repair;
mod retention;
mod workload;

pub(crate) use workload::open;

use std::ops::Range;
use std::thread;

use eventwire_store::{AppendError, Appended};

use crate::committer::Committer;
use crate::request::Request;

impl Committer {
    /// Commits a group of requests; each with what whoever asked is told.
    fn ask_all(&mut self, requests: Vec<Request>) -> Vec<(Request, Result<Appended, AppendError>)> {
        let requests: Vec<_> = requests.into_iter().map(Box::new).collect();
        let answers = self.commit(&requests);
        assert_eq!(answers.len(), requests.len());
        let told = requests.into_iter().zip(answers).map(|(request, answer)| {
            let told = answer.of(&request);
            (*request, told)
        });
        told.collect()
    }

    /// Commits a request alone.
    pub(crate) fn ask(&mut self, request: Request) -> Result<Appended, AppendError> {
        let (_, told) = self.ask_all(vec![request]).remove(0);
        told
    }
}

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
