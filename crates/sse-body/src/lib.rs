#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "gzip")]
mod accept_encoding;
#[cfg(feature = "axum")]
mod axum;
mod batch;
mod body;
mod byte_stream;
#[cfg(feature = "tokio")]
mod channel;
#[cfg(feature = "gzip")]
mod compressed;
mod encoded;
mod heartbeat;
#[cfg(feature = "tokio")]
mod joined_writes;
mod last_event_id;
mod reader;
mod response;

pub use body::SseBody;
pub use byte_stream::ByteStream;
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub use channel::{Disconnected, FrameReceiver, FrameSender, TrySendError, channel};
#[cfg(feature = "gzip")]
pub use compressed::{Compressed, compress};
pub use encoded::Encoded;
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub use joined_writes::JoinedWrites;
pub use last_event_id::{LastEventId, LastEventIdError};
pub use reader::EventReader;
pub use response::{SseResponse, head};
