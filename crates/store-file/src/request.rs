use eventwire_store::{Append, AppendError, Fingerprint, IdempotencyKey};

use crate::format::{MAX_BODY_BYTES, Note, append_bytes};

/// What the writer is asked for: checked, and what can be known without the log is known.
#[derive(Debug)]
pub(crate) struct Request {
    /// Without events where only the note is to be written.
    pub(crate) append: Append,
    pub(crate) identity: Option<(IdempotencyKey, Fingerprint)>,
    /// Written together with the events.
    pub(crate) note: Option<Note>,
    /// Bytes in the body of a frame.
    pub(crate) bytes: usize,
}

impl Request {
    /// A request to append.
    ///
    /// # Errors
    /// [`AppendError::TooLarge`] where no frame could hold it.
    pub(crate) fn new(append: Append) -> Result<Self, AppendError> {
        let identity = append
            .identity()
            .map(|(key, fingerprint)| (key.clone(), fingerprint));
        let note = append.consumption().map(|(consumer, position)| Note {
            consumer: consumer.clone(),
            at: Some(position),
        });
        let key = identity.as_ref().map(|(key, _)| key);
        let bytes =
            append_bytes(append.events(), key).saturating_add(note.as_ref().map_or(0, Note::bytes));
        if bytes > MAX_BODY_BYTES {
            return Err(AppendError::TooLarge {
                what: "the append as it is stored, in bytes,",
                size: bytes,
                limit: MAX_BODY_BYTES,
            });
        }
        Ok(Self {
            append,
            identity,
            note,
            bytes,
        })
    }

    /// A request to move a checkpoint, and no more.
    pub(crate) fn of_note(note: Note) -> Self {
        Self {
            append: Append::new(),
            identity: None,
            bytes: note.bytes(),
            note: Some(note),
        }
    }

    pub(crate) fn key(&self) -> Option<&IdempotencyKey> {
        self.identity.as_ref().map(|(key, _)| key)
    }
}
