#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod hub;
mod listing;
mod ring;
mod roster;
mod runs;
mod subscription;
mod sync;
mod topic;

pub use hub::Hub;
pub use ring::Capacity;
pub use runs::Runs;
pub use subscription::{Lagged, Subscription};
pub use topic::{Interest, Topic, Topics};

#[cfg(all(test, loom))]
mod loom_tests;
