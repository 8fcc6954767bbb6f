#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod boundary;
mod checkpoints;
mod committer;
mod dropped;
mod engine;
mod error;
mod filing;
mod format;
mod identity;
mod index;
mod judge;
mod log;
mod notes;
mod number;
mod options;
mod plan;
mod queue;
mod recovery;
mod reply;
mod request;
mod scan;
mod segment;
mod snapshots;
mod state;
mod storage;
mod store;
#[cfg(test)]
mod tests;
mod trimming;
mod window;
mod writer;

pub use error::{Damage, OpenError};
pub use options::FileOptions;
pub use recovery::Recovery;
pub use store::FileStore;
