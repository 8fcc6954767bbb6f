use bytes::Bytes;
use eventwire_store::{Consumer, Position};

use super::Fields;

/// What a commit says beside its events: how far a consumer has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) consumer: Consumer,
    /// None where the consumer is forgotten.
    pub(crate) at: Option<Position>,
}

/// Where an append has the number of its events, a note has none.
const NO_EVENTS: [u8; 4] = [0; 4];

const AT: u8 = 1;
const FORGOTTEN: u8 = 2;

impl Note {
    /// The bytes it takes in a body.
    pub(crate) fn bytes(&self) -> usize {
        let position = self.at.map_or(0, |_| 2 * size_of::<u64>());
        NO_EVENTS.len() + 2 + self.consumer.as_str().len() + position
    }

    /// Writes it at the end of `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let name = self.consumer.as_str();
        out.extend_from_slice(&NO_EVENTS);
        out.push(self.at.map_or(FORGOTTEN, |_| AT));
        out.push(u8::try_from(name.len()).expect("MAX_NAME_BYTES fits 8 bits"));
        out.extend_from_slice(name.as_bytes());
        if let Some(at) = self.at {
            let (major, minor) = at.to_parts();
            out.extend_from_slice(&major.to_le_bytes());
            out.extend_from_slice(&minor.to_le_bytes());
        }
    }

    /// The notes that `bytes` are, one after the other.
    pub(crate) fn decode_all(bytes: &[u8]) -> Result<Vec<Self>, &'static str> {
        let mut fields = Fields(bytes);
        let mut notes = Vec::new();
        while !fields.0.is_empty() {
            if fields.array() != Some(NO_EVENTS) {
                return Err("what should be a note is none");
            }
            notes.push(Self::decode(&mut fields)?);
        }
        Ok(notes)
    }

    /// Takes one off the front of `fields`, where the number of events has been taken.
    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Self, &'static str> {
        const SHORT: &str = "a note is cut short";
        let kind = fields.u8().ok_or(SHORT)?;
        let length = fields.u8().ok_or(SHORT)?;
        let name = fields.take(length.into()).ok_or(SHORT)?;
        let consumer = Consumer::from_bytes(Bytes::copy_from_slice(name))
            .map_err(|_| "the name of a consumer is not one")?;
        let at = match kind {
            AT => {
                let major = fields.u64().ok_or(SHORT)?;
                Some(Position::from_parts(major, fields.u64().ok_or(SHORT)?))
            }
            FORGOTTEN => None,
            _ => return Err("a note is of no kind that is known"),
        };
        Ok(Self { consumer, at })
    }
}
