use std::error::Error;

use eventwire_store::{NameError, Tag};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::boundary::Boundary;

/// A rule of the domain, free of I/O: what has happened makes a state, and the state and a
/// command decide what happens next.
///
/// The implementing type *is* the state; its [`Default`] is the state before anything has
/// happened. Commands and events are externally tagged serde enums (serde's default form): the
/// variant's name, as `rename_all` spells it, is the command's name or the event's type, and
/// the variant's content is the JSON body or payload.
///
/// `evolve` and `decide` run as often as a race makes them, each time on a state folded from
/// scratch: they must depend on nothing but what they are given.
pub trait Decider: Default + Send + 'static {
    /// What can be asked for.
    type Command: DeserializeOwned + Send + Sync + 'static;
    /// What can happen.
    type Event: Serialize + DeserializeOwned + Send + 'static;
    /// Why the domain says no.
    type Refusal: Error + Send + Sync + 'static;

    /// What a fold does with an event whose type [`Event`](Self::Event) does not have.
    ///
    /// An event that is known but reads badly is always an error.
    const UNKNOWN_EVENTS: UnknownEvents = UnknownEvents::Fail;

    /// Which events decide about a command.
    ///
    /// # Errors
    /// [`NameError`] where what the command says cannot be part of a name.
    fn boundary(command: &Self::Command) -> Result<Boundary, NameError>;

    /// The tags an event is written with: none, unless overridden.
    ///
    /// # Errors
    /// [`NameError`] where what the event says cannot be a tag.
    #[expect(unused_variables, reason = "the name is for those who override it")]
    fn tags(event: &Self::Event) -> Result<Vec<Tag>, NameError> {
        Ok(Vec::new())
    }

    /// Takes in one event that has happened. It cannot refuse: it is history.
    fn evolve(&mut self, event: &Self::Event);

    /// What a command makes happen, in order. No events: nothing needs to.
    ///
    /// # Errors
    /// The refusal, where the domain says no.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Refusal>;
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
    /// Passes over it, because what it says cannot matter to this decider. A pure narrowing
    /// is better put into the boundary's query, where the store can use it.
    Ignore,
}
