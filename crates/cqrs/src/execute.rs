use eventwire_store::{Actual, Append, AppendError, EventStore, Expect, NewEvent};

use crate::boundary::Boundary;
use crate::codec;
use crate::decider::Decider;
use crate::error::{CommandError, Contention, InvalidCommand, Unmet};
use crate::fold::Folded;
use crate::receipt::Receipt;
use crate::request::CommandOptions;

/// One command, from its boundary to its receipt.
///
/// Read, decide, append under the guard that nothing has come in between; where something
/// has, begin again, at most `retries` times.
pub(crate) async fn execute<D: Decider>(
    store: &dyn EventStore,
    retries: u32,
    command: D::Command,
    options: CommandOptions,
) -> Result<Receipt, CommandError> {
    let execution = Execution::<D> {
        store,
        boundary: boundary::<D>(&command, &options)?,
        command,
        options,
    };
    let mut attempts = 0;
    if let Some(receipt) = execution.recall(attempts).await? {
        return Ok(receipt);
    }
    let mut lost_to = None;
    loop {
        attempts = u32::saturating_add(attempts, 1);
        match execution.attempt(attempts, lost_to).await? {
            Attempt::Settled(receipt) => return Ok(receipt),
            Attempt::Lost(actual) if attempts > retries => {
                return Err(CommandError::Conflict(Contention { attempts, actual }));
            }
            Attempt::Lost(actual) => lost_to = Some(actual),
        }
    }
}

fn boundary<D: Decider>(
    command: &D::Command,
    options: &CommandOptions,
) -> Result<Boundary, CommandError> {
    let boundary = D::boundary(command).map_err(InvalidCommand::Name)?;
    if options.expect != Expect::Any && boundary.decided_by().is_none() {
        return Err(InvalidCommand::NothingToExpect.into());
    }
    Ok(boundary)
}

/// A command and all it is judged by.
struct Execution<'a, D: Decider> {
    store: &'a dyn EventStore,
    boundary: Boundary,
    command: D::Command,
    options: CommandOptions,
}

enum Attempt {
    Settled(Receipt),
    /// Something came in between: this is what the store found.
    Lost(Actual),
}

impl<D: Decider> Execution<'_, D> {
    async fn attempt(
        &self,
        attempts: u32,
        lost_to: Option<Actual>,
    ) -> Result<Attempt, CommandError> {
        let folded = Folded::read(self.store, &self.boundary, lost_to).await?;
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
                self.check_expected(conflict.actual)?;
                Ok(Attempt::Lost(conflict.actual))
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
    fn decide(&self, folded: &Folded<D>) -> Result<Option<Append>, CommandError> {
        self.check_expected(Actual::Version(folded.version))?;
        let events = folded
            .state
            .decide(&self.command)
            .map_err(|refusal| CommandError::Refused(Box::new(refusal)))?;
        if events.is_empty() {
            return Ok(None);
        }
        let mut append = self.boundary.append_after(folded.version, folded.looked_to);
        for event in &events {
            append = append.event(self.new_event(event)?);
        }
        Ok(Some(match &self.options.identity {
            Some((key, fingerprint)) => append.key(key.clone()).fingerprint(*fingerprint),
            None => append,
        }))
    }

    fn new_event(&self, event: &D::Event) -> Result<NewEvent, CommandError> {
        let tags = D::tags(event).map_err(InvalidCommand::Name)?;
        let new = codec::encode(event)?.metadata(self.options.metadata.clone());
        Ok(tags.into_iter().fold(new, NewEvent::tag))
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
