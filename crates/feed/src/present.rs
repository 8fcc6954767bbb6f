use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventwire_sse::{EventRef, Frame};
use eventwire_store::{Cursor, Epoch, RecordedEvent};

use crate::control;

/// An event of the log as an SSE block: its type as the name, its cursor as the id, its
/// payload as the data, or in base64 where the payload is not text.
///
/// `open` and `error` are names an `EventSource` fires itself; events of such a type are
/// named `event.open` and `event.error`.
pub(crate) fn frame(event: &RecordedEvent, epoch: Epoch, retry: Option<Duration>) -> Frame {
    let id = control::id(Cursor {
        epoch,
        position: event.position,
    });
    let data = text(&event.data);
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
