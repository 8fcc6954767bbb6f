use std::sync::Arc;

use eventwire_store::{Appended, IdempotencyKey, Query, StreamName, Version};

use crate::dropped::News;
use crate::index::{BadIndex, Hidden, Kept, MemoryIndex, Sealed, Search, View};
use crate::notes::Notes;
use crate::segment::Segment;

/// Where every event is, and what the log says beside its events.
///
/// Invariant: the segments rise, and each begins with the position after the last of the one
/// before it. `sealed` has the index of each but the last, whose index is `open`.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) open: MemoryIndex,
    pub(crate) sealed: Vec<Sealed>,
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) notes: Notes,
}

impl State {
    /// The position of the last event; zero where there is none.
    pub(crate) fn last(&self) -> u64 {
        self.open.last()
    }

    /// The number of the segment that holds a position, or that will.
    pub(crate) fn segment_of(&self, position: u64) -> usize {
        let count = self
            .segments
            .partition_point(|segment| segment.first <= position);
        count - 1
    }

    /// The version of a stream's last event.
    pub(crate) fn version(&self, stream: &StreamName) -> Result<Option<Version>, BadIndex> {
        match self.open.version(stream) {
            Some(version) => Ok(Some(version)),
            None => self.sealed_version(stream),
        }
    }

    /// The version of a stream's last event before the segment that is written to.
    pub(crate) fn sealed_version(&self, stream: &StreamName) -> Result<Option<Version>, BadIndex> {
        for sealed in self.sealed.iter().rev() {
            if let Some(version) = sealed.view().version(stream)? {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    /// What a key was used for.
    pub(crate) fn key(&self, key: &IdempotencyKey) -> Result<Option<Kept>, BadIndex> {
        let sealed = self.sealed.iter().rev().map(Sealed::view);
        for view in std::iter::once(View::Memory(&self.open)).chain(sealed) {
            if let Some(kept) = view.key(key)? {
                return Ok(Some(kept));
            }
        }
        Ok(None)
    }

    /// What is held of the log, index by index, from the first on.
    pub(crate) fn views(&self) -> impl DoubleEndedIterator<Item = View<'_>> {
        let sealed = self.sealed.iter().map(Sealed::view);
        sealed.chain([View::Memory(&self.open)])
    }

    /// Which events of an index single streams have dropped.
    pub(crate) fn hidden(&self, view: View<'_>) -> Result<Hidden, BadIndex> {
        view.hidden(&self.news(view))
    }

    /// What an index is to learn before it can say what is hidden.
    pub(crate) fn news(&self, view: View<'_>) -> News {
        self.notes.dropped.news(view.known_changes(), view.first())
    }

    /// The first event above a position that is held and matches, however far.
    pub(crate) fn first_match(&self, query: &Query, after: u64) -> Result<Option<u64>, BadIndex> {
        let after = after.max(self.notes.dropped.floor(query));
        if after >= self.last() {
            return Ok(None);
        }
        let sealed = self.sealed.get(self.segment_of(after + 1)..);
        let views = sealed.unwrap_or_default().iter().map(Sealed::view);
        for view in views.chain([View::Memory(&self.open)]) {
            let search = Search::new(view, query)?.without(self.hidden(view)?);
            if let Some(found) = search.first_after(after)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The answer to a repetition of the append that a key was used for.
    pub(crate) fn repeated(&self, kept: Kept) -> Result<Appended, BadIndex> {
        let view = match self.sealed.get(self.segment_of(kept.first)) {
            Some(sealed) => sealed.view(),
            None => View::Memory(&self.open),
        };
        Ok(Appended {
            duplicate: true,
            ..view.appended(kept.first, kept.events)?
        })
    }
}
