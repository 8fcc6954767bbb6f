use eventwire_store::{Append, AppendError, Fingerprint, IdempotencyKey};

use crate::format::{Checkpoint, MAX_BODY_BYTES, Note, Trim, append_bytes};
use crate::trimming::Trimming;

/// What the writer is asked for: checked, and what can be known without the log is known.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// Without events where only a note is to be written.
    pub(crate) append: Append,
    pub(crate) identity: Option<(IdempotencyKey, Fingerprint)>,
    /// Moved together with the events.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// What is to be dropped, where there is nothing else to be done.
    pub(crate) trimming: Option<Trimming>,
    /// Whether the last segment is to be left, and nothing else to be done.
    pub(crate) is_leaving: bool,
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
        let consumed = append.consumption();
        let checkpoint = consumed.map(|(consumer, position)| Checkpoint {
            consumer: consumer.clone(),
            at: Some(position),
        });
        let key = identity.as_ref().map(|(key, _)| key);
        let note = checkpoint.clone().map(Note::Checkpoint);
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
            checkpoint,
            trimming: None,
            is_leaving: false,
            bytes,
        })
    }

    /// A request to move a checkpoint, and no more.
    pub(crate) fn of_checkpoint(checkpoint: Checkpoint) -> Self {
        Self {
            bytes: Note::Checkpoint(checkpoint.clone()).bytes(),
            checkpoint: Some(checkpoint),
            ..Self::default()
        }
    }

    /// A request to drop events.
    pub(crate) fn of_trimming(trimming: Trimming) -> Self {
        Self {
            bytes: Note::Trim(trimming.trim.clone()).bytes(),
            trimming: Some(trimming),
            ..Self::default()
        }
    }

    /// A request to go on in another segment, where the last one has events.
    pub(crate) fn of_leaving() -> Self {
        Self {
            is_leaving: true,
            ..Self::default()
        }
    }

    /// What is to be noted as dropped, once that is settled.
    pub(crate) fn settled_trim(&self) -> Option<Trim> {
        self.trimming.as_ref()?.settled()
    }

    pub(crate) fn key(&self) -> Option<&IdempotencyKey> {
        self.identity.as_ref().map(|(key, _)| key)
    }
}
