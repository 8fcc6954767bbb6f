//! The contestants, a file each.

mod fjall;
mod okaywal;
mod ours;
mod raw;
mod redb;
mod sierradb;
mod sqlite;
mod tephra;
mod umadb;
mod unindexed;

pub use fjall::Fjall;
pub use okaywal::OkayWal;
pub use ours::{Ours, OursDirect};
pub use raw::Raw;
pub use redb::Redb;
pub use sierradb::Sierra;
pub use sqlite::Sqlite;
pub use tephra::Tephra;
pub use umadb::Uma;
pub use unindexed::Unindexed;
