use std::sync::Arc;

use eventwire_store::{
    Actual, Append, AppendError, Conflict, EventStore, Expect, Fingerprint, IdempotencyKey,
    SnapshotStore,
};

use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::decision::Decision;
use crate::error::{CommandError, Contention, InvalidCommand, Unmet};
use crate::folded::{Folded, Reading};
use crate::receipt::Receipt;
use crate::request::CommandOptions;

/// What commands are carried out on.
pub(crate) struct Ground {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) snapshots: Option<Arc<dyn SnapshotStore>>,
    pub(crate) conflict_retries: Backoff,
    pub(crate) clock: Arc<dyn Clock>,
}

/// One command, from its boundaries to its receipt.
///
/// Read, decide, append under the guard that nothing has come in between; where something
/// has, begin again, as often as the policy says.
pub(crate) async fn execute<D: Decision>(
    ground: Arc<Ground>,
    command: D::Command,
    options: CommandOptions,
) -> Result<Receipt, CommandError> {
    let boundaries = D::boundaries(&command).map_err(InvalidCommand::Name)?;
    let first = &boundaries.as_ref()[0];
    if options.expect != Expect::Any && first.decided_by().is_none() {
        return Err(InvalidCommand::NothingToExpect.into());
    }
    let store = &*ground.store;
    let execution = Execution::<D> {
        store,
        reading: Reading::new(store, ground.snapshots.as_deref(), &boundaries),
        command,
        options,
    };
    if let Some((key, fingerprint)) = &execution.options.identity
        && let Some(receipt) = recall(store, key, *fingerprint, 0).await?
    {
        return Ok(receipt);
    }
    let mut lost_to = None;
    let mut attempts = 1;
    let mut waits = None;
    loop {
        let conflict = match execution.attempt(attempts, lost_to.as_ref()).await? {
            Attempt::Settled(receipt) => return Ok(receipt),
            Attempt::Lost(conflict) => conflict,
        };
        let waits = waits.get_or_insert_with(|| ground.conflict_retries.waits());
        // A name that is never used again is nothing that deciding again could settle.
        let wait = match conflict.actual {
            Actual::Deleted => None,
            _ => waits.next(),
        };
        let Some(wait) = wait else {
            return Err(CommandError::Conflict(Contention {
                attempts,
                actual: conflict.actual,
            }));
        };
        // The first retry need not wait: who won is done.
        if attempts > 1 && !wait.is_zero() {
            ground.clock.sleep(wait).await;
        }
        attempts = attempts.saturating_add(1);
        lost_to = Some(conflict);
    }
}

/// The receipt an earlier request with this key got, if there was one.
async fn recall(
    store: &dyn EventStore,
    key: &IdempotencyKey,
    fingerprint: Fingerprint,
    attempts: u32,
) -> Result<Option<Receipt>, CommandError> {
    match store.recall(key.clone()).await? {
        None => Ok(None),
        Some(recalled) if recalled.fingerprint == fingerprint => Ok(Some(Receipt {
            appended: Some(recalled.appended),
            attempts,
        })),
        Some(_) => Err(CommandError::KeyReused(key.clone())),
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
        let mut folded = self.reading.fold(lost_to).await?;
        if self.reading.keeps_states() {
            self.reading.keep(&mut folded).await;
        }
        let append = match self.decide(&folded) {
            Ok(Some(append)) => append,
            unwritten => {
                // The history may hold what another request with this key wrote since the
                // first look. Then that request's receipt is the answer, not what this one
                // has to say about its own effect.
                if let Some((key, fingerprint)) = &self.options.identity
                    && let Some(receipt) = recall(self.store, key, *fingerprint, attempts).await?
                {
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
        let mut append = match boundaries[0].writes_to() {
            Some(stream) => Append::to(stream.clone()),
            None => Append::new(),
        };
        for (part, boundary) in boundaries.iter().enumerate() {
            append = boundary.guard(append, folded.version(part), folded.looked_to);
        }
        let metadata = &self.options.metadata;
        let append = match metadata.is_empty() {
            true => append.extend(events),
            false => append.extend(
                events
                    .into_iter()
                    .map(|event| event.metadata(metadata.clone())),
            ),
        };
        Ok(Some(match &self.options.identity {
            Some((key, fingerprint)) => append.key(key.clone()).fingerprint(*fingerprint),
            None => append,
        }))
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
