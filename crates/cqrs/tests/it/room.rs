//! A small domain: a chat room that must be opened before anyone posts.

use eventwire_cqrs::{Boundary, Decider, DomainEvent};
use eventwire_store::{NameError, StreamName};
use serde::{Deserialize, Serialize};
use thiserror::Error;

#[derive(Debug, Default)]
pub(crate) struct Room {
    is_open: bool,
    posted: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RoomCommand {
    OpenRoom {
        room: String,
    },
    /// Posts, whatever was posted before.
    PostMessage {
        room: String,
        text: String,
    },
    /// Posts, unless the same was posted before.
    PostOnce {
        room: String,
        text: String,
    },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RoomEvent {
    RoomOpened,
    MessagePosted { text: String },
}

impl DomainEvent for RoomEvent {}

#[derive(Debug, PartialEq, Error)]
pub(crate) enum RoomRefusal {
    #[error("the room is not open")]
    NotOpen,
    #[error("the room is open already")]
    AlreadyOpen,
}

impl RoomCommand {
    fn room(&self) -> &str {
        match self {
            Self::OpenRoom { room }
            | Self::PostMessage { room, .. }
            | Self::PostOnce { room, .. } => room,
        }
    }
}

impl Decider for Room {
    type Command = RoomCommand;
    type Event = RoomEvent;
    type Refusal = RoomRefusal;

    fn boundary(command: &RoomCommand) -> Result<Boundary, NameError> {
        let stream = StreamName::new(format!("room-{}", command.room()))?;
        Ok(Boundary::stream(stream))
    }

    fn evolve(&mut self, event: &RoomEvent) {
        match event {
            RoomEvent::RoomOpened => self.is_open = true,
            RoomEvent::MessagePosted { text } => self.posted.push(text.clone()),
        }
    }

    fn decide(&self, command: &RoomCommand) -> Result<Vec<RoomEvent>, RoomRefusal> {
        match command {
            RoomCommand::OpenRoom { .. } if self.is_open => Err(RoomRefusal::AlreadyOpen),
            RoomCommand::OpenRoom { .. } => Ok(vec![RoomEvent::RoomOpened]),
            _ if !self.is_open => Err(RoomRefusal::NotOpen),
            RoomCommand::PostOnce { text, .. } if self.posted.contains(text) => Ok(vec![]),
            RoomCommand::PostMessage { text, .. } | RoomCommand::PostOnce { text, .. } => {
                Ok(vec![posted(text)])
            }
        }
    }
}

pub(crate) fn open() -> RoomCommand {
    RoomCommand::OpenRoom {
        room: "lobby".to_owned(),
    }
}

pub(crate) fn post(text: &str) -> RoomCommand {
    RoomCommand::PostMessage {
        room: "lobby".to_owned(),
        text: text.to_owned(),
    }
}

pub(crate) fn post_once(text: &str) -> RoomCommand {
    RoomCommand::PostOnce {
        room: "lobby".to_owned(),
        text: text.to_owned(),
    }
}

pub(crate) fn posted(text: &str) -> RoomEvent {
    RoomEvent::MessagePosted {
        text: text.to_owned(),
    }
}

pub(crate) fn lobby() -> StreamName {
    StreamName::new("room-lobby").unwrap()
}
