use std::fmt;
use std::time::Duration;

use eventwire_store::{Cursor, EventStore, Position, ReadError};

use crate::follow::From;

/// How long a place that readers are not shown yet is waited for: another instance over the
/// same store may be ahead of this one by as much as its readers trail.
const AHEAD_WITHIN: Duration = Duration::from_secs(2);

/// Where a reader begins, and what it has to be told first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Located {
    /// The place to read after; none for the beginning of what the log holds.
    pub after: Option<Position>,
    /// Why that is not the place that was asked for.
    pub gap: Option<Gap>,
}

/// A reader asked for a place and goes on at another: events in between may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The place that was asked for.
    pub requested: Cursor,
    /// The place after which it goes on.
    pub resumed_at: Cursor,
    /// Why.
    pub reason: GapReason,
}

/// Why a place cannot be resumed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GapReason {
    /// It belongs to another log: the store was replaced, or a store in memory restarted.
    Epoch,
    /// The log does not reach so far: it has lost its end, or the place was made up.
    Ahead,
    /// What came after it was dropped by retention.
    Retention,
}

impl GapReason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Epoch => "epoch",
            Self::Ahead => "ahead",
            Self::Retention => "retention",
        }
    }
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Finds the place a reader asks for. A cursor is taken for what it says only where it is of
/// this log and not beyond its end.
///
/// # Errors
/// [`ReadError`] where the store cannot be read.
///
/// # Panics
/// Outside a tokio runtime with its timer enabled.
///
/// # Cancel safety
/// Safe to drop.
pub async fn locate(store: &dyn EventStore, from: From) -> Result<Located, ReadError> {
    let gap = |requested, reason| {
        let resumed_at = Cursor {
            epoch: store.epoch(),
            position: Position::ORIGIN,
        };
        let gap = Gap {
            requested,
            resumed_at,
            reason,
        };
        Located {
            after: None,
            gap: Some(gap),
        }
    };
    let after = match from {
        From::Beginning => None,
        From::End => Some(store.head().await?),
        From::Cursor(cursor) if cursor.epoch != store.epoch() => {
            return Ok(gap(cursor, GapReason::Epoch));
        }
        From::Cursor(cursor) => {
            let shown = store.wait_for(cursor.position);
            match tokio::time::timeout(AHEAD_WITHIN, shown).await {
                Ok(shown) => shown?,
                Err(_elapsed) => return Ok(gap(cursor, GapReason::Ahead)),
            }
            Some(cursor.position)
        }
    };
    Ok(Located { after, gap: None })
}
