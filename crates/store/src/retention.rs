use std::time::Duration;

use crate::error::{KeepError, ReadError};
use crate::future::StoreFuture;
use crate::name::StreamName;
use crate::position::Position;

/// Letting go of old events. Optional: a store may keep everything for ever.
///
/// # What every store that drops events promises
///
/// Each promise names, in parentheses, tests of `eventwire-store-testkit` that fail where it is
/// broken.
///
/// **Oldest first.** Of the log, and of each stream, what is held is a suffix.
/// (`retention::what_is_held_lies_above_what_was_dropped`,
/// `retention::trimming_a_stream_leaves_the_others`)
///
/// **Nothing moves.** Events that are held keep their positions and versions, and neither is
/// ever given again: a stream whose events are all dropped still has its last version, and
/// still [`Exists`](crate::Expect::Exists).
/// (`retention::a_stream_keeps_its_version`, `retention::trimming_moves_no_head`)
///
/// **Readers are told.** A forward read or a subscription from a place below which events
/// that may match were dropped yields [`Item::Gap`](crate::Item::Gap) and goes on with the
/// first event held. Whoever begins at the beginning asks for what is held
/// ([`Start::Beginning`](crate::Start::Beginning), [`ReadOptions::all`](crate::ReadOptions::all)).
/// Of what was dropped from single streams, readers that name the stream are told, and
/// readers of categories, types, tags or the whole log are not: the stream has shortened its
/// own history, and theirs is complete without it.
/// (`retention::a_reader_that_is_too_late_is_told`,
/// `retention::a_reader_from_the_beginning_is_told_of_no_gap`,
/// `retention::who_names_a_trimmed_stream_is_told`)
///
/// **Guards see what is held.** A dropped event no longer meets a
/// [`NoMatch`](crate::Guard::NoMatch) guard: a rule that must hold for ever needs events
/// that are kept for ever.
/// (`retention::guards_see_what_is_held`)
///
/// **Keys, checkpoints and snapshots stay.** An append whose events were dropped is still not
/// repeated.
/// (`retention::keys_stay_when_events_go`, `retention::keys_stay_when_a_stream_is_deleted`)
///
/// As durable as an append: what was answered survives what an append survives.
pub trait Retention: Send + Sync {
    /// Drops the oldest events of the log until what is left is within `keep`.
    ///
    /// A store may keep more, in whole units of its own, and says in the answer what it kept.
    ///
    /// # Errors
    /// [`KeepError`] where the store cannot be written.
    fn trim_log(&self, keep: Keep) -> StoreFuture<Result<Trimmed, KeepError>>;

    /// Drops the oldest events of one stream until what is left is within `keep`.
    ///
    /// # Errors
    /// [`KeepError::NoStream`] where there is no such stream, and as for
    /// [`trim_log`](Self::trim_log).
    fn trim_stream(
        &self,
        stream: StreamName,
        keep: Keep,
    ) -> StoreFuture<Result<Trimmed, KeepError>>;

    /// Drops all events of a stream and leaves a tombstone: every later append to it, and
    /// every guard that names it, is a conflict with
    /// [`Actual::Deleted`](crate::Actual::Deleted), for ever. Deleting it again is no error.
    ///
    /// # Errors
    /// As for [`trim_stream`](Self::trim_stream).
    fn delete_stream(&self, stream: StreamName) -> StoreFuture<Result<Trimmed, KeepError>>;

    /// The place up to which [`trim_log`](Self::trim_log) has dropped events;
    /// [`Position::ORIGIN`] where it has dropped none.
    ///
    /// # Errors
    /// [`ReadError`] where the store cannot be read.
    fn dropped_to(&self) -> StoreFuture<Result<Position, ReadError>>;
}

/// What is kept: an event goes where any of the bounds is exceeded with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    max_age: Option<Duration>,
    max_events: Option<usize>,
    max_bytes: Option<u64>,
}

impl Keep {
    /// Everything.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            max_age: None,
            max_events: None,
            max_bytes: None,
        }
    }

    /// Nothing that was recorded longer ago than this, by the store's clock.
    #[must_use]
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// At most this many events.
    #[must_use]
    pub const fn max_events(mut self, events: usize) -> Self {
        self.max_events = Some(events);
        self
    }

    /// Events whose names, metadata and payloads have at most this many bytes.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// The bound on age, if any.
    #[must_use]
    pub const fn age(&self) -> Option<Duration> {
        self.max_age
    }

    /// The bound on the number of events, if any.
    #[must_use]
    pub const fn events(&self) -> Option<usize> {
        self.max_events
    }

    /// The bound on their bytes, if any.
    #[must_use]
    pub const fn bytes(&self) -> Option<u64> {
        self.max_bytes
    }

    /// Whether an event is kept that is this old, is the `nth` youngest (the youngest is 1),
    /// and makes with all younger ones this many bytes.
    #[must_use]
    pub fn keeps(&self, age: Duration, nth: usize, bytes: u64) -> bool {
        self.max_age.is_none_or(|max| age <= max)
            && self.max_events.is_none_or(|max| nth <= max)
            && self.max_bytes.is_none_or(|max| bytes <= max)
    }
}

/// What a trimming did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trimmed {
    /// How many events were dropped now.
    pub events: u64,
    /// The place up to which events of the log, or of the stream, have been dropped, now or
    /// earlier; [`Position::ORIGIN`] where none were.
    pub dropped_to: Position,
}
