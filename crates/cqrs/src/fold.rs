use crate::event::DomainEvent;
use crate::snapshot::Snapshots;

/// A state that events make.
///
/// The implementing type *is* the state; its [`Default`] is the state before anything has
/// happened. Every [`Decider`](crate::Decider) is one. One that decides nothing itself is a
/// part of a [`Decision`](crate::Decision) that several states take together.
pub trait Fold: Default + Send + 'static {
    /// What can happen to it.
    type Event: DomainEvent;

    /// What is done with an event whose type [`Event`](Self::Event) does not have.
    ///
    /// An event that is known but reads badly is always an error.
    const UNKNOWN_EVENTS: UnknownEvents = UnknownEvents::Fail;

    /// Whether and how often the state is kept, so that the next fold need not begin at the
    /// beginning: not at all, unless overridden.
    const SNAPSHOTS: Option<Snapshots<Self>> = None;

    /// Takes in one event that has happened. It cannot refuse: it is history.
    fn evolve(&mut self, event: &Self::Event);
}

/// What a fold does with an event type it has no variant for.
///
/// An enum with a `#[serde(other)]` variant has no unknown types: they become that variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum UnknownEvents {
    /// Ends with [`CodecError::UnknownType`](crate::codec::CodecError::UnknownType): a
    /// decision must not rest on a history that was only partly understood.
    #[default]
    Fail,
    /// Passes over it, because what it says cannot matter. A pure narrowing is better put
    /// into the query, where the store can use it.
    Ignore,
}
