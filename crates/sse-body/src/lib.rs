#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod batch;
mod body;
mod encoded;
mod heartbeat;
mod last_event_id;
mod response;

pub use body::SseBody;
pub use encoded::Encoded;
pub use last_event_id::{LastEventId, LastEventIdError};
pub use response::SseResponse;
