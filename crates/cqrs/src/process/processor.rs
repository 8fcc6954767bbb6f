use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use eventwire_store::{
    CheckpointStore, Consumer, EventStore, Item, KeepError, NameError, Position, Query,
    ReadOptions, Start, Version,
};
use tokio::sync::mpsc;

use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::codec;
use crate::dispatcher::Dispatcher;
use crate::followed::{Followed, SharedItem};
use crate::lease::Lease;
use crate::metrics::{self, Shown};
use crate::process::agenda::Agenda;
use crate::process::occurrence::Occurrence;
use crate::process::record::{self, Cause, Record};
use crate::process::{Happened, Process, ProcessError, Steering};
use crate::worker::{StandingBy, Tenure, Worker};

/// Records after which it is kept how far the process is.
const KEEP_EVERY: u32 = 100;

/// Carries on the instances of a process.
///
/// What happens to an instance is written to its stream, `process.NAME-INSTANCE`, together
/// with what is to be done about it: for an event in the same append that moves the process's
/// checkpoint, so that each event happens to it once. A command is asked for by a key that is
/// made of its place in that stream, so that it is carried out once, and its answer is written
/// down in turn. Reminders are kept there and nowhere else: those whose time came while no
/// processor ran come when one does.
///
/// One thing is done at a time, and commands before anything else: an instance sees the answer
/// to what it asked for before the next event.
///
/// What happens to an instance is seen to within a `tracing` span `process` of level debug, with
/// its `name`, the `instance` and the `cause`: `event`, `reminder` or `answer`.
///
/// Beginning again reads the records from the first that something is still to be done about.
pub struct Processor<P> {
    pub(super) store: Arc<dyn EventStore>,
    checkpoints: Arc<dyn CheckpointStore>,
    pub(super) dispatcher: Dispatcher,
    pub(super) worker: Worker,
    stops: mpsc::Receiver<()>,
    stopper: mpsc::Sender<()>,
    process: PhantomData<fn() -> P>,
}

/// How work ended that did not fail.
enum Ended {
    Told,
    /// Another is at work, or may be: look again.
    Overtaken,
}

/// What a process is woken by.
enum Woken {
    Item(SharedItem),
    Reminder,
    Renew,
    Stopped,
}

/// A process at work: what is to be done, and what comes next.
pub(super) struct Work {
    pub(super) agenda: Agenda,
    events: Followed,
    tenure: Tenure,
    /// The last event that was seen to.
    listened: Position,
    /// Records, and events that are nobody's, since it was kept how far the process is.
    pub(super) unkept: u32,
}

impl<P: Process> Processor<P> {
    /// A processor to be. The dispatcher carries out its commands, by their names and through
    /// its layers. The store needs [`Capabilities::consumed`].
    ///
    /// [`Capabilities::consumed`]: eventwire_store::Capabilities::consumed
    #[must_use]
    pub fn new<S>(store: S, dispatcher: Dispatcher) -> Self
    where
        S: EventStore + CheckpointStore + 'static,
    {
        metrics::describe();
        let store = Arc::new(store);
        let (stopper, stops) = mpsc::channel(1);
        Self {
            store: Arc::clone(&store) as Arc<dyn EventStore>,
            checkpoints: store,
            dispatcher,
            worker: Worker::default(),
            stops,
            stopper,
            process: PhantomData,
        }
    }

    /// How often a command is tried that the store is too busy for, or that lost every race;
    /// then the processor stops. 8 times by default.
    #[must_use]
    pub fn retries(mut self, retries: Backoff) -> Self {
        self.worker.retries = retries;
        self
    }

    /// Goes by another clock.
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

    /// Stops it while it runs.
    #[must_use]
    pub fn steering(&self) -> Steering {
        Steering(self.stopper.clone())
    }

    /// Carries on all instances, until it is told to stop or cannot go on.
    ///
    /// # Errors
    /// [`ProcessError`].
    ///
    /// # Cancel safety
    /// Dropping it stops it; what was written down is done by the next that runs.
    pub async fn run(mut self) -> Result<(), ProcessError> {
        loop {
            let stops = &mut self.stops;
            let Some(tenure) = self.worker.stand_by(stops, |()| StandingBy::Ends).await? else {
                return Ok(());
            };
            let mut work = self.begin(tenure).await?;
            let outcome = self.work(&mut work).await;
            self.worker.give_up(work.tenure).await;
            match outcome {
                Ok(Ended::Told) => return self.keep(&mut work).await,
                Ok(Ended::Overtaken) => self.worker.pause().await,
                Err(error) => return Err(error),
            }
        }
    }

    async fn begin(&self, tenure: Tenure) -> Result<Work, ProcessError> {
        let from = self.checkpoints.checkpoint(agenda_of::<P>()?).await?;
        let mut agenda = Agenda::after(from);
        let records = Query::tags([record::tag(P::NAME)?]);
        let options = match from {
            Position::ORIGIN => ReadOptions::all(),
            from => ReadOptions::after(from),
        };
        let mut items = self.store.read(records, options);
        while let Some(chunk) = items.next_chunk().await {
            for item in chunk?.iter() {
                match item {
                    Item::Event(event) => {
                        let Record::ProcessAdvanced(advanced) = codec::decode(event)?;
                        let version = event.version().unwrap_or(Version::FIRST);
                        agenda.take_in(&advanced, event.position, version);
                    }
                    Item::Gap { .. } => return Err(ProcessError::Missed),
                    _ => {}
                }
            }
        }
        let start = match self.checkpoints.checkpoint(listener::<P>()?).await? {
            Position::ORIGIN => Start::Beginning,
            position => Start::After(position),
        };
        Ok(Work {
            agenda,
            events: Followed::new(self.store.subscribe(P::query(), start)),
            tenure,
            listened: Position::ORIGIN,
            unkept: 0,
        })
    }

    async fn work(&mut self, work: &mut Work) -> Result<Ended, ProcessError> {
        loop {
            if !self.worker.renew(&mut work.tenure).await? {
                return Ok(Ended::Overtaken);
            }
            if work.unkept >= KEEP_EVERY {
                self.keep(work).await?;
            }
            let is_written = if let Some(open) = work.agenda.next_command().cloned() {
                self.carry_out(work, &open).await?
            } else if let Some((instance, name)) = self.due(&work.agenda) {
                let due = Occurrence {
                    instance: &instance,
                    cause: Cause::Due(name.clone()),
                    happened: Happened::Due(&name),
                    at: self.worker.clock.now(),
                    event: None,
                };
                self.advance(work, due).await?
            } else {
                match self.wake(work).await? {
                    Woken::Stopped => return Ok(Ended::Told),
                    Woken::Reminder | Woken::Renew => true,
                    Woken::Item(item) => self.take(work, item).await?,
                }
            };
            if !is_written {
                return Ok(Ended::Overtaken);
            }
        }
    }

    fn due(&self, agenda: &Agenda) -> Option<(String, String)> {
        let (instance, name, due) = agenda.next_reminder()?;
        (due <= self.worker.clock.now()).then(|| (instance.to_owned(), name.to_owned()))
    }

    async fn wake(&mut self, work: &mut Work) -> Result<Woken, ProcessError> {
        let reminder = work.agenda.next_reminder().map(|(_, _, due)| due);
        let reminder = async {
            match reminder {
                Some(due) => {
                    let left = due
                        .duration_since(self.worker.clock.now())
                        .unwrap_or_default();
                    self.worker.clock.sleep(left).await;
                }
                None => std::future::pending().await,
            }
        };
        let renewal = self.worker.renewal(work.tenure);
        let (mut reminder, mut renewal) = (pin!(reminder), pin!(renewal));
        let stops = &mut self.stops;
        let mut next = pin!(work.events.next());
        poll_fn(|context| {
            if stops.poll_recv(context).is_ready() {
                return Poll::Ready(Ok(Woken::Stopped));
            }
            if renewal.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(Woken::Renew));
            }
            if reminder.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(Woken::Reminder));
            }
            let item = std::task::ready!(next.as_mut().poll(context));
            Poll::Ready(item.map(Woken::Item).map_err(Into::into))
        })
        .await
    }

    async fn take(&self, work: &mut Work, item: SharedItem) -> Result<bool, ProcessError> {
        let recorded = match item {
            Item::Event(event) => event,
            Item::Gap { .. } => return Err(ProcessError::Missed),
            Item::CaughtUp(_) => {
                metrics::attended(P::NAME, Shown::All);
                return Ok(true);
            }
            _ => return Ok(true),
        };
        let event: P::Event = codec::decode(&recorded)?;
        let Some(instance) = P::instance(&event, &recorded) else {
            work.listened = recorded.position;
            work.unkept = work.unkept.saturating_add(1);
            metrics::attended(P::NAME, Shown::Event(recorded.recorded_at));
            return Ok(true);
        };
        let occurrence = Occurrence {
            instance: &instance,
            cause: Cause::Event(recorded.position.to_string()),
            happened: Happened::Event(&event),
            at: recorded.recorded_at,
            event: Some(&recorded),
        };
        let is_written = self.advance(work, occurrence).await?;
        if is_written {
            work.listened = recorded.position;
            metrics::attended(P::NAME, Shown::Event(recorded.recorded_at));
        }
        Ok(is_written)
    }

    /// Keeps from where on something is still to be done, and up to where it was listened.
    async fn keep(&self, work: &mut Work) -> Result<(), ProcessError> {
        work.unkept = 0;
        for (consumer, position) in [
            (agenda_of::<P>()?, work.agenda.done_up_to()),
            (listener::<P>()?, work.listened),
        ] {
            if position == Position::ORIGIN {
                continue;
            }
            match self.checkpoints.save_checkpoint(consumer, position).await {
                // An append with an effect has moved it there.
                Ok(()) | Err(KeepError::Behind { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// The consumer of the events a process listens to.
pub(super) fn listener<P: Process>() -> Result<Consumer, NameError> {
    Consumer::new(format!("process.{}", P::NAME))
}

/// The consumer of the process's own records.
fn agenda_of<P: Process>() -> Result<Consumer, NameError> {
    Consumer::new(format!("agenda.{}", P::NAME))
}

impl<P> fmt::Debug for Processor<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processor")
            .field("process", &std::any::type_name::<P>())
            .finish_non_exhaustive()
    }
}
