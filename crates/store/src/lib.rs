#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod append;
pub mod backend;
mod checkpoint;
mod chunk;
mod cursor;
mod error;
mod event;
mod event_stream;
mod future;
mod memory;
#[cfg(feature = "json")]
mod metadata;
mod name;
mod position;
mod query;
mod read;
mod retention;
mod snapshot;
mod store;
mod text;

pub use append::{Append, Appended, Durability, Expect, Fingerprint, Guard};
pub use checkpoint::CheckpointStore;
pub use chunk::Chunk;
pub use cursor::{Cursor, Epoch, ParseCursorError};
pub use error::{Actual, AppendError, Cause, Conflict, InvalidAppend, KeepError, ReadError};
pub use event::{NewEvent, NewEventParts, RecordedEvent, StreamPlace};
pub use event_stream::EventStream;
pub use future::StoreFuture;
pub use memory::MemoryStore;
#[cfg(feature = "json")]
pub use metadata::Metadata;
pub use name::{
    Category, Consumer, EventType, IdempotencyKey, MAX_NAME_BYTES, NameError, SnapshotName,
    StreamName, Tag,
};
pub use position::{ParsePositionError, Position, Version};
pub use query::{EventRef, Query, QueryItem, Scope};
pub use read::{Direction, Item, ReadOptions, Start};
pub use retention::{Keep, Retention, Trimmed};
pub use snapshot::{Snapshot, SnapshotStore};
pub use store::{Capabilities, EventStore, Limits, Recalled, Survives};
pub use uuid::Uuid;
