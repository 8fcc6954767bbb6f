use std::time::Duration;

use eventwire::sse::{Event, EventId, EventName};
use eventwire::sse_body::LastEventId;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::watch;

/// A clock whose every tick has its number as its id, so any of them can be told again: what a log
/// is to a real service.
#[derive(Debug, Clone)]
pub struct Ticks {
    newest: watch::Receiver<u64>,
}

impl Ticks {
    /// Starts a clock, whose first tick is 1; it stops with the last of its clones and streams.
    #[must_use]
    pub fn every(period: Duration) -> Self {
        let (tick, newest) = watch::channel(0);
        tokio::spawn(async move {
            let mut clock = tokio::time::interval(period);
            while !tick.is_closed() {
                clock.tick().await;
                tick.send_modify(|newest| *newest += 1);
            }
        });
        Self { newest }
    }

    /// All ticks after the one of this id, first those that have been; only those to come where
    /// there is no such id.
    pub fn after(&self, id: Option<&LastEventId>) -> impl Stream<Item = Event> + Send + use<> {
        let mut newest = self.newest.clone();
        let seen = id.and_then(|id| id.as_str().parse().ok());
        let seen = seen.unwrap_or_else(|| *newest.borrow_and_update());
        // What has been counts as a change.
        newest.mark_changed();
        let runs = stream::unfold((newest, seen), |(mut newest, seen)| async move {
            newest.changed().await.ok()?;
            let last = *newest.borrow_and_update();
            Some((stream::iter(seen + 1..=last), (newest, seen.max(last))))
        });
        runs.flatten().map(event)
    }
}

fn event(number: u64) -> Event {
    let id = EventId::new(number.to_string()).expect("digits are an id");
    Event::new(number.to_string())
        .name(EventName::from_static("tick"))
        .id(id)
}
