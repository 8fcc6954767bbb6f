use eventwire_store::{Consumer, Position, StreamName};

use super::Fields;

/// What a commit says beside its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    Checkpoint(Checkpoint),
    Trim(Trim),
}

/// How far a consumer has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) consumer: Consumer,
    /// None where the consumer is forgotten.
    pub(crate) at: Option<Position>,
}

/// What is dropped, up to a position, that one included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trim {
    /// Every event.
    Log { to: u64 },
    /// The events of a stream.
    Stream { stream: StreamName, to: u64 },
    /// All events of a stream, which takes no more.
    Deletion { stream: StreamName, to: u64 },
}

/// Where an append has the number of its events, a note has none.
pub(super) const NO_EVENTS: [u8; 4] = [0; 4];

const AT: u8 = 1;
const FORGOTTEN: u8 = 2;
const LOG_TRIMMED: u8 = 3;
const STREAM_TRIMMED: u8 = 4;
const STREAM_DELETED: u8 = 5;

const SHORT: &str = "a note is cut short";

impl Note {
    /// The bytes it takes in a body.
    pub(crate) fn bytes(&self) -> usize {
        let rest = match self {
            Self::Checkpoint(checkpoint) => checkpoint.bytes(),
            Self::Trim(trim) => trim.bytes(),
        };
        NO_EVENTS.len() + 1 + rest
    }

    /// Writes it at the end of `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Checkpoint(checkpoint) => checkpoint.encode(out),
            Self::Trim(trim) => trim.encode(out),
        }
    }

    /// Takes one off the front of `fields`, where the number of events has been taken.
    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Self, &'static str> {
        match fields.u8().ok_or(SHORT)? {
            kind @ (AT | FORGOTTEN) => Checkpoint::decode(kind, fields).map(Self::Checkpoint),
            kind @ (LOG_TRIMMED | STREAM_TRIMMED | STREAM_DELETED) => {
                Trim::decode(kind, fields).map(Self::Trim)
            }
            _ => Err("a note is of no kind that is known"),
        }
    }
}

impl Checkpoint {
    fn bytes(&self) -> usize {
        let position = self.at.map_or(0, |_| 2 * size_of::<u64>());
        1 + self.consumer.as_str().len() + position
    }

    /// Writes it as a note at the end of `out`.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&NO_EVENTS);
        out.push(self.at.map_or(FORGOTTEN, |_| AT));
        encode_name(self.consumer.as_str(), out);
        if let Some(at) = self.at {
            let (major, minor) = at.to_parts();
            out.extend_from_slice(&major.to_le_bytes());
            out.extend_from_slice(&minor.to_le_bytes());
        }
    }

    fn decode(kind: u8, fields: &mut Fields<'_>) -> Result<Self, &'static str> {
        let consumer =
            Consumer::new(decode_name(fields)?).map_err(|_| "the name of a consumer is not one")?;
        let at = if kind == AT {
            let major = fields.u64().ok_or(SHORT)?;
            Some(Position::from_parts(major, fields.u64().ok_or(SHORT)?))
        } else {
            None
        };
        Ok(Self { consumer, at })
    }
}

impl Trim {
    /// The stream it is of; none where it is of the log.
    pub(crate) fn stream(&self) -> Option<&StreamName> {
        match self {
            Self::Log { .. } => None,
            Self::Stream { stream, .. } | Self::Deletion { stream, .. } => Some(stream),
        }
    }

    fn to(&self) -> u64 {
        match self {
            Self::Log { to } | Self::Stream { to, .. } | Self::Deletion { to, .. } => *to,
        }
    }

    fn bytes(&self) -> usize {
        let name = self.stream().map_or(0, |stream| 1 + stream.as_str().len());
        name + size_of::<u64>()
    }

    /// Writes it as a note at the end of `out`.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&NO_EVENTS);
        out.push(match self {
            Self::Log { .. } => LOG_TRIMMED,
            Self::Stream { .. } => STREAM_TRIMMED,
            Self::Deletion { .. } => STREAM_DELETED,
        });
        if let Some(stream) = self.stream() {
            encode_name(stream.as_str(), out);
        }
        out.extend_from_slice(&self.to().to_le_bytes());
    }

    fn decode(kind: u8, fields: &mut Fields<'_>) -> Result<Self, &'static str> {
        if kind == LOG_TRIMMED {
            let to = fields.u64().ok_or(SHORT)?;
            return Ok(Self::Log { to });
        }
        let stream =
            StreamName::new(decode_name(fields)?).map_err(|_| "the name of a stream is not one")?;
        let to = fields.u64().ok_or(SHORT)?;
        Ok(match kind {
            STREAM_TRIMMED => Self::Stream { stream, to },
            _ => Self::Deletion { stream, to },
        })
    }
}

fn encode_name(name: &str, out: &mut Vec<u8>) {
    out.push(u8::try_from(name.len()).expect("MAX_NAME_BYTES fits 8 bits"));
    out.extend_from_slice(name.as_bytes());
}

fn decode_name<'a>(fields: &mut Fields<'a>) -> Result<&'a str, &'static str> {
    let length = fields.u8().ok_or(SHORT)?;
    let name = fields.take(length.into()).ok_or(SHORT)?;
    std::str::from_utf8(name).map_err(|_| "a name is not UTF-8")
}
