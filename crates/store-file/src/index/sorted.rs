use std::io;

use super::blocks::{ListWriter, Posting};
use super::memory::{MemoryIndex, Slot};
use super::source::{Lists, Name, Source};
use crate::format::ListingKind;
use crate::segment::Segment;

/// Names whose first events are looked up together.
const AT_ONCE: usize = 16;

/// An index in memory in the order of its file.
pub(super) struct SortedIndex<'a> {
    index: &'a MemoryIndex,
    sorted: Vec<Sorted<'a>>,
    /// The number of each stream's name, counted from 1, by the stream's own number.
    of_streams: Vec<u32>,
}

struct Sorted<'a> {
    hash: u64,
    kind: ListingKind,
    text: &'a str,
    positions: &'a [u64],
    lists: Lists,
    extra: u64,
    /// Of a stream: its index among the streams.
    stream: Option<usize>,
}

impl<'a> SortedIndex<'a> {
    pub(super) fn new(index: &'a MemoryIndex, segment: &Segment) -> Self {
        let name = |kind: ListingKind, text: &'a str, positions: &'a [u64]| Sorted {
            hash: kind.hash(segment.label.store, text),
            kind,
            text,
            positions,
            lists: Lists::Postings(count(positions.len())),
            extra: 0,
            stream: None,
        };
        let streams = index.streams.iter().enumerate();
        let streams = streams.map(|(number, (text, before, positions))| Sorted {
            extra: before,
            stream: Some(number),
            ..name(ListingKind::Stream, text.as_str(), positions)
        });
        let categories = index.categories.iter();
        let types = index.types.iter();
        let tags = index.tags.iter();
        let keys = index.keys.iter().map(|(text, kept)| Sorted {
            lists: Lists::Append(kept.first, kept.events),
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
        Self {
            index,
            sorted,
            of_streams,
        }
    }
}

impl Source for SortedIndex<'_> {
    fn first(&self) -> u64 {
        self.index.first()
    }

    fn last(&self) -> u64 {
        self.index.last()
    }

    fn names(&self) -> usize {
        self.sorted.len()
    }

    fn each_slot(&self, give: &mut dyn FnMut(Slot, u32) -> io::Result<()>) -> io::Result<()> {
        self.index.slots().iter().try_for_each(|slot| {
            let number = slot.stream.map(|stream| self.of_streams[stream.index()]);
            give(*slot, number.unwrap_or(0))
        })
    }

    fn each_name(&self, give: &mut dyn FnMut(Name<'_>) -> io::Result<()>) -> io::Result<()> {
        self.sorted.iter().try_for_each(|name| {
            give(Name {
                hash: name.hash,
                kind: name.kind as u8,
                text: name.text.as_bytes(),
                more: &[],
                lists: name.lists,
                extra: name.extra,
            })
        })
    }

    fn each_list(&self, lists: &mut ListWriter<'_, '_>) -> io::Result<()> {
        let has_list = |name: &&Sorted<'_>| matches!(name.lists, Lists::Postings(_));
        let posting = |position: u64| {
            let distance = distance(position - self.index.first());
            Posting::of(distance, self.index.slot(position))
        };
        let listed: Vec<&Sorted<'_>> = self.sorted.iter().filter(has_list).collect();
        for names in listed.chunks(AT_ONCE) {
            // Names are in no order of memory, and most have few events: the first of each is
            // waited for together.
            let mut firsts = [None; AT_ONCE];
            for (first, name) in firsts.iter_mut().zip(names) {
                *first = name.positions.first().map(|&position| posting(position));
            }
            for (first, name) in firsts.into_iter().zip(names) {
                let rest = name.positions.iter().skip(1);
                for posting in first.into_iter().chain(rest.map(|&at| posting(at))) {
                    lists.push(posting)?;
                }
                lists.end()?;
            }
        }
        Ok(())
    }
}

fn distance(from_first: u64) -> u32 {
    u32::try_from(from_first).expect("a segment's length bounds its events below 2^32")
}

fn count(positions: usize) -> u32 {
    u32::try_from(positions).expect("a segment's length bounds its events below 2^32")
}
