use std::time::Duration;

use eventwire_feed::{From, Gap, GapReason, Located, locate};
use eventwire_store::{
    Cursor, Direction, EventStore, Item, Position, ReadError, ReadOptions, RecordedEvent, Start,
};
use http::{Response, StatusCode};
use serde::Serialize;

use crate::body::GatewayBody;
use crate::event_json::EventJson;
use crate::events::EventsRequest;
use crate::problem::Problem;
use crate::receipt::json_response;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;
/// The longest a poll is held open, below the idle timeouts of common proxies.
const MAX_WAIT: Duration = Duration::from_secs(25);

/// One page of events as JSON.
#[derive(Debug, Serialize)]
struct Page {
    events: Vec<EventJson>,
    /// Where the next page begins, in the same direction.
    next: String,
    /// Whether there was nothing beyond this page when it was read.
    caught_up: bool,
    /// Why the page does not begin at the cursor that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<GapJson>,
}

#[derive(Debug, Serialize)]
struct GapJson {
    requested: String,
    resumed_at: String,
    reason: String,
}

impl GapJson {
    fn of(gap: Gap) -> Self {
        Self {
            requested: gap.requested.to_string(),
            resumed_at: gap.resumed_at.to_string(),
            reason: gap.reason.to_string(),
        }
    }
}

/// What one read found.
struct Found {
    events: Vec<RecordedEvent>,
    next: Position,
    is_end: bool,
    /// Places between which events were dropped before they were read.
    dropped: Option<(Position, Position)>,
}

/// Reads a page; where it is empty and the request is willing to wait, the events that come.
pub(crate) async fn read(
    store: &dyn EventStore,
    request: EventsRequest,
) -> Result<Response<GatewayBody>, Problem> {
    let limit = request.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let located = match request.from {
        // Backward from the end is backward from the last event, which `before` would leave out.
        Some(From::End) if request.is_backward => None,
        None => None,
        Some(from) => Some(locate(store, from).await?),
    };
    let options = match (request.is_backward, located) {
        (
            false,
            Some(Located {
                after: Some(after), ..
            }),
        ) => ReadOptions::after(after),
        (false, _) => ReadOptions::all(),
        (true, Some(Located { after, gap: None })) => {
            ReadOptions::before(after.unwrap_or_default())
        }
        (true, _) => ReadOptions::backward(),
    };
    let mut found = scan(store, &request, options.limit(limit)).await?;
    if let Some(wait) = request.wait
        && found.events.is_empty()
        && found.is_end
        && !request.is_backward
        && wait_for_match(store, &request, found.next, wait.min(MAX_WAIT)).await?
    {
        let dropped = found.dropped;
        found = scan(store, &request, ReadOptions::after(found.next).limit(limit)).await?;
        found.dropped = dropped.or(found.dropped);
    }
    let epoch = store.epoch();
    let cursor = |position| Cursor { epoch, position };
    let dropped = found.dropped.map(|(after, resumed_after)| Gap {
        requested: cursor(after),
        resumed_at: cursor(resumed_after),
        reason: GapReason::Retention,
    });
    let gap = located.and_then(|located| located.gap).or(dropped);
    let page = Page {
        events: found
            .events
            .iter()
            .map(|event| EventJson::of(event, epoch))
            .collect(),
        next: cursor(found.next).to_string(),
        caught_up: found.is_end,
        gap: gap.map(GapJson::of),
    };
    Ok(json_response(StatusCode::OK, &page))
}

async fn scan(
    store: &dyn EventStore,
    request: &EventsRequest,
    options: ReadOptions,
) -> Result<Found, ReadError> {
    let mut found = Found {
        events: Vec::new(),
        next: beginning(options),
        is_end: request.is_backward,
        dropped: None,
    };
    let mut items = store.read(request.query.clone(), options);
    while let Some(item) = items.next().await {
        match item? {
            Item::Event(event) => {
                found.next = event.position;
                found.events.push(event);
            }
            Item::Progress(position) => found.next = position,
            Item::CaughtUp(position) => {
                found.next = position;
                found.is_end = true;
            }
            Item::Gap {
                after,
                resumed_after,
            } => {
                found.next = resumed_after;
                found.dropped = Some((after, resumed_after));
            }
            _ => {}
        }
    }
    if request.is_backward && options.max_events() == Some(found.events.len()) {
        found.is_end = false;
    }
    Ok(found)
}

/// Where a read that finds nothing would be continued: backward, there is nothing further down.
fn beginning(options: ReadOptions) -> Position {
    match options.direction() {
        Direction::Forward { after } => after,
        Direction::Backward { .. } => Position::ORIGIN,
    }
}

/// Whether a matching event came within `wait`.
async fn wait_for_match(
    store: &dyn EventStore,
    request: &EventsRequest,
    after: Position,
    wait: Duration,
) -> Result<bool, ReadError> {
    let mut events = store.subscribe(request.query.clone(), Start::After(after));
    let matched = async {
        while let Some(item) = events.next().await {
            if let Item::Event(_) = item? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    tokio::time::timeout(wait, matched)
        .await
        .unwrap_or(Ok(false))
}
