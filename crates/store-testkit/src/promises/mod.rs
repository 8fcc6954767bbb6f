//! What every store promises, each promise a test: a function that panics where it is broken.
//!
//! [`conformance!`](crate::conformance) runs them all; [`run`](crate::run) runs one,
//! [`run_with`](crate::run_with) one about what not every store has and
//! [`run_reopening`](crate::run_reopening) one about what outlives the store.

pub mod atomicity;
pub mod backward;
pub mod boundaries;
pub mod cancelling;
pub mod checkpoints;
pub mod consuming;
pub mod durability;
pub mod epochs;
pub mod filters;
pub mod guards;
pub mod hostile;
pub mod idempotency;
pub mod limits;
pub mod order;
pub mod random;
pub mod reading;
pub mod retention;
pub mod snapshots;
pub mod storm;
pub mod subscribing;
pub mod versions;
pub mod waiting;
