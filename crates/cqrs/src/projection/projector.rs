use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use eventwire_store::{EventStore, NameError, Position, ReadOptions, Start};
use tokio::sync::mpsc;

use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::followed::{Followed, SharedItem};
use crate::lease::{Lease, LeaseError};
use crate::projection::intake::Pending;
use crate::projection::progress::Teller;
use crate::projection::steering::{Order, Steering, refuse};
use crate::projection::{OnFailure, Parked, Progress, Projection, ProjectionError};
use crate::worker::{StandingBy, Tenure, Worker};

/// Events in a batch, unless told otherwise.
const BATCH: usize = 500;

/// Keeps a view up to date.
///
/// ```
/// use eventwire_cqrs::projection::{MemoryView, Projector};
/// use eventwire_store::MemoryStore;
/// # use eventwire_cqrs::{DomainEvent, Fold};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)]
/// # enum RoomEvent { MessagePosted { text: String } }
/// # impl DomainEvent for RoomEvent {}
/// # #[derive(Default)]
/// # struct Messages(Vec<String>);
/// # impl Fold for Messages {
/// #     type Event = RoomEvent;
/// #     fn evolve(&mut self, RoomEvent::MessagePosted { text }: &RoomEvent) { self.0.push(text.clone()); }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let view = MemoryView::<Messages>::new();
/// let projector = Projector::new(store, "messages", view.clone())?;
/// let (progress, steering) = (projector.progress(), projector.steering());
/// let running = tokio::spawn(projector.run());
///
/// // progress.wait_for(receipt.appended.last()).await?;
/// let count = view.read(|messages| messages.0.len());
/// # let _ = (progress, count);
/// steering.stop().await;
/// running.await??;
/// # Ok(()) }
/// ```
pub struct Projector<P: Projection> {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) projection: P,
    pub(super) parked: Parked,
    pub(super) batch: usize,
    pub(super) on_failure: OnFailure,
    pub(super) worker: Worker,
    pub(super) teller: Teller,
    orders: mpsc::Receiver<Order<P>>,
    orderer: mpsc::Sender<Order<P>>,
}

/// What a projector that runs has to attend to next.
enum Turn<P> {
    Item(SharedItem),
    Order(Order<P>),
    /// The lease should be renewed.
    Renew,
}

impl<P: Projection> Projector<P> {
    /// A projector to be. The name is that of its parked events.
    ///
    /// # Errors
    /// [`NameError`] where the name cannot be part of a stream's.
    pub fn new(
        store: impl EventStore + 'static,
        name: &str,
        projection: P,
    ) -> Result<Self, NameError> {
        let store: Arc<dyn EventStore> = Arc::new(store);
        let (orderer, orders) = mpsc::channel(1);
        Ok(Self {
            parked: Parked::of(Arc::clone(&store), name)?,
            store,
            projection,
            batch: BATCH,
            on_failure: OnFailure::Stop,
            worker: Worker::default(),
            teller: Teller::new(name),
            orders,
            orderer,
        })
    }

    /// At most this many events in one batch; 500 by default.
    #[must_use]
    pub fn batch(mut self, events: usize) -> Self {
        self.batch = events.max(1);
        self
    }

    /// What becomes of an event that cannot be taken in; by default the projection stops.
    #[must_use]
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// How often that is tried first; 8 times by default. An event that cannot be decoded is
    /// not tried again.
    #[must_use]
    pub fn retries(mut self, retries: Backoff) -> Self {
        self.worker.retries = retries;
        self
    }

    /// Waits by another clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.worker.clock = Arc::new(clock);
        self
    }

    /// Works only while it holds a lease, and stands by while another does.
    #[must_use]
    pub fn lease(mut self, lease: Lease) -> Self {
        self.worker.lease = Some(lease);
        self
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.teller.progress()
    }

    /// Steers it while it runs.
    #[must_use]
    pub fn steering(&self) -> Steering<P> {
        Steering::new(self.orderer.clone(), Arc::clone(&self.store))
    }

    /// The events it has put aside.
    #[must_use]
    pub const fn parked(&self) -> &Parked {
        &self.parked
    }

    /// Takes in all there is, and says how far that is.
    ///
    /// # Errors
    /// [`ProjectionError`].
    ///
    /// # Cancel safety
    /// As the view's: a batch that was taken in stays, and the next call goes on after it.
    pub async fn catch_up(&mut self) -> Result<Position, ProjectionError> {
        let mut pending = self.resume().await?;
        let query = self.projection.query();
        let options = match pending.at {
            Some(cursor) => ReadOptions::after(cursor.position),
            None => ReadOptions::all(),
        };
        let mut items = self.store.read(query, options);
        let mut position = pending.position();
        while let Some(chunk) = items.next_chunk().await {
            for item in chunk?.into_shared() {
                position = self.take(&mut pending, item).await?;
            }
        }
        Ok(position)
    }

    /// Takes in what there is and what comes, until it is told to stop or cannot go on.
    ///
    /// # Errors
    /// [`ProjectionError`].
    ///
    /// # Cancel safety
    /// Dropping it stops it; the view stays as far as it had come.
    pub async fn run(mut self) -> Result<(), ProjectionError> {
        loop {
            let orders = &mut self.orders;
            let Some(mut tenure) = self.worker.stand_by(orders, leave_to_others).await? else {
                return Ok(());
            };
            let outcome = self.work(&mut tenure).await;
            self.worker.give_up(tenure).await;
            match outcome {
                Ok(Ended::Told) => return Ok(()),
                Ok(Ended::LeaseLost) => {}
                Err(ProjectionError::Overtaken) => self.worker.pause().await,
                Err(error) => return Err(error),
            }
        }
    }

    async fn work(&mut self, tenure: &mut Tenure) -> Result<Ended, ProjectionError> {
        let mut pending = self.resume().await?;
        let mut items = self.follow(&pending);
        loop {
            match self.turn(&mut items, *tenure).await? {
                Turn::Item(item) => {
                    self.take(&mut pending, item).await?;
                }
                Turn::Renew => {}
                Turn::Order(Order::Stop) => {
                    self.flush(&mut pending).await?;
                    return Ok(Ended::Told);
                }
                Turn::Order(Order::Replay(done)) => {
                    self.flush(&mut pending).await?;
                    let replayed = self.replay_parked().await;
                    let _unheard = done.send(replayed);
                }
                Turn::Order(Order::Replace(fresh, done)) => {
                    self.flush(&mut pending).await?;
                    let replaced = self.replace(fresh, pending.position()).await;
                    let _unheard = done.send(replaced);
                    pending = self.resume().await?;
                    items = self.follow(&pending);
                }
            }
            if !self.worker.renew(tenure).await? {
                return Ok(Ended::LeaseLost);
            }
        }
    }

    fn follow(&self, pending: &Pending<P::Event>) -> Followed {
        let start = match pending.at {
            Some(cursor) => Start::After(cursor.position),
            None => Start::Beginning,
        };
        Followed::new(self.store.subscribe(self.projection.query(), start))
    }

    async fn turn(
        &mut self,
        items: &mut Followed,
        tenure: Tenure,
    ) -> Result<Turn<P>, ProjectionError> {
        let mut renewal = pin!(self.worker.renewal(tenure));
        let orders = &mut self.orders;
        let mut next = pin!(items.next());
        poll_fn(|context| {
            if let Poll::Ready(Some(order)) = orders.poll_recv(context) {
                return Poll::Ready(Ok(Turn::Order(order)));
            }
            if let Poll::Ready(()) = renewal.as_mut().poll(context) {
                return Poll::Ready(Ok(Turn::Renew));
            }
            let item = std::task::ready!(next.as_mut().poll(context));
            Poll::Ready(item.map(Turn::Item).map_err(Into::into))
        })
        .await
    }

    pub(super) async fn resume(&mut self) -> Result<Pending<P::Event>, ProjectionError> {
        let at = self.projection.checkpoint().await.map_err(view)?;
        if let Some(cursor) = at {
            if cursor.epoch != self.store.epoch() {
                return Err(ProjectionError::OtherLog(cursor));
            }
            self.teller.resume(cursor.position);
        }
        Ok(Pending {
            at,
            events: Vec::new(),
        })
    }

    /// Lets a fresh view take the place of the one there is, once it is as far.
    async fn replace(&mut self, fresh: P, position: Position) -> Result<(), ProjectionError> {
        let mut old = std::mem::replace(&mut self.projection, fresh);
        let reached = self.catch_up().await;
        let taken = match reached {
            Ok(reached) if reached >= position => {
                self.projection.take_over(&mut old).await.map_err(view)
            }
            Ok(reached) => Err(ProjectionError::Missed {
                after: reached,
                resumed_after: position,
            }),
            Err(error) => Err(error),
        };
        if taken.is_err() {
            self.projection = old;
        }
        taken
    }
}

/// How work ended that did not fail.
enum Ended {
    Told,
    LeaseLost,
}

/// What is asked of a projector that stands by is for the one at work to do.
fn leave_to_others<P>(order: Order<P>) -> StandingBy {
    match order {
        Order::Stop => return StandingBy::Ends,
        Order::Replay(done) => refuse(done),
        Order::Replace(_, done) => refuse(done),
    }
    StandingBy::GoesOn
}

fn view<E: Into<Box<dyn std::error::Error + Send + Sync>>>(error: E) -> ProjectionError {
    ProjectionError::View(error.into())
}

impl From<LeaseError> for ProjectionError {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Read(error) => error.into(),
            LeaseError::Append(error) => error.into(),
            LeaseError::Codec(error) => error.into(),
        }
    }
}

impl<P: Projection> fmt::Debug for Projector<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Projector")
            .field("projection", &std::any::type_name::<P>())
            .field("parked", &self.parked)
            .field("batch", &self.batch)
            .field("on_failure", &self.on_failure)
            .finish_non_exhaustive()
    }
}
