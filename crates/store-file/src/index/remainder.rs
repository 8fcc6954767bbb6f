use std::io;
use std::sync::Arc;

use eventwire_store::{Appended, IdempotencyKey, StreamName, Version};

use super::blocks::ListWriter;
use super::cache::PageCache;
use super::file::{BadIndex, FileIndex};
use super::keys::Kept;
use super::memory::Slot;
use super::merging::{Group, Groups, MergeError, noted_of};
use super::source::{Lists, Name, Source};
use super::writing::{IndexFile, write_source};
use crate::error::{Damage, OpenError};
use crate::format::{
    FRAME_HEADER_BYTES, Kind, Label, ListingKind, Noted, PAGE_BYTES, Seed, u64_of,
};
use crate::identity::read_label;
use crate::number;
use crate::segment::Segment;
use crate::storage::{Storage, StorageFile};

/// What is kept of segments that are gone: the last versions of their streams, what their
/// idempotency keys stood for, and what their indexes kept of the notes.
///
/// It is an index without events. There is nothing that it could be made of again.
#[derive(Debug)]
pub(crate) struct Remainder {
    index: Arc<FileIndex>,
    name: String,
}

/// The name of the remainder of what began with this position.
pub(crate) fn remainder_name(first: u64) -> String {
    format!("{first:020}.rem")
}

/// The position in the name of a remainder; none for a file that is none.
pub(crate) fn remainder_first_in(name: &str) -> Option<u64> {
    number::in_name(name, ".rem")
}

impl Remainder {
    /// The remainder of what began with position `first`.
    pub(crate) fn open(
        storage: &dyn Storage,
        identity: &Label,
        first: u64,
        cache: &Arc<PageCache>,
    ) -> Result<Self, OpenError> {
        let name = remainder_name(first);
        let file = storage
            .open(&name)
            .map_err(OpenError::io("opening", &name))?;
        let length = file.length().map_err(OpenError::io("reading", &name))?;
        let mut page = vec![0; PAGE_BYTES];
        if length >= u64_of(PAGE_BYTES) {
            file.read_at(&mut page, 0)
                .map_err(OpenError::io("reading", &name))?;
        }
        // The epoch may be another, as that of a segment.
        let label = read_label(&*file, Kind::Remainder, &name)?;
        let is_ours = (label.store, label.first) == (identity.store, first);
        let index = is_ours.then(|| Arc::new(Segment::new(&label, file)));
        let index = index.and_then(|pages| FileIndex::of_remainder(pages, &page.into(), cache));
        let Some(index) = index else {
            let what = "its first page is not as it was written, or of another store";
            return Err(OpenError::Damaged(Damage::new(&name, 0, what)));
        };
        Ok(Self {
            index: Arc::new(index),
            name,
        })
    }

    /// The name of its file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its file, which does not change.
    pub(crate) fn file(&self) -> &Arc<dyn StorageFile> {
        self.index.file()
    }

    /// Whether every page is as it was written. Reads them all.
    pub(crate) fn is_whole(&self) -> bool {
        self.index.is_whole()
    }

    /// The position of the first event that it is of.
    pub(crate) fn first(&self) -> u64 {
        self.index.first()
    }

    /// The position of the last event that it is of.
    pub(crate) fn last(&self) -> u64 {
        self.index.last()
    }

    /// What it keeps of the notes up to its end.
    pub(crate) fn noted(&self) -> Result<Noted, BadIndex> {
        self.index.noted()
    }

    /// The kind and the hash of each name in it.
    pub(crate) fn each_name(&self, visit: impl FnMut(ListingKind, u64)) -> Result<(), BadIndex> {
        self.index.each_name(visit)
    }

    /// The version of a stream's last event in what is gone, if it had any.
    pub(crate) fn version(&self, stream: &StreamName) -> Result<Option<Version>, BadIndex> {
        self.index.version(stream)
    }

    /// What a key was used for in what is gone.
    pub(crate) fn key(&self, key: &IdempotencyKey) -> Result<Option<Kept>, BadIndex> {
        self.index.key(key)
    }

    /// The answer to the append that a key was used for.
    pub(crate) fn appended(&self, key: &IdempotencyKey, kept: Kept) -> Result<Appended, BadIndex> {
        Ok(Appended {
            before: number::position(kept.first - 1),
            positions: (kept.first..=kept.last()).map(number::position).collect(),
            streams: self.index.places(key)?,
            duplicate: false,
        })
    }

    /// What is wrong with it.
    pub(crate) fn damage(&self, bad: BadIndex) -> Damage {
        let what = "a page of what is kept of dropped events is not as it was written";
        Damage::new(&self.name, bad.page * u64_of(PAGE_BYTES), what)
    }

    /// The bytes of its names.
    pub(crate) fn bytes(&self) -> u64 {
        self.index.bytes()
    }
}

/// Writes what is to be kept of remainders and the segments after them, which have these indexes,
/// in the order of their positions. It has the name of the first of them.
///
/// Memory: a few pages for each part, and ten bits for each name.
///
/// # Durability
/// The file is durable on return, its name only once the storage has been synced.
pub(crate) fn write_remainder(
    storage: &dyn Storage,
    identity: &Label,
    remainders: &[Arc<Remainder>],
    indexes: &[Arc<FileIndex>],
) -> Result<(), MergeError> {
    let remainders = remainders.iter().map(|remainder| &remainder.index);
    let parts: Vec<Arc<FileIndex>> = remainders.chain(indexes).map(Arc::clone).collect();
    let source = Remains::new(&parts).map_err(MergeError::Bad)?;
    let noted = noted_of(&parts).map_err(MergeError::Bad)?;
    let file = IndexFile {
        name: remainder_name(source.first()),
        label: Label {
            kind: Kind::Remainder,
            first: source.first(),
            ..*identity
        },
        last_frame: 0,
        frame_header: [0; FRAME_HEADER_BYTES],
        from_first: 0,
        seed: Seed::new(identity.store, source.first()),
        noted: &noted,
    };
    write_source(storage, &file, &source).map_err(MergeError::of)
}

/// The streams and keys of several indexes as one.
struct Remains<'a> {
    parts: &'a [Arc<FileIndex>],
    names: usize,
}

impl<'a> Remains<'a> {
    fn new(parts: &'a [Arc<FileIndex>]) -> Result<Self, BadIndex> {
        let mut names = 0;
        let mut groups = Groups::new(parts)?;
        while let Some(group) = groups.next()? {
            names += usize::from(is_kept(group));
        }
        Ok(Self { parts, names })
    }

    /// What is to be kept of a name.
    fn name<'g>(&self, group: &'g Group, more: &'g mut Vec<u8>) -> Result<Name<'g>, BadIndex> {
        more.clear();
        let last = group.last();
        let part = &self.parts[last.part];
        let (lists, extra) = if group.is_key() {
            more.extend_from_slice(&part.places_of(&last.listing)?);
            let lists = Lists::Append(last.listing.begin, last.listing.count);
            (lists, last.listing.extra)
        } else {
            let version = last.listing.extra.saturating_add(last.listing.count.into());
            (Lists::Postings(0), version)
        };
        Ok(Name {
            lists,
            extra,
            more,
            ..group.name()
        })
    }
}

fn is_kept(group: &Group) -> bool {
    group.is_key() || group.kind() == ListingKind::Stream as u8
}

impl Source for Remains<'_> {
    fn first(&self) -> u64 {
        self.parts[0].first()
    }

    fn last(&self) -> u64 {
        self.parts.last().map_or(0, |part| part.last())
    }

    fn names(&self) -> usize {
        self.names
    }

    fn each_slot(&self, _: &mut dyn FnMut(Slot, u32) -> io::Result<()>) -> io::Result<()> {
        Ok(())
    }

    fn each_name(&self, give: &mut dyn FnMut(Name<'_>) -> io::Result<()>) -> io::Result<()> {
        let mut more = Vec::new();
        let mut groups = Groups::new(self.parts).map_err(io::Error::other)?;
        while let Some(group) = groups.next().map_err(io::Error::other)? {
            if is_kept(group) {
                give(self.name(group, &mut more).map_err(io::Error::other)?)?;
            }
        }
        Ok(())
    }

    fn each_list(&self, _: &mut ListWriter<'_, '_>) -> io::Result<()> {
        Ok(())
    }
}
