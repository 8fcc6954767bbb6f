#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod boundary;
mod builder;
pub mod codec;
mod decider;
mod dispatcher;
mod error;
mod execute;
mod fold;
mod query;
mod receipt;
mod reply;
mod request;
pub mod testing;

pub use boundary::Boundary;
pub use builder::{DEFAULT_CONFLICT_RETRIES, DispatcherBuilder, RegistrationError};
pub use decider::{Decider, UnknownEvents};
pub use dispatcher::Dispatcher;
pub use error::{CommandError, Contention, InvalidCommand, StoreError, Unmet};
pub use query::QueryError;
pub use receipt::Receipt;
pub use reply::{CommandFuture, QueryFuture, ReplyFuture};
pub use request::{CommandOptions, CommandRequest};
