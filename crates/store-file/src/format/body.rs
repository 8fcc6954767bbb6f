use bytes::Bytes;
use eventwire_store::{Fingerprint, IdempotencyKey};

use super::{Fields, Note, Record, u32_of};

/// What one entry of a body begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The records of its events follow.
    Append(AppendHead),
    /// That was all.
    Note(Note),
}

/// What stands before the records of one append: how many they are, at least one, and under
/// which key it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AppendHead {
    pub(crate) events: u32,
    pub(crate) identity: Option<(IdempotencyKey, Fingerprint)>,
}

const HEAD_FIXED_BYTES: usize = 5;
const FINGERPRINT_BYTES: usize = 8;

/// The length of the head of an append with this key.
pub(super) fn head_bytes(key: Option<&IdempotencyKey>) -> usize {
    HEAD_FIXED_BYTES + key.map_or(0, |key| key.as_bytes().len() + FINGERPRINT_BYTES)
}

/// Writes an append's head at the end of `out`.
pub(super) fn encode_head(
    events: usize,
    identity: Option<&(IdempotencyKey, Fingerprint)>,
    out: &mut Vec<u8>,
) {
    let key = identity.map_or(&[][..], |(key, _)| key.as_bytes());
    out.extend_from_slice(&u32_of(events).to_le_bytes());
    out.push(u8::try_from(key.len()).expect("MAX_NAME_BYTES fits 8 bits"));
    if let Some((_, fingerprint)) = identity {
        out.extend_from_slice(key);
        out.extend_from_slice(&fingerprint.to_bits().to_le_bytes());
    }
}

/// Reads the entries of a frame's body; the records between them are skipped by their owner.
#[derive(Debug)]
pub(crate) struct BodyReader {
    body: Bytes,
    at: usize,
}

impl BodyReader {
    pub(crate) fn new(body: Bytes) -> Self {
        Self { body, at: 0 }
    }

    /// The whole body.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// What has not been read.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.body[self.at..]
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

    /// The next note, or the head of the next append.
    pub(crate) fn entry(&mut self) -> Result<Entry, &'static str> {
        let mut fields = Fields(&self.body[self.at..]);
        let entry = match fields.u32().ok_or(SHORT)? {
            0 => Entry::Note(Note::decode(&mut fields)?),
            events => {
                let identity = decode_identity(&mut fields)?;
                Entry::Append(AppendHead { events, identity })
            }
        };
        self.at = self.body.len() - fields.0.len();
        Ok(entry)
    }
}

/// Goes through the records of a frame's body, and past all else.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    body: &'a [u8],
    at: usize,
    /// Records of the append it is in that are still to come.
    left: u32,
}

impl<'a> Records<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self {
            body,
            at: 0,
            left: 0,
        }
    }

    /// The next record, and where in the body it begins.
    ///
    /// # Errors
    /// What is wrong with the body.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(usize, Record<'a>)>, &'static str> {
        while self.left == 0 {
            if self.at == self.body.len() {
                return Ok(None);
            }
            self.pass_head()?;
        }
        let at = self.at;
        let record = Record::first_in(&self.body[at..])?;
        self.at += record.as_bytes().len();
        self.left -= 1;
        Ok(Some((at, record)))
    }

    /// Goes past a note, or the head of an append.
    fn pass_head(&mut self) -> Result<(), &'static str> {
        let mut fields = Fields(&self.body[self.at..]);
        self.left = fields.u32().ok_or(SHORT)?;
        if self.left == 0 {
            Note::decode(&mut fields)?;
        } else {
            let key_bytes = usize::from(fields.u8().ok_or(SHORT)?);
            if key_bytes > 0 {
                let passed = fields.take(key_bytes + FINGERPRINT_BYTES);
                passed.ok_or(SHORT)?;
            }
        }
        self.at = self.body.len() - fields.0.len();
        Ok(())
    }
}

const SHORT: &str = "a batch is shorter than its counts say";

fn decode_identity(
    fields: &mut Fields<'_>,
) -> Result<Option<(IdempotencyKey, Fingerprint)>, &'static str> {
    let key_bytes = fields.u8().ok_or(SHORT)?;
    if key_bytes == 0 {
        return Ok(None);
    }
    let key = fields.take(key_bytes.into()).ok_or(SHORT)?;
    let key = IdempotencyKey::from_bytes(Bytes::copy_from_slice(key))
        .map_err(|_| "an idempotency key is not one")?;
    let fingerprint = Fingerprint::from_bits(fields.u64().ok_or(SHORT)?);
    Ok(Some((key, fingerprint)))
}
