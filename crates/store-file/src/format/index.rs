use eventwire_store::{Fingerprint, Uuid};

use super::{FRAME_HEADER_BYTES, Fields, Label, PAGE_BYTES, u64_of};

/// What an index begins with, on a page of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexHead {
    pub(crate) label: Label,
    /// The position of the last event that is in it.
    pub(crate) last: u64,
    /// Where the last frame begins that is in it.
    pub(crate) last_frame: u64,
    /// The header of that frame, which ties the index to what the segment holds.
    pub(crate) frame_header: [u8; FRAME_HEADER_BYTES],
    pub(crate) sections: Sections,
}

/// Where the parts of an index are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sections {
    pub(crate) slots: Section,
    pub(crate) postings: Section,
    pub(crate) listings: Section,
    pub(crate) texts: Section,
    pub(crate) filter: Section,
    pub(crate) notes: Section,
}

/// Bytes that begin with a page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) page: u64,
    pub(crate) bytes: u64,
}

impl IndexHead {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Sections {
            slots,
            postings,
            listings,
            texts,
            filter,
            notes,
        } = self.sections;
        let mut out = self.label.encode().to_vec();
        out.extend_from_slice(&self.last.to_le_bytes());
        out.extend_from_slice(&self.last_frame.to_le_bytes());
        out.extend_from_slice(&self.frame_header);
        for section in [slots, postings, listings, texts, filter, notes] {
            out.extend_from_slice(&section.page.to_le_bytes());
            out.extend_from_slice(&section.bytes.to_le_bytes());
        }
        out
    }

    /// The head of an index with this label; none for any other.
    pub(crate) fn decode(expected: &Label, page: &[u8]) -> Option<Self> {
        let label = Label::decode(expected.kind, page).ok()?;
        let mut fields = Fields(page.get(super::LABEL_BYTES..)?);
        let last = fields.u64()?;
        let last_frame = fields.u64()?;
        let frame_header = fields.array()?;
        let mut section = || {
            let (page, bytes) = (fields.u64()?, fields.u64()?);
            // No file reaches further, so that what is within a section can be counted.
            page.checked_mul(u64_of(PAGE_BYTES))?.checked_add(bytes)?;
            Some(Section { page, bytes })
        };
        let sections = Sections {
            slots: section()?,
            postings: section()?,
            listings: section()?,
            texts: section()?,
            filter: section()?,
            notes: section()?,
        };
        (label == *expected).then_some(Self {
            label,
            last,
            last_frame,
            frame_header,
            sections,
        })
    }
}

/// What an index lists something under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ListingKind {
    Stream = 1,
    Category = 2,
    Type = 3,
    Tag = 4,
    Key = 5,
}

impl ListingKind {
    /// The kind that a byte stands for.
    pub(crate) fn decode(byte: u8) -> Option<Self> {
        let kinds = [
            Self::Stream,
            Self::Category,
            Self::Type,
            Self::Tag,
            Self::Key,
        ];
        kinds.into_iter().find(|&kind| kind as u8 == byte)
    }

    /// The number by which a listing is found. It depends on the store, so that names which
    /// meet in one store do not in another.
    pub(crate) fn hash(self, store: Uuid, name: &str) -> u64 {
        Fingerprint::of([store.as_bytes(), &[self as u8][..], name.as_bytes()]).to_bits()
    }
}

/// One name in an index and what is listed under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) hash: u64,
    /// Where the name is in the texts.
    pub(crate) text: u64,
    /// Where its postings begin, in bytes of that section: a block, or the directory of several; of
    /// a key, the position of the append's first event.
    pub(crate) begin: u64,
    /// Its postings; of a key, the append's events.
    pub(crate) count: u32,
    pub(crate) kind: u8,
    /// The length of the name.
    pub(crate) length: u8,
    /// Of a stream, its version before the index; of a key, the fingerprint.
    pub(crate) extra: u64,
}

/// The width of a listing.
pub(crate) const LISTING_BYTES: usize = 40;

impl Listing {
    pub(crate) fn encode(&self) -> [u8; LISTING_BYTES] {
        let mut bytes = [0; LISTING_BYTES];
        bytes[..8].copy_from_slice(&self.hash.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.text.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.begin.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.count.to_le_bytes());
        bytes[28] = self.kind;
        bytes[29] = self.length;
        bytes[32..].copy_from_slice(&self.extra.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; LISTING_BYTES]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let listing = Self {
            hash: fields.u64()?,
            text: fields.u64()?,
            begin: fields.u64()?,
            count: fields.u32()?,
            kind: fields.u8()?,
            length: fields.u8()?,
            extra: 0,
        };
        let _zero = fields.u16()?;
        Some(Self {
            extra: fields.u64()?,
            ..listing
        })
    }
}
