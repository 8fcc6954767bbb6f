use std::io;

use super::file::{self, POSTING_BYTES, SLOT_BYTES};
use super::filter::Filter;
use super::memory::{MemoryIndex, SealedIndex};
use crate::format::{
    FRAME_HEADER_BYTES, IndexHead, Kind, Label, Listing, ListingKind, Note, PAGE_BYTES,
    PAGE_DATA_BYTES, Section, Sections, Seed, encode_page, u64_of,
};
use crate::segment::Segment;
use crate::storage::{Storage, StorageFile, Unpublished};

/// Bytes written at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Writes the index of a segment to its file.
///
/// # Durability
/// The file is durable on return, its name need not be: without it, it is made again.
pub(crate) fn write(
    directory: &dyn Storage,
    segment: &Segment,
    sealed: &SealedIndex,
) -> io::Result<()> {
    let name = file::name(segment.first);
    let made = Unpublished::create(directory, &name)?;
    let mut frame_header = [0; FRAME_HEADER_BYTES];
    segment.file.read_at(&mut frame_header, sealed.last_frame)?;
    let sections = write_sections(&*made.file, segment, sealed)?;
    let head = IndexHead {
        label: Label {
            kind: Kind::Index,
            ..segment.label
        },
        last: sealed.index.last(),
        last_frame: sealed.last_frame,
        frame_header,
        sections,
    };
    let mut page = Vec::with_capacity(PAGE_BYTES);
    encode_page(&head.encode(), 0, segment.seed, &mut page);
    made.file.write_at(&page, 0)?;
    made.publish().map(drop)
}

fn write_sections(
    file: &dyn StorageFile,
    segment: &Segment,
    sealed: &SealedIndex,
) -> io::Result<Sections> {
    let index = &sealed.index;
    let names = Names::of(index, segment);
    let mut pages = PageWriter::new(file, segment.seed);

    for slot in index.slots() {
        let mut bytes = [0; SLOT_BYTES];
        bytes[..8].copy_from_slice(&slot.offset.to_le_bytes());
        bytes[8..12].copy_from_slice(&slot.bytes.to_le_bytes());
        let number = slot
            .stream
            .map_or(0, |stream| names.of_streams[stream.index()]);
        bytes[12..].copy_from_slice(&number.to_le_bytes());
        pages.write(&bytes)?;
    }
    let slots = pages.end_section()?;
    for position in names.sorted.iter().flat_map(|name| name.positions) {
        pages.write(&distance(position - index.first()).to_le_bytes())?;
    }
    let postings = pages.end_section()?;
    let (mut text, mut posting) = (0, 0);
    for name in &names.sorted {
        pages.write(&name.listing(text, posting).encode())?;
        text += u64_of(name.text.len());
        posting += u64_of(name.positions.len());
    }
    let listings = pages.end_section()?;
    for name in &names.sorted {
        pages.write(name.text.as_bytes())?;
    }
    let texts = pages.end_section()?;
    let hashes = names.sorted.iter().map(|name| name.hash);
    pages.write(Filter::new(hashes).as_bytes())?;
    let filter = pages.end_section()?;
    pages.write(&encode_notes(&sealed.notes))?;
    let notes = pages.end_section()?;
    pages.finish()?;
    Ok(Sections {
        slots,
        postings,
        listings,
        texts,
        filter,
        notes,
    })
}

fn encode_notes(notes: &[Note]) -> Vec<u8> {
    let mut bytes = Vec::new();
    notes.iter().for_each(|note| note.encode(&mut bytes));
    bytes
}

fn distance(from_first: u64) -> u32 {
    debug_assert_eq!(POSTING_BYTES, size_of::<u32>());
    u32::try_from(from_first).expect("a segment's length bounds its events below 2^32")
}

/// Everything that is listed, in the order of the hashes.
struct Names<'a> {
    sorted: Vec<Name<'a>>,
    /// The number of each stream's listing, counted from 1, by the stream's own number.
    of_streams: Vec<u32>,
}

struct Name<'a> {
    hash: u64,
    kind: ListingKind,
    text: &'a str,
    positions: &'a [u64],
    /// Of a key: the position of its first event, and their number.
    append: Option<(u64, u32)>,
    extra: u64,
    /// Of a stream: its index among the streams.
    stream: Option<usize>,
}

impl<'a> Names<'a> {
    fn of(index: &'a MemoryIndex, segment: &Segment) -> Self {
        let name = |kind: ListingKind, text: &'a str, positions: &'a [u64]| Name {
            hash: kind.hash(segment.label.store, text),
            kind,
            text,
            positions,
            append: None,
            extra: 0,
            stream: None,
        };
        let streams = index.streams.iter().enumerate();
        let streams = streams.map(|(number, (text, before, positions))| Name {
            extra: before,
            stream: Some(number),
            ..name(ListingKind::Stream, text.as_str(), positions)
        });
        let categories = index.categories.iter();
        let types = index.types.iter();
        let tags = index.tags.iter();
        let keys = index.keys.iter().map(|(text, kept)| Name {
            append: Some((kept.first, kept.events)),
            extra: kept.fingerprint.to_bits(),
            ..name(ListingKind::Key, text.as_str(), &[])
        });
        let mut sorted: Vec<_> = streams
            .chain(categories.map(|(text, at)| name(ListingKind::Category, text.as_str(), at)))
            .chain(types.map(|(text, at)| name(ListingKind::Type, text.as_str(), at)))
            .chain(tags.map(|(text, at)| name(ListingKind::Tag, text.as_str(), at)))
            .chain(keys)
            .collect();
        sorted.sort_unstable_by_key(|name| (name.hash, name.kind, name.text));
        let mut of_streams = vec![0; index.streams.iter().count()];
        for (number, name) in (1..).zip(&sorted) {
            if let Some(stream) = name.stream {
                of_streams[stream] = number;
            }
        }
        Self { sorted, of_streams }
    }
}

impl Name<'_> {
    fn listing(&self, text: u64, posting: u64) -> Listing {
        let (begin, count) = match self.append {
            Some(append) => append,
            None => (posting, distance(u64_of(self.positions.len()))),
        };
        Listing {
            hash: self.hash,
            text,
            begin,
            count,
            kind: self.kind as u8,
            length: u8::try_from(self.text.len()).expect("MAX_NAME_BYTES fits 8 bits"),
            extra: self.extra,
        }
    }
}

/// Cuts sections into pages, from page 1 on: page 0 is the head's.
struct PageWriter<'a> {
    file: &'a dyn StorageFile,
    seed: Seed,
    /// The page that `data` will be.
    page: u64,
    data: Vec<u8>,
    /// Pages that are still to be written.
    chunk: Vec<u8>,
    written: u64,
    section: Section,
}

impl<'a> PageWriter<'a> {
    fn new(file: &'a dyn StorageFile, seed: Seed) -> Self {
        Self {
            file,
            seed,
            page: 1,
            data: Vec::with_capacity(PAGE_DATA_BYTES),
            chunk: Vec::with_capacity(CHUNK_BYTES + PAGE_BYTES),
            written: u64_of(PAGE_BYTES),
            section: Section { page: 1, bytes: 0 },
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.section.bytes += u64_of(bytes.len());
        while !bytes.is_empty() {
            let room = PAGE_DATA_BYTES - self.data.len();
            let (now, later) = bytes.split_at(bytes.len().min(room));
            self.data.extend_from_slice(now);
            bytes = later;
            if self.data.len() == PAGE_DATA_BYTES {
                self.end_page()?;
            }
        }
        Ok(())
    }

    fn end_section(&mut self) -> io::Result<Section> {
        if !self.data.is_empty() {
            self.end_page()?;
        }
        let next = Section {
            page: self.page,
            bytes: 0,
        };
        Ok(std::mem::replace(&mut self.section, next))
    }

    fn end_page(&mut self) -> io::Result<()> {
        encode_page(&self.data, self.page, self.seed, &mut self.chunk);
        self.data.clear();
        self.page += 1;
        if self.chunk.len() < CHUNK_BYTES {
            return Ok(());
        }
        self.finish()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.file.write_at(&self.chunk, self.written)?;
        self.written += u64_of(self.chunk.len());
        self.chunk.clear();
        Ok(())
    }
}
