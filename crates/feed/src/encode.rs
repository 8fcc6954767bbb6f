use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventwire_sse::{EventRef, Frame};
use eventwire_store::{Cursor, Epoch, Position, RecordedEvent};

use crate::cloud_event::CloudEvent;
use crate::control;

/// What the data of a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Format {
    /// The payload, or base64 of one that is not text.
    #[default]
    Payload,
    /// The event and what is about it: a [`CloudEvent`].
    CloudEvents,
}

/// What all encodings of a feed's events have in common.
#[derive(Debug, Clone)]
pub(crate) struct Encoder {
    pub(crate) epoch: Epoch,
    /// Of CloudEvents.
    pub(crate) source: Arc<str>,
}

impl Encoder {
    /// An event as an SSE block: its type as the name, its place as the id.
    ///
    /// `open` and `error` are names an `EventSource` fires itself; events of such a type are
    /// named `event.open` and `event.error`.
    pub(crate) fn block(
        &self,
        event: &RecordedEvent,
        format: Format,
        retry: Option<Duration>,
    ) -> Frame {
        let cursor = self.cursor(event.position);
        let id = control::id(cursor);
        let data = match format {
            Format::Payload => text(&event.data),
            Format::CloudEvents => {
                let event = CloudEvent::new(event, cursor, &self.source);
                Cow::Owned(event.to_json().into_bytes())
            }
        };
        let name = wire_name(event.event_type.as_str());
        let block = EventRef::new(&data).id(&id);
        let block = match retry {
            Some(delay) => block.retry(delay),
            None => block,
        };
        block
            .try_name(&name)
            .expect("an event type has no line breaks")
            .encode()
    }

    pub(crate) fn cursor(&self, position: Position) -> Cursor {
        Cursor {
            epoch: self.epoch,
            position,
        }
    }
}

fn wire_name(event_type: &str) -> Cow<'_, str> {
    match event_type {
        "open" | "error" => Cow::Owned(format!("event.{event_type}")),
        other => Cow::Borrowed(other),
    }
}

fn text(data: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(data) {
        Ok(_) => Cow::Borrowed(data),
        Err(_) => Cow::Owned(STANDARD.encode(data).into_bytes()),
    }
}
