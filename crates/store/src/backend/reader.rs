use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::backend::log::{Batch, Log};
use crate::backend::watermark::Beyond;
use crate::chunk::{Chunk, Found, Mark, item_of};
use crate::error::ReadError;
use crate::event_stream::{EventStream, Source};
use crate::future::StoreFuture;
use crate::position::Position;
use crate::query::Query;
use crate::read::{Direction, Item, ReadOptions, Start};

/// Events asked for in one scan. Large enough that the scan's own cost vanishes, small
/// enough that a reader holds little.
const SCAN_EVENTS: usize = 256;

/// [`EventStore::read`](crate::EventStore::read) over a log.
pub fn read<L: Log>(log: Arc<L>, query: Query, options: ReadOptions) -> EventStream {
    let mut reader = Reader::new(log, query, options.direction(), AtHead::End);
    reader.remaining = options.max_events().unwrap_or(usize::MAX);
    reader.is_fresh = options.is_all();
    EventStream::of(reader)
}

/// [`EventStore::subscribe`](crate::EventStore::subscribe) over a log: a forward read that
/// waits at the head instead of ending there.
pub fn subscribe<L: Log>(log: Arc<L>, query: Query, start: Start) -> EventStream {
    let after = match start {
        Start::Beginning => Position::ORIGIN,
        Start::After(position) => position,
        Start::End => log.watermark().position(),
    };
    let mut reader = Reader::new(log, query, Direction::Forward { after }, AtHead::Wait);
    reader.is_fresh = start == Start::Beginning;
    EventStream::of(reader)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AtHead {
    End,
    Wait,
}

/// One read: scan, hand out what was found, scan on from where that ended.
///
/// Invariant: every matching event between the place the read began at and `direction` has
/// been put into `found` or handed out, and none beyond it.
struct Reader<L> {
    log: Arc<L>,
    query: Query,
    direction: Direction,
    remaining: usize,
    at_head: AtHead,
    /// How far its consumer knows that events were dropped.
    told_to: Position,
    /// Whether it asks for what is held, and has not looked yet at what that is.
    is_fresh: bool,
    /// What to say before `found` is handed out.
    gap: Option<Mark>,
    found: Found,
    /// What to say once `found` has been handed out.
    mark: Option<Mark>,
    step: Step,
}

enum Step {
    Scan,
    Scanning(StoreFuture<Result<Batch, ReadError>>),
    Wait,
    Waiting(Beyond),
    Ended,
}

impl<L: Log> Reader<L> {
    fn new(log: Arc<L>, query: Query, direction: Direction, at_head: AtHead) -> Self {
        Self {
            log,
            query,
            direction,
            remaining: usize::MAX,
            at_head,
            told_to: Position::ORIGIN,
            is_fresh: false,
            gap: None,
            found: Found::default(),
            mark: None,
            step: Step::Scan,
        }
    }

    fn scan(&self) -> StoreFuture<Result<Batch, ReadError>> {
        let limit = self.remaining.min(SCAN_EVENTS);
        Arc::clone(&self.log).scan(self.query.clone(), self.direction, limit)
    }

    /// Takes in what a scan found and decides what comes after it.
    fn accept(&mut self, batch: Batch) -> Step {
        self.remaining = self.remaining.saturating_sub(batch.events.len());
        let last = batch.events.last_position();
        self.found = batch.events;
        match &mut self.direction {
            Direction::Backward { before } => {
                *before = Some(batch.looked_to);
                if batch.is_end || self.remaining == 0 {
                    Step::Ended
                } else {
                    Step::Scan
                }
            }
            Direction::Forward { after } => {
                let begun_at = std::mem::replace(after, batch.looked_to.max(*after));
                let looked_to = *after;
                self.gap = self.gap_before(begun_at, batch.dropped_to);
                if batch.is_end {
                    self.mark = Some(Item::CaughtUp(looked_to));
                    return match self.at_head {
                        AtHead::End => Step::Ended,
                        AtHead::Wait => Step::Wait,
                    };
                }
                if self.remaining == 0 {
                    return Step::Ended;
                }
                if last.is_none_or(|last| last < looked_to) {
                    self.mark = Some(Item::Progress(looked_to));
                }
                Step::Scan
            }
        }
    }

    /// What to tell of events that were dropped up to a place, where it is more than was told.
    fn gap_before(&mut self, after: Position, dropped_to: Position) -> Option<Mark> {
        let is_fresh = std::mem::take(&mut self.is_fresh);
        let is_news = !is_fresh && after < dropped_to && self.told_to < dropped_to;
        self.told_to = self.told_to.max(dropped_to);
        is_news.then_some(Item::Gap {
            after,
            resumed_after: dropped_to,
        })
    }

    /// Where a subscription stands; only forward reads wait.
    fn cursor(&self) -> Position {
        match self.direction {
            Direction::Forward { after } => after,
            Direction::Backward { .. } => Position::ORIGIN,
        }
    }
}

impl<L: Log> Reader<L> {
    /// Goes on until there is something to hand out; false where there never will be.
    fn poll_found(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, ReadError>> {
        while self.gap.is_none() && self.found.is_empty() && self.mark.is_none() {
            let advanced = match &mut self.step {
                Step::Ended => return Poll::Ready(Ok(false)),
                Step::Scan => Ok(Step::Scanning(self.scan())),
                Step::Wait => Ok(Step::Waiting(self.log.watermark().beyond(self.cursor()))),
                Step::Scanning(scan) => {
                    let batch = ready!(Pin::new(scan).poll(context));
                    batch.map(|batch| self.accept(batch))
                }
                Step::Waiting(wait) => ready!(Pin::new(wait).poll(context)).map(|()| Step::Scan),
            };
            match advanced {
                Ok(step) => self.step = step,
                Err(error) => {
                    self.step = Step::Ended;
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(true))
    }
}

impl<L: Log> Stream for Reader<L> {
    type Item = Result<Item, ReadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        Poll::Ready(match ready!(this.poll_found(context)) {
            Ok(true) => {
                let before = this.gap.take().map(item_of);
                let item = before.or_else(|| this.found.next().map(Item::Event));
                item.or_else(|| this.mark.take().map(item_of)).map(Ok)
            }
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        })
    }
}

impl<L: Log> Source for Reader<L> {
    fn poll_chunk(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Chunk, ReadError>>> {
        let this = self.get_mut();
        Poll::Ready(match ready!(this.poll_found(context)) {
            Ok(true) => Some(Ok(Chunk {
                before: this.gap.take(),
                events: std::mem::take(&mut this.found),
                after: this.mark.take(),
            })),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        })
    }
}
