use std::error::Error;
use std::fmt;

use eventwire_store::{NameError, NewEvent, StreamName};
use serde::de::DeserializeOwned;

use crate::boundary::Boundary;
use crate::codec::{self, CodecError};
use crate::error::{CommandError, InvalidCommand};
use crate::event::DomainEvent;
use crate::states::States;

/// A rule that several states decide together, atomically.
///
/// Each state is a [`Fold`](crate::Fold) with a boundary of its own. What is decided is
/// written only where nothing has come into *any* of the boundaries since they were read.
/// Every [`Decider`](crate::Decider) is a decision by one state.
///
/// ```
/// use eventwire_cqrs::{Boundary, Decision, DomainEvent, Facts, Fold};
/// use eventwire_store::{NameError, StreamName};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// enum AccountEvent {
///     Deposited { cents: u64 },
///     Withdrawn { cents: u64 },
/// }
/// impl DomainEvent for AccountEvent {}
///
/// #[derive(Default)]
/// struct Account {
///     cents: u64,
/// }
/// impl Fold for Account {
///     type Event = AccountEvent;
///     fn evolve(&mut self, event: &AccountEvent) {
///         match event {
///             AccountEvent::Deposited { cents } => self.cents += cents,
///             AccountEvent::Withdrawn { cents } => self.cents -= cents,
///         }
///     }
/// }
///
/// #[derive(Deserialize)]
/// enum Transfer {
///     Transfer { from: String, to: String, cents: u64 },
/// }
///
/// #[derive(Debug, thiserror::Error)]
/// #[error("the account does not hold that much")]
/// struct NotCovered;
///
/// fn account(name: &str) -> Result<StreamName, NameError> {
///     StreamName::new(format!("account-{name}"))
/// }
///
/// struct Transferring;
/// impl Decision for Transferring {
///     type Command = Transfer;
///     type States = (Account, Account);
///     type Refusal = NotCovered;
///
///     fn boundaries(command: &Transfer) -> Result<[Boundary; 2], NameError> {
///         let Transfer::Transfer { from, to, .. } = command;
///         Ok([Boundary::stream(account(from)?), Boundary::stream(account(to)?)])
///     }
///
///     fn decide((from, _): &(Account, Account), command: &Transfer) -> Result<Facts, NotCovered> {
///         let Transfer::Transfer { to, cents, .. } = command;
///         let cents = *cents;
///         if from.cents < cents {
///             return Err(NotCovered);
///         }
///         Ok(Facts::nothing()
///             .and(&AccountEvent::Withdrawn { cents })
///             .and_in(account(to), &AccountEvent::Deposited { cents }))
///     }
/// }
/// ```
pub trait Decision: Send + 'static {
    /// What can be asked for.
    type Command: DeserializeOwned + Send + Sync + 'static;
    /// What decides: a [`Fold`](crate::Fold), or a tuple of two to four of them.
    type States: States;
    /// Why the domain says no.
    type Refusal: Error + Send + Sync + 'static;

    /// Which events each state is made of, in the order of [`States`](Self::States).
    ///
    /// The stream of the first is the one an expectation is about, and the one that facts
    /// go to unless they name another.
    ///
    /// # Errors
    /// [`NameError`] where what the command says cannot be part of a name.
    fn boundaries(
        command: &Self::Command,
    ) -> Result<<Self::States as States>::Each<Boundary>, NameError>;

    /// What a command makes happen, in order.
    ///
    /// # Errors
    /// The refusal, where the domain says no.
    fn decide(states: &Self::States, command: &Self::Command) -> Result<Facts, Self::Refusal>;
}

/// What a decision makes happen: events, of any types, each with its stream.
#[derive(Debug, Clone)]
#[must_use]
pub struct Facts(Result<Vec<NewEvent>, FactError>);

#[derive(Debug, Clone)]
enum FactError {
    Name(NameError),
    Codec(CodecError),
}

impl Facts {
    /// Nothing needs to happen.
    pub const fn nothing() -> Self {
        Self(Ok(Vec::new()))
    }

    /// All of this happens, in the stream of the first boundary.
    pub(crate) fn of<E: DomainEvent>(events: &[E]) -> Self {
        let mut facts = Vec::with_capacity(events.len());
        for event in events {
            match new_event(event) {
                Ok(event) => facts.push(event),
                Err(error) => return Self(Err(error)),
            }
        }
        Self(Ok(facts))
    }

    /// This happens as well, in the stream of the first boundary. An event that cannot be
    /// written is the command's failure.
    pub fn and<E: DomainEvent>(self, event: &E) -> Self {
        self.push(new_event(event))
    }

    /// This happens as well, in a stream. A name that cannot be a stream's, or an event that
    /// cannot be written, is the command's failure.
    pub fn and_in<E: DomainEvent>(self, stream: Result<StreamName, NameError>, event: &E) -> Self {
        let event = stream
            .map_err(FactError::Name)
            .and_then(|stream| Ok(new_event(event)?.stream(stream)));
        self.push(event)
    }

    fn push(mut self, event: Result<NewEvent, FactError>) -> Self {
        match (&mut self.0, event) {
            (Ok(events), Ok(event)) => events.push(event),
            (Ok(_), Err(error)) => self.0 = Err(error),
            (Err(_), _) => {}
        }
        self
    }

    /// The events, without what the caller's options add to them.
    ///
    /// # Errors
    /// The first thing that kept a fact from being an event.
    pub(crate) fn into_events(self) -> Result<Vec<NewEvent>, CommandError> {
        self.0.map_err(|error| match error {
            FactError::Name(error) => InvalidCommand::Name(error).into(),
            FactError::Codec(error) => error.into(),
        })
    }
}

impl fmt::Display for Facts {
    /// A line an event: its stream, its type, its tags, its payload.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events = match &self.0 {
            Ok(events) => events,
            Err(FactError::Name(error)) => return writeln!(f, "  cannot be: {error}"),
            Err(FactError::Codec(error)) => return writeln!(f, "  cannot be: {error}"),
        };
        if events.is_empty() {
            return writeln!(f, "  nothing");
        }
        for event in events {
            let parts = event.as_parts();
            if let Some(stream) = parts.stream {
                write!(f, "  {stream}:")?;
            }
            write!(f, "  {}", parts.event_type)?;
            for tag in parts.tags {
                write!(f, " #{tag}")?;
            }
            writeln!(f, " {}", String::from_utf8_lossy(parts.data))?;
        }
        Ok(())
    }
}

impl PartialEq for Facts {
    /// Whether the same would be written to the same streams.
    fn eq(&self, other: &Self) -> bool {
        let (Ok(ours), Ok(theirs)) = (&self.0, &other.0) else {
            return false;
        };
        ours.len() == theirs.len()
            && ours.iter().zip(theirs).all(|(our, their)| {
                let (our, their) = (our.as_parts(), their.as_parts());
                (our.stream, our.event_type, our.tags, our.data)
                    == (their.stream, their.event_type, their.tags, their.data)
            })
    }
}

fn new_event<E: DomainEvent>(event: &E) -> Result<NewEvent, FactError> {
    let new = codec::encode(event).map_err(FactError::Codec)?;
    let tags = event.tags().map_err(FactError::Name)?;
    Ok(tags.into_iter().fold(new, NewEvent::tag))
}
