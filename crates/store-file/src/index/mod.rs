//! Where everything is: each event's place in the files, and the positions of the events of
//! each stream, category, type and tag. Payloads stay on disk.
//!
//! Each index is of events that follow each other in one segment. That of the latest is in
//! memory: the writer alone changes it, and puts events in before they are durable; whoever
//! reads it for others stops at the watermark. When it has enough of them it is sealed, put into
//! a file beside the writer, and another one begun. What has come together of a segment is
//! merged, and in the end a segment has one index.

mod appended;
mod blocks;
mod cache;
mod file;
mod filter;
mod generations;
mod hidden;
mod item;
mod keys;
mod list;
mod mapped;
mod memory;
mod merging;
mod names;
mod postings;
mod recent;
mod remainder;
mod search;
mod section;
mod sorted;
mod source;
mod term;
mod tiers;
mod writing;

pub(crate) use cache::PageCache;
pub(crate) use file::{BadIndex, FileIndex, first_in, name};
pub(crate) use hidden::Hidden;
pub(crate) use keys::Kept;
pub(crate) use memory::{Home, MemoryIndex, Origin, SealedIndex, Slot};
pub(crate) use merging::{MergeError, merge};
pub(crate) use recent::RecentVersions;
pub(crate) use remainder::{Remainder, remainder_first_in, remainder_name, write_remainder};
pub(crate) use search::{Next, Search};
pub(crate) use tiers::due;
pub(crate) use writing::write;

use std::sync::Arc;

use eventwire_store::{Appended, IdempotencyKey, StreamName, Uuid, Version};

use crate::dropped::News;
use crate::format::{ListingKind, Noted};
use crate::segment::Segment;
use hidden::KnownHidden;
use list::{List, MemoryList};
use term::Term;

/// An index that will not change any more. A clone is the same index.
#[derive(Debug, Clone)]
pub(crate) enum Sealed {
    /// It has no file yet.
    Memory(Arc<SealedIndex>),
    File(Arc<FileIndex>),
}

/// An index, wherever it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum View<'a> {
    Memory(&'a MemoryIndex),
    File(&'a FileIndex),
}

impl Sealed {
    pub(crate) fn view(&self) -> View<'_> {
        match self {
            Self::Memory(sealed) => View::Memory(&sealed.index),
            Self::File(index) => View::File(index),
        }
    }

    /// What it is where it has no file yet.
    pub(crate) fn in_memory(&self) -> Option<&Arc<SealedIndex>> {
        match self {
            Self::Memory(sealed) => Some(sealed),
            Self::File(_) => None,
        }
    }

    /// What it is where it is in a file.
    pub(crate) fn in_file(&self) -> Option<&Arc<FileIndex>> {
        match self {
            Self::Memory(_) => None,
            Self::File(file) => Some(file),
        }
    }

    /// The segment whose events it is of.
    pub(crate) fn segment(&self) -> &Arc<Segment> {
        match self {
            Self::Memory(sealed) => &sealed.segment,
            Self::File(index) => index.segment(),
        }
    }

    /// The position of the first event that is in it.
    pub(crate) fn first(&self) -> u64 {
        match self {
            Self::Memory(sealed) => sealed.index.first(),
            Self::File(index) => index.first(),
        }
    }

    /// The position of the last event that is in it.
    pub(crate) fn last(&self) -> u64 {
        self.view().last()
    }

    /// Where the frames end that are in it.
    pub(crate) fn end(&self) -> u64 {
        match self {
            Self::Memory(sealed) => sealed.end,
            Self::File(index) => index.end(),
        }
    }

    /// Where the last of them begins.
    pub(crate) fn last_frame(&self) -> u64 {
        match self {
            Self::Memory(sealed) => sealed.last_frame,
            Self::File(index) => index.last_frame(),
        }
    }

    /// What it keeps of the notes up to its end.
    pub(crate) fn noted(&self) -> Result<Noted, BadIndex> {
        match self {
            Self::Memory(sealed) => Ok(sealed.noted.clone()),
            Self::File(index) => index.noted(),
        }
    }

    /// Whether it is the same index, not only of the same events.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Memory(one), Self::Memory(other)) => Arc::ptr_eq(one, other),
            (Self::File(one), Self::File(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl<'a> View<'a> {
    /// The position it begins with.
    pub(crate) fn first(self) -> u64 {
        match self {
            Self::Memory(index) => index.first(),
            Self::File(index) => index.first(),
        }
    }

    /// The position of the last event that is in it.
    pub(crate) fn last(self) -> u64 {
        match self {
            Self::Memory(index) => index.last(),
            Self::File(index) => index.last(),
        }
    }

    /// The version of a stream's last event, if it has any here.
    pub(crate) fn version(self, stream: &StreamName) -> Result<Option<Version>, BadIndex> {
        match self {
            Self::Memory(index) => Ok(index.version(stream)),
            Self::File(index) => index.version(stream),
        }
    }

    /// What a key was used for here.
    pub(crate) fn key(self, key: &IdempotencyKey) -> Result<Option<Kept>, BadIndex> {
        match self {
            Self::Memory(index) => Ok(index.keys.get(key)),
            Self::File(index) => index.key(key),
        }
    }

    /// The answer to the append whose events begin at `first`.
    pub(crate) fn appended(self, first: u64, events: u32) -> Result<Appended, BadIndex> {
        match self {
            Self::Memory(index) => Ok(index.appended(first, events)),
            Self::File(index) => index.appended(first, events),
        }
    }

    /// The position of a stream's last event, if it has any here.
    pub(crate) fn last_of(self, stream: &StreamName) -> Result<Option<u64>, BadIndex> {
        self.list(Term::Stream(stream))?.last_to(self.last())
    }

    /// How many events of a stream are here above `after`, up to `to`.
    pub(crate) fn count_of(
        self,
        stream: &StreamName,
        after: u64,
        to: u64,
    ) -> Result<u64, BadIndex> {
        let list = self.list(Term::Stream(stream))?;
        Ok(list.count_to(to)?.saturating_sub(list.count_to(after)?))
    }

    /// How many changes of what was dropped it knows.
    pub(crate) fn known_changes(self) -> u64 {
        self.known_hidden().changes()
    }

    /// Which events here single streams have dropped, after it has learnt the news.
    pub(crate) fn hidden(self, news: &News) -> Result<Hidden, BadIndex> {
        let known = self.known_hidden();
        if let Some(hidden) = known.after(news.changes) {
            return Ok(hidden);
        }
        let mut positions = Vec::new();
        let mut hide = |to: u64, list: &List<'_>| list.each_to(to, |it| positions.push(it));
        match self {
            Self::Memory(index) => {
                for (stream, to) in &news.trims {
                    let list = MemoryList::new(index.list(Term::Stream(stream)));
                    hide(*to, &List::Memory(list))?;
                }
            }
            Self::File(index) => index.each_stream_of(&news.trims, |number, list| {
                hide(news.trims[number].1, &List::File(list))
            })?,
        }
        let mut hidden = known.so_far();
        if !positions.is_empty() {
            hidden = hidden.with(positions);
        }
        known.learn(news.changes, hidden.clone());
        Ok(hidden)
    }

    fn known_hidden(self) -> &'a KnownHidden {
        match self {
            Self::Memory(index) => &index.hidden,
            Self::File(index) => &index.hidden,
        }
    }

    /// The kind and the hash of each name here.
    pub(crate) fn each_name(
        self,
        store: Uuid,
        mut visit: impl FnMut(ListingKind, u64),
    ) -> Result<(), BadIndex> {
        match self {
            Self::Memory(index) => {
                index.each_name(|kind, name| visit(kind, kind.hash(store, name)));
                Ok(())
            }
            Self::File(index) => index.each_name(visit),
        }
    }

    /// How many tags all events have.
    pub(crate) fn tags(self) -> Result<u64, BadIndex> {
        match self {
            Self::Memory(index) => Ok(index.tags()),
            Self::File(index) => index.tags(),
        }
    }

    /// The place of the event at a position, which is in the segment.
    pub(crate) fn slot(self, position: u64) -> Result<Slot, BadIndex> {
        match self {
            Self::Memory(index) => Ok(index.slot(position)),
            Self::File(index) => index.slots().slot(position - index.first()),
        }
    }

    fn list(self, term: Term<'_>) -> Result<List<'a>, BadIndex> {
        match self {
            Self::Memory(index) => Ok(List::Memory(MemoryList::new(index.list(term)))),
            Self::File(index) => index.list(term).map(List::File),
        }
    }
}
