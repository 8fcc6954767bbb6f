use std::error::Error;

use eventwire_store::NameError;
use serde::de::DeserializeOwned;

use crate::boundary::Boundary;
use crate::decision::{Decision, Facts};
use crate::event::DomainEvent;
use crate::fold::{Fold, UnknownEvents};
use crate::snapshot::Snapshots;

/// A rule of the domain, free of I/O: what has happened makes a state, and the state and a
/// command decide what happens next.
///
/// The implementing type *is* the state; its [`Default`] is the state before anything has
/// happened. Commands are an externally tagged serde enum (serde's default form), as events
/// are: the variant's name, as `rename_all` spells it, is the command's name, and the
/// variant's content is the JSON body.
///
/// `evolve` and `decide` run as often as a race makes them, each time on a state folded from
/// scratch or from a snapshot: they must depend on nothing but what they are given.
///
/// A rule that needs several states, or writes to several streams, is a
/// [`Decision`].
pub trait Decider: Default + Send + 'static {
    /// What can be asked for.
    type Command: DeserializeOwned + Send + Sync + 'static;
    /// What can happen.
    type Event: DomainEvent;
    /// Why the domain says no.
    type Refusal: Error + Send + Sync + 'static;

    /// As [`Fold::UNKNOWN_EVENTS`].
    const UNKNOWN_EVENTS: UnknownEvents = UnknownEvents::Fail;

    /// As [`Fold::SNAPSHOTS`].
    const SNAPSHOTS: Option<Snapshots<Self>> = None;

    /// Which events decide about a command.
    ///
    /// # Errors
    /// [`NameError`] where what the command says cannot be part of a name.
    fn boundary(command: &Self::Command) -> Result<Boundary, NameError>;

    /// Takes in one event that has happened. It cannot refuse: it is history.
    fn evolve(&mut self, event: &Self::Event);

    /// What a command makes happen, in order. No events: nothing needs to.
    ///
    /// # Errors
    /// The refusal, where the domain says no.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Refusal>;
}

impl<D: Decider> Fold for D {
    type Event = D::Event;

    const UNKNOWN_EVENTS: UnknownEvents = <D as Decider>::UNKNOWN_EVENTS;
    const SNAPSHOTS: Option<Snapshots<Self>> = <D as Decider>::SNAPSHOTS;

    fn evolve(&mut self, event: &D::Event) {
        Decider::evolve(self, event);
    }
}

impl<D: Decider> Decision for D {
    type Command = D::Command;
    type States = D;
    type Refusal = D::Refusal;

    fn boundaries(command: &D::Command) -> Result<[Boundary; 1], NameError> {
        Ok([D::boundary(command)?])
    }

    fn decide(state: &D, command: &D::Command) -> Result<Facts, D::Refusal> {
        let events = state.decide(command)?;
        Ok(Facts::of(&events))
    }
}
