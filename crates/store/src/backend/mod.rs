//! For those who implement a store: what turns one bounded scan and one wake-up into the
//! reading half of [`EventStore`](crate::EventStore).
//!
//! A backend implements [`Log`] on the state it shares with its readers, keeps a
//! [`Watermark`] that it moves after each commit, and gets [`read`], [`subscribe`] and
//! waiting from here, with the contract's ordering and resume rules already right.

mod check;
mod log;
mod reader;
mod watermark;

pub use crate::chunk::Found;
pub use check::check;
pub use log::{Batch, Log};
pub use reader::{read, subscribe};
pub use watermark::{Beyond, Watermark};

use std::time::{SystemTime, UNIX_EPOCH};

use uuid::{Builder, Uuid};

/// The identity of an event whose writer gave it none: a UUID of version 7 (RFC 9562,
/// section 5.7) for the time at which the store took it.
#[must_use]
pub fn assign_uuid(recorded_at: SystemTime) -> Uuid {
    let millis = recorded_at
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    let millis = u64::try_from(millis).unwrap_or(u64::MAX);
    let random = fastrand::u128(..).to_le_bytes();
    let (random, _) = random.split_first_chunk().expect("16 bytes hold 10");
    Builder::from_unix_timestamp_millis(millis, random).into_uuid()
}
