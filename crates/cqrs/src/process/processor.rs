use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use eventwire_store::{
    Actual, Append, AppendError, CheckpointStore, Consumer, EventStore, Expect, IdempotencyKey,
    Item, KeepError, NameError, Position, Query, ReadOptions, RecordedEvent, Start, Version,
};
use tokio::sync::mpsc;
use tracing::{Instrument, debug_span};

use crate::backoff::Backoff;
use crate::clock::{Clock, SystemClock};
use crate::codec;
use crate::dispatcher::Dispatcher;
use crate::error::CommandError;
use crate::followed::{Followed, SharedItem};
use crate::lease::{Held, Lease, Taking};
use crate::metrics::{self, Shown};
use crate::process::agenda::{Agenda, Open};
use crate::process::record::{self, Advanced, Cause, Record, Reminder};
use crate::process::{Asked, Happened, Process, ProcessError, Reaction};
use crate::request::CommandRequest;

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
    store: Arc<dyn EventStore>,
    checkpoints: Arc<dyn CheckpointStore>,
    dispatcher: Dispatcher,
    retries: Backoff,
    clock: Arc<dyn Clock>,
    lease: Option<Lease>,
    stops: mpsc::Receiver<()>,
    stopper: mpsc::Sender<()>,
    process: PhantomData<fn() -> P>,
}

/// Stops a processor that runs. A clone stops the same one.
#[derive(Debug, Clone)]
pub struct Steering(mpsc::Sender<()>);

impl Steering {
    /// Stops it after what it is at. One that has stopped already is no error.
    pub async fn stop(&self) {
        let _stopped = self.0.send(()).await.is_err();
    }
}

/// How work ended that did not fail.
enum Ended {
    Told,
    /// Another is at work, or may be: look again.
    Overtaken,
}

/// What happened that is to be written down.
struct Occurrence<'a, E> {
    instance: &'a str,
    cause: Cause,
    happened: Happened<'a, E>,
    at: SystemTime,
    /// The event it is, where it is one.
    event: Option<&'a RecordedEvent>,
}

/// What a process is woken by.
enum Woken {
    Item(SharedItem),
    Reminder,
    Renew,
    Stopped,
}

/// A process at work: what is to be done, and what comes next.
struct Work {
    agenda: Agenda,
    events: Followed,
    held: Option<Held>,
    /// The last event that was seen to.
    listened: Position,
    /// Records, and events that are nobody's, since it was kept how far the process is.
    unkept: u32,
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
            retries: Backoff::default(),
            clock: Arc::new(SystemClock),
            lease: None,
            stops,
            stopper,
            process: PhantomData,
        }
    }

    /// How often a command is tried that the store is too busy for, or that lost every race;
    /// then the processor stops. 8 times by default.
    #[must_use]
    pub fn retries(mut self, retries: Backoff) -> Self {
        self.retries = retries;
        self
    }

    /// Goes by another clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Works only while it holds a lease, and stands by while another does.
    #[must_use]
    pub fn lease(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
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
            let held = match self.lease.clone() {
                None => None,
                Some(lease) => match self.stand_by(&lease).await? {
                    Some(held) => Some(held),
                    None => return Ok(()),
                },
            };
            let mut work = self.begin(held).await?;
            let outcome = self.work(&mut work).await;
            if let (Some(lease), Some(held)) = (&self.lease, work.held) {
                lease.release(held).await;
            }
            match outcome {
                Ok(Ended::Told) => return self.keep(&mut work).await,
                Ok(Ended::Overtaken) => {
                    let wait = self.retries.waits().next().unwrap_or_default();
                    self.clock.sleep(wait).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for the lease; none where it was told to stop.
    async fn stand_by(&mut self, lease: &Lease) -> Result<Option<Held>, ProcessError> {
        loop {
            match lease.take().await? {
                Taking::Held(held) => return Ok(Some(held)),
                Taking::Taken(left) => {
                    let mut wait = pin!(lease.stand_by(left));
                    let stops = &mut self.stops;
                    let is_stopped = poll_fn(|context| {
                        if stops.poll_recv(context).is_ready() {
                            return Poll::Ready(true);
                        }
                        wait.as_mut().poll(context).map(|()| false)
                    });
                    if is_stopped.await {
                        return Ok(None);
                    }
                }
            }
        }
    }

    async fn begin(&self, held: Option<Held>) -> Result<Work, ProcessError> {
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
            held,
            listened: Position::ORIGIN,
            unkept: 0,
        })
    }

    async fn work(&mut self, work: &mut Work) -> Result<Ended, ProcessError> {
        loop {
            if self.has_lost_lease(work).await? {
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
                    at: self.clock.now(),
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

    async fn has_lost_lease(&self, work: &mut Work) -> Result<bool, ProcessError> {
        let (Some(lease), Some(held)) = (&self.lease, work.held) else {
            return Ok(false);
        };
        if !lease.is_fresh(held) {
            work.held = match lease.take().await? {
                Taking::Held(held) => Some(held),
                Taking::Taken(_) => None,
            };
        }
        Ok(work.held.is_none())
    }

    fn due(&self, agenda: &Agenda) -> Option<(String, String)> {
        let (instance, name, due) = agenda.next_reminder()?;
        (due <= self.clock.now()).then(|| (instance.to_owned(), name.to_owned()))
    }

    async fn wake(&mut self, work: &mut Work) -> Result<Woken, ProcessError> {
        let reminder = work.agenda.next_reminder().map(|(_, _, due)| due);
        let reminder = async {
            match reminder {
                Some(due) => {
                    let left = due.duration_since(self.clock.now()).unwrap_or_default();
                    self.clock.sleep(left).await;
                }
                None => std::future::pending().await,
            }
        };
        let renewal = async {
            match (&self.lease, work.held) {
                (Some(lease), Some(held)) => lease.due(held).await,
                _ => std::future::pending().await,
            }
        };
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

    /// Has a command carried out, and writes down the answer.
    async fn carry_out(&self, work: &mut Work, open: &Open) -> Result<bool, ProcessError> {
        let refusal = self.ask(open).await?;
        let command = &*open.asked.name;
        let answered = Occurrence {
            instance: &open.instance,
            cause: Cause::Answer {
                version: open.version.get(),
                index: open.index,
            },
            happened: match &refusal {
                None => Happened::Done { command },
                Some(reason) => Happened::Refused { command, reason },
            },
            at: self.clock.now(),
            event: None,
        };
        self.advance(work, answered).await
    }

    /// Asks until there is an answer: none where it was carried out, else why it never will be.
    async fn ask(&self, open: &Open) -> Result<Option<String>, ProcessError> {
        let Open {
            instance,
            version,
            index,
            asked,
            ..
        } = open;
        let key = format!("process/{}/{instance}/{version}/{index}", P::NAME);
        let body = asked.body.to_string();
        let request = CommandRequest::new(&*asked.name, body).key(IdempotencyKey::new(key)?);
        let mut waits = self.retries.waits();
        loop {
            let Err(error) = self.dispatcher.dispatch(request.clone()).await else {
                return Ok(None);
            };
            let waits_at_least = match &error {
                CommandError::Busy { retry_after, .. } => *retry_after,
                CommandError::Conflict(_) | CommandError::Indeterminate { .. } => None,
                CommandError::Codec(_) | CommandError::Store(_) => {
                    return Err(unanswered(open, error));
                }
                refusal => return Ok(Some(refusal.to_string())),
            };
            let Some(wait) = waits.next() else {
                return Err(unanswered(open, error));
            };
            self.clock
                .sleep(wait.max(waits_at_least.unwrap_or_default()))
                .await;
        }
    }

    /// Writes down what happened to an instance and what is to be done about it; false where
    /// another may have done so.
    async fn advance(
        &self,
        work: &mut Work,
        occurrence: Occurrence<'_, P::Event>,
    ) -> Result<bool, ProcessError> {
        let span = debug_span!(
            "process",
            name = P::NAME,
            instance = occurrence.instance,
            cause = occurrence.cause.kind(),
        );
        self.write_down(work, occurrence).instrument(span).await
    }

    async fn write_down(
        &self,
        work: &mut Work,
        occurrence: Occurrence<'_, P::Event>,
    ) -> Result<bool, ProcessError> {
        work.unkept = work.unkept.saturating_add(1);
        let instance = occurrence.instance;
        let stream = record::stream(P::NAME, instance)?;
        let last = self.last(instance).await?;
        if occurrence.event.is_some() && last.as_ref().is_some_and(|(_, last)| last.has_ended) {
            return Ok(true);
        }
        let (version, advanced) = react::<P>(last, &occurrence)?;
        let record = Record::ProcessAdvanced(advanced);
        let mut event = codec::encode(&record)?.tag(record::tag(P::NAME)?);
        if let Some(cause) = occurrence.event
            && let Ok(caused) = event.clone().caused_by(cause)
        {
            event = caused;
        }
        let expect = version.map_or(Expect::NoStream, Expect::Exact);
        let mut append = Append::to(stream.clone()).expect(expect).event(event);
        if let Some(event) = occurrence.event {
            append = append.consumed(listener::<P>()?, event.position);
        }
        match self.store.append(append).await {
            Ok(appended) => {
                let Record::ProcessAdvanced(advanced) = &record;
                let version = appended.version_of(&stream).unwrap_or(Version::FIRST);
                work.agenda.take_in(advanced, appended.last(), version);
                metrics::advanced(P::NAME, occurrence.cause.kind());
                Ok(true)
            }
            // It is seen which when the records are read again.
            Err(AppendError::Conflict(conflict)) if conflict.actual != Actual::Deleted => Ok(false),
            Err(AppendError::Indeterminate { .. }) => Ok(false),
            Err(AppendError::Busy { retry_after, .. }) => {
                self.clock.sleep(retry_after.unwrap_or_default()).await;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The last record of an instance.
    async fn last(&self, instance: &str) -> Result<Option<(Version, Advanced)>, ProcessError> {
        let stream = Query::stream(record::stream(P::NAME, instance)?);
        let options = ReadOptions::backward().limit(1);
        let mut items = self.store.read(stream, options);
        while let Some(item) = items.next().await {
            if let Item::Event(event) = item? {
                let Record::ProcessAdvanced(advanced) = codec::decode(&event)?;
                return Ok(Some((event.version().unwrap_or(Version::FIRST), advanced)));
            }
        }
        Ok(None)
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

/// What an instance does about something that happened, as it is written down, and after
/// which version.
fn react<P: Process>(
    last: Option<(Version, Advanced)>,
    occurrence: &Occurrence<'_, P::Event>,
) -> Result<(Option<Version>, Advanced), ProcessError> {
    let unwritable = |what, detail| ProcessError::Unwritable {
        what,
        instance: occurrence.instance.to_owned(),
        detail,
    };
    let (version, has_ended, mut state) = match last {
        None => (None, false, P::default()),
        Some((version, last)) => {
            let state = serde_json::from_value(last.state)
                .map_err(|error| unwritable("the state", error.to_string()))?;
            (Some(version), last.has_ended, state)
        }
    };
    let reaction = match has_ended {
        true => Reaction::nothing().end(),
        false => state.react(occurrence.happened),
    };
    let commands: Result<Vec<Asked>, String> = reaction.commands.into_iter().collect();
    let reminders = reaction.reminders.into_iter();
    let reminders = reminders.map(|(name, after)| {
        let due = occurrence.at.checked_add(after).unwrap_or(occurrence.at);
        Reminder::new(name, due)
    });
    let advanced = Advanced {
        process: P::NAME.to_owned(),
        instance: occurrence.instance.to_owned(),
        cause: occurrence.cause.clone(),
        state: serde_json::to_value(&state)
            .map_err(|error| unwritable("the state", error.to_string()))?,
        commands: commands.map_err(|detail| unwritable("a command", detail))?,
        reminders: reminders.collect(),
        forgotten: reaction.forgotten,
        has_ended: reaction.has_ended,
    };
    Ok((version, advanced))
}

fn unanswered(open: &Open, cause: CommandError) -> ProcessError {
    ProcessError::Command {
        name: open.asked.name.clone(),
        instance: open.instance.clone(),
        cause,
    }
}

/// The consumer of the events a process listens to.
fn listener<P: Process>() -> Result<Consumer, NameError> {
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
