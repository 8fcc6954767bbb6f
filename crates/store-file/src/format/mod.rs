//! The bytes on disk, as `docs/segment-format.md` describes them: pure functions between
//! bytes and facts, no I/O.
//!
//! Everything read here is hostile until a checksum and a length check have passed.

mod body;
mod checksum;
mod decoder;
mod frame;
mod index;
mod label;
mod names;
mod note;
mod noted;
mod page;
mod places;
mod record;
mod shown;
mod snapshot;

pub(crate) use body::{AppendHead, BodyReader, Entry, Records};
pub(crate) use checksum::Seed;
pub(crate) use decoder::Decoder;
pub(crate) use frame::{
    FRAME_HEADER_BYTES, FrameBuffer, FrameHeader, append_bytes, could_be_torn, frame_before,
    frame_bytes, record_end,
};
pub(crate) use index::{IndexHead, LISTING_BYTES, Listing, ListingKind, Section, Sections};
pub(crate) use label::{FORMAT_VERSION, Kind, LABEL_BYTES, Label, LabelError};
pub(crate) use names::EventNames;
pub(crate) use note::{Checkpoint, Note, Trim};
pub(crate) use noted::{Noted, NotedEntry, NotedWriter, noted_behind};
pub(crate) use page::{
    PAGE_BYTES, PAGE_DATA_BYTES, checked_page, decode_page, encode_page, page_place,
};
pub(crate) use places::{decode_places, encode_places};
pub(crate) use record::{
    FIXED_BYTES as RECORD_FIXED_BYTES, Placing, Record, Tags, encode_stub, nanoseconds,
    record_bytes,
};

pub(crate) use shown::{SHOWN_BYTES, Shown};
pub(crate) use snapshot::{decode_snapshot, encode_snapshot, snapshot_name};

use std::num::TryFromIntError;

/// The most bytes the body of one frame may have.
pub(crate) const MAX_BODY_BYTES: usize = 1 << 30;

/// Frames begin at multiples of this.
pub(crate) const ALIGNMENT: u64 = 8;

/// A length as it is written. Checked where an append is taken in, so it cannot be too long here.
fn u32_of(length: usize) -> u32 {
    u32::try_from(length).expect("an append is refused before its body passes MAX_BODY_BYTES")
}

/// A length as it is counted in memory.
pub(crate) fn usize_of(length: u32) -> usize {
    usize::try_from(length).expect("the platform's addresses have 32 bits or more")
}

/// A length in memory as a distance in a file.
pub(crate) fn u64_of(length: usize) -> u64 {
    u64::try_from(length).expect("the platform's addresses have 64 bits or fewer")
}

/// A distance in a file as a length in memory; an error where memory could not hold it.
pub(crate) fn in_memory(distance: u64) -> Result<usize, TryFromIntError> {
    usize::try_from(distance)
}

/// Takes integers off the front of bytes; `None` once they run out.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}
