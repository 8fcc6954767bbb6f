use std::sync::Arc;
use std::time::Duration;

use crate::append::{Append, Appended, Fingerprint};
use crate::cursor::Epoch;
use crate::error::{AppendError, ReadError};
use crate::event_stream::EventStream;
use crate::future::StoreFuture;
use crate::name::IdempotencyKey;
use crate::position::Position;
use crate::query::Query;
use crate::read::{ReadOptions, Start};

/// A durable, totally ordered log of events.
///
/// # What every store promises
///
/// Each promise names, in parentheses, tests of `eventwire-store-testkit` that fail where it is
/// broken.
///
/// **Durable means durable.** An append answered `Ok` survives what
/// [`Capabilities::survives`] says: the process, and the power. Never is a weaker answer
/// given in silence.
/// (`durability::every_acknowledged_event_is_there_again`)
///
/// **One order.** Positions are totally ordered. Once any reader has been shown position P,
/// no event below P ever appears to anyone. An append that begins after another was answered
/// lies above it. Each event of a stream has the version after the one before it.
/// (`order::nothing_appears_below_a_place_a_read_has_shown`,
/// `order::every_subscription_is_shown_the_same_order`, `order::what_begins_later_lies_above`,
/// `versions::writers_at_once_leave_no_version_out`)
///
/// **All or nothing.** The events of one append lie next to each other, are seen together
/// or not at all, and are written only where all guards hold in that same instant. A conflict
/// is answered only once readers can be shown what it was with: reading again and deciding
/// again makes headway.
/// (`atomicity::a_read_never_ends_within_an_append`, `guards::every_guard_must_hold`,
/// `boundaries::two_decisions_that_read_what_the_other_writes_cannot_both_stand`,
/// `guards::what_a_conflict_was_with_can_be_read`,
/// `boundaries::a_place_above_the_head_is_invalid`)
///
/// **Once.** Appends with the same key and the same fingerprint have one effect and one
/// answer, the later ones marked `duplicate`. The same key with another fingerprint is
/// [`InvalidAppend::KeyReused`](crate::InvalidAppend::KeyReused).
/// (`idempotency::writers_at_once_are_given_one_answer`,
/// `idempotency::the_same_key_with_other_events_is_refused`)
///
/// **Unknown is its own answer.** Where an append may have happened and may not,
/// [`AppendError::Indeterminate`] says so. Every other error means that nothing was written.
/// Dropping the future of an append never cancels it: from the call on it may happen.
/// (`cancelling::an_append_dropped_midway_happens_as_a_whole_or_not_at_all`,
/// `cancelling::repeating_a_dropped_append_with_its_key_has_one_effect`)
///
/// **Gap-free resume.** A subscription from P yields every matching event above P once, in
/// order. It is *defined* as reading `(cursor, head]` again whenever the head moves: there
/// is no second, live path that could differ.
/// (`subscribing::resuming_after_any_event_goes_on_with_the_next`,
/// `subscribing::the_hand_over_to_live_is_seamless_under_load`,
/// `subscribing::a_slow_subscriber_is_shown_everything`)
///
/// **What goes in comes out.** Payloads and metadata byte for byte, names as text that is
/// compared byte by byte, tags in their order. What is past a limit is refused whole.
/// (`reading::an_event_comes_back_as_it_was_given`,
/// `hostile::payload_and_metadata_come_back_byte_for_byte`,
/// `limits::one_event_past_a_limit_refuses_the_whole_append`)
///
/// # For implementers
///
/// Check in this order: empty, size, key, guards; an empty append reported as a conflict
/// would be retried for ever
/// (`limits::an_append_without_events_is_empty_before_all_else`). Check guards in their order,
/// and answer the first that does not hold or begins above every event; which of several matches
/// it conflicts with is yours to say
/// (`boundaries::a_place_above_the_head_is_invalid`).
/// [`backend`](crate::backend) has the parts that turn one bounded scan and one wake-up into
/// `read`, `subscribe` and `wait_for`, and `eventwire-store-testkit` proves the result. What
/// not every store has is a trait of its own: [`Retention`](crate::Retention),
/// [`CheckpointStore`](crate::CheckpointStore), [`SnapshotStore`](crate::SnapshotStore).
pub trait EventStore: Send + Sync {
    /// Writes events, all or none.
    ///
    /// # Errors
    /// [`AppendError`], named for what the caller does next.
    ///
    /// # Cancel safety
    /// Dropping the future never cancels the append: from the call on it may happen. Use a
    /// key to find out.
    fn append(&self, append: Append) -> StoreFuture<Result<Appended, AppendError>>;

    /// The answer an earlier append with this key was given, if there was one.
    ///
    /// # Errors
    /// [`ReadError`] where the store cannot be read.
    fn recall(&self, key: IdempotencyKey) -> StoreFuture<Result<Option<Recalled>, ReadError>>;

    /// What matches, up to the head as it is when the read gets there; then it ends.
    ///
    /// A forward read that was not ended by its limit ends with
    /// [`Item::CaughtUp`](crate::Item::CaughtUp).
    fn read(&self, query: Query, options: ReadOptions) -> EventStream;

    /// What matches, from a place on, for ever.
    ///
    /// Yields [`Item::CaughtUp`](crate::Item::CaughtUp) each time it has reached the head,
    /// and [`Item::Progress`](crate::Item::Progress) where it has looked past events that
    /// do not match. Ends only by an error.
    fn subscribe(&self, query: Query, start: Start) -> EventStream;

    /// The position of the last event readers are shown; [`Position::ORIGIN`] in an empty log.
    ///
    /// # Errors
    /// [`ReadError`] where the store cannot be read.
    fn head(&self) -> StoreFuture<Result<Position, ReadError>>;

    /// Waits until readers are shown `position`: reading one's own writes on a store whose
    /// readers may trail. Not bounded in time.
    ///
    /// # Errors
    /// [`ReadError::Closed`] where the store closes first.
    ///
    /// # Cancel safety
    /// Safe to drop.
    fn wait_for(&self, position: Position) -> StoreFuture<Result<(), ReadError>>;

    /// The life of the log that positions belong to.
    fn epoch(&self) -> Epoch;

    /// What this backend weakens or bounds.
    fn capabilities(&self) -> Capabilities;
}

/// An append that was answered before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recalled {
    /// What counted as the same request.
    pub fingerprint: Fingerprint,
    /// The answer, marked `duplicate`.
    pub appended: Appended,
}

/// What a store can do, and up to where.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// What an acknowledged append outlives.
    pub survives: Survives,
    /// Whether [`Guard::NoMatch`](crate::Guard::NoMatch) is supported.
    pub query_guards: bool,
    /// Whether [`Append::consumed`] is supported.
    pub consumed: bool,
    /// How long a key is remembered; none for ever.
    pub key_window: Option<Duration>,
    /// The largest append.
    pub limits: Limits,
}

impl Capabilities {
    /// Everything the contract knows, within limits.
    #[must_use]
    pub const fn full(survives: Survives, limits: Limits) -> Self {
        Self {
            survives,
            query_guards: true,
            consumed: true,
            key_window: None,
            limits,
        }
    }
}

/// What an acknowledged append outlives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Survives {
    /// Nothing: the log is in memory.
    Nothing,
    /// The end of the process, however it ends.
    Process,
    /// The loss of power.
    PowerLoss,
}

/// The largest append a store takes. More is [`AppendError::TooLarge`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one event: payload, metadata and names.
    pub event_bytes: usize,
    /// Events in one append.
    pub append_events: usize,
    /// Bytes of all events of one append.
    pub append_bytes: usize,
    /// Tags on one event.
    pub event_tags: usize,
}

impl Default for Limits {
    /// 8 MiB an event, 10,000 events and 64 MiB an append, 64 tags.
    fn default() -> Self {
        Self {
            event_bytes: 8 << 20,
            append_events: 10_000,
            append_bytes: 64 << 20,
            event_tags: 64,
        }
    }
}

macro_rules! forward {
    ($($handle:ty),*) => {$(
        impl<S: EventStore + ?Sized> EventStore for $handle {
            fn append(&self, append: Append) -> StoreFuture<Result<Appended, AppendError>> {
                (**self).append(append)
            }
            fn recall(&self, key: IdempotencyKey) -> StoreFuture<Result<Option<Recalled>, ReadError>> {
                (**self).recall(key)
            }
            fn read(&self, query: Query, options: ReadOptions) -> EventStream {
                (**self).read(query, options)
            }
            fn subscribe(&self, query: Query, start: Start) -> EventStream {
                (**self).subscribe(query, start)
            }
            fn head(&self) -> StoreFuture<Result<Position, ReadError>> {
                (**self).head()
            }
            fn wait_for(&self, position: Position) -> StoreFuture<Result<(), ReadError>> {
                (**self).wait_for(position)
            }
            fn epoch(&self) -> Epoch {
                (**self).epoch()
            }
            fn capabilities(&self) -> Capabilities {
                (**self).capabilities()
            }
        }
    )*};
}

forward!(&S, Arc<S>, Box<S>);
