#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod control;
mod feed;
mod follow;
mod frames;
mod locate;
mod offer;
mod present;
mod pump;
mod ring;
mod sharing;
mod topic;

pub use feed::{Feed, FeedOptions};
pub use follow::{Follow, From};
pub use frames::{FeedError, FrameStream};
pub use locate::{Gap, GapReason, Located, locate};
pub use offer::Offer;
pub use sharing::{Common, Merge};
