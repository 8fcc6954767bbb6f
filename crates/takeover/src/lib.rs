#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod alarms;
mod answer;
mod chunk;
mod group;
mod member;
mod roll;
mod serving;
mod shard;
mod task;
#[cfg(test)]
mod tests;
mod wakes;
mod writers;

pub use answer::Answer;
pub use serving::{Served, Serving, serve};
pub use writers::{WriterOptions, Writers};
