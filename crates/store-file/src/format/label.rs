use eventwire_store::{Epoch, Uuid};

use super::{Fields, checksum};

/// The length of a label.
pub(crate) const LABEL_BYTES: usize = 64;

/// The version of everything `docs/segment-format.md` describes.
pub(crate) const FORMAT_VERSION: u32 = 1;

const CHECKSUM_AT: usize = LABEL_BYTES - 4;

/// The first bytes of every file of a store: what it is, and which store it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) kind: Kind,
    /// The store, for as long as its directory exists.
    pub(crate) store: Uuid,
    /// The life of the log that positions belong to.
    pub(crate) epoch: Epoch,
    /// The position of the first event it is about; zero where it is about none.
    pub(crate) first: u64,
    /// How often the segment has been rewritten.
    pub(crate) generation: u32,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The identity of the store.
    Identity,
    /// A segment of the log.
    Segment,
    /// A snapshot beside the log.
    Snapshot,
    /// The index of a segment.
    Index,
    /// How far the log is shown.
    Shown,
    /// What is kept of segments that are gone.
    Remainder,
}

/// Why bytes are not the label they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LabelError {
    /// Not a label, or not of this kind, or not as it was written.
    Damaged(&'static str),
    /// A label of a format this program does not know.
    Version(u32),
}

impl Kind {
    const fn magic(self) -> [u8; 8] {
        match self {
            Self::Identity => *b"EVWSTORE",
            Self::Segment => *b"EVWSEGMT",
            Self::Snapshot => *b"EVWSNAPS",
            Self::Index => *b"EVWINDX2",
            Self::Shown => *b"EVWSHOWN",
            Self::Remainder => *b"EVWREMND",
        }
    }
}

impl Label {
    pub(crate) fn encode(&self) -> [u8; LABEL_BYTES] {
        let mut bytes = [0; LABEL_BYTES];
        bytes[..8].copy_from_slice(&self.kind.magic());
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(self.store.as_bytes());
        bytes[32..40].copy_from_slice(&self.epoch.get().to_le_bytes());
        bytes[40..48].copy_from_slice(&self.first.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.generation.to_le_bytes());
        let sum = checksum::plain(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(kind: Kind, bytes: &[u8]) -> Result<Self, LabelError> {
        let short = LabelError::Damaged("it is shorter than its label");
        let bytes: &[u8; LABEL_BYTES] = bytes.first_chunk().ok_or(short)?;
        let mut fields = Fields(bytes);
        if fields.array() != Some(kind.magic()) {
            return Err(LabelError::Damaged("its label is of another kind of file"));
        }
        let (summed, sum) = bytes.split_at(CHECKSUM_AT);
        if checksum::plain(summed).to_le_bytes() != sum {
            return Err(LabelError::Damaged(
                "the checksum of its label does not match",
            ));
        }
        match fields.u32().ok_or(short)? {
            FORMAT_VERSION => {}
            version => return Err(LabelError::Version(version)),
        }
        let _reserved = fields.u32();
        Ok(Self {
            kind,
            store: Uuid::from_bytes(fields.array().ok_or(short)?),
            epoch: Epoch::new(fields.u64().ok_or(short)?),
            first: fields.u64().ok_or(short)?,
            generation: fields.u32().ok_or(short)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label() -> Label {
        Label {
            kind: Kind::Segment,
            store: Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff),
            epoch: Epoch::new(0x7f3a),
            first: 1042,
            generation: 3,
        }
    }

    #[test]
    fn a_label_survives_a_round_trip_and_no_flipped_bit() {
        let bytes = label().encode();
        assert_eq!(Label::decode(Kind::Segment, &bytes), Ok(label()));
        for bit in 0..LABEL_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let decoded = Label::decode(Kind::Segment, &flipped);
            assert!(
                matches!(decoded, Err(LabelError::Damaged(_))),
                "bit {bit}: {decoded:?}"
            );
        }
    }

    #[test]
    fn other_kinds_other_versions_and_short_files_are_told_apart() {
        let bytes = label().encode();
        assert!(matches!(
            Label::decode(Kind::Identity, &bytes),
            Err(LabelError::Damaged(_))
        ));
        assert!(matches!(
            Label::decode(Kind::Segment, &bytes[..63]),
            Err(LabelError::Damaged(_))
        ));
        let mut newer = bytes;
        newer[8] = 2;
        let sum = checksum::plain(&newer[..CHECKSUM_AT]);
        newer[CHECKSUM_AT..].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(
            Label::decode(Kind::Segment, &newer),
            Err(LabelError::Version(2))
        );
    }
}
