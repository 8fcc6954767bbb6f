use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use eventwire_feed::{Feed, Follow, Format, From, Offer, View};
use eventwire_sse::{Event, EventName, Frame};
use eventwire_sse_body::{LastEventId, SseResponse, head};
use eventwire_store::{Category, Cursor, EventType, NameError, Query, StreamName, Tag};
use http::header::{HeaderValue, VARY};
use http::request::Parts;
use http::{HeaderMap, Response};

use crate::accept::preferred;
use crate::body::GatewayBody;
use crate::open_streams::{OpenStreams, TooMany, Whose};
use crate::page::{self, PageForm};
use crate::principal::Principal;
use crate::problem::{Kind, Problem};
use crate::request::cursor;

/// What a reader asks for: which events, from where, and in which form.
#[derive(Debug)]
pub(crate) struct EventsRequest {
    pub(crate) query: Query,
    /// None where the request does not say.
    pub(crate) from: Option<From>,
    pub(crate) limit: Option<usize>,
    pub(crate) is_backward: bool,
    pub(crate) wait: Option<Duration>,
    pub(crate) format: Format,
    is_signalling: bool,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Stream,
    Page(PageForm),
}

/// How many bytes of events a page has where nothing else is said.
pub(crate) const MAX_PAGE_BYTES: u64 = 1 << 20;

/// How streams and pages behave.
#[derive(Debug, Clone)]
pub(crate) struct ReadingOptions {
    pub(crate) heartbeat: Duration,
    pub(crate) opening: Frame,
    pub(crate) coalesce: usize,
    pub(crate) retry: Option<Duration>,
    pub(crate) max_age: Option<Duration>,
    pub(crate) open: Arc<OpenStreams>,
    pub(crate) max_page_bytes: u64,
    pub(crate) view_of: Option<ViewOf>,
}

/// What a principal sees.
#[derive(Clone)]
pub(crate) struct ViewOf(pub(crate) Arc<dyn Fn(&Principal) -> View + Send + Sync>);

impl fmt::Debug for ViewOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewOf").finish_non_exhaustive()
    }
}

/// Who reads, and what it sees.
struct Reader {
    whose: Whose,
    view: Option<View>,
}

impl Reader {
    fn of(parts: &Parts, options: &ReadingOptions) -> Self {
        let anonymous = Principal::anonymous();
        let principal = parts.extensions.get().unwrap_or(&anonymous);
        Self {
            whose: Whose::of(parts),
            view: options.view_of.as_ref().map(|view_of| view_of.0(principal)),
        }
    }
}

/// How long a client is asked to stay away where there are too many streams, at the least and at
/// the most.
const STAY_AWAY: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(15)];

/// `GET /events` and `GET /streams/{stream}`.
pub(crate) async fn read(
    feed: &Feed,
    options: &ReadingOptions,
    stream: Option<&str>,
    parts: &Parts,
) -> Result<Response<GatewayBody>, Problem> {
    let request = EventsRequest::parse(stream, parts)?;
    let reader = Reader::of(parts, options);
    let mut response = match request.form {
        Form::Page(form) => {
            let view = reader.view.as_ref();
            page::read(feed, request, form, view, options.max_page_bytes).await?
        }
        Form::Stream => open(feed, options, request, reader, parts)?,
    };
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

fn open(
    feed: &Feed,
    options: &ReadingOptions,
    request: EventsRequest,
    reader: Reader,
    parts: &Parts,
) -> Result<Response<GatewayBody>, Problem> {
    let counted = match options.open.open(reader.whose) {
        Ok(counted) => counted,
        Err(too_many) => return refuse(too_many, &parts.headers),
    };
    let mut follow = Follow::new(request.query)
        .from(request.from.unwrap_or(From::End))
        .format(request.format);
    if let Some(view) = reader.view {
        follow = follow.view(view);
    }
    if let Some(delay) = options.retry {
        follow = follow.retry(delay);
    }
    if request.is_signalling {
        follow = follow.signals();
    }
    if let Some(age) = options.max_age {
        // Streams that were opened together end apart.
        follow = follow.max_age(between([age / 2, age]));
    }
    let offer = Offer::new(feed.follow(follow), options.heartbeat)
        .opening(options.opening.clone())
        .holding(counted);
    let mut response = SseResponse::new(offer.frames())
        .opening(options.opening.clone())
        .coalesce(options.coalesce)
        .heartbeat(options.heartbeat)
        .into_response();
    response.extensions_mut().insert(offer);
    Ok(response.map(GatewayBody::events))
}

/// The answer where there are too many streams. A browser's `EventSource` would give up for good
/// on an error, so it is told in a stream of one event when to come back.
fn refuse(too_many: TooMany, headers: &HeaderMap) -> Result<Response<GatewayBody>, Problem> {
    let away = between(STAY_AWAY);
    if headers.contains_key("sec-fetch-mode") {
        let busy = Event::new("{}")
            .name(EventName::from_static("eventwire.busy"))
            .retry(away);
        return Ok(head().map(|()| GatewayBody::full(busy.encode().into_bytes())));
    }
    Err(Problem::from(too_many).retry_after(Some(away)))
}

/// A duration drawn between two.
fn between([least, most]: [Duration; 2]) -> Duration {
    least + (most - least).mul_f64(fastrand::f64())
}

impl EventsRequest {
    fn parse(stream: Option<&str>, parts: &Parts) -> Result<Self, Problem> {
        let mut filter = Filter::default();
        if let Some(stream) = stream {
            filter
                .streams
                .push(name("stream", StreamName::new(stream))?);
        }
        let mut request = Self {
            query: Query::all(),
            from: None,
            limit: None,
            is_backward: false,
            wait: wait(&parts.headers),
            format: Format::Payload,
            is_signalling: false,
            form: form(&parts.headers)?,
        };
        let (mut after, mut start) = (None, None);
        for (key, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        {
            match &*key {
                "after" => after = Some(From::Cursor(cursor("after", &value)?)),
                "from" => start = Some(start_of(&value)?),
                "limit" => request.limit = Some(number(&value)?),
                "direction" => request.is_backward = is_backward(&value)?,
                "format" => request.format = format(&value)?,
                "signals" => request.is_signalling = value == "1",
                other => filter.take(other, &value)?,
            }
        }
        request.query = filter.into_query()?;
        request.from = last_event_id(parts)?.map(From::Cursor).or(after).or(start);
        Ok(request)
    }
}

/// The filters of a request: any of the streams or the category, any of the types, all of
/// the tags.
#[derive(Debug, Default)]
struct Filter {
    streams: Vec<StreamName>,
    category: Option<Category>,
    types: Vec<EventType>,
    tags: Vec<Tag>,
}

impl Filter {
    /// Parameters that are nobody's are left alone: clients add their own.
    fn take(&mut self, key: &str, value: &str) -> Result<(), Problem> {
        match key {
            "stream" => self.streams.push(name("stream", StreamName::new(value))?),
            "category" if self.category.is_some() => {
                return Err(Problem::malformed("category", "give one category"));
            }
            "category" => self.category = Some(name("category", Category::new(value))?),
            "type" => self.types.push(name("type", EventType::new(value))?),
            "tag" => self.tags.push(name("tag", Tag::new(value))?),
            _ => {}
        }
        Ok(())
    }

    fn into_query(self) -> Result<Query, Problem> {
        let scope = match (self.category, self.streams) {
            (None, streams) if streams.is_empty() => Query::all(),
            (None, streams) => Query::streams(streams),
            (Some(category), streams) if streams.is_empty() => Query::category(category),
            (Some(_), _) => {
                return Err(Problem::malformed(
                    "category",
                    "give streams or a category, not both",
                ));
            }
        };
        Ok(scope.of_types(self.types).with_tags(self.tags))
    }
}

fn name<T>(field: &'static str, name: Result<T, NameError>) -> Result<T, Problem> {
    name.map_err(|error| Problem::malformed(field, error.to_string()))
}

fn number(text: &str) -> Result<usize, Problem> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(Problem::malformed(
            "limit",
            format!("`{text}` is not a number of events from 1 on"),
        )),
    }
}

fn start_of(text: &str) -> Result<From, Problem> {
    match text {
        "start" => Ok(From::Beginning),
        "end" => Ok(From::End),
        other => Err(Problem::malformed(
            "from",
            format!("`{other}` is neither `start` nor `end`"),
        )),
    }
}

fn is_backward(text: &str) -> Result<bool, Problem> {
    match text {
        "backward" => Ok(true),
        "forward" => Ok(false),
        other => Err(Problem::malformed(
            "direction",
            format!("`{other}` is neither `forward` nor `backward`"),
        )),
    }
}

fn format(text: &str) -> Result<Format, Problem> {
    match text {
        "cloudevents" => Ok(Format::CloudEvents),
        other => Err(Problem::malformed(
            "format",
            format!("`{other}` is not `cloudevents`"),
        )),
    }
}

fn last_event_id(parts: &Parts) -> Result<Option<Cursor>, Problem> {
    let id = LastEventId::from_request(&parts.headers, parts.uri.query())
        .map_err(|error| Problem::malformed("Last-Event-ID", error.to_string()))?;
    id.map(|id| cursor("Last-Event-ID", id.as_str()))
        .transpose()
}

/// A stream, unless a page is preferred.
fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    let forms = [
        ("text/event-stream", Form::Stream),
        ("application/json", Form::Page(PageForm::Page)),
        (
            "application/cloudevents-batch+json",
            Form::Page(PageForm::Batch),
        ),
    ];
    preferred(headers, &forms).ok_or_else(|| {
        let names = forms.map(|(media_type, _)| media_type).join(", ");
        Problem::new(Kind::NotAcceptable, format!("there is {names}")).field("Accept")
    })
}

/// `Prefer: wait=20` (RFC 7240, section 4.3); a wait too long to count is as long as waits get.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let preferences = headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let seconds = preferences
        .flat_map(|value| value.split([',', ';']))
        .filter_map(|preference| preference.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
        .map(|(_, seconds)| seconds.trim().trim_matches('"'))
        .filter(|seconds| !seconds.is_empty() && seconds.bytes().all(|b| b.is_ascii_digit()))?;
    Some(Duration::from_secs(seconds.parse().unwrap_or(u64::MAX)))
}
