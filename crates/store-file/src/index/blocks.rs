use std::io;

use super::file::BadIndex;
use super::memory::Slot;
use super::section::SectionBytes;
use super::writing::PageWriter;
use crate::format::Listing;

/// How many postings make a block; the last one of a list may have fewer.
pub(super) const BLOCK_POSTINGS: u64 = 64;

/// The most bytes of a posting: three integers of 7 bits a byte.
const POSTING_BYTES: u64 = 5 + 10 + 5;

/// What a directory has for a block: the distance of its first posting, and where it begins.
const ENTRY_BYTES: u64 = 4 + 8;

/// An event in a list: where in the log, and where in the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Posting {
    /// The distance of its position from the first of the index.
    pub(super) distance: u32,
    /// Where its record begins.
    pub(super) offset: u64,
    /// The length of its record; zero for a stub.
    pub(super) bytes: u32,
}

impl Posting {
    pub(super) fn of(distance: u32, slot: Slot) -> Self {
        Self {
            distance,
            offset: slot.offset,
            bytes: slot.bytes,
        }
    }

    pub(super) fn slot(self) -> Slot {
        Slot {
            offset: self.offset,
            bytes: self.bytes,
            stream: None,
        }
    }

    fn end(self) -> u64 {
        self.offset.wrapping_add(self.bytes.into())
    }

    /// Writes it as what comes after another one: how far on, in the log and in the file.
    fn encode(self, before: Self, out: &mut Vec<u8>) {
        encode(self.distance.wrapping_sub(before.distance).into(), out);
        encode(self.offset.wrapping_sub(before.end()), out);
        encode(self.bytes.into(), out);
    }

    fn decode(bytes: &mut &[u8], before: Self) -> Option<Self> {
        let distance = u32::try_from(decode(bytes)?).ok()?;
        let offset = decode(bytes)?;
        Some(Self {
            distance: before.distance.checked_add(distance)?,
            offset: before.end().wrapping_add(offset),
            bytes: u32::try_from(decode(bytes)?).ok()?,
        })
    }
}

/// Writes an integer, 7 bits a byte, the lowest first; all but the last have the highest bit set.
fn encode(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

#[inline]
fn decode(bytes: &mut &[u8]) -> Option<u64> {
    // Mostly it has one byte, or two.
    match **bytes {
        [low @ 0..0x80, ref rest @ ..] => {
            *bytes = rest;
            Some(low.into())
        }
        [low, high @ 0..0x80, ref rest @ ..] => {
            *bytes = rest;
            Some(u64::from(low & 0x7f) | u64::from(high) << 7)
        }
        _ => decode_long(bytes),
    }
}

fn decode_long(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    let mut shift = 0;
    loop {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(value);
        }
        shift += 7;
    }
}

/// Where the postings of a name are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed {
    /// Of a list of one block, where that begins; of a longer one, where its directory does.
    begin: u64,
    pub(super) count: u64,
}

/// Postings of one block.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Which of its list; meaningless where there are none.
    pub(super) number: u64,
    pub(super) postings: Vec<Posting>,
    bytes: Vec<u8>,
}

impl Listed {
    pub(super) const EMPTY: Self = Self { begin: 0, count: 0 };

    pub(super) fn new(listing: &Listing) -> Self {
        Self {
            begin: listing.begin,
            count: listing.count.into(),
        }
    }

    pub(super) fn blocks(self) -> u64 {
        self.count.div_ceil(BLOCK_POSTINGS)
    }

    /// The distance of the first posting of a block, which is one of several.
    pub(super) fn first_of(self, section: &SectionBytes<'_>, number: u64) -> Result<u32, BadIndex> {
        self.entry(section, number).map(|(distance, _)| distance)
    }

    fn entry(self, section: &SectionBytes<'_>, number: u64) -> Result<(u32, u64), BadIndex> {
        let at = self.begin.checked_add(number * ENTRY_BYTES);
        let [d0, d1, d2, d3, b0, b1, b2, b3, b4, b5, b6, b7] =
            section.array(at.ok_or(section.bad())?)?;
        Ok((
            u32::from_le_bytes([d0, d1, d2, d3]),
            u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]),
        ))
    }

    /// Reads a block.
    pub(super) fn load(
        self,
        section: &SectionBytes<'_>,
        number: u64,
        block: &mut Block,
    ) -> Result<(), BadIndex> {
        let begin = if self.blocks() == 1 {
            self.begin
        } else {
            self.entry(section, number)?.1
        };
        let count = BLOCK_POSTINGS.min(self.count - number * BLOCK_POSTINGS);
        let most = count * POSTING_BYTES;
        // Mostly it ends on the page where it begins.
        for length in [most.min(SectionBytes::on_page(begin)), most] {
            section.read(begin, length, &mut block.bytes)?;
            if block.decode(number, count) {
                return Ok(());
            }
        }
        block.postings.clear();
        Err(section.bad())
    }
}

impl Block {
    /// Whether there were so many postings in its bytes.
    fn decode(&mut self, number: u64, count: u64) -> bool {
        self.number = number;
        self.postings.clear();
        let mut bytes = &self.bytes[..];
        let mut last = Posting::default();
        for _ in 0..count {
            match Posting::decode(&mut bytes, last) {
                Some(posting) => last = posting,
                None => return false,
            }
            self.postings.push(last);
        }
        true
    }
}

/// Writes the lists of an index, one after the other.
pub(super) struct ListWriter<'w, 'a> {
    pages: &'w mut PageWriter<'a>,
    /// Where each list begins that was written.
    begins: Vec<u64>,
    /// The blocks of the list that is being written.
    directory: Vec<(u32, u64)>,
    count: u64,
    last: Posting,
    /// What of the last block is still to be written.
    block: Vec<u8>,
}

impl<'w, 'a> ListWriter<'w, 'a> {
    pub(super) fn new(pages: &'w mut PageWriter<'a>) -> Self {
        Self {
            pages,
            begins: Vec::new(),
            directory: Vec::new(),
            count: 0,
            last: Posting::default(),
            block: Vec::new(),
        }
    }

    /// Adds the next posting of a list.
    pub(super) fn push(&mut self, posting: Posting) -> io::Result<()> {
        if self.count.is_multiple_of(BLOCK_POSTINGS) {
            self.flush()?;
            let begin = self.pages.section_bytes();
            self.directory.push((posting.distance, begin));
            self.last = Posting::default();
        }
        posting.encode(self.last, &mut self.block);
        self.last = posting;
        self.count += 1;
        Ok(())
    }

    /// Writes the block that is at hand.
    fn flush(&mut self) -> io::Result<()> {
        self.pages.write(&self.block)?;
        self.block.clear();
        Ok(())
    }

    /// Ends a list.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.flush()?;
        let begin = match &self.directory[..] {
            [] => 0,
            [(_, begin)] => *begin,
            blocks => {
                let begin = self.pages.section_bytes();
                for (distance, begin) in blocks {
                    self.pages.write(&distance.to_le_bytes())?;
                    self.pages.write(&begin.to_le_bytes())?;
                }
                begin
            }
        };
        self.begins.push(begin);
        self.directory.clear();
        self.count = 0;
        Ok(())
    }

    /// Where each list begins.
    pub(super) fn finish(self) -> Vec<u64> {
        self.begins
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(
            postings in proptest::collection::vec((any::<u32>(), any::<u64>(), any::<u32>()), 0..64),
        ) {
            let mut postings: Vec<_> = postings
                .into_iter()
                .map(|(distance, offset, bytes)| Posting { distance, offset, bytes })
                .collect();
            postings.sort_by_key(|posting| posting.distance);
            let mut block = Block::default();
            let mut last = Posting::default();
            for &posting in &postings {
                posting.encode(last, &mut block.bytes);
                last = posting;
            }
            let count = u64::try_from(postings.len()).unwrap();
            prop_assert!(u64::try_from(block.bytes.len()).unwrap() <= count * POSTING_BYTES);
            prop_assert!(block.decode(0, count));
            prop_assert_eq!(&block.postings, &postings);
            prop_assert!(!block.decode(0, count + 1));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), count in 0u64..65) {
            let mut block = Block { bytes, ..Block::default() };
            let is_whole = block.decode(0, count);
            prop_assert!(!is_whole || block.postings.is_sorted_by_key(|posting| posting.distance));
        }
    }

    #[test]
    fn the_bytes_of_postings_are_the_documented_ones() {
        let mut bytes = Vec::new();
        let mut last = Posting::default();
        for (distance, offset, length) in [(3, 1000, 340), (3 + 200, 1340 + 5, 52)] {
            let posting = Posting {
                distance,
                offset,
                bytes: length,
            };
            posting.encode(last, &mut bytes);
            last = posting;
        }
        assert_eq!(
            bytes,
            [3, 0xe8, 0x07, 0xd4, 0x02, 0xc8, 0x01, 5, 52],
            "distance 3, offset 1000, 340 bytes; 200 further, 5 behind its end, 52 bytes"
        );
    }
}
