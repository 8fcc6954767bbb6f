use super::{Fields, LABEL_BYTES, Label, checksum};

/// How far readers are shown the log, as a place in its files. All that lies before it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The position that the segment begins with that was written to last.
    pub(crate) segment: u64,
    /// Where its last commit ends.
    pub(crate) end: u64,
    /// The position of the last event.
    pub(crate) position: u64,
}

/// The length of the file that says it.
pub(crate) const SHOWN_BYTES: usize = 96;

const SUMMED_BYTES: usize = SHOWN_BYTES - 4;

impl Shown {
    /// The file that says it.
    pub(crate) fn encode(&self, label: &Label) -> [u8; SHOWN_BYTES] {
        let mut bytes = [0; SHOWN_BYTES];
        bytes[..LABEL_BYTES].copy_from_slice(&label.encode());
        bytes[64..72].copy_from_slice(&self.segment.to_le_bytes());
        bytes[72..80].copy_from_slice(&self.end.to_le_bytes());
        bytes[80..88].copy_from_slice(&self.position.to_le_bytes());
        let sum = checksum::plain(&bytes[..SUMMED_BYTES]);
        bytes[SUMMED_BYTES..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// What a file with this label says; none where it is not as it was written, or is being
    /// written, or has another label.
    pub(crate) fn decode(label: &Label, bytes: &[u8; SHOWN_BYTES]) -> Option<Self> {
        let (summed, sum) = bytes.split_at(SUMMED_BYTES);
        let found = Label::decode(label.kind, bytes).ok()?;
        if found != *label || checksum::plain(summed).to_le_bytes() != sum {
            return None;
        }
        let mut fields = Fields(&bytes[LABEL_BYTES..]);
        Some(Self {
            segment: fields.u64()?,
            end: fields.u64()?,
            position: fields.u64()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Kind;
    use eventwire_store::{Epoch, Uuid};

    #[test]
    fn what_is_shown_survives_a_round_trip_and_no_flipped_bit() {
        let label = Label {
            kind: Kind::Shown,
            store: Uuid::from_u128(7),
            epoch: Epoch::new(7),
            first: 0,
            generation: 0,
        };
        let shown = Shown {
            segment: 9,
            end: 4096,
            position: 12,
        };
        let bytes = shown.encode(&label);
        assert_eq!(&bytes[64..72], &9u64.to_le_bytes());
        assert_eq!(Shown::decode(&label, &bytes), Some(shown));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Shown::decode(&label, &flipped), None, "bit {bit}");
        }
        let other = Label {
            epoch: Epoch::new(8),
            ..label
        };
        assert_eq!(Shown::decode(&other, &bytes), None);
    }
}
