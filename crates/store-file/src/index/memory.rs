use std::sync::Arc;

use eventwire_store::{Appended, Category, EventRef, EventType, StreamName, Tag, Version};

use super::appended::AppendedBuilder;
use super::hidden::KnownHidden;
use super::keys::Keys;
use super::postings::{Postings, StreamNumber, Streams};
use super::term::Term;
use crate::format::{ListingKind, Noted, RECORD_FIXED_BYTES, u64_of};
use crate::segment::Segment;

/// An index in memory: of the latest events, and of those before them whose index has no file yet.
///
/// Invariant: the slot at index `i` is of the event at position `first + i`; each list of
/// positions rises, and holds exactly the events of its key.
#[derive(Debug)]
pub(crate) struct MemoryIndex {
    first: u64,
    slots: Vec<Slot>,
    pub(super) streams: Streams,
    pub(super) categories: Postings<Category>,
    pub(super) types: Postings<EventType>,
    pub(super) tags: Postings<Tag>,
    pub(crate) keys: Keys,
    pub(super) hidden: KnownHidden,
}

/// Where an event's record lies in its segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) offset: u64,
    pub(crate) bytes: u32,
    /// The number of its stream in `Streams`.
    pub(super) stream: Option<StreamNumber>,
}

/// How the stream of the next event is found, if it is in one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Home {
    /// It has this number.
    Known(StreamNumber),
    /// It is that of the event before.
    SameAsLast,
    /// By its name. It had this version before the index, if it is not in it.
    Sought { before: u64 },
}

impl Slot {
    /// Whether the event was dropped and there is nothing to be read.
    pub(crate) fn is_stub(self) -> bool {
        self.bytes == 0
    }

    /// Where the record ends. An index can say of an event that it lies anywhere.
    pub(crate) fn end(self) -> u64 {
        self.offset.saturating_add(self.bytes.into())
    }

    /// The bytes of the event's names, metadata and payload, and one for each tag.
    pub(crate) fn content_bytes(self) -> u64 {
        u64::from(self.bytes).saturating_sub(u64_of(RECORD_FIXED_BYTES))
    }
}

/// An index that will not change any more, and what is kept with it.
///
/// Invariant: it holds an event, and so at least one frame.
#[derive(Debug)]
pub(crate) struct SealedIndex {
    pub(crate) index: MemoryIndex,
    pub(crate) segment: Arc<Segment>,
    /// What it keeps of the notes up to its end.
    pub(crate) noted: Noted,
    /// Where the last frame that is in it begins.
    pub(crate) last_frame: u64,
    /// Where that frame ends.
    pub(crate) end: u64,
    pub(crate) origin: Origin,
}

/// What an index in memory was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Of what the writer appended: it never had a file.
    Appended,
    /// Of its segment.
    Read,
}

impl MemoryIndex {
    /// An index that begins with this position, and is empty.
    pub(crate) fn new(first: u64) -> Self {
        Self {
            first,
            slots: Vec::new(),
            streams: Streams::default(),
            categories: Postings::default(),
            types: Postings::default(),
            tags: Postings::default(),
            keys: Keys::default(),
            hidden: KnownHidden::default(),
        }
    }

    /// An index that begins where another ends, with room for as many events and names.
    pub(crate) fn after(before: &Self) -> Self {
        Self {
            slots: Vec::with_capacity(before.slots.len()),
            streams: before.streams.as_large(),
            tags: before.tags.as_large(),
            ..Self::new(before.last() + 1)
        }
    }

    /// The position it begins with.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The position of the last event that is in it; of the one before it where there is none.
    pub(crate) fn last(&self) -> u64 {
        self.first + u64::try_from(self.slots.len()).expect("a length fits 64 bits") - 1
    }

    /// The number of events that are in it.
    pub(crate) fn events(&self) -> usize {
        self.slots.len()
    }

    /// The places of all events, in the order of their positions.
    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The place of the event at a position, which is in it.
    pub(crate) fn slot(&self, position: u64) -> Slot {
        let index = usize::try_from(position - self.first).expect("an event here has a slot");
        self.slots[index]
    }

    /// The version of a stream's last event, if it is in it.
    pub(crate) fn version(&self, stream: &StreamName) -> Option<Version> {
        self.stream(stream).map(|(_, version)| version)
    }

    /// The number of a stream and the version of its last event, if it is in it.
    pub(crate) fn stream(&self, stream: &StreamName) -> Option<(StreamNumber, Version)> {
        self.streams.find(stream)
    }

    /// Each stream that has events here, the version it had before them, and their number.
    pub(crate) fn stretches(&self) -> impl Iterator<Item = (&StreamName, u64, usize)> {
        let streams = self.streams.iter();
        streams.map(|(name, before, positions)| (name, before, positions.len()))
    }

    /// The version of each stream's last event.
    pub(crate) fn versions(&self) -> impl Iterator<Item = (StreamName, Version)> {
        self.streams.versions()
    }

    /// Puts the next event in, and says which version it has. `before` is the version its
    /// stream had before this index.
    pub(crate) fn push(
        &mut self,
        event: EventRef<'_>,
        before: u64,
        offset: u64,
        bytes: u32,
    ) -> Option<Version> {
        self.push_into(Home::Sought { before }, event, offset, bytes)
    }

    /// Puts the next event in, where it is known how its stream is found, and says which version
    /// it has.
    pub(crate) fn push_into(
        &mut self,
        home: Home,
        event: EventRef<'_>,
        offset: u64,
        bytes: u32,
    ) -> Option<Version> {
        let position = self.last() + 1;
        let stream = event.stream.map(|name| match home {
            Home::Known(number) => number,
            Home::SameAsLast => {
                let last = self.slots.last().and_then(|slot| slot.stream);
                last.expect("the last event is in the stream of this one")
            }
            Home::Sought { before } => self.streams.number(name, before),
        });
        let categories = &mut self.categories;
        let version = stream.map(|stream| self.streams.push(stream, position, categories));
        self.types.push(event.event_type, position);
        for tag in event.tags {
            self.tags.push(tag, position);
        }
        self.slots.push(Slot {
            offset,
            bytes,
            stream,
        });
        version
    }

    /// Puts the stub of an event in that was dropped.
    pub(crate) fn push_stub(
        &mut self,
        stream: Option<&StreamName>,
        before: u64,
        offset: u64,
    ) -> Option<Version> {
        let position = self.last() + 1;
        let stream = stream.map(|name| self.streams.number(name, before));
        let version = stream.map(|stream| self.streams.push_stub(stream, position));
        self.slots.push(Slot {
            offset,
            bytes: 0,
            stream,
        });
        version
    }

    /// The positions of the stubs in it, and their streams.
    pub(crate) fn stubs(&self) -> impl Iterator<Item = (u64, Option<&StreamName>)> {
        let slots = (self.first..).zip(&self.slots);
        let stubs = slots.filter(|(_, slot)| slot.is_stub());
        stubs.map(|(position, slot)| {
            let stream = slot.stream.map(|number| self.streams.name(number));
            (position, stream)
        })
    }

    /// The positions of the events that a term names.
    pub(super) fn list(&self, term: Term<'_>) -> &[u64] {
        match term {
            Term::Stream(name) => self.streams.list(name),
            Term::Category(name) => self.categories.list(name),
            Term::Type(name) => self.types.list(name),
            Term::Tag(name) => self.tags.list(name),
        }
    }

    /// Each name in it that a file would list.
    pub(super) fn each_name(&self, mut visit: impl FnMut(ListingKind, &str)) {
        for (name, ..) in self.streams.iter() {
            visit(ListingKind::Stream, name.as_str());
        }
        for (name, _) in self.types.iter() {
            visit(ListingKind::Type, name.as_str());
        }
        for (name, _) in self.tags.iter() {
            visit(ListingKind::Tag, name.as_str());
        }
        for (key, _) in self.keys.iter() {
            visit(ListingKind::Key, key.as_str());
        }
    }

    /// How many tags all events have.
    pub(crate) fn tags(&self) -> u64 {
        self.tags.iter().map(|(_, list)| u64_of(list.len())).sum()
    }

    /// The answer to the append whose events begin at `first`.
    pub(crate) fn appended(&self, first: u64, events: u32) -> Appended {
        let mut appended = AppendedBuilder::new(first);
        for position in first..first + u64::from(events) {
            let stream = self.slot(position).stream;
            let place = stream.map(|stream| self.streams.place(stream, position));
            appended.push(position, place);
        }
        appended.finish()
    }
}
