#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod cloud_event;
mod control;
mod encode;
mod feed;
mod follow;
mod frames;
mod locate;
mod looks;
mod meters;
mod offer;
mod present;
mod presentation;
mod pump;
mod ring;
mod sharing;
mod topic;

pub use cloud_event::CloudEvent;
pub use encode::Format;
pub use feed::{Feed, FeedOptions};
pub use follow::{Follow, From};
pub use frames::{FeedError, FrameStream};
pub use locate::{Gap, GapReason, Located, locate};
pub use meters::Ending;
pub use offer::{Offer, Offered, OfferedFrames};
pub use present::{Look, Present, View, Views};
pub use sharing::{Common, Merge, Part};
