use eventwire_store::{
    Actual, Append, AppendError, Conflict, Guard, InvalidAppend, Position, StreamName, Version,
};

use crate::committer::Answer;
use crate::index::BadIndex;
use crate::number;
use crate::request::Request;
use crate::state::State;

/// What comes of a request.
pub(crate) enum Verdict {
    /// Nothing is written.
    Answered(Box<Answer>),
    /// It is written. For each event the version its stream had before the segment that is
    /// written to, where the event can be the first of its stream there.
    Write { befores: Vec<u64> },
}

/// Judges a request by what was written before it.
pub(crate) fn judge(state: &State, request: &Request) -> Result<Verdict, BadIndex> {
    let answered = |answer| Ok(Verdict::Answered(Box::new(answer)));
    if let Some((key, fingerprint)) = &request.identity
        && let Some(kept) = state.key(key)?
    {
        if kept.fingerprint != *fingerprint {
            return answered(Err(InvalidAppend::KeyReused(key.clone()).into()));
        }
        return answered(Ok(state.repeated(key, kept)?));
    }
    if request.is_leaving {
        return answered(Ok(state.open.appended(state.last() + 1, 0)));
    }
    if let Some(trimming) = &request.trimming
        && !trimming.settle(state)?
    {
        return answered(Ok(state.open.appended(state.last() + 1, 0)));
    }
    let mut guarded = None;
    if let Some(error) = unmet_guard(state, &request.append, &mut guarded)? {
        return answered(Err(error));
    }
    if writes_to_deleted(state, &request.append) {
        return answered(Err(beside_guards(&request.append, Actual::Deleted)));
    }
    if let Some(checkpoint) = &request.checkpoint {
        let actual = state.notes.checkpoints.latest(&checkpoint.consumer);
        match checkpoint.at {
            Some(at) if actual >= at => {
                let actual = Actual::Consumed(actual);
                return answered(Err(beside_guards(&request.append, actual)));
            }
            // It is forgotten already.
            None if actual == Position::ORIGIN => {
                return answered(Ok(state.open.appended(state.last() + 1, 0)));
            }
            _ => {}
        }
    }
    Ok(Verdict::Write {
        befores: versions_before(state, &request.append, guarded)?,
    })
}

fn writes_to_deleted(state: &State, append: &Append) -> bool {
    let mut written = append
        .events()
        .iter()
        .filter_map(|event| event.as_parts().stream);
    written.any(|stream| state.notes.dropped.is_deleted(stream))
}

/// A conflict with what no guard is about.
fn beside_guards(append: &Append, actual: Actual) -> AppendError {
    let guard = append.guards().len();
    AppendError::Conflict(Conflict { guard, actual })
}

/// For each event the version of its stream before the open index; any number where the index
/// has events of it by then, for then it does not matter.
fn versions_before(
    state: &State,
    append: &Append,
    guarded: Option<Guarded<'_>>,
) -> Result<Vec<u64>, BadIndex> {
    let mut last = None;
    let befores = append.events().iter().map(|event| {
        let Some(stream) = event.as_parts().stream else {
            return Ok(0);
        };
        if last.replace(stream) == Some(stream) {
            return Ok(0);
        }
        let version = match guarded {
            Some(guarded) if guarded.stream == stream => guarded.version,
            _ if state.open.version(stream).is_some() => None,
            _ => state.sealed_version(stream)?,
        };
        Ok(version.map_or(0, Version::get))
    });
    befores.collect()
}

/// A stream whose version was looked up for a guard.
#[derive(Clone, Copy)]
struct Guarded<'a> {
    stream: &'a StreamName,
    version: Option<Version>,
}

/// What an append is answered of which a guard does not hold.
fn unmet_guard<'a>(
    state: &State,
    append: &'a Append,
    guarded: &mut Option<Guarded<'a>>,
) -> Result<Option<AppendError>, BadIndex> {
    for (guard, condition) in append.guards().iter().enumerate() {
        let actual = match condition {
            Guard::Stream { stream, .. } if state.notes.dropped.is_deleted(stream) => {
                Some(Actual::Deleted)
            }
            Guard::Stream { stream, expect } => {
                let actual = state.version(stream)?;
                *guarded = Some(Guarded {
                    stream,
                    version: actual,
                });
                (!expect.is_met_by(actual)).then_some(Actual::Version(actual))
            }
            Guard::NoMatch { query, after } => state
                .first_match(query, number::of(*after))?
                .map(|found| Actual::Match(number::position(found))),
            _ => return Ok(Some(AppendError::Unsupported("a guard of this kind"))),
        };
        if let Some(actual) = actual {
            return Ok(Some(AppendError::Conflict(Conflict { guard, actual })));
        }
    }
    Ok(None)
}
