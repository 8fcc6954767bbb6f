use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::blocks::{Block, ListWriter, Listed, Posting};
use super::file::{BadIndex, FileIndex};
use super::memory::Slot;
use super::section::{Column, SectionBytes};
use super::source::{Lists, Name, Source};
use super::writing::{IndexFile, write_source};
use crate::format::{Listing, ListingKind, Noted, in_memory};
use crate::notes::Notes;
use crate::storage::Storage;

/// Why indexes could not be merged.
#[derive(Debug)]
pub(crate) enum MergeError {
    /// One of them has to be made again.
    Bad(BadIndex),
    /// The medium failed.
    Io(io::Error),
}

/// Writes one index in place of several that follow each other in a segment: the same bytes as
/// if it had been made of the segment. It has the name of the first of them.
///
/// Memory: four bytes for each name of each index, and eight for each of the merged one.
///
/// # Durability
/// The file is durable on return, its name need not be.
pub(crate) fn merge(directory: &dyn Storage, parts: &[Arc<FileIndex>]) -> Result<(), MergeError> {
    let last = parts.last().expect("there is something to merge");
    let noted = noted_of(parts).map_err(MergeError::Bad)?;
    let source = MergedIndex::new(parts).map_err(MergeError::Bad)?;
    let file = IndexFile::new(last.segment(), source.first(), last.last_frame(), &noted)
        .map_err(MergeError::Io)?;
    write_source(directory, &file, &source).map_err(MergeError::of)
}

/// What one index in place of several that follow each other keeps of the notes.
pub(super) fn noted_of(parts: &[Arc<FileIndex>]) -> Result<Noted, BadIndex> {
    let kept = parts
        .iter()
        .map(|part| Ok((part.first(), part.last(), part.noted()?)));
    let kept = kept.collect::<Result<Vec<_>, _>>()?;
    Notes::merged(&kept).map_err(|number| parts[number].bad())
}

impl MergeError {
    /// What went wrong in reading or in writing.
    pub(super) fn of(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(bad) => Self::Bad(*bad),
            None => Self::Io(error),
        }
    }
}

/// Several indexes as one.
struct MergedIndex<'a> {
    parts: &'a [Arc<FileIndex>],
    names: u32,
    /// For each part, the number of each of its names among all, counted from 1.
    numbers: Vec<Vec<u32>>,
}

impl<'a> MergedIndex<'a> {
    fn new(parts: &'a [Arc<FileIndex>]) -> Result<Self, BadIndex> {
        let mut numbers = parts
            .iter()
            .map(|part| {
                let names = in_memory(part.listings().count()).map_err(|_| part.bad())?;
                Ok(Vec::with_capacity(names))
            })
            .collect::<Result<Vec<Vec<u32>>, BadIndex>>()?;
        let mut names: u32 = 0;
        let mut groups = Groups::new(parts)?;
        while let Some(group) = groups.next()? {
            names = names.checked_add(1).ok_or(parts[0].bad())?;
            for member in &group.members {
                numbers[member.part].push(names);
            }
        }
        Ok(Self {
            parts,
            names,
            numbers,
        })
    }

    /// Goes through the names again: their numbers say which are the same, so that nothing is
    /// compared and no text is read.
    fn each_group(
        &self,
        mut give: impl FnMut(&[Member]) -> Result<(), io::Error>,
    ) -> io::Result<()> {
        let ahead = self.parts.iter().zip(&self.numbers).map(|(part, numbers)| {
            let listings = part.listings().past_the_cache();
            (part, listings, numbers.iter().zip(0..).peekable())
        });
        let mut ahead: Vec<_> = ahead.collect();
        let mut members = Vec::new();
        for number in 1..=self.names {
            members.clear();
            for (index, (part, listings, numbers)) in ahead.iter_mut().enumerate() {
                let Some((_, at)) = numbers.next_if(|(next, _)| **next == number) else {
                    continue;
                };
                let listing = part.listing(listings, at).map_err(io::Error::other)?;
                members.push(Member {
                    part: index,
                    listing,
                });
            }
            give(&members)?;
        }
        Ok(())
    }
}

impl Source for MergedIndex<'_> {
    fn first(&self) -> u64 {
        self.parts[0].first()
    }

    fn last(&self) -> u64 {
        self.parts.last().map_or(0, |part| part.last())
    }

    fn names(&self) -> usize {
        in_memory(self.names.into()).expect("the numbers of as many names are in memory")
    }

    fn each_slot(&self, give: &mut dyn FnMut(Slot, u32) -> io::Result<()>) -> io::Result<()> {
        for (part, numbers) in self.parts.iter().zip(&self.numbers) {
            let slots = part.slots().past_the_cache();
            for event in 0..=part.last() - part.first() {
                let (slot, number) = slots.numbered_slot(event).map_err(io::Error::other)?;
                let number = match number.checked_sub(1) {
                    None => 0,
                    Some(index) => *in_memory(index.into())
                        .ok()
                        .and_then(|index| numbers.get(index))
                        .ok_or_else(|| io::Error::other(part.bad()))?,
                };
                give(slot, number)?;
            }
        }
        Ok(())
    }

    fn each_name(&self, give: &mut dyn FnMut(Name<'_>) -> io::Result<()>) -> io::Result<()> {
        let texts: Vec<_> = texts_of(self.parts).collect();
        let mut text = Vec::new();
        self.each_group(|members| {
            let Member { part, listing } = &members[0];
            read_text(&texts[*part], listing, &mut text).map_err(io::Error::other)?;
            give(name(members, &text))
        })
    }

    fn each_list(&self, lists: &mut ListWriter<'_, '_>) -> io::Result<()> {
        let sections = self.parts.iter();
        let sections = sections.map(|part| part.postings().past_the_cache());
        let sections: Vec<SectionBytes<'_>> = sections.collect();
        let mut block = Block::default();
        self.each_group(|members| {
            if is_key(&members[0].listing) {
                return Ok(());
            }
            for Member { part, listing } in members {
                let from_first = self.parts[*part].first() - self.first();
                let listed = Listed::new(listing);
                for number in 0..listed.blocks() {
                    let read = listed.load(&sections[*part], number, &mut block);
                    read.map_err(io::Error::other)?;
                    for posting in &block.postings {
                        let distance = u64::from(posting.distance) + from_first;
                        let distance = u32::try_from(distance).map_err(io::Error::other)?;
                        lists.push(Posting {
                            distance,
                            ..*posting
                        })?;
                    }
                }
            }
            lists.end()
        })
    }
}

/// A name and where it is listed.
#[derive(Debug, Default)]
pub(super) struct Group {
    text: Vec<u8>,
    /// In the order of the parts.
    members: Vec<Member>,
}

/// Where one of the parts lists a name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) part: usize,
    pub(super) listing: Listing,
}

impl Group {
    /// Where the last of the parts lists it that do.
    pub(super) fn last(&self) -> &Member {
        self.members.last().expect("a group is of a listing")
    }

    pub(super) fn kind(&self) -> u8 {
        self.members[0].listing.kind
    }

    pub(super) fn is_key(&self) -> bool {
        is_key(&self.members[0].listing)
    }

    pub(super) fn name(&self) -> Name<'_> {
        name(&self.members, &self.text)
    }
}

fn is_key(listing: &Listing) -> bool {
    listing.kind == ListingKind::Key as u8
}

/// What is listed in these places under a name with this text.
fn name<'t>(members: &[Member], text: &'t [u8]) -> Name<'t> {
    let first = &members[0].listing;
    let lists = if is_key(first) {
        Lists::Append(first.begin, first.count)
    } else {
        let counts = members.iter().map(|member| member.listing.count);
        Lists::Postings(counts.fold(0, u32::saturating_add))
    };
    Name {
        hash: first.hash,
        kind: first.kind,
        text,
        more: &[],
        lists,
        extra: first.extra,
    }
}

/// The texts of each part, which come in the order of its names.
fn texts_of(parts: &[Arc<FileIndex>]) -> impl Iterator<Item = SectionBytes<'_>> {
    parts.iter().map(|part| part.texts().past_the_cache())
}

fn read_text(
    texts: &SectionBytes<'_>,
    listing: &Listing,
    text: &mut Vec<u8>,
) -> Result<(), BadIndex> {
    texts.read(listing.text, listing.length.into(), text)?;
    let is_whole = text.len() == usize::from(listing.length);
    is_whole.then_some(()).ok_or(texts.bad())
}

/// Goes through the names of several indexes, each name once.
pub(super) struct Groups<'a> {
    heads: Vec<Head<'a>>,
    group: Group,
}

/// Where it is in one of them.
struct Head<'a> {
    part: &'a FileIndex,
    listings: Column<'a>,
    texts: SectionBytes<'a>,
    /// The numbers of the names that come after it.
    left: Range<u64>,
    listing: Option<Listing>,
    text: Vec<u8>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(parts: &'a [Arc<FileIndex>]) -> Result<Self, BadIndex> {
        let heads = parts.iter().zip(texts_of(parts));
        let heads = heads.map(|(part, texts)| Head::new(part, texts));
        Ok(Self {
            heads: heads.collect::<Result<_, _>>()?,
            group: Group::default(),
        })
    }

    /// The next name. Two that are not the same may have the same hash.
    pub(super) fn next(&mut self) -> Result<Option<&Group>, BadIndex> {
        let Group { text, members } = &mut self.group;
        let lowest = self.heads.iter().filter_map(Head::rank).min();
        let Some((hash, kind, lowest)) = lowest else {
            return Ok(None);
        };
        text.clear();
        text.extend_from_slice(lowest);
        members.clear();
        for (part, head) in self.heads.iter_mut().enumerate() {
            if head.rank() != Some((hash, kind, text)) {
                continue;
            }
            members.extend(head.listing.map(|listing| Member { part, listing }));
            head.advance()?;
        }
        Ok(Some(&self.group))
    }
}

impl<'a> Head<'a> {
    fn new(part: &'a FileIndex, texts: SectionBytes<'a>) -> Result<Self, BadIndex> {
        let listings = part.listings().past_the_cache();
        let mut head = Self {
            part,
            left: 0..listings.count(),
            listings,
            texts,
            listing: None,
            text: Vec::new(),
        };
        head.advance()?;
        Ok(head)
    }

    fn advance(&mut self) -> Result<(), BadIndex> {
        let next = self.left.next();
        let listing = next.map(|number| self.part.listing(&self.listings, number));
        self.listing = listing.transpose()?;
        match &self.listing {
            Some(listing) => read_text(&self.texts, listing, &mut self.text),
            None => Ok(()),
        }
    }

    /// What names are ordered by; none at the end.
    fn rank(&self) -> Option<(u64, u8, &[u8])> {
        let listing = self.listing.as_ref()?;
        Some((listing.hash, listing.kind, &self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Kept, MemoryIndex, Origin, PageCache, SealedIndex, write};
    use crate::segment::{FRAMES_FROM, Segment};
    use crate::storage::simulated::Simulated;
    use eventwire_store::{EventRef, EventType, Fingerprint, IdempotencyKey, StreamName, Tag};
    use proptest::prelude::*;

    /// An event: its stream, its tag, whether it came under a key.
    type Event = (Option<u8>, Option<u8>, bool);

    const FIRST: u64 = 41;

    /// The index of these events of a segment, the first of which has this position.
    fn index(first: u64, events: &[Event], before: &[Event]) -> MemoryIndex {
        let mut index = MemoryIndex::new(first);
        for (position, (stream, tag, has_key)) in (first..).zip(events) {
            let name = stream.map(|stream| StreamName::new(format!("room-{stream}")).unwrap());
            let tags: Vec<_> = tag
                .iter()
                .map(|tag| Tag::new(format!("by:{tag}")).unwrap())
                .collect();
            let event = EventRef {
                stream: name.as_ref(),
                event_type: &EventType::new("posted").unwrap(),
                tags: &tags,
            };
            let versions_before = before.iter().filter(|(other, ..)| other == stream);
            let versions_before = u64::try_from(versions_before.count()).unwrap();
            index.push(event, versions_before, position * 100, 90);
            if *has_key {
                let key = IdempotencyKey::new(format!("key-{position}")).unwrap();
                let kept = Kept {
                    fingerprint: Fingerprint::from_bits(position),
                    first: position,
                    events: 1,
                };
                index.keys.insert(key, kept);
            }
        }
        index
    }

    fn file(directory: &Simulated, segment: &Arc<Segment>, index: MemoryIndex) -> Arc<FileIndex> {
        let first = index.first();
        let sealed = SealedIndex {
            segment: Arc::clone(segment),
            index,
            noted: Noted::default(),
            last_frame: FRAMES_FROM,
            end: 0,
            origin: Origin::Appended,
        };
        write(directory, &sealed).unwrap();
        let cache = Arc::new(PageCache::default());
        Arc::new(FileIndex::open(directory, segment, first, &cache).unwrap())
    }

    proptest! {
        #[test]
        fn what_is_merged_is_what_would_have_been_made_at_once(
            events in proptest::collection::vec(
                (proptest::option::of(0u8..20), proptest::option::of(0u8..200), any::<bool>()),
                1..600,
            ),
            cuts in proptest::collection::btree_set(1usize..600, 0..6),
        ) {
            let medium = Simulated::new(7);
            let segment = Arc::new(Segment::for_index(&medium, FIRST));
            let (whole, pieces) = (medium.within("whole"), medium.within("pieces"));
            let expected = file(&whole, &segment, index(FIRST, &events, &[]));

            let mut ends: Vec<usize> = cuts.into_iter().filter(|&cut| cut < events.len()).collect();
            ends.push(events.len());
            let mut begin = 0;
            let parts: Vec<_> = ends
                .into_iter()
                .map(|end| {
                    let first = FIRST + u64::try_from(begin).unwrap();
                    let part = index(first, &events[begin..end], &events[..begin]);
                    begin = end;
                    file(&pieces, &segment, part)
                })
                .collect();
            merge(&pieces, &parts).unwrap();
            let name = super::super::name(FIRST);
            prop_assert!(pieces.bytes(&name) == whole.bytes(&name), "other bytes");
            prop_assert_eq!(expected.last(), parts.last().unwrap().last());
        }
    }
}
