#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backoff;
mod boundary;
mod builder;
mod call;
mod clock;
pub mod codec;
mod decider;
mod decision;
mod dispatcher;
mod error;
mod event;
mod execute;
mod fold;
mod folded;
pub mod layers;
mod lease;
mod metrics;
pub mod process;
pub mod projection;
mod query;
mod receipt;
mod reply;
mod request;
mod service;
mod snapshot;
mod states;
mod steps;
pub mod testing;

pub use backoff::Backoff;
pub use boundary::Boundary;
pub use builder::{DispatcherBuilder, RegistrationError};
pub use call::{Call, Caller, Command};
pub use clock::{Clock, Sleep, SystemClock};
pub use decider::Decider;
pub use decision::{Decision, Facts};
pub use dispatcher::Dispatcher;
pub use error::{CommandError, Contention, InvalidCommand, StoreError, Unmet};
pub use event::{DomainEvent, Stored};
pub use fold::{Fold, UnknownEvents};
pub use lease::{Lease, LeaseError};
pub use query::{AnswerFuture, QueryError, Question};
pub use receipt::Receipt;
pub use reply::{CommandFuture, QueryFuture, ReplyFuture};
pub use request::{CommandOptions, CommandRequest};
pub use service::{CommandService, Commands, TypedService};
pub use snapshot::Snapshots;
pub use states::States;
pub use steps::{Run, Step, Steps};
