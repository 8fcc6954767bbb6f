use std::sync::Arc;

use eventwire_store::{Appended, IdempotencyKey, Query, StreamName, Version};

use crate::dropped::News;
use crate::index::{
    BadIndex, FileIndex, Hidden, Kept, MemoryIndex, Origin, RecentVersions, Remainder, Sealed,
    SealedIndex, Search, View,
};
use crate::notes::Notes;
use crate::segment::Segment;
use crate::shown::Shown;

/// Where every event is, and what the log says beside its events.
///
/// Invariant: the segments rise, and each begins with the position after the last of the one
/// before it. So do the indexes: `sealed`, each of events of one segment, and `open`, of events of
/// the last segment. The remainders are of all positions before the first segment.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) open: MemoryIndex,
    pub(crate) remainders: Vec<Arc<Remainder>>,
    pub(crate) sealed: Vec<Sealed>,
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) notes: Notes,
    pub(crate) recent: Arc<RecentVersions>,
    pub(crate) shown: Shown,
}

impl State {
    /// The position of the last event; zero where there is none.
    pub(crate) fn last(&self) -> u64 {
        self.open.last()
    }

    /// The version of a stream's last event.
    pub(crate) fn version(&self, stream: &StreamName) -> Result<Option<Version>, BadIndex> {
        match self.open.version(stream) {
            Some(version) => Ok(Some(version)),
            None => self.sealed_version(stream),
        }
    }

    /// The version of a stream's last event before those of the open index.
    pub(crate) fn sealed_version(&self, stream: &StreamName) -> Result<Option<Version>, BadIndex> {
        let is_in_file = |sealed: &Sealed| matches!(sealed, Sealed::File(_));
        let filed = self.sealed.iter().rposition(is_in_file);
        let (older, latest) = self.sealed.split_at(filed.map_or(0, |last| last + 1));
        if let Some(version) = latest_version(latest, stream)? {
            return Ok(Some(version));
        }
        match self.recent.get(stream) {
            Some(version) => Ok(Some(version)),
            None => match latest_version(older, stream)? {
                Some(version) => Ok(Some(version)),
                None => self.version_of_the_gone(stream),
            },
        }
    }

    /// The version of a stream's last event in segments that are gone.
    fn version_of_the_gone(&self, stream: &StreamName) -> Result<Option<Version>, BadIndex> {
        for remainder in self.remainders.iter().rev() {
            if let Some(version) = remainder.version(stream)? {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    /// What is kept of a position whose segment is gone.
    pub(crate) fn remainder_of(&self, position: u64) -> Option<&Arc<Remainder>> {
        let mut remainders = self.remainders.iter();
        remainders.find(|remainder| (remainder.first()..=remainder.last()).contains(&position))
    }

    /// The indexes of the first segments, all of whose events were dropped, once each of them is
    /// in a file; empty where there is no such segment. The last segment stays.
    pub(crate) fn departing(&self) -> Vec<Arc<FileIndex>> {
        let log_to = self.notes.dropped.log_to();
        let left = self.segments.windows(2).map(|two| two[1].first);
        let gone = left.take_while(|&next| next <= log_to + 1).last();
        let of_gone = |sealed: &&Sealed| gone.is_some_and(|next| sealed.first() < next);
        let departing = self.sealed.iter().take_while(of_gone);
        let files = departing.map(|sealed| match sealed {
            Sealed::File(file) => Some(Arc::clone(file)),
            Sealed::Memory(_) => None,
        });
        files.collect::<Option<_>>().unwrap_or_default()
    }

    /// Lets go of the first segments, whose indexes these are, and keeps `remainders` of all that
    /// is gone. Returns the segments.
    pub(crate) fn depart(
        &mut self,
        indexes: &[Arc<FileIndex>],
        remainders: Vec<Arc<Remainder>>,
    ) -> Vec<Arc<Segment>> {
        let last = remainders.last().map_or(0, |remainder| remainder.last());
        debug_assert_eq!(last, indexes.last().map_or(0, |index| index.last()));
        self.sealed.retain(|sealed| sealed.first() > last);
        let gone = self
            .segments
            .partition_point(|segment| segment.first <= last);
        self.remainders = remainders;
        self.segments.drain(..gone).collect()
    }

    /// The indexes that the writer has sealed and that have no file yet, the last first. They are
    /// the last of all, for they get their files in their order.
    pub(crate) fn unfiled(&self) -> impl Iterator<Item = &Arc<SealedIndex>> {
        let sealed = self.sealed.iter().rev().map_while(Sealed::in_memory);
        sealed.take_while(|sealed| sealed.origin == Origin::Appended)
    }

    /// The number of the sealed index that holds a position; none where the open one does.
    pub(crate) fn index_of(&self, position: u64) -> Option<usize> {
        let below = self
            .sealed
            .partition_point(|sealed| sealed.last() < position);
        (below < self.sealed.len()).then_some(below)
    }

    /// Puts an index in the place of those that are `old`, unless they are no longer there.
    pub(crate) fn replace(&mut self, old: &[Sealed], new: Sealed) -> bool {
        let Some(begin) = old.first().and_then(|old| self.index_of(old.first())) else {
            return false;
        };
        let end = (begin + old.len()).min(self.sealed.len());
        let there = &self.sealed[begin..end];
        let is_there =
            there.len() == old.len() && there.iter().zip(old).all(|(there, old)| there.is(old));
        if is_there {
            self.sealed.splice(begin..end, [new]);
        }
        is_there
    }

    /// Puts a segment that was rewritten in the place of the old one, with its index.
    pub(crate) fn exchange(&mut self, old: &Arc<Segment>, new: Arc<Segment>, index: Sealed) {
        let is_old = |sealed: &Sealed| Arc::ptr_eq(sealed.segment(), old);
        let begin = self
            .sealed
            .partition_point(|sealed| sealed.last() < new.first);
        let count = self.sealed[begin..]
            .iter()
            .take_while(|it| is_old(it))
            .count();
        let mut segments = self.segments.iter_mut();
        if let Some(segment) = segments.find(|segment| Arc::ptr_eq(segment, old)) {
            *segment = new;
            self.sealed.splice(begin..begin + count, [index]);
        }
    }

    /// What a key was used for.
    pub(crate) fn key(&self, key: &IdempotencyKey) -> Result<Option<Kept>, BadIndex> {
        let sealed = self.sealed.iter().rev().map(Sealed::view);
        for view in std::iter::once(View::Memory(&self.open)).chain(sealed) {
            if let Some(kept) = view.key(key)? {
                return Ok(Some(kept));
            }
        }
        for remainder in self.remainders.iter().rev() {
            if let Some(kept) = remainder.key(key)? {
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
        let from = self.index_of(after + 1).unwrap_or(self.sealed.len());
        let views = self.sealed[from..].iter().map(Sealed::view);
        for view in views.chain([View::Memory(&self.open)]) {
            let search = Search::new(view, query)?.without(self.hidden(view)?);
            if let Some(found) = search.first_after(after)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The answer to a repetition of the append that a key was used for.
    pub(crate) fn repeated(&self, key: &IdempotencyKey, kept: Kept) -> Result<Appended, BadIndex> {
        if let Some(remainder) = self.remainder_of(kept.first) {
            return Ok(Appended {
                duplicate: true,
                ..remainder.appended(key, kept)?
            });
        }
        let view = match self.index_of(kept.first) {
            Some(number) => self.sealed[number].view(),
            None => View::Memory(&self.open),
        };
        Ok(Appended {
            duplicate: true,
            ..view.appended(kept.first, kept.events)?
        })
    }
}

/// The version of a stream's last event in these indexes.
fn latest_version(indexes: &[Sealed], stream: &StreamName) -> Result<Option<Version>, BadIndex> {
    for index in indexes.iter().rev() {
        if let Some(version) = index.view().version(stream)? {
            return Ok(Some(version));
        }
    }
    Ok(None)
}
