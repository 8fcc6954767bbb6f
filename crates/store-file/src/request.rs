use eventwire_store::{Append, AppendError, Fingerprint, IdempotencyKey};

use crate::format::{MAX_BODY_BYTES, append_bytes};

/// An append as the writer takes it: checked, and what can be known without the log is known.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) append: Append,
    pub(crate) identity: Option<(IdempotencyKey, Fingerprint)>,
    /// Bytes in the body of a frame.
    pub(crate) bytes: usize,
}

impl Request {
    /// # Errors
    /// [`AppendError::TooLarge`] where no frame could hold it.
    pub(crate) fn new(append: Append) -> Result<Self, AppendError> {
        let identity = append
            .identity()
            .map(|(key, fingerprint)| (key.clone(), fingerprint));
        let bytes = append_bytes(append.events(), identity.as_ref().map(|(key, _)| key));
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
            bytes,
        })
    }

    pub(crate) fn key(&self) -> Option<&IdempotencyKey> {
        self.identity.as_ref().map(|(key, _)| key)
    }
}
