use std::time::SystemTime;

use eventwire::cqrs::{Boundary, Decider, DomainEvent};
use eventwire::store::{EventType, NameError, Query, StreamName};
use serde::{Deserialize, Serialize};
use thiserror::Error;

const MAX_AUTHOR_CHARS: usize = 40;
const MAX_TEXT_CHARS: usize = 2_000;

/// A chat room, as far as it matters for deciding: whether it is open.
#[derive(Debug, Default)]
pub(crate) struct Room {
    is_closed: bool,
}

/// What people ask of a room. The names are those of the HTTP commands: `post-message`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case")]
pub(crate) enum RoomCommand {
    PostMessage {
        room: String,
        author: String,
        text: String,
        /// Stamped where the command comes in, so that deciding stays pure.
        #[serde(skip_deserializing, default = "now")]
        sent_at: String,
    },
    CloseRoom {
        room: String,
    },
    ReopenRoom {
        room: String,
    },
}

/// What happened in a room. The names are those of the SSE events: `message-posted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case")]
pub(crate) enum RoomEvent {
    MessagePosted {
        room: String,
        author: String,
        text: String,
        sent_at: String,
    },
    RoomClosed {
        room: String,
    },
    RoomReopened {
        room: String,
    },
}

impl DomainEvent for RoomEvent {}

/// Why a room says no.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum RoomRefusal {
    #[error("the message is empty")]
    EmptyText,
    #[error("the message is longer than {MAX_TEXT_CHARS} characters")]
    TextTooLong,
    #[error("the author is empty or longer than {MAX_AUTHOR_CHARS} characters")]
    BadAuthor,
    #[error("the room is closed")]
    Closed,
}

fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

impl Decider for Room {
    type Command = RoomCommand;
    type Event = RoomEvent;
    type Refusal = RoomRefusal;

    fn boundary(command: &RoomCommand) -> Result<Boundary, NameError> {
        let room = StreamName::new(format!("room-{}", command.room()))?;
        let deciding = [
            EventType::new("room-closed")?,
            EventType::new("room-reopened")?,
        ];
        // Messages do not decide: any number of people post at once, and none waits for another.
        let is_open = Query::stream(room.clone()).of_types(deciding);
        Ok(Boundary::query(is_open).to(room))
    }

    fn evolve(&mut self, event: &RoomEvent) {
        match event {
            RoomEvent::RoomClosed { .. } => self.is_closed = true,
            RoomEvent::RoomReopened { .. } => self.is_closed = false,
            RoomEvent::MessagePosted { .. } => {}
        }
    }

    fn decide(&self, command: &RoomCommand) -> Result<Vec<RoomEvent>, RoomRefusal> {
        Ok(match (command.clone(), self.is_closed) {
            (RoomCommand::PostMessage { .. }, true) => return Err(RoomRefusal::Closed),
            (
                RoomCommand::PostMessage {
                    room,
                    author,
                    text,
                    sent_at,
                },
                false,
            ) => {
                check(&author, &text)?;
                vec![RoomEvent::MessagePosted {
                    room,
                    author,
                    text,
                    sent_at,
                }]
            }
            (RoomCommand::CloseRoom { room }, false) => vec![RoomEvent::RoomClosed { room }],
            (RoomCommand::ReopenRoom { room }, true) => vec![RoomEvent::RoomReopened { room }],
            (RoomCommand::CloseRoom { .. }, true) | (RoomCommand::ReopenRoom { .. }, false) => {
                Vec::new()
            }
        })
    }
}

impl RoomCommand {
    fn room(&self) -> &str {
        match self {
            Self::PostMessage { room, .. }
            | Self::CloseRoom { room }
            | Self::ReopenRoom { room } => room,
        }
    }
}

fn check(author: &str, text: &str) -> Result<(), RoomRefusal> {
    if text.trim().is_empty() {
        return Err(RoomRefusal::EmptyText);
    }
    if text.chars().count() > MAX_TEXT_CHARS {
        return Err(RoomRefusal::TextTooLong);
    }
    if author.trim().is_empty() || author.chars().count() > MAX_AUTHOR_CHARS {
        return Err(RoomRefusal::BadAuthor);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use eventwire::cqrs::testing::given;

    fn post(author: &str, text: &str) -> RoomCommand {
        let (author, text) = (author.to_owned(), text.to_owned());
        RoomCommand::PostMessage {
            room: "lobby".into(),
            author,
            text,
            sent_at: "now".into(),
        }
    }

    fn posted(author: &str, text: &str) -> RoomEvent {
        let (author, text) = (author.to_owned(), text.to_owned());
        RoomEvent::MessagePosted {
            room: "lobby".into(),
            author,
            text,
            sent_at: "now".into(),
        }
    }

    fn closed() -> RoomEvent {
        RoomEvent::RoomClosed {
            room: "lobby".into(),
        }
    }

    fn reopened() -> RoomEvent {
        RoomEvent::RoomReopened {
            room: "lobby".into(),
        }
    }

    #[test]
    fn an_open_room_takes_messages() {
        given::<Room>([])
            .when(post("Ada", "hi"))
            .then([posted("Ada", "hi")]);
        given::<Room>([closed(), reopened()])
            .when(post("Ada", "hi"))
            .then([posted("Ada", "hi")]);
    }

    #[test]
    fn a_closed_room_refuses_messages() {
        given::<Room>([closed()])
            .when(post("Ada", "hi"))
            .then_refused(RoomRefusal::Closed);
    }

    #[test]
    fn a_message_has_an_author_and_a_text_of_bounded_length() {
        for (author, text, refusal) in [
            ("Ada", " \n", RoomRefusal::EmptyText),
            ("Ada", &"x".repeat(2001), RoomRefusal::TextTooLong),
            (" ", "hi", RoomRefusal::BadAuthor),
            (&"x".repeat(41), "hi", RoomRefusal::BadAuthor),
        ] {
            given::<Room>([])
                .when(post(author, text))
                .then_refused(refusal);
        }
    }

    #[test]
    fn closing_a_closed_room_changes_nothing() {
        let close = || RoomCommand::CloseRoom {
            room: "lobby".into(),
        };
        given::<Room>([]).when(close()).then([closed()]);
        given::<Room>([closed()]).when(close()).then_nothing();
        let reopen = RoomCommand::ReopenRoom {
            room: "lobby".into(),
        };
        given::<Room>([]).when(reopen).then_nothing();
    }
}
