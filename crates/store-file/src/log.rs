use std::fmt;
use std::sync::{Arc, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};

use eventwire_store::backend::{Batch, Log, Watermark};
use eventwire_store::{
    Consumer, Direction, IdempotencyKey, Position, Query, ReadError, Recalled, StoreFuture,
};

use crate::error::{Damage, IoFailure, OpenError};
use crate::index::{
    BadIndex, Hidden, Origin, PageCache, RecentVersions, Sealed, SealedIndex, View,
};
use crate::notes::Notes;
use crate::number;
use crate::plan::{Bounds, Place, Plan, Stretch};
use crate::scan::{Frontier, Scan};
use crate::state::State;

/// The log as readers and the writer share it.
///
/// Readers see what is at or below the watermark. The writer alone changes what the state says;
/// where an index is kept changes beside it, from memory to a file and back.
pub(crate) struct SharedLog {
    state: RwLock<State>,
    cache: Arc<PageCache>,
    watermark: Watermark,
    failure: OnceLock<IoFailure>,
}

impl SharedLog {
    /// A log of which everything is durable.
    pub(crate) fn new(state: State, cache: Arc<PageCache>) -> Self {
        let watermark = Watermark::at(number::position(state.last()));
        Self {
            state: RwLock::new(state),
            cache,
            watermark,
            failure: OnceLock::new(),
        }
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state
            .read()
            .expect("no code panics while it holds the log's state")
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state
            .write()
            .expect("no code panics while it holds the log's state")
    }

    /// The position of the last event readers are shown.
    pub(crate) fn shown(&self) -> u64 {
        number::of(self.watermark.position())
    }

    /// Goes on with a state that was found anew, of the same log.
    pub(crate) fn go_on_with(&self, mut found: State) {
        let mut state = self.write();
        found.notes.dropped.count_from(&state.notes.dropped);
        *state = found;
    }

    /// The versions of streams that were written to of late.
    pub(crate) fn recent(&self) -> Arc<RecentVersions> {
        Arc::clone(&self.read().recent)
    }

    /// What pages of indexes are kept in.
    pub(crate) fn cache(&self) -> &Arc<PageCache> {
        &self.cache
    }

    /// What made the store stop writing, if it has.
    pub(crate) fn failure(&self) -> Option<&IoFailure> {
        self.failure.get()
    }

    /// Stops writing for good. The first failure is the one that is kept.
    pub(crate) fn fail(&self, failure: IoFailure) -> &IoFailure {
        self.failure.get_or_init(|| failure)
    }

    /// The answer an append with this key was given.
    pub(crate) fn recall(&self, key: &IdempotencyKey) -> Result<Option<Recalled>, ReadError> {
        let shown = self.shown();
        let look = |state: &State| {
            let Some(kept) = state.key(key)? else {
                return Ok(None);
            };
            Ok(Some((kept, state.repeated(key, kept)?)))
        };
        let Some((kept, appended)) = self.mending(look).map_err(unreadable)? else {
            return Ok(None);
        };
        if kept.last() > shown {
            // On its way, and so not answered; or in doubt, and then "no" would be a guess.
            return self.failure().map_or(Ok(None), |failure| {
                Err(ReadError::Backend(Box::new(failure.clone())))
            });
        }
        Ok(Some(Recalled {
            fingerprint: kept.fingerprint,
            appended,
        }))
    }

    /// How far a consumer has come.
    pub(crate) fn checkpoint(&self, consumer: &Consumer) -> Position {
        let state = self.read();
        state.notes.checkpoints.shown(consumer, self.shown())
    }

    /// Looks into the state; an index that turns out to be bad is made again first.
    ///
    /// # Errors
    /// Where the segment of a bad index cannot be read either.
    pub(crate) fn mending<T>(
        &self,
        mut look: impl FnMut(&State) -> Result<T, BadIndex>,
    ) -> Result<T, OpenError> {
        loop {
            let looked = look(&self.read());
            match looked {
                Ok(found) => return Ok(found),
                Err(bad) => self.mend(bad)?,
            }
        }
    }

    /// Makes an index again, in memory. Upkeep will put it into a file.
    ///
    /// # Errors
    /// Where it cannot be made again: its segment cannot be read, or is gone.
    pub(crate) fn mend(&self, bad: BadIndex) -> Result<(), OpenError> {
        let state = self.read();
        if let Some(remainder) = state.remainder_of(bad.first) {
            return Err(OpenError::Damaged(remainder.damage(bad)));
        }
        let Some(number) = state.index_of(bad.first) else {
            return Ok(());
        };
        let bad = state.sealed[number].clone();
        let (remainders, sealed) = (state.remainders.clone(), state.sealed[..number].to_vec());
        drop(state);
        let mut notes = match Notes::of(&remainders, &sealed) {
            Ok(notes) => notes,
            Err(bad) => return self.mend(bad),
        };
        let segment = bad.segment();
        let before = sealed.last();
        let before = before.filter(|before| Arc::ptr_eq(before.segment(), segment));
        let from = Frontier::after(before, segment);
        let scanned = Scan::new(segment, from, &mut notes)?.run_to(bad.end())?;
        if scanned.at != bad.end() || scanned.index.last() != bad.last() {
            let what = "it does not hold the commits that its index had";
            let damage = Damage::new(&segment.name, scanned.at, what);
            return Err(OpenError::Damaged(damage));
        }
        let sealed = SealedIndex {
            segment: Arc::clone(segment),
            index: scanned.index,
            noted: notes.noted(bad.first(), bad.last()),
            last_frame: bad.last_frame(),
            end: bad.end(),
            origin: Origin::Read,
        };
        let sealed = Sealed::Memory(Arc::new(sealed));
        self.write().replace(&[bad], sealed);
        Ok(())
    }

    fn scan(&self, query: &Query, direction: Direction, limit: usize) -> Result<Batch, ReadError> {
        self.plan(query, direction, limit)?.read()
    }

    /// Which events a scan finds, by the indexes alone.
    pub(crate) fn plan(
        &self,
        query: &Query,
        direction: Direction,
        limit: usize,
    ) -> Result<Plan, ReadError> {
        self.plan_within(query, direction, Bounds::of_scan(limit))
    }

    /// The same, of as much as is asked for at a time.
    pub(crate) fn plan_within(
        &self,
        query: &Query,
        direction: Direction,
        bounds: Bounds,
    ) -> Result<Plan, ReadError> {
        let shown = self.shown();
        loop {
            match self.try_plan(query, direction, bounds, shown) {
                Ok(Some(plan)) => return Ok(plan),
                Ok(None) => {}
                Err(bad) => self.mend(bad).map_err(unreadable)?,
            }
        }
    }

    /// Looks into the index of the events around a position, knowing which of them single streams
    /// have dropped; none where the position is of a segment that is gone.
    pub(crate) fn look_at<T>(
        &self,
        at: u64,
        look: impl Fn(View<'_>, Place<'_>, Hidden) -> Result<T, BadIndex>,
    ) -> Result<Option<T>, ReadError> {
        loop {
            match self.try_look_at(at, &look) {
                Ok(found) => return Ok(found),
                Err(bad) => self.mend(bad).map_err(unreadable)?,
            }
        }
    }

    /// A sealed index is looked into without the lock, for it may have to be read from the disk.
    fn try_look_at<T>(
        &self,
        at: u64,
        look: impl FnOnce(View<'_>, Place<'_>, Hidden) -> Result<T, BadIndex>,
    ) -> Result<Option<T>, BadIndex> {
        let state = self.read();
        if at < state.segments[0].first {
            return Ok(None);
        }
        let last = state.segments.last().expect("a log has a segment");
        let found = if let Some(number) = state.index_of(at) {
            let sealed = state.sealed[number].clone();
            let is_left = !Arc::ptr_eq(sealed.segment(), last);
            let news = state.news(sealed.view());
            drop(state);
            let hidden = sealed.view().hidden(&news)?;
            let place = Place::new(sealed.segment(), is_left);
            look(sealed.view(), place, hidden)
        } else {
            let view = View::Memory(&state.open);
            look(view, Place::new(last, false), state.hidden(view)?)
        };
        found.map(Some)
    }

    /// None where something was dropped meanwhile, for a part of what was found may be of it.
    ///
    /// Index by index.
    fn try_plan(
        &self,
        query: &Query,
        direction: Direction,
        bounds: Bounds,
        shown: u64,
    ) -> Result<Option<Plan>, BadIndex> {
        let state = self.read();
        let dropped = &state.notes.dropped;
        let changes = dropped.changes();
        let (floor, told_to) = (dropped.floor(query), dropped.told_to(query));
        drop(state);
        let mut stretch = Stretch::new(direction, bounds, floor, shown);
        while let Some(at) = stretch.next() {
            let looked = self.try_look_at(at, |view, place, hidden| {
                stretch.look(view, place, query, hidden)
            })?;
            if looked.is_none() {
                return Ok(None);
            }
        }
        let is_as_before = self.read().notes.dropped.changes() == changes;
        Ok(is_as_before.then(|| stretch.into_plan(told_to.min(shown))))
    }
}

pub(crate) fn unreadable(error: OpenError) -> ReadError {
    ReadError::Backend(Box::new(error))
}

impl Log for SharedLog {
    fn scan(
        self: Arc<Self>,
        query: Query,
        direction: Direction,
        limit: usize,
    ) -> StoreFuture<Result<Batch, ReadError>> {
        StoreFuture::ready(Self::scan(&self, &query, direction, limit))
    }

    fn watermark(&self) -> &Watermark {
        &self.watermark
    }
}

impl fmt::Debug for SharedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLog")
            .field("shown", &self.shown())
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}
