use std::time::Duration;

use eventwire_feed::{CloudEvent, Feed, Format, From, Gap, GapReason, Located, Look, View, locate};
use eventwire_store::{
    Cursor, Direction, EventStore, Item, Position, ReadError, ReadOptions, RecordedEvent, Start,
};
use http::header::{CONTENT_TYPE, HeaderValue};
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

/// What a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageForm {
    /// An object with the events and where the next page begins.
    Page,
    /// The events alone, as a batch of CloudEvents; the rest is in headers.
    Batch,
}

/// One page of events as JSON.
#[derive(Debug, Serialize)]
struct Page<'a> {
    events: Vec<EventForm<'a>>,
    /// Where the next page begins, in the same direction.
    next: String,
    /// Whether there was nothing beyond this page when it was read.
    caught_up: bool,
    /// Why the page does not begin at the cursor that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<GapJson>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum EventForm<'a> {
    Own(EventJson),
    Cloud(CloudEvent<'a>),
}

impl Page<'_> {
    fn into_response(self, form: PageForm) -> Response<GatewayBody> {
        if form == PageForm::Page {
            return json_response(StatusCode::OK, &self);
        }
        let mut response = json_response(StatusCode::OK, &self.events);
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/cloudevents-batch+json"),
        );
        let value = |text: &str| HeaderValue::from_str(text).expect("cursors are ASCII");
        headers.insert("eventwire-next", value(&self.next));
        headers.insert("eventwire-caught-up", value(&self.caught_up.to_string()));
        if let Some(gap) = &self.gap {
            let gap = serde_json::to_string(gap).expect("strings have a JSON form");
            headers.insert("eventwire-gap", value(&gap));
        }
        response
    }
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
    /// As they are shown.
    events: Vec<RecordedEvent>,
    bytes: u64,
    /// How many matched, hidden ones included.
    matched: usize,
    next: Position,
    is_end: bool,
    /// Places between which events were dropped before they were read.
    dropped: Option<(Position, Position)>,
}

impl Found {
    /// Takes an event in, and says whether there was place: not where it makes the page longer
    /// than so many bytes.
    fn take(&mut self, event: RecordedEvent, view: Option<&View>, most: u64) -> bool {
        let position = event.position;
        let seen = match view.map_or(Look::AsWritten, |view| view.look(&event)) {
            Look::AsWritten => Some(event),
            Look::As(seen) => Some(seen),
            Look::Hidden => None,
        };
        if let Some(seen) = seen {
            let bytes = self.bytes.saturating_add(seen.weight());
            if bytes > most && !self.events.is_empty() {
                return false;
            }
            self.bytes = bytes;
            self.events.push(seen);
        }
        self.matched += 1;
        self.next = position;
        true
    }
}

/// Reads pages for one who sees what a view shows.
struct Reading<'a> {
    store: &'a dyn EventStore,
    request: &'a EventsRequest,
    view: Option<&'a View>,
    max_bytes: u64,
}

/// Reads a page; where it is empty and the request is willing to wait, the events that come.
pub(crate) async fn read(
    feed: &Feed,
    request: EventsRequest,
    form: PageForm,
    view: Option<&View>,
    max_bytes: u64,
) -> Result<Response<GatewayBody>, Problem> {
    let store = &**feed.store();
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
    let reading = Reading {
        store,
        request: &request,
        view,
        max_bytes,
    };
    let mut found = reading.scan(options.limit(limit)).await?;
    if let Some(wait) = request.wait
        && found.events.is_empty()
        && found.is_end
        && !request.is_backward
        && let Some(before) = reading.wait(found.next, wait.min(MAX_WAIT)).await?
    {
        let dropped = found.dropped;
        found = reading
            .scan(ReadOptions::after(before).limit(limit))
            .await?;
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
    let is_cloud = form == PageForm::Batch || request.format == Format::CloudEvents;
    let events = found.events.iter().map(|event| {
        if is_cloud {
            EventForm::Cloud(feed.cloud_event(event))
        } else {
            EventForm::Own(EventJson::of(event, epoch))
        }
    });
    let page = Page {
        events: events.collect(),
        next: cursor(found.next).to_string(),
        caught_up: found.is_end,
        gap: gap.map(GapJson::of),
    };
    Ok(page.into_response(form))
}

impl Reading<'_> {
    async fn scan(&self, options: ReadOptions) -> Result<Found, ReadError> {
        let is_backward = self.request.is_backward;
        let mut found = Found {
            events: Vec::new(),
            bytes: 0,
            matched: 0,
            next: beginning(options),
            is_end: is_backward,
            dropped: None,
        };
        let mut items = self.store.read(self.request.query.clone(), options);
        while let Some(item) = items.next().await {
            match item? {
                Item::Event(event) => {
                    let had_place = found.take(event, self.view, self.max_bytes);
                    if !had_place {
                        found.is_end = false;
                        return Ok(found);
                    }
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
        if is_backward && options.max_events() == Some(found.matched) {
            found.is_end = false;
        }
        Ok(found)
    }

    /// Waits for an event that is shown, and says after which place it comes; none where it did
    /// not come within `wait`.
    async fn wait(&self, after: Position, wait: Duration) -> Result<Option<Position>, ReadError> {
        let query = self.request.query.clone();
        let mut events = self.store.subscribe(query, Start::After(after));
        let shown = async {
            let mut before = after;
            while let Some(item) = events.next().await {
                if let Item::Event(event) = item? {
                    let look = self.view.map(|view| view.look(&event));
                    if look != Some(Look::Hidden) {
                        return Ok(Some(before));
                    }
                    before = event.position;
                }
            }
            Ok(None)
        };
        tokio::time::timeout(wait, shown).await.unwrap_or(Ok(None))
    }
}

/// Where a read that finds nothing would be continued: backward, there is nothing further down.
fn beginning(options: ReadOptions) -> Position {
    match options.direction() {
        Direction::Forward { after } => after,
        Direction::Backward { .. } => Position::ORIGIN,
    }
}
