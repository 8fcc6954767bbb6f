use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use eventwire_store::ReadError;

use crate::compaction::{count_dropped, dropped_bytes, rewrite};
use crate::segment::{FRAMES_FROM, Segment};
use crate::state::State;
use crate::work::Place;

/// Looks, beside the writer, for segments that have dropped so much that they are worth being
/// rewritten, and rewrites them, one at a time.
#[derive(Debug)]
pub(crate) struct Sweep {
    /// The share of its bytes from which on a segment is rewritten.
    percent: u64,
    seen: Mutex<Seen>,
    is_over: AtomicBool,
}

/// What was looked at. As long as nothing more is dropped, and no segment is left, it is enough.
#[derive(Debug, Default)]
struct Seen {
    /// How many changes of what was dropped, and the last segment then; none before the first.
    at: Option<(u64, u64)>,
    /// For each segment that was weighed, how many of its events were dropped then.
    weighed: HashMap<u64, u64>,
}

impl Sweep {
    pub(crate) fn new(percent: u8) -> Self {
        Self {
            percent: percent.clamp(1, 100).into(),
            seen: Mutex::default(),
            is_over: AtomicBool::new(false),
        }
    }

    /// Begins with no segment any more. One that is being rewritten is.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Whether there is anything that was not looked at, and each segment that was left has all
    /// its indexes in files.
    pub(crate) fn is_due(&self, state: &State) -> bool {
        let open = state.segments.last().map(|last| last.first);
        let mut unfiled = state.unfiled();
        !self.is_over.load(Ordering::Relaxed)
            && self.seen().at != Some(place_of(state))
            && unfiled.all(|index| Some(index.segment.first) == open)
    }

    /// Rewrites the first segment that is worth it, or finds that there is none; says whether it
    /// had to look.
    pub(crate) fn step(&self, place: &Place) -> bool {
        let state = place.log.read();
        if !self.is_due(&state) {
            return false;
        }
        let at = place_of(&state);
        let (_, left) = state.segments.split_last().expect("a log has a segment");
        let left = left.to_vec();
        drop(state);
        for segment in &left {
            // What cannot be read or written stays as it is, until more of it is dropped;
            // `compact` says why.
            if matches!(self.weigh(place, segment), Ok(true)) {
                drop(rewrite(place, segment));
                return true;
            }
        }
        let mut seen = self.seen();
        let is_left = |first: &u64, _: &mut u64| left.iter().any(|it| it.first == *first);
        seen.weighed.retain(is_left);
        seen.at = Some(at);
        true
    }

    /// Whether more of a segment was dropped than when it was weighed last, and that is enough.
    fn weigh(&self, place: &Place, segment: &Arc<Segment>) -> Result<bool, ReadError> {
        let log_to = place.log.read().notes.dropped.log_to();
        let count = place.log.look_at(segment.first, |view, _, hidden| {
            Ok(count_dropped(view, &hidden, log_to))
        })?;
        let Some(count) = count else {
            return Ok(false);
        };
        if self.seen().weighed.insert(segment.first, count) == Some(count) || count == 0 {
            return Ok(false);
        }
        let bytes = place.log.look_at(segment.first, |view, _, hidden| {
            dropped_bytes(view, &hidden, log_to)
        })?;
        let state = place.log.read();
        let index = state.index_of(segment.first);
        let end = index.map_or(u64::MAX, |number| state.sealed[number].end());
        let bytes = bytes.unwrap_or_default();
        let share = u128::from(end - FRAMES_FROM) * u128::from(self.percent) / 100;
        Ok(bytes > 0 && u128::from(bytes) >= share)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen
            .lock()
            .expect("no code panics while it holds what was seen")
    }
}

fn place_of(state: &State) -> (u64, u64) {
    let last = state.segments.last().map_or(0, |last| last.first);
    (state.notes.dropped.changes(), last)
}
