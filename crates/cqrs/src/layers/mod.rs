//! `tower` layers for commands: what is true of every command, said once.
//!
//! They go around a [`Dispatcher`](crate::Dispatcher) by
//! [`DispatcherBuilder::layer`](crate::DispatcherBuilder::layer), where commands are called by
//! name, or around [`Dispatcher::service`](crate::Dispatcher::service), where they are called
//! by type. The first layer of a `tower::ServiceBuilder` is the outermost.
//!
//! ```
//! use std::time::Duration;
//! use eventwire_cqrs::{Backoff, Caller, CommandRequest, Dispatcher, layers};
//! use eventwire_store::MemoryStore;
//! use tower::ServiceBuilder;
//!
//! struct User {
//!     is_moderator: bool,
//! }
//!
//! let dispatcher = Dispatcher::builder(MemoryStore::new())
//!     .layer(
//!         ServiceBuilder::new()
//!             .layer(layers::trace())
//!             .layer(layers::authorize(|request: &CommandRequest| {
//!                 match request.caller().as_ref::<User>() {
//!                     Some(user) if user.is_moderator => Ok(()),
//!                     _ => Err("only moderators may".into()),
//!                 }
//!             }))
//!             .layer(layers::require_key())
//!             .layer(layers::timeout(Duration::from_secs(5)))
//!             .layer(layers::retry(Backoff::retries(3))),
//!     )
//!     .build();
//! # let request = CommandRequest::new("close-room", "{}").from_caller(Caller::new(User { is_moderator: false }));
//! # let error = futures_executor::block_on(dispatcher.dispatch(request)).unwrap_err();
//! # assert_eq!(error.to_string(), "denied: only moderators may");
//! ```
//!
//! What needs no layer: a lost race is decided again by the dispatcher itself
//! ([`conflict_retries`](crate::DispatcherBuilder::conflict_retries)), and a key makes a
//! repetition safe wherever it comes from, across restarts, since the store remembers it.
//!
//! `authorize`, `validate` and `require_key` allocate nothing; the others box the future they
//! wrap.

mod check;
mod consistency;
mod measure;
mod one_at_a_time;
mod retry;
mod timeout;
mod trace;

pub use check::{Check, Checked, CheckedFuture, authorize, require_key, validate};
pub use consistency::{Consistency, Consistent, consistent_with};
pub use measure::{Measure, Measured, Outcome, Taken, measure};
pub use one_at_a_time::{OneAtATime, Queued, one_at_a_time};
pub use retry::{Retried, Retry, retry};
pub use timeout::{Timed, Timeout, timeout};
pub use trace::{Trace, Traced, trace};
