#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod answer;
mod backup;
mod batch;
mod boundary;
mod checkpoints;
mod committer;
mod compaction;
mod dropped;
mod engine;
mod error;
mod filing;
mod follower;
mod format;
mod identity;
mod index;
mod inspection;
mod judge;
mod log;
#[cfg(all(test, loom))]
mod loom_tests;
mod notes;
mod number;
mod options;
mod plan;
mod queue;
mod reader;
mod recovery;
mod repair;
mod report;
mod request;
mod rewriting;
mod run;
mod scan;
mod segment;
mod shown;
mod snapshots;
mod stat;
mod state;
mod storage;
mod store;
mod stubs;
mod sweep;
mod sync;
#[cfg(test)]
mod tests;
mod trail;
mod trimming;
mod verify;
mod view;
mod window;
mod writer;

pub use backup::{Backup, CopyError, Original, backup, restore};
pub use compaction::Compacted;
pub use error::{Damage, OpenError};
pub use follower::FileFollower;
pub use options::FileOptions;
pub use reader::LogReader;
pub use recovery::Recovery;
pub use repair::{GiveUp, RepairError, Repaired, repair};
pub use report::{Finding, Meaning, Progress, Report};
pub use stat::{Stat, stat};
pub use store::FileStore;
pub use verify::{VerifyError, verify};
pub use view::{EventBatch, EventView, Events, TagViews};
