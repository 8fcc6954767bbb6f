#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod accept;
mod allow;
mod append;
mod authorize;
mod body;
mod command;
mod event_json;
mod events;
mod failure;
mod gateway;
mod open_streams;
mod page;
mod precondition;
mod principal;
mod problem;
mod query;
mod receipt;
mod request;
mod route;
mod steps;
mod streaming;

pub use authorize::{Authorize, Authorizing, Denial};
pub use body::GatewayBody;
pub use gateway::{Gateway, GatewayBuilder, GatewayFuture};
pub use open_streams::PeerAddress;
pub use principal::Principal;
pub use problem::PROBLEM_TYPE;
pub use streaming::Streaming;
