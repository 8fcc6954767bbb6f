use eventwire_store::{
    Actual, Append, AppendError, Appended, Conflict, Guard, InvalidAppend, Position, StreamName,
    Version,
};

use crate::answer::Answer;
use crate::index::{BadIndex, Home};
use crate::number;
use crate::request::Request;
use crate::state::State;

/// What comes of a request.
pub(crate) enum Verdict {
    /// Nothing is written.
    Answered(Answer),
    /// It is written, each event into the stream that is found as its home says.
    Write,
}

/// Judges a request by what was written before it. Where it is to be written, `homes` are those of
/// its events.
pub(crate) fn judge(
    state: &State,
    request: &Request,
    homes: &mut Vec<Home>,
) -> Result<Verdict, BadIndex> {
    let refused = |error: AppendError| Ok(Verdict::Answered(error.into()));
    let done = |appended: Appended| Ok(Verdict::Answered(appended.into()));
    if let Some((key, fingerprint)) = &request.identity
        && let Some(kept) = state.key(key)?
    {
        if kept.fingerprint != *fingerprint {
            return refused(InvalidAppend::KeyReused(key.clone()).into());
        }
        return done(state.repeated(key, kept)?);
    }
    if request.is_leaving {
        return done(state.open.appended(state.last() + 1, 0));
    }
    if let Some(trimming) = &request.trimming
        && !trimming.settle(state)?
    {
        return done(state.open.appended(state.last() + 1, 0));
    }
    let mut guarded = None;
    if let Some(error) = unmet_guard(state, &request.append, &mut guarded)? {
        return refused(error);
    }
    if writes_to_deleted(state, &request.append) {
        return refused(beside_guards(&request.append, Actual::Deleted));
    }
    if let Some(checkpoint) = &request.checkpoint {
        let actual = state.notes.checkpoints.latest(&checkpoint.consumer);
        match checkpoint.at {
            Some(at) if actual >= at => {
                let actual = Actual::Consumed(actual);
                return refused(beside_guards(&request.append, actual));
            }
            // It is forgotten already.
            None if actual == Position::ORIGIN => {
                return done(state.open.appended(state.last() + 1, 0));
            }
            _ => {}
        }
    }
    find_homes(state, &request.append, guarded, homes)?;
    Ok(Verdict::Write)
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

/// How the stream of each event is found. One that was looked up for a guard, or for the event
/// before, is not looked up again.
fn find_homes(
    state: &State,
    append: &Append,
    guarded: Option<Guarded<'_>>,
    homes: &mut Vec<Home>,
) -> Result<(), BadIndex> {
    homes.clear();
    let mut last = None;
    for event in append.events() {
        let stream = event.as_parts().stream;
        homes.push(match (stream, guarded) {
            (None, _) => Home::Sought { before: 0 },
            (Some(_), _) if stream == last => Home::SameAsLast,
            (Some(stream), Some(guarded)) if guarded.stream == stream => guarded.home,
            (Some(stream), _) => find_home(state, stream)?.0,
        });
        last = stream;
    }
    Ok(())
}

/// How a stream is found, and the version of its last event.
fn find_home(state: &State, stream: &StreamName) -> Result<(Home, Option<Version>), BadIndex> {
    if let Some((number, version)) = state.open.stream(stream) {
        return Ok((Home::Known(number), Some(version)));
    }
    let version = state.sealed_version(stream)?;
    let before = version.map_or(0, Version::get);
    Ok((Home::Sought { before }, version))
}

/// A stream that was looked up for a guard.
#[derive(Clone, Copy)]
struct Guarded<'a> {
    stream: &'a StreamName,
    home: Home,
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
                let (home, actual) = find_home(state, stream)?;
                *guarded = Some(Guarded { stream, home });
                (!expect.is_met_by(actual)).then_some(Actual::Version(actual))
            }
            Guard::NoMatch { after, .. } if is_beyond(state, *after) => {
                let after = *after;
                return Ok(Some(InvalidAppend::BeyondHead { guard, after }.into()));
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

/// Whether nobody can have read up to a place, as the place of another store.
fn is_beyond(state: &State, after: Position) -> bool {
    after > number::position(state.last()) && after < Position::MAX
}
