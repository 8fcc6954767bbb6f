use eventwire_store::{Actual, Append, AppendError, EventStore, Expect, NewEvent};

use crate::boundary::Boundary;
use crate::codec;
use crate::decider::Decider;
use crate::error::{CommandError, InvalidCommand, Unmet};
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
    let boundary = boundary::<D>(&command, &options)?;
    if let Some(receipt) = recall(store, &options, 0).await? {
        return Ok(receipt);
    }
    let mut attempts = 1;
    let mut lost_to = None;
    loop {
        let folded = Folded::<D>::read(store, &boundary, lost_to).await?;
        let append = match decide(&folded, &command, &boundary, &options) {
            Ok(Some(append)) => append,
            unwritten => {
                // The history may hold what another request with this key wrote since the
                // first look. Then that request's receipt is the answer, not what this one
                // has to say about its own effect.
                if let Some(receipt) = recall(store, &options, attempts).await? {
                    return Ok(receipt);
                }
                return unwritten.map(|_| Receipt {
                    appended: None,
                    attempts,
                });
            }
        };
        match store.append(append).await {
            Ok(appended) => {
                return Ok(Receipt {
                    appended: Some(appended),
                    attempts,
                });
            }
            Err(AppendError::Conflict(conflict)) if attempts <= retries => {
                expected(&options, conflict.actual)?;
                lost_to = Some(conflict.actual);
                attempts += 1;
            }
            Err(error) => {
                if let AppendError::Conflict(conflict) = &error {
                    expected(&options, conflict.actual)?;
                }
                return Err(CommandError::from_append(error, attempts));
            }
        }
    }
}

fn boundary<D: Decider>(
    command: &D::Command,
    options: &CommandOptions,
) -> Result<Boundary, CommandError> {
    let boundary =
        D::boundary(command).map_err(|error| CommandError::Invalid(InvalidCommand::Name(error)))?;
    if options.expect != Expect::Any && boundary.writes_to().is_none() {
        return Err(CommandError::Invalid(InvalidCommand::NothingToExpect));
    }
    Ok(boundary)
}

/// The receipt an earlier request with this key got, if there was one.
async fn recall(
    store: &dyn EventStore,
    options: &CommandOptions,
    attempts: u32,
) -> Result<Option<Receipt>, CommandError> {
    let Some((key, fingerprint)) = &options.identity else {
        return Ok(None);
    };
    match store.recall(key.clone()).await? {
        None => Ok(None),
        Some(recalled) if recalled.fingerprint == *fingerprint => Ok(Some(Receipt {
            appended: Some(recalled.appended),
            attempts,
        })),
        Some(_) => Err(CommandError::KeyReused(key.clone())),
    }
}

/// What to append; nothing where nothing needs to happen.
fn decide<D: Decider>(
    folded: &Folded<D>,
    command: &D::Command,
    boundary: &Boundary,
    options: &CommandOptions,
) -> Result<Option<Append>, CommandError> {
    expected(options, Actual::Version(folded.version))?;
    let events = folded
        .state
        .decide(command)
        .map_err(|refusal| CommandError::Refused(Box::new(refusal)))?;
    if events.is_empty() {
        return Ok(None);
    }
    let mut append = boundary.append_after(folded.version, folded.looked_to);
    for event in &events {
        let tags =
            D::tags(event).map_err(|error| CommandError::Invalid(InvalidCommand::Name(error)))?;
        let new = codec::encode(event)?.metadata(options.metadata.clone());
        append = append.event(tags.into_iter().fold(new, NewEvent::tag));
    }
    Ok(Some(match &options.identity {
        Some((key, fingerprint)) => append.key(key.clone()).fingerprint(*fingerprint),
        None => append,
    }))
}

/// Whether the caller's expectation still stands. A race alone does not fail it: a stream
/// that must exist still exists with one event more.
fn expected(options: &CommandOptions, actual: Actual) -> Result<(), CommandError> {
    match actual {
        Actual::Version(actual) if !options.expect.is_met_by(actual) => {
            Err(CommandError::Precondition(Unmet {
                expected: options.expect,
                actual,
            }))
        }
        _ => Ok(()),
    }
}
