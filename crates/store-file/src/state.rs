use std::sync::Arc;

use eventwire_store::{Appended, IdempotencyKey, Query, StreamName, Version};

use crate::checkpoints::Checkpoints;
use crate::index::{BadIndex, Kept, MemoryIndex, Sealed, Search, View};
use crate::segment::Segment;

/// Where every event is, and how far consumers have come.
///
/// Invariant: the segments rise, and each begins with the position after the last of the one
/// before it. `sealed` has the index of each but the last, whose index is `open`.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) open: MemoryIndex,
    pub(crate) sealed: Vec<Sealed>,
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) checkpoints: Checkpoints,
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

    /// The first event above a position that matches, however far.
    pub(crate) fn first_match(&self, query: &Query, after: u64) -> Result<Option<u64>, BadIndex> {
        if after >= self.last() {
            return Ok(None);
        }
        let sealed = self.sealed.get(self.segment_of(after + 1)..);
        let views = sealed.unwrap_or_default().iter().map(Sealed::view);
        for view in views.chain([View::Memory(&self.open)]) {
            if let Some(found) = Search::new(view, query)?.first_after(after)? {
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
