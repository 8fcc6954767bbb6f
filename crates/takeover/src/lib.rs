#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod alarms;
mod answer;
mod chunk;
mod group;
mod inbox;
#[cfg(all(test, loom_takeover))]
mod loom_tests;
mod member;
mod members;
mod roll;
mod serving;
mod shard;
mod sync;
mod task;
#[cfg(not(loom_takeover))]
#[cfg(test)]
mod tests;
mod writers;

pub use answer::Answer;
pub use serving::{Served, Serving, serve};
pub use writers::{WriterOptions, Writers};
