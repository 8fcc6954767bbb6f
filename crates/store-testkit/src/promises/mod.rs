//! What every store promises, each promise a test: a function that panics where it is broken.
//!
//! [`conformance!`](crate::conformance) runs them all; [`run`](crate::run) runs one.

pub mod atomicity;
pub mod boundaries;
pub mod durability;
pub mod guards;
pub mod idempotency;
pub mod order;
pub mod versions;
