use std::fmt;

use eventwire_store::{Epoch, Position, Uuid};

use crate::stubs::Stubs;

/// What looking at every byte of a store came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The store's id; none where its identity cannot be read.
    pub store: Option<Uuid>,
    /// The epoch of its log; none where its identity cannot be read.
    pub epoch: Option<Epoch>,
    /// Files of the log.
    pub segments: usize,
    /// Events that are as they were written.
    pub events: u64,
    /// Streams that have any of them.
    pub streams: usize,
    /// The position of the last of them; [`Position::ORIGIN`] where there is none.
    pub head: Position,
    /// Bytes of all files that were read.
    pub bytes: u64,
    /// Everything that is not as it should be: of the log in its order, then of what is kept
    /// beside it.
    pub findings: Vec<Finding>,
    pub(crate) first_damage: Option<Break>,
    /// The position with which the log begins: what lies before is gone, whether its segments are
    /// there or not.
    pub(crate) log_begins_at: u64,
    /// Of what lies before the first damage.
    pub(crate) stubs: Stubs,
}

impl Report {
    /// Whether everything that was written is there as it was. A commit that was never finished,
    /// an index that will be made again and the like are no loss.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.findings.iter().any(Finding::is_loss)
    }

    /// The position from which on a repair gives everything up; none where it gives up nothing.
    #[must_use]
    pub fn gives_up_from(&self) -> Option<Position> {
        let found = self.first_damage.as_ref()?;
        Some(crate::number::position(found.position))
    }
}

/// Where the log stops being what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Break {
    /// The position the segment begins with.
    pub(crate) segment: u64,
    /// Where in it; zero where nothing of it can be kept.
    pub(crate) offset: u64,
    /// The first position that is lost.
    pub(crate) position: u64,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The file, within the store's directory.
    pub file: String,
    /// Where in the file.
    pub offset: u64,
    /// What is there.
    pub what: String,
    /// What it means.
    pub meaning: Meaning,
    /// The first position it concerns, where it concerns any.
    pub first: Option<Position>,
    /// The last one; none where nobody can say.
    pub last: Option<Position>,
}

impl Finding {
    pub(crate) fn new(
        file: impl Into<String>,
        offset: u64,
        what: impl fmt::Display,
        meaning: Meaning,
    ) -> Self {
        Self {
            file: file.into(),
            offset,
            what: what.to_string(),
            meaning,
            first: None,
            last: None,
        }
    }

    /// Whether something that was written is not there, or the store does not open.
    pub(crate) fn is_loss(&self) -> bool {
        matches!(
            self.meaning,
            Meaning::Damage | Meaning::Remainder | Meaning::Identity | Meaning::Version
        )
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.file, self.offset, self.what)?;
        match (self.first, self.last) {
            (Some(first), Some(last)) if first == last => write!(f, "; position {first}")?,
            (Some(first), Some(last)) => write!(f, "; positions {first} to {last}")?,
            (Some(first), None) => write!(f, "; from position {first} on")?,
            _ => {}
        }
        write!(f, ": {}", self.meaning)
    }
}

/// What a finding means for whoever opens the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Meaning {
    /// A commit that was not written to its end. No append in it was answered; opening cuts it.
    Torn,
    /// Events are lost. Opening, or reading them, refuses; a repair gives up what lies behind.
    Damage,
    /// What is kept of segments that are gone is missing or bad: the last versions of their
    /// streams, and what their idempotency keys stood for. Opening, or asking for them, refuses,
    /// and nothing makes them again: restore a backup.
    Remainder,
    /// The file that makes the directory a store is missing or bad. Opening refuses; a repair
    /// makes it again from the labels of the segments and gives up nothing.
    Identity,
    /// A later version of this crate wrote it, and this one cannot say what it is.
    Version,
    /// An index is not as it was written, or of what is no longer there. It will be made again
    /// from its segment.
    Index,
    /// A snapshot is not as it was written, or of another life of the log. It is none; whoever
    /// kept it makes it again from the events.
    Snapshot,
    /// A file that was being made when a process ended. Opening removes it.
    Unfinished,
    /// Not a file of the store. It is left alone.
    Unknown,
}

impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Torn => "an unfinished commit that nobody was told of; opening cuts it",
            Self::Damage => "damage; restore a backup, or repair and give up what lies behind",
            Self::Remainder => "what must stay of dropped events is lost; restore a backup",
            Self::Identity => "the store will not open; a repair makes it again and loses nothing",
            Self::Version => "written by a later version; use that one",
            Self::Index => "no loss; it will be made again from the log",
            Self::Snapshot => "no loss; it will be made again from the events",
            Self::Unfinished => "no loss; opening removes it",
            Self::Unknown => "not a file of the store; it is left alone",
        })
    }
}

/// How far a long work on a store has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes that are done.
    pub bytes: u64,
    /// Bytes there are in all.
    pub of: u64,
}
