use std::io;

use super::blocks::ListWriter;
use super::file;
use super::filter::Filter;
use super::memory::SealedIndex;
use super::section::SLOT_BYTES;
use super::sorted::SortedIndex;
use super::source::{Lists, Source};
use crate::format::{
    FRAME_HEADER_BYTES, IndexHead, Kind, Label, Listing, Noted, PAGE_BYTES, PAGE_DATA_BYTES,
    Section, Sections, Seed, encode_page, page_place, u64_of,
};
use crate::segment::Segment;
use crate::storage::{Storage, StorageFile, Unpublished};

/// Bytes written at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Writes an index to its file.
///
/// # Durability
/// The file is durable on return, its name need not be: without it, it is made again.
pub(crate) fn write(directory: &dyn Storage, sealed: &SealedIndex) -> io::Result<()> {
    let source = SortedIndex::new(&sealed.index, &sealed.segment);
    let first = sealed.index.first();
    let file = IndexFile::new(&sealed.segment, first, sealed.last_frame, &sealed.noted)?;
    write_source(directory, &file, &source)
}

/// What the file of an index has beside what is listed.
#[derive(Debug)]
pub(super) struct IndexFile<'a> {
    pub(super) name: String,
    pub(super) label: Label,
    /// Where the last frame begins that is in it.
    pub(super) last_frame: u64,
    pub(super) frame_header: [u8; FRAME_HEADER_BYTES],
    /// How far it begins from the first event of what its pages are sealed for.
    pub(super) from_first: u64,
    pub(super) seed: Seed,
    /// What it keeps of the notes up to its end.
    pub(super) noted: &'a Noted,
}

impl<'a> IndexFile<'a> {
    /// Of the events of a segment from `first` on, up to the frame that begins at `last_frame`.
    pub(super) fn new(
        segment: &Segment,
        first: u64,
        last_frame: u64,
        noted: &'a Noted,
    ) -> io::Result<Self> {
        let mut frame_header = [0; FRAME_HEADER_BYTES];
        segment.file.read_at(&mut frame_header, last_frame)?;
        Ok(Self {
            name: file::name(first),
            label: Label {
                kind: Kind::Index,
                first,
                ..segment.label
            },
            last_frame,
            frame_header,
            from_first: first - segment.first,
            seed: segment.seed,
            noted,
        })
    }
}

/// Writes an index, whatever it is made of, to its file.
///
/// # Durability
/// As for [`write`].
pub(super) fn write_source(
    directory: &dyn Storage,
    index: &IndexFile<'_>,
    source: &dyn Source,
) -> io::Result<()> {
    let made = Unpublished::create(directory, &index.name)?;
    let mut pages = PageWriter::new(&*made.file, index.seed, index.from_first);
    let sections = write_sections(&mut pages, source, index.noted)?;
    let head = IndexHead {
        label: index.label,
        last: source.last(),
        last_frame: index.last_frame,
        frame_header: index.frame_header,
        sections,
    };
    let mut page = Vec::with_capacity(PAGE_BYTES);
    let place = page_place(index.from_first, 0);
    encode_page(&head.encode(), place, index.seed, &mut page);
    made.file.write_at(&page, 0)?;
    made.publish().map(drop)
}

fn write_sections(
    pages: &mut PageWriter<'_>,
    source: &dyn Source,
    noted: &Noted,
) -> io::Result<Sections> {
    source.each_slot(&mut |slot, stream| {
        let mut bytes = [0; SLOT_BYTES];
        bytes[..8].copy_from_slice(&slot.offset.to_le_bytes());
        bytes[8..12].copy_from_slice(&slot.bytes.to_le_bytes());
        bytes[12..].copy_from_slice(&stream.to_le_bytes());
        pages.write(&bytes)
    })?;
    let slots = pages.end_section()?;
    let mut lists = ListWriter::new(pages);
    source.each_list(&mut lists)?;
    let mut begins = lists.finish().into_iter();
    let postings = pages.end_section()?;
    let mut filter = Filter::for_names(source.names());
    let mut text = 0;
    source.each_name(&mut |name| {
        filter.insert(name.hash);
        let (begin, count) = match name.lists {
            // What is kept of what is gone has no lists.
            Lists::Postings(count) => (begins.next().unwrap_or(0), count),
            Lists::Append(first, events) => (first, events),
        };
        let listing = Listing {
            hash: name.hash,
            text,
            begin,
            count,
            kind: name.kind,
            length: u8::try_from(name.text.len()).expect("MAX_NAME_BYTES fits 8 bits"),
            extra: name.extra,
        };
        text += u64_of(name.text.len() + name.more.len());
        pages.write(&listing.encode())
    })?;
    let listings = pages.end_section()?;
    source.each_name(&mut |name| {
        pages.write(name.text)?;
        pages.write(name.more)
    })?;
    let texts = pages.end_section()?;
    pages.write(filter.as_bytes())?;
    let filter = pages.end_section()?;
    pages.write(noted.as_bytes())?;
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

/// Cuts sections into pages, from page 1 on: page 0 is the head's.
pub(super) struct PageWriter<'a> {
    file: &'a dyn StorageFile,
    seed: Seed,
    /// How far the index begins from the segment's first event.
    from_first: u64,
    /// The page that `data` will be.
    page: u64,
    data: Vec<u8>,
    /// Pages that are still to be written.
    chunk: Vec<u8>,
    written: u64,
    section: Section,
}

impl<'a> PageWriter<'a> {
    fn new(file: &'a dyn StorageFile, seed: Seed, from_first: u64) -> Self {
        Self {
            file,
            seed,
            from_first,
            page: 1,
            data: Vec::with_capacity(PAGE_DATA_BYTES),
            chunk: Vec::with_capacity(CHUNK_BYTES + PAGE_BYTES),
            written: u64_of(PAGE_BYTES),
            section: Section { page: 1, bytes: 0 },
        }
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
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

    /// How long the section is so far.
    pub(super) fn section_bytes(&self) -> u64 {
        self.section.bytes
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
        let place = page_place(self.from_first, self.page);
        encode_page(&self.data, place, self.seed, &mut self.chunk);
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
