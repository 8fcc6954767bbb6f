mod lookup;

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use eventwire_store::{Appended, Fingerprint, IdempotencyKey, StreamName, Uuid, Version};
use thiserror::Error;

use super::appended::AppendedBuilder;
use super::cache::{IndexId, PageCache};
use super::filter::Filter;
use super::hidden::KnownHidden;
use super::keys::Kept;
use super::list::FileList;
use super::mapped::MappedPages;
use super::section::{Column, SLOT_BYTES, SectionBytes};
use super::term::Term;
use crate::format::{
    FRAME_HEADER_BYTES, FrameHeader, IndexHead, Kind, LISTING_BYTES, Label, Listing, ListingKind,
    Noted, PAGE_BYTES, PAGE_DATA_BYTES, Section, Sections, checked_page, decode_page,
    decode_places, encode_places, in_memory, page_place, u64_of,
};
use crate::number;
use crate::segment::Segment;
use crate::storage::{Storage, StorageFile};

/// An index in a file: of events of one segment, from one position to another. It is read page
/// by page.
#[derive(Debug)]
pub(crate) struct FileIndex {
    file: Arc<dyn StorageFile>,
    segment: Arc<Segment>,
    head: IndexHead,
    /// Where the frames end that are in it.
    end: u64,
    cache: Arc<PageCache>,
    id: IndexId,
    /// All of it, where it is read so; made when it is first needed.
    mapped: OnceLock<Option<MappedPages>>,
    /// Read when it has been looked into often enough.
    filter: OnceLock<Filter>,
    /// How often it was looked into where it lies.
    looks: AtomicU32,
    pub(super) hidden: KnownHidden,
}

/// Pages of a section that are read together.
const PAGES_AT_ONCE: u64 = 64;

/// An index cannot be read, or is not as it was written. It can be made again from the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the index that begins with position {first} is not as it was written")]
pub(crate) struct BadIndex {
    /// The position the index begins with.
    pub(crate) first: u64,
    /// The page that is bad, as far as it is known; the first where it is not.
    pub(crate) page: u64,
}

/// The name of the index that begins with this position.
pub(crate) fn name(first: u64) -> String {
    format!("{first:020}.idx")
}

/// The position in the name of an index; none for a file that is none.
pub(crate) fn first_in(name: &str) -> Option<u64> {
    number::in_name(name, ".idx")
}

impl FileIndex {
    /// The index of a segment's events from `first` on; none where there is none that belongs to
    /// what the segment holds.
    pub(crate) fn open(
        directory: &dyn Storage,
        segment: &Arc<Segment>,
        first: u64,
        cache: &Arc<PageCache>,
    ) -> Option<Self> {
        let file = directory.open(&name(first)).ok()?;
        let mut page = vec![0; PAGE_BYTES];
        file.read_at(&mut page, 0).ok()?;
        let place = page_place(first - segment.first, 0);
        let data = decode_page(&page.into(), place, segment.seed)?;
        let label = Label {
            kind: Kind::Index,
            first,
            ..segment.label
        };
        let head = IndexHead::decode(&label, &data)?;
        let mut frame_header = [0; FRAME_HEADER_BYTES];
        segment
            .file
            .read_at(&mut frame_header, head.last_frame)
            .ok()?;
        let frame = FrameHeader::decode(&frame_header, head.last_frame, segment.seed).ok()?;
        let is_of_segment = frame_header == head.frame_header;
        (is_of_segment && head.last >= first).then(|| Self {
            file,
            segment: Arc::clone(segment),
            head,
            end: head.last_frame + u64_of(frame.frame_bytes()),
            cache: Arc::clone(cache),
            id: cache.register(),
            mapped: OnceLock::new(),
            filter: OnceLock::new(),
            looks: AtomicU32::new(0),
            hidden: KnownHidden::default(),
        })
    }

    /// What is kept of segments that are gone; none where the first page says otherwise.
    pub(super) fn of_remainder(
        pages: Arc<Segment>,
        page: &Bytes,
        cache: &Arc<PageCache>,
    ) -> Option<Self> {
        let data = decode_page(page, page_place(0, 0), pages.seed)?;
        let head = IndexHead::decode(&pages.label, &data)?;
        (head.last >= pages.first).then(|| Self {
            file: Arc::clone(&pages.file),
            segment: pages,
            head,
            end: 0,
            cache: Arc::clone(cache),
            id: cache.register(),
            mapped: OnceLock::new(),
            filter: OnceLock::new(),
            looks: AtomicU32::new(0),
            hidden: KnownHidden::default(),
        })
    }

    /// The bytes of its names.
    pub(crate) fn bytes(&self) -> u64 {
        let Sections {
            listings, texts, ..
        } = self.head.sections;
        listings.bytes + texts.bytes
    }

    /// Its file.
    pub(crate) fn file(&self) -> &Arc<dyn StorageFile> {
        &self.file
    }

    /// The segment whose events it is of.
    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// The position of the first event that is in it.
    pub(crate) fn first(&self) -> u64 {
        self.head.label.first
    }

    /// The position of the last event that is in it.
    pub(crate) fn last(&self) -> u64 {
        self.head.last
    }

    /// Whether every page is as it was written, and none is missing.
    pub(crate) fn is_whole(&self) -> bool {
        let Sections {
            slots,
            postings,
            listings,
            texts,
            filter,
            notes,
        } = self.head.sections;
        let data = u64_of(PAGE_DATA_BYTES);
        let sections = [slots, postings, listings, texts, filter, notes];
        let ends = sections.map(|it| it.page.saturating_add(it.bytes.div_ceil(data)));
        let pages = ends.into_iter().max().unwrap_or_default();
        (1..pages).all(|page| self.read_page(page).is_ok())
    }

    /// Where the frames end that are in it.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Where the last of them begins.
    pub(crate) fn last_frame(&self) -> u64 {
        self.head.last_frame
    }

    /// What it keeps of the notes up to its end.
    pub(crate) fn noted(&self) -> Result<Noted, BadIndex> {
        let bytes = self.section(self.head.sections.notes)?;
        Ok(Noted::from_bytes(bytes.into()))
    }

    /// The version of a stream's last event here, if it has any.
    pub(crate) fn version(&self, stream: &StreamName) -> Result<Option<Version>, BadIndex> {
        let found = self.find(ListingKind::Stream, stream.as_str())?;
        found
            .map(|listing| self.version_of(&listing, u64::from(listing.count)))
            .transpose()
    }

    /// What a key was used for here.
    pub(crate) fn key(&self, key: &IdempotencyKey) -> Result<Option<Kept>, BadIndex> {
        let Some(listing) = self.find(ListingKind::Key, key.as_str())? else {
            return Ok(None);
        };
        let kept = Kept {
            fingerprint: Fingerprint::from_bits(listing.extra),
            first: listing.begin,
            events: listing.count,
        };
        let end = kept.first.checked_add(kept.events.into());
        if kept.first < self.first()
            || kept.events == 0
            || end.is_none_or(|end| end - 1 > self.last())
        {
            return Err(self.bad());
        }
        Ok(Some(kept))
    }

    /// The positions of the events that a term names.
    pub(super) fn list(&self, term: Term<'_>) -> Result<FileList<'_>, BadIndex> {
        let found = self.find(term.kind(), term.text())?;
        Ok(match found {
            Some(listing) => FileList::new(self, &listing),
            None => FileList::empty(self),
        })
    }

    /// The kind and the hash of each name here.
    pub(super) fn each_name(
        &self,
        mut visit: impl FnMut(ListingKind, u64),
    ) -> Result<(), BadIndex> {
        let listings = self.listings();
        for number in 0..listings.count() {
            let listing = self.listing(&listings, number)?;
            let kind = ListingKind::decode(listing.kind).ok_or(self.bad())?;
            visit(kind, listing.hash);
        }
        Ok(())
    }

    /// How many tags all events have.
    pub(crate) fn tags(&self) -> Result<u64, BadIndex> {
        let listings = self.listings();
        let mut tags = 0;
        for number in 0..listings.count() {
            let listing = self.listing(&listings, number)?;
            if listing.kind == ListingKind::Tag as u8 {
                tags += u64::from(listing.count);
            }
        }
        Ok(tags)
    }

    /// The answer to the append whose events begin at `first`.
    pub(crate) fn appended(&self, first: u64, events: u32) -> Result<Appended, BadIndex> {
        let slots = self.slots();
        let mut appended = AppendedBuilder::new(first);
        for position in first..first + u64::from(events) {
            let (_, number) = slots.numbered_slot(position - self.first())?;
            let place = match number.checked_sub(1) {
                Some(number) => Some(self.place(number.into(), position)?),
                None => None,
            };
            appended.push(position, place);
        }
        Ok(appended.finish())
    }

    /// The streams that the append wrote to which a key was used for, as a remainder has them.
    pub(super) fn places_of(&self, listing: &Listing) -> Result<Bytes, BadIndex> {
        if self.head.label.kind != Kind::Remainder {
            let appended = self.appended(listing.begin, listing.count)?;
            let places = encode_places(&appended.streams);
            let length = u32::try_from(places.len()).map_err(|_| self.bad())?;
            return Ok([&length.to_le_bytes(), &places[..]].concat().into());
        }
        let begin = listing.text.saturating_add(listing.length.into());
        let length = self.text_at(begin, 4)?;
        let length = length.first_chunk().copied().map(u32::from_le_bytes);
        self.text_at(begin, 4 + u64::from(length.ok_or(self.bad())?))
    }

    /// The streams that the append wrote to which a key was used for, with their versions.
    pub(super) fn places(
        &self,
        key: &IdempotencyKey,
    ) -> Result<Vec<(StreamName, Version)>, BadIndex> {
        let listing = self
            .find(ListingKind::Key, key.as_str())?
            .ok_or(self.bad())?;
        let places = self.places_of(&listing)?;
        decode_places(&places[4..]).ok_or(self.bad())
    }

    fn place(&self, number: u64, position: u64) -> Result<(StreamName, Version), BadIndex> {
        let listing = self.listing(&self.listings(), number)?;
        let name = self.text(&listing)?;
        let name = StreamName::from_bytes(name).map_err(|_| self.bad())?;
        let count = FileList::new(self, &listing).count_below(position + 1)?;
        Ok((name, self.version_of(&listing, count)?))
    }

    fn version_of(&self, listing: &Listing, count: u64) -> Result<Version, BadIndex> {
        Version::new(listing.extra.saturating_add(count)).ok_or(self.bad())
    }

    /// The places of all events, in the order of their positions.
    pub(super) fn slots(&self) -> Column<'_> {
        Column::new(self, self.head.sections.slots, SLOT_BYTES)
    }

    pub(super) fn postings(&self) -> SectionBytes<'_> {
        SectionBytes::new(self, self.head.sections.postings)
    }

    pub(super) fn texts(&self) -> SectionBytes<'_> {
        SectionBytes::new(self, self.head.sections.texts)
    }

    pub(super) fn listings(&self) -> Column<'_> {
        Column::new(self, self.head.sections.listings, LISTING_BYTES)
    }

    /// All bytes of a section that is small, or kept.
    fn section(&self, section: Section) -> Result<Vec<u8>, BadIndex> {
        let pages = section.bytes.div_ceil(u64_of(PAGE_DATA_BYTES));
        let mut bytes = Vec::new();
        let mut read = Vec::new();
        let mut next = section.page;
        let end = section.page + pages;
        while next < end {
            // Few at a time: how many there are is what the file says, and may be wrong.
            let count = PAGES_AT_ONCE.min(end - next);
            let length = in_memory(count).map_err(|_| self.bad())? * PAGE_BYTES;
            read.clear();
            let offset = next * u64_of(PAGE_BYTES);
            let found = self.file.read_more(&mut read, length, offset);
            found.map_err(|_| self.bad_page(next))?;
            for page in read.chunks_exact(PAGE_BYTES) {
                let data = checked_page(page, self.page_place(next), self.segment.seed);
                bytes.extend_from_slice(data.ok_or(self.bad_page(next))?);
                next += 1;
            }
        }
        bytes.truncate(in_memory(section.bytes).map_err(|_| self.bad())?);
        Ok(bytes)
    }

    pub(super) fn page(&self, number: u64) -> Result<Bytes, BadIndex> {
        if let Some(data) = self.cache.get(self.id, number) {
            return Ok(data);
        }
        let data = self.read_page(number)?;
        self.cache.put(self.id, number, data.clone());
        Ok(data)
    }

    pub(super) fn read_page(&self, number: u64) -> Result<Bytes, BadIndex> {
        let mut page = vec![0; PAGE_BYTES];
        let offset = number.checked_mul(u64_of(PAGE_BYTES)).ok_or(self.bad())?;
        self.file
            .read_at(&mut page, offset)
            .map_err(|_| self.bad_page(number))?;
        let place = self.page_place(number);
        decode_page(&page.into(), place, self.segment.seed).ok_or(self.bad_page(number))
    }

    fn page_place(&self, number: u64) -> u64 {
        page_place(self.first() - self.segment.first, number)
    }

    /// The data of a page, where the index is mapped.
    #[inline]
    pub(super) fn mapped_page(&self, number: u64) -> Option<Result<&[u8], BadIndex>> {
        let pages = self.mapped()?;
        let data = pages.get(number, self.page_place(number), self.segment.seed);
        Some(data.ok_or(self.bad_page(number)))
    }

    /// Its pages as memory. A file has the name of an index once nothing changes it any more.
    fn mapped(&self) -> Option<&MappedPages> {
        let map = || self.file.map().map(MappedPages::new);
        self.mapped.get_or_init(map).as_ref()
    }

    fn store(&self) -> Uuid {
        self.segment.label.store
    }

    fn bad_page(&self, page: u64) -> BadIndex {
        let first = self.first();
        BadIndex { first, page }
    }

    pub(super) fn bad(&self) -> BadIndex {
        self.bad_page(0)
    }
}

impl Drop for FileIndex {
    fn drop(&mut self) {
        self.cache.forget(self.id);
    }
}
