use core::time::Duration;

use bytes::BufMut;

use crate::decimal::Decimal;
use crate::event_id::EventId;
use crate::event_name::EventName;
use crate::field::{Field, FieldError, check};

/// The fields of an event before its data: name, id and retry, borrowed.
///
/// Build one once where many events share them, and give it each event's data.
#[derive(Debug, Clone, Copy, Default)]
pub struct EventHead<'a> {
    name: Option<&'a str>,
    id: Option<&'a str>,
    retry: Option<Duration>,
}

impl<'a> EventHead<'a> {
    /// A head without any field.
    #[must_use]
    #[inline]
    pub const fn new() -> Self {
        Self {
            name: None,
            id: None,
            retry: None,
        }
    }

    /// Sets the name that a client listens for.
    #[must_use]
    #[inline]
    pub fn name(self, name: &'a EventName) -> Self {
        Self {
            name: Some(name.as_str()),
            ..self
        }
    }

    /// Sets a name that is not an [`EventName`] yet; checked without an allocation.
    ///
    /// # Errors
    ///
    /// Those of [`EventName::new`].
    pub fn try_name(self, name: &'a str) -> Result<Self, FieldError> {
        check(Field::Event, name)?;
        Ok(Self {
            name: Some(name),
            ..self
        })
    }

    /// Sets the id that a client sends back when it reconnects.
    #[must_use]
    #[inline]
    pub fn id(self, id: &'a EventId) -> Self {
        Self {
            id: Some(id.as_str()),
            ..self
        }
    }

    /// Sets an id that is not an [`EventId`] yet; checked without an allocation.
    ///
    /// # Errors
    ///
    /// Those of [`EventId::new`].
    pub fn try_id(self, id: &'a str) -> Result<Self, FieldError> {
        check(Field::Id, id)?;
        Ok(Self {
            id: Some(id),
            ..self
        })
    }

    /// Sets how long a client waits before it reconnects.
    ///
    /// The wire has whole milliseconds; a fraction is rounded up, so that a short delay never
    /// becomes none.
    #[must_use]
    pub fn retry(self, delay: Duration) -> Self {
        Self {
            retry: Some(delay),
            ..self
        }
    }

    #[inline(always)]
    pub(crate) fn encoded_len(&self) -> usize {
        let name = self.name.map_or(0, |name| EVENT.len() + name.len() + 1);
        let id = self.id.map_or(0, |id| ID.len() + id.len() + 1);
        let retry = self
            .retry
            .map_or(0, |delay| RETRY.len() + Decimal::millis(delay).len() + 1);
        name + id + retry
    }

    #[inline(always)]
    pub(crate) fn put(&self, out: &mut impl BufMut) {
        if let Some(name) = self.name {
            put_line(out, EVENT, name.as_bytes());
        }
        if let Some(id) = self.id {
            put_line(out, ID, id.as_bytes());
        }
        if let Some(delay) = self.retry {
            put_line(out, RETRY, Decimal::millis(delay).as_bytes());
        }
    }
}

const EVENT: &[u8] = b"event: ";
const ID: &[u8] = b"id: ";
const RETRY: &[u8] = b"retry: ";

#[inline(always)]
fn put_line(out: &mut impl BufMut, prefix: &[u8], value: &[u8]) {
    out.put_slice(prefix);
    out.put_slice(value);
    out.put_slice(b"\n");
}
