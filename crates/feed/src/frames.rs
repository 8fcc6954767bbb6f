use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use eventwire_sse::Frame;
use eventwire_sse_hub::Lagged;
use eventwire_store::{
    Cursor, EventStore, EventStream, Item, Position, Query, ReadError, ReadOptions, RecordedEvent,
};
use futures_core::Stream;
use thiserror::Error;
use tokio::task::coop::has_budget_remaining;
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::Span;

use crate::control;
use crate::feed::Shared;
use crate::follow::{Follow, From};
use crate::locate::{Gap, GapReason, Located, locate};
use crate::meters::{Behind, Ending};
use crate::presentation::{Joined, Presentation, Presenter};
use crate::ring::{Follower, Live as RingEvent};
use crate::topic::{self, Listening};

/// The log could not be read: the stream ends here, and its client comes back with the last
/// id it saw.
#[derive(Debug, Error)]
#[error("cannot read the log after position {after}")]
pub struct FeedError {
    /// How far the stream had come.
    pub after: Position,
    /// Why it could not go on.
    #[source]
    pub cause: ReadError,
}

/// The frames of one subscriber.
///
/// Ends when the feed closes, and after a [`FeedError`]. Dropping it loses nothing: the last
/// id that reached the client is where it resumes.
#[must_use = "a stream does nothing until it is polled"]
pub struct FrameStream {
    pub(crate) feed: Arc<Shared>,
    pub(crate) query: Query,
    pub(crate) presentation: Presentation,
    /// Everything up to here was looked at; what matched is `ready` or was handed out.
    pub(crate) cursor: Position,
    /// The last place the client was told of, if any.
    pub(crate) told: Option<Position>,
    pub(crate) retry: Option<Duration>,
    pub(crate) is_signalling: bool,
    /// What a step has come to: handed out before the next.
    pub(crate) ready: Option<Frame>,
    /// When to look whether the client should be told of progress.
    timer: Pin<Box<Sleep>>,
    /// Whom the timer wakes, unless it has fired.
    timed_for: Option<WakerId>,
    /// Whether nothing was sent since the timer last fired.
    is_idle: bool,
    /// When the stream ends of itself.
    pub(crate) ends_at: Option<Instant>,
    /// Whether it says farewell, where the feed closes.
    pub(crate) takes_leave: bool,
    pub(crate) audience: Audience,
    pub(crate) stage: Stage,
    /// What its life is told under.
    span: Span,
}

/// How soon a client that was told no place is told one: one that is cut off before has
/// nothing to come back with.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// Tells a waker from all others that live. Nothing is kept alive by it: until it fires, the timer
/// has the waker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct WakerId {
    data: usize,
    vtable: usize,
}

impl WakerId {
    fn of(waker: &Waker) -> Self {
        Self {
            data: waker.data().addr(),
            vtable: ptr::from_ref(waker.vtable()).addr(),
        }
    }
}

/// How many events that are not shown are passed in one turn.
const TURN: usize = 1024;

fn first_look(feed: &Shared, told: Option<Position>) -> Duration {
    match told {
        Some(_) => feed.options.progress,
        None => feed.options.progress.min(FIRST_LOOK),
    }
}

/// Who is sent what a stream yields, as they are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Nobody yet: it was never polled.
    Nobody { is_resumed: bool },
    /// One client, who is open for as long as the stream.
    One,
    /// So many, each counted by its [`Part`](crate::Part).
    Many(u32),
}

impl Audience {
    pub(crate) fn clients(self) -> u32 {
        match self {
            Self::Nobody { .. } => 0,
            Self::One => 1,
            Self::Many(clients) => clients,
        }
    }
}

pub(crate) enum Stage {
    Locate(Pin<Box<dyn Future<Output = Result<Located, ReadError>> + Send>>),
    History { events: EventStream, behind: Behind },
    Live(Live),
    Ended(Ending),
}

/// A subscriber that follows the ring.
pub(crate) struct Live {
    follower: Follower,
    /// Whether all that the ring shows it matches.
    is_exact: bool,
}

/// What comes from the ring.
enum FromRing {
    /// An event, which may match.
    Event(RingEvent),
    /// Events that match.
    Run(Joined),
}

impl Live {
    fn after(feed: &Shared, query: &Query, cursor: Position) -> Self {
        let Listening { interest, is_exact } = topic::of_query(query);
        Self {
            follower: feed.ring.follow(cursor, interest),
            is_exact,
        }
    }

    /// One by one where `is_single`.
    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        is_single: bool,
        presenter: &Presenter,
        to: &Presentation,
    ) -> Poll<Option<Result<FromRing, Lagged>>> {
        if self.is_exact && !is_single {
            let join = |run: &[RingEvent]| presenter.joined(to, run);
            let run = self.follower.poll_run(context, to.class(), join);
            run.map(|item| item.map(|run| run.map(FromRing::Run)))
        } else {
            let event = self.follower.poll_event(context);
            event.map(|item| item.map(|event| event.map(FromRing::Event)))
        }
    }
}

impl FrameStream {
    pub(crate) fn new(feed: Arc<Shared>, follow: Follow) -> Self {
        let (store, ring) = (Arc::clone(&feed.store), Arc::clone(&feed.ring));
        let from = follow.from;
        let told = match from {
            From::Cursor(cursor) => Some(cursor.position),
            From::Beginning | From::End => None,
        };
        let span = tracing::debug_span!("event_stream", query = ?follow.query, ?from);
        Self {
            query: follow.query,
            presentation: follow.presentation,
            cursor: Position::ORIGIN,
            told,
            retry: follow.retry,
            is_signalling: follow.is_signalling,
            ready: None,
            timer: Box::pin(sleep_until(Instant::now() + first_look(&feed, told))),
            timed_for: None,
            is_idle: true,
            ends_at: follow
                .max_age
                .and_then(|age| Instant::now().checked_add(age)),
            takes_leave: true,
            audience: Audience::Nobody {
                is_resumed: told.is_some(),
            },
            stage: Stage::Locate(Box::pin(async move {
                tokio::select! {
                    located = locate(&*store, from) => located,
                    () = ring.closed() => Err(ReadError::Closed),
                }
            })),
            span,
            feed,
        }
    }

    /// A stream like another one for one of its clients, after a place that this one knows.
    pub(crate) fn after(other: &Self, after: Position, ends_at: Option<Instant>) -> Self {
        let feed = Arc::clone(&other.feed);
        let span = tracing::debug_span!("event_stream", query = ?other.query, %after);
        Self {
            query: other.query.clone(),
            presentation: other.presentation.clone(),
            cursor: after,
            told: Some(after),
            retry: None,
            is_signalling: other.is_signalling,
            ready: None,
            timer: Box::pin(sleep_until(Instant::now() + feed.options.progress)),
            timed_for: None,
            is_idle: true,
            ends_at,
            takes_leave: true,
            audience: Audience::One,
            stage: Stage::Live(Live::after(&feed, &other.query, after)),
            span,
            feed,
        }
    }

    /// Begins to read the log.
    fn begin(&mut self, located: Located) {
        if let Some(gap) = located.gap {
            self.send_gap(gap);
        }
        self.cursor = located.after.unwrap_or_default();
        let options = located.after.map_or(ReadOptions::all(), ReadOptions::after);
        self.stage = self.history(options);
    }

    fn history(&self, options: ReadOptions) -> Stage {
        let events = self.feed.store.read(self.query.clone(), options);
        Stage::History {
            events,
            behind: self.feed.meters.behind(self.audience.clients()),
        }
    }

    fn resumed(&self) -> Stage {
        self.history(ReadOptions::after(self.cursor))
    }

    fn live(&mut self) -> Stage {
        if self.is_signalling {
            self.send(control::caught_up(self.cursor_at(self.cursor)));
            self.told = Some(self.cursor);
        }
        Stage::Live(Live::after(&self.feed, &self.query, self.cursor))
    }

    /// Whether the feed has closed while this stream was not on the ring, which ends by itself.
    fn is_cut_short(&self) -> bool {
        !matches!(self.stage, Stage::Live(_)) && self.feed.ring.is_closed()
    }

    pub(crate) fn cursor_at(&self, position: Position) -> Cursor {
        self.feed.presenter.encoder.cursor(position)
    }

    fn send(&mut self, frame: Frame) {
        debug_assert!(self.ready.is_none(), "a step sends one frame at most");
        self.is_idle = false;
        self.ready = Some(frame);
    }

    fn send_gap(&mut self, gap: Gap) {
        tracing::debug!(?gap, "told of a gap");
        let clients = self.audience.clients();
        self.feed.meters.told_of(gap.reason, clients);
        self.told = Some(gap.resumed_at.position);
        self.send(control::gap(gap));
    }

    /// Sends an event of the log, unless it is hidden; `live` is what the ring has of it, if it is
    /// from there.
    fn send_event(&mut self, event: &RecordedEvent, live: Option<&RingEvent>) {
        let presenter = &self.feed.presenter;
        let frame = match (self.retry, live) {
            (None, Some(live)) => presenter.shared(&self.presentation, live),
            (retry, _) => presenter.block(&self.presentation, event, retry),
        };
        self.cursor = event.position;
        if let Some(frame) = frame {
            self.retry = None;
            self.told = Some(event.position);
            self.send(frame);
        }
    }

    /// One step of the stage. Ready where something changed.
    fn poll_stage(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ReadError>> {
        match &mut self.stage {
            Stage::Locate(located) => {
                let located = ready!(located.as_mut().poll(context))?;
                self.begin(located);
            }
            Stage::History { events, .. } => {
                let item = ready!(Pin::new(events).poll_next(context)).transpose()?;
                self.take_history(item);
            }
            Stage::Live(live) => {
                // The first event of all carries what the client is to know of coming back.
                let is_single = self.retry.is_some();
                let presenter = &self.feed.presenter;
                let next = live.poll_next(context, is_single, presenter, &self.presentation);
                let looked_to = live.follower.cursor();
                self.cursor = self.cursor.max(looked_to);
                self.take_live(ready!(next));
            }
            Stage::Ended(_) => {}
        }
        Poll::Ready(Ok(()))
    }

    fn take_history(&mut self, item: Option<Item>) {
        match item {
            Some(Item::Event(event)) => self.send_event(&event, None),
            Some(Item::Progress(position)) => self.cursor = position,
            Some(Item::Gap {
                after,
                resumed_after,
            }) => {
                self.cursor = resumed_after;
                self.send_gap(Gap {
                    requested: self.cursor_at(after),
                    resumed_at: self.cursor_at(resumed_after),
                    reason: GapReason::Retention,
                });
            }
            Some(Item::CaughtUp(position)) => {
                self.cursor = position;
                self.stage = self.live();
            }
            // A store whose read ends before it has caught up breaks its contract; going on
            // from here would leave something out.
            None => self.stage = Stage::Ended(Ending::Failed),
            Some(_) => {}
        }
    }

    fn take_live(&mut self, item: Option<Result<FromRing, Lagged>>) {
        match item {
            Some(Ok(FromRing::Run(Joined {
                frame,
                last,
                events,
            }))) => {
                self.feed.meters.took(events, self.audience.clients());
                if last.is_some() {
                    self.told = last;
                    self.send(frame);
                }
            }
            // The ring wakes by topic; only the query knows whether the whole of it matches.
            Some(Ok(FromRing::Event(live))) if self.query.matches(live.event().as_ref()) => {
                self.feed.meters.took(1, self.audience.clients());
                self.send_event(live.event(), Some(&live));
            }
            Some(Ok(FromRing::Event(_))) => {}
            Some(Err(lagged)) => {
                let clients = self.audience.clients();
                self.feed.meters.fell_behind(lagged.missed, clients);
                tracing::debug!(?lagged, after = %self.cursor, "back to the log");
                self.stage = self.resumed();
            }
            // Where the feed goes on without this ring, the log tells why.
            None if self.feed.ring.is_closed() => self.stage = Stage::Ended(Ending::Ended),
            None => self.stage = self.resumed(),
        }
    }

    /// How it ends where it is dropped now.
    fn ending(&self) -> Ending {
        match &self.stage {
            Stage::Ended(ending) => *ending,
            Stage::Live(live) if self.ready.is_none() && !live.follower.has_more() => Ending::Left,
            Stage::Locate(_) | Stage::History { .. } | Stage::Live(_) => Ending::LeftBehind,
        }
    }

    /// Whether its time is over.
    fn is_over(&self) -> bool {
        self.ends_at.is_some_and(|end| end <= Instant::now())
    }

    /// Whether the last poll was for nothing, and another would be.
    fn is_waiting(&self, context: &Context<'_>) -> bool {
        self.ready.is_none()
            && self.timed_for == Some(WakerId::of(context.waker()))
            && matches!(&self.stage, Stage::Live(live) if live.follower.is_waiting(context))
            && !self.timer.is_elapsed()
    }

    /// Once an interval in which nothing was sent: how far the log was looked at.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(end) = self.ends_at
            && end < self.timer.deadline()
        {
            self.timer.as_mut().reset(end);
        }
        // Without budget the timer is not asked, and the task is polled again at once.
        self.timed_for = has_budget_remaining().then(|| WakerId::of(context.waker()));
        ready!(self.timer.as_mut().poll(context));
        self.timed_for = None;
        if self.is_over() {
            return Poll::Ready(());
        }
        self.timer
            .as_mut()
            .reset(Instant::now() + self.feed.options.progress);
        if std::mem::replace(&mut self.is_idle, true) {
            if self.told.is_none_or(|told| told < self.cursor) {
                self.told = Some(self.cursor);
                let progress = control::progress(self.cursor_at(self.cursor), self.retry.take());
                self.ready = Some(progress);
            } else if self.is_signalling {
                self.ready = Some(control::heartbeat());
            }
        }
        Poll::Ready(())
    }
}

impl Stream for FrameStream {
    type Item = Result<Frame, FeedError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        // Bodies are polled until they have nothing more, and then again.
        if this.is_waiting(context) {
            return Poll::Pending;
        }
        let span = this.span.clone();
        let _entered = span.enter();
        if let Audience::Nobody { is_resumed } = this.audience {
            this.audience = Audience::One;
            this.feed.meters.opened(is_resumed);
        }
        let mut steps = 0;
        loop {
            if let Some(frame) = this.ready.take() {
                this.feed.meters.sent(&frame, this.audience.clients());
                return Poll::Ready(Some(Ok(frame)));
            }
            let has_ended = matches!(this.stage, Stage::Ended(_));
            if has_ended || this.is_cut_short() || this.is_over() {
                if !has_ended {
                    this.stage = Stage::Ended(Ending::Ended);
                }
                let takes_leave = std::mem::take(&mut this.takes_leave);
                let farewell = takes_leave.then(|| this.farewell()).flatten();
                return Poll::Ready(farewell.map(Ok));
            }
            match this.poll_stage(context) {
                Poll::Ready(Ok(())) if steps < TURN => steps += 1,
                // For a long while nothing was to be shown: others have their turn, and the
                // client may be told how far this is.
                Poll::Ready(Ok(())) => {
                    steps = 0;
                    if this.poll_idle(context).is_pending() {
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
                Poll::Ready(Err(_closed)) if this.is_cut_short() => {
                    this.stage = Stage::Ended(Ending::Ended);
                }
                Poll::Ready(Err(cause)) => {
                    this.stage = Stage::Ended(Ending::Failed);
                    return Poll::Ready(Some(Err(FeedError {
                        after: this.cursor,
                        cause,
                    })));
                }
                Poll::Pending => ready!(this.poll_idle(context)),
            }
        }
    }
}

impl Drop for FrameStream {
    fn drop(&mut self) {
        if self.audience == Audience::One {
            let ending = self.ending();
            self.feed.meters.ended(ending);
            tracing::debug!(parent: &self.span, cursor = %self.cursor, ?ending, "ended");
        }
    }
}

impl fmt::Debug for FrameStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameStream")
            .field("query", &self.query)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}
