//! What threads meet at. Under `--cfg loom_takeover` the unit tests explore it in every order: a name
//! of its own, since tokio has no sockets under `--cfg loom`.

#[cfg(all(test, loom_takeover))]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(all(test, loom_takeover)))]
pub(crate) use std::sync::{Mutex, MutexGuard};
