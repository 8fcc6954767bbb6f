#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod batch;
mod body;
mod encoded;
mod heartbeat;
mod last_event_id;
mod reader;
mod received;
mod response;

pub use body::SseBody;
pub use encoded::Encoded;
pub use last_event_id::{LastEventId, LastEventIdError};
pub use reader::EventReader;
pub use received::{Message, Received};
pub use response::{SseResponse, head};
