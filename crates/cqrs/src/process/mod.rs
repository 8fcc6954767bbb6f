//! Process managers: what is to be done when something happens, what when it does not happen
//! in time, and what when it is refused.

mod agenda;
mod asking;
mod failure;
mod occurrence;
mod processor;
mod record;
mod steering;

use std::time::Duration;

use eventwire_store::{Query, RecordedEvent};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec;
use crate::event::DomainEvent;

pub use failure::ProcessError;
pub use processor::Processor;
pub use steering::Steering;

/// A process: listens to events, asks for commands, and keeps deadlines.
///
/// The implementing type is the state of one instance, which is found by
/// [`instance`](Self::instance). It is kept in the log as JSON, after each thing that
/// happened to it; a field that is added needs a serde `default`.
///
/// `react` is pure: what it returns is written down before anything is done about it, so that
/// a process that is killed at any point does each thing once.
///
/// ```
/// use std::time::Duration;
/// use eventwire_cqrs::DomainEvent;
/// use eventwire_cqrs::process::{Happened, Process, Reaction};
/// # use eventwire_store::RecordedEvent;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// #[serde(rename_all = "kebab-case")]
/// enum OrderEvent {
///     OrderPlaced { order: String },
///     OrderPaid { order: String },
/// }
/// impl DomainEvent for OrderEvent {}
///
/// #[derive(Serialize)]
/// #[serde(rename_all = "kebab-case")]
/// enum OrderCommand {
///     CancelOrder { order: String },
/// }
///
/// /// Cancels what is not paid within a day.
/// #[derive(Default, Serialize, Deserialize)]
/// struct Payment {
///     order: String,
/// }
///
/// impl Process for Payment {
///     type Event = OrderEvent;
///     const NAME: &'static str = "payment";
///
///     fn instance(event: &OrderEvent, _: &RecordedEvent) -> Option<String> {
///         let (OrderEvent::OrderPlaced { order } | OrderEvent::OrderPaid { order }) = event;
///         Some(order.clone())
///     }
///
///     fn react(&mut self, happened: Happened<'_, OrderEvent>) -> Reaction {
///         match happened {
///             Happened::Event(OrderEvent::OrderPlaced { order }) => {
///                 self.order.clone_from(order);
///                 Reaction::nothing().remind("unpaid", Duration::from_secs(86_400))
///             }
///             Happened::Event(OrderEvent::OrderPaid { .. }) => Reaction::nothing().end(),
///             Happened::Due("unpaid") => {
///                 let order = self.order.clone();
///                 Reaction::nothing().ask(&OrderCommand::CancelOrder { order }).end()
///             }
///             _ => Reaction::nothing(),
///         }
///     }
/// }
/// ```
pub trait Process: Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What it listens to.
    type Event: DomainEvent;

    /// What tells it from other processes, for ever: its records are found by it.
    const NAME: &'static str;

    /// Which events it listens to: those of all types that [`Event`](Self::Event) has.
    #[must_use]
    fn query() -> Query {
        Query::types(codec::event_types::<Self::Event>())
    }

    /// Which instance an event happens to; none where it is nobody's.
    fn instance(event: &Self::Event, recorded: &RecordedEvent) -> Option<String>;

    /// What is done about what happened to this instance.
    fn react(&mut self, happened: Happened<'_, Self::Event>) -> Reaction;
}

/// What happened to an instance of a process.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Happened<'a, E> {
    /// An event.
    Event(&'a E),
    /// The time of a reminder has come.
    Due(&'a str),
    /// A command it asked for was carried out, or nothing needed to be done.
    Done {
        /// The command's name.
        command: &'a str,
    },
    /// A command it asked for will never be carried out: the domain says no, or it makes no
    /// sense.
    Refused {
        /// The command's name.
        command: &'a str,
        /// Why, in words.
        reason: &'a str,
    },
}

impl<E> Clone for Happened<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Happened<'_, E> {}

/// What is done about something that happened.
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use]
pub struct Reaction {
    pub(crate) commands: Vec<Result<Asked, String>>,
    pub(crate) reminders: Vec<(String, Duration)>,
    pub(crate) forgotten: Vec<String>,
    pub(crate) has_ended: bool,
}

/// A command that is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
pub(crate) struct Asked {
    pub(crate) name: String,
    pub(crate) body: serde_json::Value,
}

impl Reaction {
    /// Nothing is done.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// A command is asked for: a variant of an externally tagged serde enum, by the name under
    /// which the dispatcher knows it. Commands are asked for one after another, and each is
    /// answered to the process.
    ///
    /// A value that is none is a [`ProcessError::Unwritable`] when it is to be written down.
    pub fn ask<C: Serialize>(mut self, command: &C) -> Self {
        let asked = codec::encode_command(command)
            .and_then(|(name, body)| {
                let body = serde_json::from_slice(&body)?;
                Ok(Asked {
                    name: name.to_owned(),
                    body,
                })
            })
            .map_err(|error| error.to_string());
        self.commands.push(asked);
        self
    }

    /// The process is told after this long, counted from when the event was recorded that led
    /// to it. A reminder of the same name takes the place of an earlier one.
    pub fn remind(mut self, name: impl Into<String>, after: Duration) -> Self {
        self.reminders.push((name.into(), after));
        self
    }

    /// The process is not told after all.
    pub fn forget(mut self, name: impl Into<String>) -> Self {
        self.forgotten.push(name.into());
        self
    }

    /// The instance is over: nothing more happens to it, and its reminders are forgotten. The
    /// commands that were asked for are still carried out.
    pub fn end(mut self) -> Self {
        self.has_ended = true;
        self
    }
}
