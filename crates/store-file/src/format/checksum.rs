use crc_fast::{CrcAlgorithm, Digest};
use eventwire_store::Uuid;

/// CRC32C of plain bytes (RFC 3720, section 12.1).
pub(super) fn plain(bytes: &[u8]) -> u32 {
    narrow(crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes))
}

/// What the checksums in one segment start from: the store's id and the segment's place in
/// the log. Bytes that belong to another store or segment do not pass.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seed(u32);

/// Which part a checksum is of; a part cannot pass for another.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    FrameHeader = 1,
    FrameBody = 2,
    Record = 3,
    IndexPage = 4,
}

impl Seed {
    /// The seed of the segment whose first event has position `first`.
    pub(crate) fn new(store: Uuid, first: u64) -> Self {
        let mut place = [0; 24];
        place[..16].copy_from_slice(store.as_bytes());
        place[16..].copy_from_slice(&first.to_le_bytes());
        Self(plain(&place))
    }

    /// The checksum of bytes that lie at `place`: an offset for a frame, a position for a
    /// record, a number for a page.
    pub(super) fn checksum(self, part: Part, place: u64, bytes: &[u8]) -> u32 {
        let mut prefix = [part as u8; 9];
        prefix[1..].copy_from_slice(&place.to_le_bytes());
        let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, self.0.into());
        digest.update(&prefix);
        digest.update(bytes);
        narrow(digest.finalize())
    }
}

fn narrow(checksum: u64) -> u32 {
    u32::try_from(checksum).expect("a CRC32C has 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_checksums_are_the_published_ones() {
        // RFC 3720, appendix B.4.
        for (bytes, expected) in [
            ([0u8; 32], 0x8a91_36aa),
            ([0xff; 32], 0x62a8_ab43),
            (
                std::array::from_fn(|i| u8::try_from(i).unwrap()),
                0x46dd_794e,
            ),
        ] {
            assert_eq!(plain(&bytes), expected);
        }
    }

    #[test]
    fn a_checksum_depends_on_store_segment_part_place_and_bytes() {
        let store = Uuid::from_u128(7);
        let sum = Seed::new(store, 1).checksum(Part::FrameBody, 64, b"bytes");
        for other in [
            Seed::new(Uuid::from_u128(8), 1).checksum(Part::FrameBody, 64, b"bytes"),
            Seed::new(store, 2).checksum(Part::FrameBody, 64, b"bytes"),
            Seed::new(store, 1).checksum(Part::Record, 64, b"bytes"),
            Seed::new(store, 1).checksum(Part::FrameBody, 72, b"bytes"),
            Seed::new(store, 1).checksum(Part::FrameBody, 64, b"bytez"),
        ] {
            assert_ne!(sum, other);
        }
    }
}
