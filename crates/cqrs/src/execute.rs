use std::sync::Arc;

use eventwire_store::{
    Actual, Append, AppendError, Conflict, EventStore, Expect, NewEvent, StreamName,
};

use crate::boundary::append_after;
use crate::decision::Decision;
use crate::dispatcher::Shared;
use crate::error::{CommandError, Contention, InvalidCommand, Unmet};
use crate::folded::{Folded, Reading};
use crate::receipt::Receipt;
use crate::request::CommandOptions;

/// One command, from its boundaries to its receipt.
///
/// Read, decide, append under the guard that nothing has come in between; where something
/// has, begin again, as often as the policy says.
pub(crate) async fn execute<D: Decision>(
    shared: Arc<Shared>,
    command: D::Command,
    options: CommandOptions,
) -> Result<Receipt, CommandError> {
    let boundaries = D::boundaries(&command).map_err(InvalidCommand::Name)?;
    let first = &boundaries.as_ref()[0];
    if options.expect != Expect::Any && first.decided_by().is_none() {
        return Err(InvalidCommand::NothingToExpect.into());
    }
    let store = &*shared.store;
    let execution = Execution::<D> {
        store,
        reading: Reading::new(store, shared.snapshots.as_deref(), &boundaries),
        command,
        options,
    };
    if let Some(receipt) = execution.recall(0).await? {
        return Ok(receipt);
    }
    let mut attempts = 1;
    let mut outcome = execution.attempt(attempts, None).await?;
    let mut waits = None;
    loop {
        let lost_to = match outcome {
            Attempt::Settled(receipt) => return Ok(receipt),
            Attempt::Lost(conflict) => conflict,
        };
        let waits = waits.get_or_insert_with(|| shared.conflict_retries.waits());
        // A name that is never used again is nothing that deciding again could settle.
        let wait = match lost_to.actual {
            Actual::Deleted => None,
            _ => waits.next(),
        };
        let Some(wait) = wait else {
            return Err(CommandError::Conflict(Contention {
                attempts,
                actual: lost_to.actual,
            }));
        };
        // The first retry need not wait: who won is done.
        if attempts > 1 && !wait.is_zero() {
            shared.clock.sleep(wait).await;
        }
        attempts = attempts.saturating_add(1);
        outcome = execution.attempt(attempts, Some(&lost_to)).await?;
    }
}

/// A command and all it is judged by.
struct Execution<'a, D: Decision> {
    store: &'a dyn EventStore,
    reading: Reading<'a, D::States>,
    command: D::Command,
    options: CommandOptions,
}

enum Attempt {
    Settled(Receipt),
    /// Something came in between: this is what the store found.
    Lost(Conflict),
}

impl<D: Decision> Execution<'_, D> {
    async fn attempt(
        &self,
        attempts: u32,
        lost_to: Option<&Conflict>,
    ) -> Result<Attempt, CommandError> {
        let folded = self.reading.fold(lost_to).await?;
        if let Some(snapshot) = self.reading.snapshot(&folded) {
            self.reading.keep(snapshot).await;
        }
        let append = match self.decide(&folded) {
            Ok(Some(append)) => append,
            unwritten => {
                // The history may hold what another request with this key wrote since the
                // first look. Then that request's receipt is the answer, not what this one
                // has to say about its own effect.
                if let Some(receipt) = self.recall(attempts).await? {
                    return Ok(Attempt::Settled(receipt));
                }
                return unwritten.map(|_| {
                    Attempt::Settled(Receipt {
                        appended: None,
                        attempts,
                    })
                });
            }
        };
        match self.store.append(append).await {
            Ok(appended) => Ok(Attempt::Settled(Receipt {
                appended: Some(appended),
                attempts,
            })),
            Err(AppendError::Conflict(conflict)) => {
                if self.reading.part(&conflict) == 0 {
                    self.check_expected(conflict.actual)?;
                }
                Ok(Attempt::Lost(conflict))
            }
            Err(error) => Err(CommandError::from_append(error)),
        }
    }

    /// The receipt an earlier request with this key got, if there was one.
    async fn recall(&self, attempts: u32) -> Result<Option<Receipt>, CommandError> {
        let Some((key, fingerprint)) = &self.options.identity else {
            return Ok(None);
        };
        match self.store.recall(key.clone()).await? {
            None => Ok(None),
            Some(recalled) if recalled.fingerprint == *fingerprint => Ok(Some(Receipt {
                appended: Some(recalled.appended),
                attempts,
            })),
            Some(_) => Err(CommandError::KeyReused(key.clone())),
        }
    }

    /// What to append; nothing where nothing needs to happen.
    fn decide(&self, folded: &Folded<D::States>) -> Result<Option<Append>, CommandError> {
        self.check_expected(Actual::Version(folded.version(0)))?;
        let facts = D::decide(&folded.states, &self.command)
            .map_err(|refusal| CommandError::Refused(Box::new(refusal)))?;
        let events = facts.into_events()?;
        if events.is_empty() {
            return Ok(None);
        }
        let boundaries = self.reading.boundaries.as_ref();
        let parts = boundaries.iter().enumerate();
        let parts = parts.map(|(index, boundary)| (boundary, folded.version(index)));
        let append = append_after(parts, folded.looked_to)
            .extend(self.addressed(events, boundaries[0].writes_to()));
        Ok(Some(match &self.options.identity {
            Some((key, fingerprint)) => append.key(key.clone()).fingerprint(*fingerprint),
            None => append,
        }))
    }

    /// With all that the decision left to the command's options and its first boundary.
    fn addressed(&self, events: Vec<NewEvent>, first: Option<&StreamName>) -> Vec<NewEvent> {
        let metadata = &self.options.metadata;
        let in_stream = |event: NewEvent| match (event.as_parts().stream, first) {
            (None, Some(stream)) => event.stream(stream.clone()),
            _ => event,
        };
        let events = events.into_iter().map(in_stream);
        match metadata.is_empty() {
            true => events.collect(),
            false => events
                .map(|event| event.metadata(metadata.clone()))
                .collect(),
        }
    }

    /// Whether the caller's expectation still stands. A race alone does not fail it: a
    /// stream that must exist still exists with one event more.
    fn check_expected(&self, actual: Actual) -> Result<(), CommandError> {
        let expected = self.options.expect;
        match actual {
            Actual::Version(actual) if !expected.is_met_by(actual) => {
                Err(CommandError::Precondition(Unmet { expected, actual }))
            }
            _ => Ok(()),
        }
    }
}
