//! How an index in a file finds what it lists under a name.

use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use eventwire_store::StreamName;

use super::{BadIndex, FileIndex};
use crate::format::{LISTING_BYTES, Listing, ListingKind, PAGE_DATA_BYTES, in_memory, u64_of};
use crate::index::filter::Filter;
use crate::index::list::FileList;
use crate::index::section::{Column, SectionBytes};

/// Names that are looked up before the whole filter is read.
const FEW_LOOKS: u32 = 32;

impl FileIndex {
    /// The lists of those of many streams that are here; with each the number of the stream among
    /// them.
    pub(in crate::index) fn each_stream_of(
        &self,
        streams: &[(StreamName, u64)],
        mut give: impl FnMut(usize, FileList<'_>) -> Result<(), BadIndex>,
    ) -> Result<(), BadIndex> {
        let filter = self.filter()?;
        let hash = |name: &StreamName| ListingKind::Stream.hash(self.store(), name.as_str());
        let hashes = streams.iter().map(|(name, _)| hash(name));
        let mut sought: Vec<(u64, usize)> = hashes.zip(0..).collect();
        sought.retain(|&(hash, _)| filter.may_hold(hash));
        // In the order of the listings: then neighbours are mostly on one page.
        sought.sort_unstable();
        let listings = self.listings();
        for (hash, number) in sought {
            let name = streams[number].0.as_str();
            let found = self.find_in(&listings, hash, ListingKind::Stream, name)?;
            if let Some(listing) = found {
                give(number, FileList::new(self, &listing))?;
            }
        }
        Ok(())
    }

    /// The listing of a name.
    pub(super) fn find(&self, kind: ListingKind, name: &str) -> Result<Option<Listing>, BadIndex> {
        let hash = kind.hash(self.store(), name);
        if !self.may_hold(hash)? {
            return Ok(None);
        }
        self.find_in(&self.listings(), hash, kind, name)
    }

    /// The listing of a name that the filter has.
    fn find_in(
        &self,
        listings: &Column<'_>,
        hash: u64,
        kind: ListingKind,
        name: &str,
    ) -> Result<Option<Listing>, BadIndex> {
        let count = listings.count();
        for number in self.first_with_hash(listings, hash)?..count {
            let listing = self.listing(listings, number)?;
            if listing.hash != hash {
                break;
            }
            if listing.kind == kind as u8 && self.text(&listing)? == name.as_bytes() {
                return Ok(Some(listing));
            }
        }
        Ok(None)
    }

    /// The number of the first listing whose hash is not below this one. Hashes are spread
    /// evenly, so a guess is mostly near; halving bounds what a bad luck costs.
    fn first_with_hash(&self, listings: &Column<'_>, hash: u64) -> Result<u64, BadIndex> {
        const GUESSES: u32 = 6;
        let (mut low, mut high) = (0, listings.count());
        let (mut low_hash, mut high_hash) = (0, u64::MAX);
        for step in 0.. {
            if low >= high {
                break;
            }
            let middle = if step < GUESSES && low_hash < high_hash {
                let share = u128::from(hash - low_hash) * u128::from(high - low)
                    / (u128::from(high_hash - low_hash) + 1);
                low + u64::try_from(share).expect("a share of 64 bits")
            } else {
                low + (high - low) / 2
            };
            let found = self.listing(listings, middle)?.hash;
            if found < hash {
                (low, low_hash) = (middle + 1, found);
            } else {
                (high, high_hash) = (middle, found);
            }
            if low_hash > hash || high_hash < hash {
                return Err(self.bad());
            }
        }
        Ok(low)
    }

    pub(in crate::index) fn listing(
        &self,
        listings: &Column<'_>,
        number: u64,
    ) -> Result<Listing, BadIndex> {
        Listing::decode(&listings.bytes::<LISTING_BYTES>(number)?).ok_or(self.bad())
    }

    pub(in crate::index) fn text(&self, listing: &Listing) -> Result<Bytes, BadIndex> {
        self.text_at(listing.text, listing.length.into())
    }

    pub(super) fn text_at(&self, mut at: u64, length: u64) -> Result<Bytes, BadIndex> {
        let page = u64_of(PAGE_DATA_BYTES);
        let texts = self.head.sections.texts;
        let end = at.checked_add(length).filter(|&end| end <= texts.bytes);
        let end = end.ok_or(self.bad())?;
        let mut text = Vec::new();
        while at < end {
            let data = self.page(texts.page + at / page)?;
            let from = in_memory(at % page).map_err(|_| self.bad())?;
            let length = in_memory(end - at)
                .map_err(|_| self.bad())?
                .min(PAGE_DATA_BYTES - from);
            text.extend_from_slice(&data[from..from + length]);
            at += u64_of(length);
        }
        Ok(text.into())
    }

    /// False only where no name has this hash. The first times the filter is looked into where it
    /// lies: it may be hundreds of kilobytes, and who has just opened a store mostly asks little.
    fn may_hold(&self, hash: u64) -> Result<bool, BadIndex> {
        if self.filter.get().is_some() || self.looks.fetch_add(1, Relaxed) >= FEW_LOOKS {
            return Ok(self.filter()?.may_hold(hash));
        }
        let section = self.head.sections.filter;
        let at = Filter::block_at(hash, section.bytes);
        let block = SectionBytes::new(self, section).array(at)?;
        Ok(Filter::block_may_hold(&block, hash))
    }

    fn filter(&self) -> Result<&Filter, BadIndex> {
        if let Some(filter) = self.filter.get() {
            return Ok(filter);
        }
        let bytes = self.section(self.head.sections.filter)?;
        let filter = Filter::from_bytes(bytes).ok_or(self.bad())?;
        Ok(self.filter.get_or_init(|| filter))
    }
}
