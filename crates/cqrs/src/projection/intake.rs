use std::sync::Arc;

use eventwire_store::{Cursor, EventStore, Item, Position, Query, ReadOptions, RecordedEvent};

use crate::codec::{self, CodecError};
use crate::fold::UnknownEvents;
use crate::followed::SharedItem;
use crate::projection::parked::ParkReason;
use crate::projection::{
    Batch, OnFailure, ParkedEvent, Projection, ProjectionError, Projector, Seen,
};

/// Events on their way into the view.
pub(super) struct Pending<E> {
    /// Where the view's checkpoint is.
    pub(super) at: Option<Cursor>,
    pub(super) events: Vec<Seen<E>>,
}

impl<P: Projection> Projector<P> {
    /// Takes in one item, and says up to where the view shows everything then.
    pub(super) async fn take(
        &mut self,
        pending: &mut Pending<P::Event>,
        item: SharedItem,
    ) -> Result<Position, ProjectionError> {
        match item {
            Item::Event(event) => self.take_event(pending, event).await?,
            Item::CaughtUp(position) => {
                self.flush(pending).await?;
                self.teller.catch_up(position);
                return Ok(position);
            }
            Item::Gap {
                after,
                resumed_after,
            } => {
                return Err(ProjectionError::Missed {
                    after,
                    resumed_after,
                });
            }
            _ => {}
        }
        Ok(pending.position())
    }

    async fn take_event(
        &mut self,
        pending: &mut Pending<P::Event>,
        event: Arc<RecordedEvent>,
    ) -> Result<(), ProjectionError> {
        match codec::decode(&event) {
            Ok(decoded) => {
                pending.events.push(Seen {
                    event: decoded,
                    recorded: event,
                });
                if pending.events.len() >= self.batch {
                    self.flush(pending).await?;
                }
            }
            Err(CodecError::UnknownType { .. }) if P::UNKNOWN_EVENTS == UnknownEvents::Ignore => {}
            Err(error) => {
                self.flush(pending).await?;
                self.set_aside(pending, &event, ParkReason::Codec(error))
                    .await?;
            }
        }
        Ok(())
    }

    /// Has the view take in what is pending.
    pub(super) async fn flush(
        &mut self,
        pending: &mut Pending<P::Event>,
    ) -> Result<(), ProjectionError> {
        let events = std::mem::take(&mut pending.events);
        if events.is_empty() {
            return Ok(());
        }
        let batch = self.batch_of(pending.at, events);
        match self.apply(&batch).await {
            Ok(()) => pending.at = Some(batch.up_to),
            Err(Unapplied::Overtaken) => return Err(ProjectionError::Overtaken),
            Err(Unapplied::Failed(_)) if batch.events.len() > 1 => {
                // One of them is at fault: which?
                for seen in batch.events {
                    self.apply_alone(pending, seen).await?;
                }
            }
            Err(Unapplied::Failed(error)) => {
                let [event] = &batch.events[..] else {
                    unreachable!("a batch has an event, and this one no more")
                };
                self.set_aside(pending, &event.recorded, ParkReason::Apply(error))
                    .await?;
            }
        }
        Ok(())
    }

    async fn apply_alone(
        &mut self,
        pending: &mut Pending<P::Event>,
        seen: Seen<P::Event>,
    ) -> Result<(), ProjectionError> {
        let recorded = Arc::clone(&seen.recorded);
        let batch = self.batch_of(pending.at, vec![seen]);
        match self.apply(&batch).await {
            Ok(()) => {
                pending.at = Some(batch.up_to);
                Ok(())
            }
            Err(Unapplied::Overtaken) => Err(ProjectionError::Overtaken),
            Err(Unapplied::Failed(error)) => {
                self.set_aside(pending, &recorded, ParkReason::Apply(error))
                    .await
            }
        }
    }

    fn batch_of(&self, after: Option<Cursor>, events: Vec<Seen<P::Event>>) -> Batch<P::Event> {
        let last = events.last().expect("a batch has an event");
        Batch {
            after,
            up_to: self.cursor(last.recorded.position),
            events,
        }
    }

    fn cursor(&self, position: Position) -> Cursor {
        Cursor {
            epoch: self.store.epoch(),
            position,
        }
    }

    /// Applies, and again where that fails.
    async fn apply(&mut self, batch: &Batch<P::Event>) -> Result<(), Unapplied> {
        let mut waits = self.worker.retries.waits();
        loop {
            let error = match self.projection.apply(batch).await {
                Ok(()) => break,
                Err(error) => error.into(),
            };
            // It may have been written all the same, or by another.
            match self.projection.checkpoint().await {
                Ok(at) if at == batch.after => {}
                Ok(at) if at == Some(batch.up_to) => break,
                Ok(_) => return Err(Unapplied::Overtaken),
                Err(_) => {}
            }
            let Some(wait) = waits.next() else {
                return Err(Unapplied::Failed(error));
            };
            tracing::warn!(error = &*error, "view did not take events in; trying again");
            self.worker.clock.sleep(wait).await;
        }
        let recorded_at = batch.events.last().map(|seen| seen.recorded.recorded_at);
        self.teller
            .take_in(batch.events.len(), batch.up_to.position, recorded_at);
        Ok(())
    }

    /// Stops at an event, or puts it aside and moves the view's checkpoint past it.
    async fn set_aside(
        &mut self,
        pending: &mut Pending<P::Event>,
        event: &RecordedEvent,
        reason: ParkReason,
    ) -> Result<(), ProjectionError> {
        if self.on_failure == OnFailure::Stop {
            return Err(reason.stopping(event.position));
        }
        let parked = {
            let error = reason.as_error();
            tracing::error!(error, position = %event.position, "event is put aside");
            ParkedEvent::new(event, pending.position(), error)
        };
        self.parked.park(parked).await?;
        self.teller.park();
        let past = Batch {
            after: pending.at,
            events: Vec::new(),
            up_to: self.cursor(event.position),
        };
        self.apply(&past)
            .await
            .map_err(|unapplied| unapplied.at(event.position))?;
        pending.at = Some(past.up_to);
        Ok(())
    }

    /// Has the view take in all that was put aside, after all that came later, and says how
    /// many events that were. The first that fails again stays parked, with those after it.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub async fn replay_parked(&mut self) -> Result<usize, ProjectionError> {
        let parked = self.parked.list().await?;
        let count = parked.len();
        for event in parked {
            let pending = self.resume().await?;
            let recorded = find(&*self.store, self.projection.query(), &event).await?;
            let position = recorded.position;
            let seen = Seen {
                event: codec::decode(&recorded)?,
                recorded: Arc::new(recorded),
            };
            let batch = Batch {
                after: pending.at,
                events: vec![seen],
                up_to: pending.at.unwrap_or_else(|| self.cursor(position)),
            };
            self.apply(&batch)
                .await
                .map_err(|unapplied| unapplied.at(position))?;
            self.parked.unpark(position).await?;
        }
        Ok(count)
    }
}

impl<E> Pending<E> {
    /// Up to where the view has taken everything in.
    pub(super) fn position(&self) -> Position {
        self.at.map_or(Position::ORIGIN, |cursor| cursor.position)
    }
}

/// Why a batch is not in the view.
enum Unapplied {
    /// The view is somewhere else than it was.
    Overtaken,
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl Unapplied {
    fn at(self, position: Position) -> ProjectionError {
        match self {
            Self::Overtaken => ProjectionError::Overtaken,
            Self::Failed(cause) => ProjectionError::Apply { position, cause },
        }
    }
}

/// An event that was put aside.
///
/// Not of the projector: a view that cannot be shared between threads is none of its business.
async fn find(
    store: &dyn EventStore,
    query: Query,
    parked: &ParkedEvent,
) -> Result<RecordedEvent, ProjectionError> {
    let mut items = store.read(query, ReadOptions::after(parked.after));
    while let Some(item) = items.next().await {
        match item? {
            Item::Event(event) if event.position == parked.position => return Ok(event),
            Item::Gap { resumed_after, .. } if resumed_after >= parked.position => break,
            _ => {}
        }
    }
    Err(ProjectionError::Missed {
        after: parked.after,
        resumed_after: parked.position,
    })
}
