#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

mod conformance;
mod harness;
mod history;
mod life;
mod lockstep;
mod model;
mod operation;
mod optional;
pub mod promises;
mod recorder;
mod sample;
mod subject;
mod threads;
mod watchdog;

pub use conformance::{PROMISES, Promise, run, run_reopening, run_with};
#[doc(hidden)]
pub use eventwire_store;
pub use harness::{Fresh, Harness, Reopen};
pub use history::{Attempt, Broken, History, Reader};
pub use life::Life;
pub use lockstep::{Disagreement, Lockstep};
pub use model::{Model, ModelStore};
pub use operation::Operation;
pub use recorder::{Recorded, Recorder};
pub use subject::{Follower, Subject};
