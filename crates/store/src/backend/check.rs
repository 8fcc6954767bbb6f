use crate::append::{Append, weight};
use crate::error::{AppendError, InvalidAppend};
use crate::store::Limits;

/// The checks that need no log: an append has events, and is within the limits.
///
/// # Errors
/// [`AppendError::Invalid`] where it is empty, [`AppendError::TooLarge`] where it is too large.
pub fn check(append: &Append, limits: &Limits) -> Result<(), AppendError> {
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
    within("the append in bytes", total, limits.append_bytes)
}

fn within(what: &'static str, size: usize, limit: usize) -> Result<(), AppendError> {
    if size <= limit {
        Ok(())
    } else {
        Err(AppendError::TooLarge { what, size, limit })
    }
}
