#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "axum")]
mod axum;
mod batch;
mod body;
mod byte_stream;
mod encoded;
mod heartbeat;
mod last_event_id;
mod reader;
mod received;
mod response;

pub use body::SseBody;
pub use byte_stream::ByteStream;
pub use encoded::Encoded;
pub use last_event_id::{LastEventId, LastEventIdError};
pub use reader::EventReader;
pub use received::{Message, Received};
pub use response::{SseResponse, head};
