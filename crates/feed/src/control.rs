use std::time::Duration;

use eventwire_sse::{Event, EventId, EventName, Frame};
use eventwire_store::Cursor;

use crate::feed::FeedOptions;
use crate::locate::Gap;

/// What follows does not begin at the place that was asked for.
pub(crate) fn gap(gap: Gap) -> Frame {
    let Gap {
        requested,
        resumed_at,
        reason,
    } = gap;
    let data =
        format!(r#"{{"requested":"{requested}","resumed_at":"{resumed_at}","reason":"{reason}"}}"#);
    Event::new(data)
        .name(EventName::from_static("eventwire.gap"))
        .id(id(resumed_at))
        .encode()
}

/// Everything up to `cursor` has been looked at, and nothing of it was asked for. The first block
/// of a stream that has data says when to come back.
pub(crate) fn progress(cursor: Cursor, retry: Option<Duration>) -> Frame {
    let event = Event::new("{}")
        .name(EventName::from_static("eventwire.progress"))
        .id(id(cursor));
    match retry {
        Some(delay) => event.retry(delay),
        None => event,
    }
    .encode()
}

/// History has been shown; what follows is live.
pub(crate) fn caught_up(cursor: Cursor) -> Frame {
    Event::new("{}")
        .name(EventName::from_static("eventwire.caught-up"))
        .id(id(cursor))
        .encode()
}

/// What a client is told last where the feed closes, drawn for each.
pub(crate) fn farewell(options: &FeedOptions) -> Option<Frame> {
    options
        .return_within
        .map(|spread| busy(return_after(spread)))
}

/// The stream ends here; come back after a while.
fn busy(retry: Duration) -> Frame {
    Event::new("{}")
        .name(EventName::from_static("eventwire.busy"))
        .retry(retry)
        .encode()
}

/// A time to come back after, drawn from one second to `spread` more.
fn return_after(spread: Duration) -> Duration {
    Duration::from_secs(1) + spread.mul_f64(fastrand::f64())
}

/// A sign of life that browser code can see.
pub(crate) fn heartbeat() -> Frame {
    Event::new("{}")
        .name(EventName::from_static("eventwire.heartbeat"))
        .encode()
}

pub(crate) fn id(cursor: Cursor) -> EventId {
    EventId::new(cursor.to_string()).expect("a cursor is digits, letters, dots and dashes")
}
