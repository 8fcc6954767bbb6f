use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use eventwire_sse::Frame;
use eventwire_store::Position;

/// What one entry takes beside its bytes: its place in the map, which has up to four and a half
/// times the room where entries come and go, its key in the queue, which has twice, and what counts
/// who shares the bytes.
const OVERHEAD: usize = 320;

/// What live events look like where they do not look as they were written: each encoded once for
/// those who share a presentation, and kept while there is place for it.
#[derive(Debug)]
pub(crate) struct Looks {
    kept: Mutex<Kept>,
    most_bytes: usize,
}

/// The event, and the class of those who see it so.
type Key = (Position, u64);

/// Invariants: `order` has the keys of `frames`, the oldest first; `bytes` is what they take.
#[derive(Debug, Default)]
struct Kept {
    /// None for an event that is hidden.
    frames: HashMap<Key, Option<Frame>>,
    order: VecDeque<Key>,
    bytes: usize,
}

impl Looks {
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self {
            kept: Mutex::default(),
            most_bytes,
        }
    }

    /// The encoding of an event for a class; made, outside the lock, where it is not kept. Of two
    /// made at once all get the first.
    pub(crate) fn look(&self, key: Key, make: impl FnOnce() -> Option<Frame>) -> Option<Frame> {
        if let Some(kept) = self.with(|kept| kept.frames.get(&key).cloned()) {
            return kept;
        }
        let made = make();
        let (look, gone) = self.with(|kept| kept.put(key, made, self.most_bytes));
        drop(gone);
        look
    }

    /// How many bytes what is kept takes now, about.
    pub(crate) fn held(&self) -> usize {
        self.with(|kept| kept.bytes)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        // No foreign code runs under the lock.
        work(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept {
    /// Keeps what was made unless there is something; what comes back besides is gone.
    fn put(
        &mut self,
        key: Key,
        made: Option<Frame>,
        most_bytes: usize,
    ) -> (Option<Frame>, Vec<Option<Frame>>) {
        if let Some(kept) = self.frames.get(&key) {
            return (kept.clone(), vec![made]);
        }
        self.bytes += bytes(made.as_ref());
        self.order.push_back(key);
        self.frames.insert(key, made.clone());
        let mut gone = Vec::new();
        while self.bytes > most_bytes
            && let Some(oldest) = self.order.pop_front()
        {
            let oldest = self
                .frames
                .remove(&oldest)
                .expect("what is in the order is kept");
            self.bytes -= bytes(oldest.as_ref());
            gone.push(oldest);
        }
        (made, gone)
    }
}

fn bytes(frame: Option<&Frame>) -> usize {
    frame.map_or(0, Frame::len) + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_made_once_and_the_oldest_go() {
        let looks = Looks::new(10 * (OVERHEAD + 20));
        let at = |place| Position::from_parts(0, place);
        let frame = |text: &str| Some(Frame::comment(text));
        assert_eq!(looks.look((at(1), 1), || frame("a")), frame("a"));
        assert_eq!(looks.look((at(1), 2), || None), None);
        for (class, expected) in [(1, frame("a")), (2, None)] {
            let kept = looks.look((at(1), class), || panic!("it is kept"));
            assert_eq!(kept, expected);
        }
        for place in 2..100 {
            looks.look((at(place), 1), || frame("twelve bytes"));
            looks.with(|kept| {
                assert!(kept.bytes <= looks.most_bytes);
                assert_eq!(kept.frames.len(), kept.order.len());
                let sum: usize = kept
                    .frames
                    .values()
                    .map(|frame| bytes(frame.as_ref()))
                    .sum();
                assert_eq!(sum, kept.bytes);
            });
        }
        assert_eq!(looks.look((at(1), 1), || frame("again")), frame("again"));
    }

    #[test]
    fn what_is_larger_than_all_is_shown_and_not_kept() {
        let looks = Looks::new(10);
        let key = (Position::from_parts(0, 1), 1);
        let frame = |text| Some(Frame::comment(text));
        assert_eq!(looks.look(key, || frame("a")), frame("a"));
        assert_eq!(looks.look(key, || frame("b")), frame("b"));
        looks.with(|kept| assert_eq!((kept.bytes, kept.frames.len()), (0, 0)));
    }
}
