#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod control;
mod feed;
mod follow;
mod frames;
mod locate;
mod present;
mod pump;
mod ring;
mod topic;

pub use feed::{Feed, FeedOptions};
pub use follow::{Follow, From};
pub use frames::{FeedError, FrameStream};
pub use locate::{Gap, GapReason, Located, locate};
