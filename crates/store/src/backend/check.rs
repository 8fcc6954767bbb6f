use crate::append::{Append, Guard, weight};
use crate::error::{AppendError, InvalidAppend};
use crate::store::Capabilities;

/// The checks that need no log: an append has events, is within the limits, and asks for
/// nothing that the store cannot do.
///
/// # Errors
/// [`AppendError::Invalid`] where it is empty, [`AppendError::TooLarge`] where it is too large,
/// [`AppendError::Unsupported`] where it asks for too much.
pub fn check(append: &Append, capabilities: &Capabilities) -> Result<(), AppendError> {
    let limits = &capabilities.limits;
    let events = append.events();
    if events.is_empty() {
        return Err(InvalidAppend::Empty.into());
    }
    within("the number of events", events.len(), limits.append_events)?;
    let mut total = 0usize;
    for event in events {
        let bytes = weight(event);
        within("an event in bytes", bytes, limits.event_bytes)?;
        within("the number of tags", event.tags.len(), limits.event_tags)?;
        total = total.saturating_add(bytes);
    }
    within("the append in bytes", total, limits.append_bytes)?;
    let mut guards = append.guards().iter();
    if !capabilities.query_guards && guards.any(|guard| matches!(guard, Guard::NoMatch { .. })) {
        return Err(AppendError::Unsupported("guards on queries"));
    }
    if !capabilities.consumed && append.consumption().is_some() {
        return Err(AppendError::Unsupported("checkpoints in an append"));
    }
    Ok(())
}

fn within(what: &'static str, size: usize, limit: usize) -> Result<(), AppendError> {
    if size <= limit {
        Ok(())
    } else {
        Err(AppendError::TooLarge { what, size, limit })
    }
}
