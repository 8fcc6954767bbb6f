#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]

extern crate alloc;

mod block;
mod bytes_parser;
mod decimal;
mod engine;
mod event;
mod event_head;
mod event_id;
mod event_name;
mod event_ref;
mod field;
mod frame;
mod item;
mod limits;
mod line;
mod lines;
mod message;
mod parser;
mod scan;
mod segments;
mod source;
mod text;

pub use bytes_parser::BytesParser;
pub use event::Event;
pub use event_head::EventHead;
pub use event_id::EventId;
pub use event_name::EventName;
pub use event_ref::EventRef;
pub use field::{Field, FieldError};
pub use frame::Frame;
pub use item::{Item, MessageRef};
pub use limits::{Limits, TooLarge};
pub use message::{Message, OwnedItem};
pub use parser::{Items, Parser};
pub use segments::Segments;
pub use text::Text;
