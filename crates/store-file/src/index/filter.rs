use crate::format::u64_of;

/// Says for sure that a name is not in an index, and mostly when it is not (a blocked Bloom
/// filter: Putze, Sanders, Singler 2007).
#[derive(Debug)]
pub(super) struct Filter {
    bytes: Vec<u8>,
}

/// What one look touches: a line of the processor's cache.
pub(super) const BLOCK_BYTES: usize = 64;

/// One name in some hundred that are not there is looked up in vain.
const BITS_PER_NAME: usize = 10;

/// The bits of a name, each taken from the hash by a multiplication.
const FACTORS: [u32; 6] = [
    0x9e37_79b1,
    0x85eb_ca77,
    0xc2b2_ae3d,
    0x27d4_eb2f,
    0x1656_67b1,
    0x7feb_352d,
];

impl Filter {
    /// A filter with room for so many names, and none in it.
    pub(super) fn for_names(count: usize) -> Self {
        let blocks = (count * BITS_PER_NAME).div_ceil(BLOCK_BYTES * 8).max(1);
        Self {
            bytes: vec![0; blocks * BLOCK_BYTES],
        }
    }

    /// Puts the name with this hash in.
    pub(super) fn insert(&mut self, hash: u64) {
        let (blocks, _) = self.bytes.as_chunks_mut::<BLOCK_BYTES>();
        let number = block(hash, u64_of(blocks.len()));
        let block = &mut blocks[usize::try_from(number).expect("one of those in memory")];
        for (byte, mask) in places(hash) {
            block[byte] |= mask;
        }
    }

    /// Of bytes that [`as_bytes`](Self::as_bytes) gave.
    pub(super) fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        let is_whole = !bytes.is_empty() && bytes.len().is_multiple_of(BLOCK_BYTES);
        is_whole.then_some(Self { bytes })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// False only where no name has this hash.
    pub(super) fn may_hold(&self, hash: u64) -> bool {
        let (blocks, _) = self.bytes.as_chunks();
        let number = block(hash, u64_of(blocks.len()));
        let block = &blocks[usize::try_from(number).expect("one of those in memory")];
        Self::block_may_hold(block, hash)
    }

    /// Where the block of a hash begins in a filter of so many bytes.
    pub(super) fn block_at(hash: u64, bytes: u64) -> u64 {
        let block_bytes = u64_of(BLOCK_BYTES);
        block(hash, bytes / block_bytes) * block_bytes
    }

    /// The same as [`may_hold`](Self::may_hold), of the block of the hash alone.
    pub(super) fn block_may_hold(block: &[u8; BLOCK_BYTES], hash: u64) -> bool {
        places(hash).all(|(byte, mask)| block[byte] & mask != 0)
    }
}

/// The number of the block of a hash, of so many.
fn block(hash: u64, blocks: u64) -> u64 {
    let product = u128::from(hash >> 32) * u128::from(blocks);
    u64::try_from(product >> 32).expect("below the number of blocks")
}

/// The bytes and bits of a hash in its block.
fn places(hash: u64) -> impl Iterator<Item = (usize, u8)> {
    let bits = hash & 0xffff_ffff;
    FACTORS.into_iter().map(move |factor| {
        let bit = (bits.wrapping_mul(factor.into()) & 0xffff_ffff) >> 23;
        let byte = usize::try_from(bit / 8).expect("nine bits, less three");
        (byte, 1 << (bit % 8))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_filter_may_be_there_and_most_else_is_not() {
        let mut random = fastrand::Rng::with_seed(7);
        let held: Vec<u64> = (0..10_000).map(|_| random.u64(..)).collect();
        let mut filter = Filter::for_names(held.len());
        held.iter().for_each(|&hash| filter.insert(hash));
        assert!(held.iter().all(|&hash| filter.may_hold(hash)));
        let kept = Filter::from_bytes(filter.as_bytes().to_vec()).unwrap();
        let wrong = (0..10_000)
            .filter(|_| {
                let hash = random.u64(..);
                let at = Filter::block_at(hash, u64_of(kept.bytes.len()));
                let block = kept.bytes[usize::try_from(at).unwrap()..].first_chunk();
                let may_hold = Filter::block_may_hold(block.unwrap(), hash);
                assert_eq!(may_hold, kept.may_hold(hash));
                may_hold
            })
            .count();
        assert!(wrong < 300, "{wrong} of 10,000");
    }
}
