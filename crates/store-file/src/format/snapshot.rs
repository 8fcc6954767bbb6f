use bytes::Bytes;
use eventwire_store::{Position, Snapshot, SnapshotName};

use super::{Fields, LABEL_BYTES, Label, checksum};

/// Where the bytes begin that the checksum of a snapshot covers.
const SUMMED_FROM: usize = LABEL_BYTES + 4;

/// The file of a snapshot.
pub(crate) fn encode_snapshot(label: &Label, name: &SnapshotName, snapshot: &Snapshot) -> Vec<u8> {
    let name = name.as_str();
    let (major, minor) = snapshot.position.to_parts();
    let mut out = label.encode().to_vec();
    out.extend_from_slice(&[0; SUMMED_FROM - LABEL_BYTES]);
    out.extend_from_slice(&snapshot.schema.to_le_bytes());
    out.extend_from_slice(&major.to_le_bytes());
    out.extend_from_slice(&minor.to_le_bytes());
    out.push(u8::try_from(name.len()).expect("MAX_NAME_BYTES fits 8 bits"));
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&snapshot.data);
    let sum = checksum::plain(&out[SUMMED_FROM..]);
    out[LABEL_BYTES..SUMMED_FROM].copy_from_slice(&sum.to_le_bytes());
    out
}

/// The snapshot in a file; none where the file is not as it was written, not of this store, or
/// not of this name.
pub(crate) fn decode_snapshot(
    label: &Label,
    name: &SnapshotName,
    bytes: &Bytes,
) -> Option<Snapshot> {
    let (found, snapshot) = decode_named(label, bytes)?;
    (found == name.as_str().as_bytes()).then_some(snapshot)
}

/// The name in the file of a snapshot; none where the file is not as it was written, or not of
/// this store and epoch.
pub(crate) fn snapshot_name(label: &Label, bytes: &Bytes) -> Option<SnapshotName> {
    let (name, _) = decode_named(label, bytes)?;
    SnapshotName::from_bytes(Bytes::copy_from_slice(name)).ok()
}

fn decode_named<'a>(label: &Label, bytes: &'a Bytes) -> Option<(&'a [u8], Snapshot)> {
    let found = Label::decode(label.kind, bytes).ok()?;
    let sum = bytes.get(LABEL_BYTES..SUMMED_FROM)?;
    let summed = bytes.get(SUMMED_FROM..)?;
    if found != *label || checksum::plain(summed).to_le_bytes() != sum {
        return None;
    }
    let mut fields = Fields(summed);
    let schema = fields.u32()?;
    let position = Position::from_parts(fields.u64()?, fields.u64()?);
    let length = fields.u8()?;
    let name = fields.take(length.into())?;
    let snapshot = Snapshot {
        position,
        schema,
        data: bytes.slice_ref(fields.0),
    };
    Some((name, snapshot))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Kind;
    use eventwire_store::{Epoch, Uuid};

    #[test]
    fn a_snapshot_survives_a_round_trip_and_nothing_else() {
        let label = Label {
            kind: Kind::Snapshot,
            store: Uuid::from_u128(7),
            epoch: Epoch::new(0x7f3a),
            first: 0,
            generation: 0,
        };
        let name = SnapshotName::new("room-1").unwrap();
        let snapshot = Snapshot {
            position: Position::from_parts(2, 7),
            schema: 3,
            data: Bytes::from_static(b"state"),
        };
        let bytes = encode_snapshot(&label, &name, &snapshot);
        assert_eq!(
            bytes[LABEL_BYTES..],
            [
                &0x4043_7c9e_u32.to_le_bytes()[..],
                &[3, 0, 0, 0],
                &[2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0],
                b"\x06room-1state",
            ]
            .concat()
        );
        let decode = |label: &Label, name: &SnapshotName, bytes: &[u8]| {
            decode_snapshot(label, name, &Bytes::copy_from_slice(bytes))
        };
        assert_eq!(decode(&label, &name, &bytes), Some(snapshot));
        for length in 0..bytes.len() {
            assert_eq!(decode(&label, &name, &bytes[..length]), None, "{length}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&label, &name, &flipped), None, "bit {bit}");
        }
        let other_name = SnapshotName::new("room-2").unwrap();
        assert_eq!(decode(&label, &other_name, &bytes), None);
        let other_life = Label {
            epoch: Epoch::new(1),
            ..label
        };
        assert_eq!(decode(&other_life, &name, &bytes), None);
    }
}
