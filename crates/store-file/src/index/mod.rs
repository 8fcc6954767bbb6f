//! Where everything is: each event's place in the files, and the positions of the events of
//! each stream, category, type and tag. Payloads stay on disk.
//!
//! The writer alone changes it, and puts events in before they are durable; whoever reads it
//! for others stops at the watermark.

mod keys;
mod postings;
mod search;

pub(crate) use keys::Kept;
pub(crate) use search::{Next, Search};

use eventwire_store::{
    Actual, Append, AppendError, Appended, Category, Conflict, EventRef, EventType, Guard,
    Position, StreamName, Tag, Version,
};

use crate::number;
use keys::Keys;
use postings::{Postings, Streams};

/// The index of a log.
///
/// Invariant: the slot at index `i` is of the event at position `i + 1`; each list of
/// positions rises, and holds exactly the events of its key.
#[derive(Debug, Default)]
pub(crate) struct Index {
    slots: Vec<Slot>,
    streams: Streams,
    categories: Postings<Category>,
    types: Postings<EventType>,
    tags: Postings<Tag>,
    pub(crate) keys: Keys,
}

/// Where an event's record lies in the segment that holds its position.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) offset: u64,
    pub(crate) bytes: u32,
    /// The number of its stream in `Streams`.
    stream: Option<postings::StreamNumber>,
}

impl Index {
    /// The position of the last event; zero where there is none.
    pub(crate) fn last(&self) -> u64 {
        u64::try_from(self.slots.len()).expect("a length fits 64 bits")
    }

    /// The place of the event at a position, which is in the log.
    pub(crate) fn slot(&self, position: u64) -> Slot {
        let index = usize::try_from(position - 1).expect("an event in the log has a slot");
        self.slots[index]
    }

    /// The version a stream's next event gets.
    pub(crate) fn next_version(&self, stream: &StreamName) -> Version {
        self.streams
            .version(stream)
            .map_or(Version::FIRST, Version::next)
    }

    /// Puts the next event in.
    pub(crate) fn push(&mut self, event: EventRef<'_>, offset: u64, bytes: u32) {
        let position = self.last() + 1;
        let stream = event.stream.map(|name| {
            self.categories.push(&name.category(), position);
            self.streams.push(name, position)
        });
        self.types.push(event.event_type, position);
        for tag in event.tags {
            self.tags.push(tag, position);
        }
        self.slots.push(Slot {
            offset,
            bytes,
            stream,
        });
    }

    /// Checks an append's guards.
    pub(crate) fn check(&self, append: &Append) -> Result<(), AppendError> {
        for (guard, condition) in append.guards().iter().enumerate() {
            let actual = match condition {
                Guard::Stream { stream, expect } => {
                    let actual = self.streams.version(stream);
                    (!expect.is_met_by(actual)).then_some(Actual::Version(actual))
                }
                Guard::NoMatch { query, after } => Search::new(self, query)
                    .first_after(number::of(*after))
                    .map(|found| Actual::Match(number::position(found))),
                _ => return Err(AppendError::Unsupported("a guard of this kind")),
            };
            if let Some(actual) = actual {
                return Err(AppendError::Conflict(Conflict { guard, actual }));
            }
        }
        Ok(())
    }

    /// The answer to the append whose events begin at `first`.
    pub(crate) fn appended(&self, first: u64, events: u32) -> Appended {
        let range = first..first + u64::from(events);
        let mut streams: Vec<(StreamName, Version)> = Vec::new();
        for position in range.clone() {
            let Some(stream) = self.slot(position).stream else {
                continue;
            };
            let (name, version) = self.streams.place(stream, position);
            match streams.iter_mut().find(|(known, _)| known == name) {
                Some((_, last)) => *last = version,
                None => streams.push((name.clone(), version)),
            }
        }
        Appended {
            before: number::position(first - 1),
            positions: range.map(number::position).collect::<Vec<Position>>(),
            streams,
            duplicate: false,
        }
    }
}
