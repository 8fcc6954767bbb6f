use bytes::Bytes;

use super::checksum::{Part, Seed};

/// The length of a page of an index.
pub(crate) const PAGE_BYTES: usize = 4096;

/// How much of a page is data: a multiple of the width of every column.
pub(crate) const PAGE_DATA_BYTES: usize = 4080;

const SUMMED_BYTES: usize = PAGE_BYTES - 4;

/// The place of a page, for its checksum: its number, and which of a segment's indexes it is of,
/// told by how far that begins from the segment's first event.
pub(crate) fn page_place(from_first: u64, number: u64) -> u64 {
    (from_first << 32).wrapping_add(number)
}

/// Adds a page to `out`: `data`, at most a page of it, zeros and the checksum.
pub(crate) fn encode_page(data: &[u8], place: u64, seed: Seed, out: &mut Vec<u8>) {
    debug_assert!(data.len() <= PAGE_DATA_BYTES);
    let begin = out.len();
    out.extend_from_slice(data);
    out.resize(begin + SUMMED_BYTES, 0);
    let sum = seed.checksum(Part::IndexPage, place, &out[begin..]);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// The data of a page; none where it is not as it was written, or not this page.
pub(crate) fn decode_page(page: &Bytes, place: u64, seed: Seed) -> Option<Bytes> {
    checked_page(page, place, seed).map(|data| page.slice_ref(data))
}

/// The same of a page that is not to be shared.
pub(crate) fn checked_page(page: &[u8], place: u64, seed: Seed) -> Option<&[u8]> {
    let (summed, sum) = page.split_at_checked(SUMMED_BYTES)?;
    let is_whole = seed.checksum(Part::IndexPage, place, summed).to_le_bytes() == sum;
    is_whole.then(|| &summed[..PAGE_DATA_BYTES])
}
