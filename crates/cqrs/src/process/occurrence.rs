use std::time::SystemTime;

use eventwire_store::{
    Actual, Append, AppendError, EventStore, Expect, Item, Query, ReadOptions, RecordedEvent,
    Version,
};
use tracing::{Instrument, debug_span};

use crate::codec;
use crate::metrics;
use crate::process::processor::{Processor, Work, listener};
use crate::process::record::{self, Advanced, Cause, Record, Reminder};
use crate::process::{Asked, Happened, Process, ProcessError, Reaction};

/// What happened that is to be written down.
pub(super) struct Occurrence<'a, E> {
    pub(super) instance: &'a str,
    pub(super) cause: Cause,
    pub(super) happened: Happened<'a, E>,
    pub(super) at: SystemTime,
    /// The event it is, where it is one.
    pub(super) event: Option<&'a RecordedEvent>,
}

impl<P: Process> Processor<P> {
    /// Writes down what happened to an instance and what is to be done about it; false where
    /// another may have done so.
    pub(super) async fn advance(
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
                self.worker
                    .clock
                    .sleep(retry_after.unwrap_or_default())
                    .await;
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
