use bytes::Bytes;
use eventwire_store::{Fingerprint, IdempotencyKey};

use super::{Fields, u32_of};

/// What stands before the records of one append: how many they are, and under which key it
/// was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AppendHead {
    pub(crate) events: u32,
    pub(crate) identity: Option<(IdempotencyKey, Fingerprint)>,
}

const HEAD_FIXED_BYTES: usize = 5;
const FINGERPRINT_BYTES: usize = 8;

/// The length of the head of an append with this key.
pub(super) fn head_bytes(key: Option<&IdempotencyKey>) -> usize {
    HEAD_FIXED_BYTES + key.map_or(0, |key| key.as_str().len() + FINGERPRINT_BYTES)
}

/// Writes an append's head at the end of `out`.
pub(super) fn encode_head(
    events: usize,
    identity: Option<&(IdempotencyKey, Fingerprint)>,
    out: &mut Vec<u8>,
) {
    let key = identity.map_or("", |(key, _)| key.as_str());
    out.extend_from_slice(&u32_of(events).to_le_bytes());
    out.push(u8::try_from(key.len()).expect("MAX_NAME_BYTES fits 8 bits"));
    if let Some((_, fingerprint)) = identity {
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(&fingerprint.to_bits().to_le_bytes());
    }
}

/// Reads the heads of a frame's body; the records between them are skipped by their owner.
#[derive(Debug)]
pub(crate) struct BodyReader {
    body: Bytes,
    at: usize,
}

impl BodyReader {
    pub(crate) fn new(body: Bytes) -> Self {
        Self { body, at: 0 }
    }

    /// What has not been read.
    pub(crate) fn rest(&self) -> Bytes {
        self.body.slice(self.at..)
    }

    /// How much has been read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.body.len()
    }

    /// Goes past a record of this length.
    pub(crate) fn skip(&mut self, record: usize) {
        self.at += record;
        debug_assert!(self.at <= self.body.len());
    }

    /// The head of the next append.
    pub(crate) fn head(&mut self) -> Result<AppendHead, &'static str> {
        const SHORT: &str = "a batch is shorter than its counts say";
        let mut fields = Fields(&self.body[self.at..]);
        let events = fields.u32().ok_or(SHORT)?;
        let key_bytes = fields.u8().ok_or(SHORT)?;
        let identity = if key_bytes == 0 {
            None
        } else {
            let key = fields.take(key_bytes.into()).ok_or(SHORT)?;
            let key = IdempotencyKey::from_bytes(Bytes::copy_from_slice(key))
                .map_err(|_| "an idempotency key is not one")?;
            Some((key, Fingerprint::from_bits(fields.u64().ok_or(SHORT)?)))
        };
        self.at = self.body.len() - fields.0.len();
        Ok(AppendHead { events, identity })
    }
}
