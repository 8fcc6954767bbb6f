use std::sync::{Arc, Mutex, MutexGuard};

/// The events of one index that single streams have dropped. A clone is the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hidden {
    /// Rising, and no two of them touch.
    spans: Arc<[Span]>,
}

/// Neighbours, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    from: u64,
    to: u64,
}

impl Hidden {
    /// These positions too, in any order.
    pub(super) fn with(&self, positions: impl IntoIterator<Item = u64>) -> Self {
        let new = positions.into_iter().map(|at| Span { from: at, to: at });
        let mut spans: Vec<Span> = self.spans.iter().copied().chain(new).collect();
        spans.sort_unstable_by_key(|span| span.from);
        spans.dedup_by(|next, before| {
            let do_touch = next.from <= before.to + 1;
            if do_touch {
                before.to = before.to.max(next.to);
            }
            do_touch
        });
        Self {
            spans: spans.into(),
        }
    }

    /// Whether nothing is hidden.
    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The first position at or above this one that is not hidden.
    pub(crate) fn shown_from(&self, position: u64) -> u64 {
        self.span(position).map_or(position, |span| span.to + 1)
    }

    /// The last position at or below this one that is not hidden.
    pub(crate) fn shown_to(&self, position: u64) -> u64 {
        self.span(position).map_or(position, |span| span.from - 1)
    }

    /// How many positions above `after`, up to `to`, are hidden.
    pub(crate) fn count(&self, after: u64, to: u64) -> u64 {
        let within = |span: &Span| (span.to.min(to) + 1).saturating_sub(span.from.max(after + 1));
        self.spans.iter().map(within).sum()
    }

    #[inline]
    fn span(&self, position: u64) -> Option<Span> {
        let begun = self.spans.partition_point(|span| span.from <= position);
        let span = *self.spans.get(begun.checked_sub(1)?)?;
        (position <= span.to).then_some(span)
    }
}

/// What an index knows to be hidden, and how many changes that is the outcome of.
///
/// What a change hides was in the log before it, so an index that grows meanwhile is not missed.
#[derive(Debug, Default)]
pub(super) struct KnownHidden {
    known: Mutex<(u64, Hidden)>,
}

impl KnownHidden {
    pub(super) fn changes(&self) -> u64 {
        self.lock().0
    }

    /// What is hidden after so many changes or more, where that is known.
    pub(super) fn after(&self, changes: u64) -> Option<Hidden> {
        let known = self.lock();
        (known.0 >= changes).then(|| known.1.clone())
    }

    /// What is known so far.
    pub(super) fn so_far(&self) -> Hidden {
        self.lock().1.clone()
    }

    pub(super) fn learn(&self, changes: u64, hidden: Hidden) {
        let mut known = self.lock();
        if known.0 < changes {
            *known = (changes, hidden);
        }
    }

    fn lock(&self) -> MutexGuard<'_, (u64, Hidden)> {
        self.known
            .lock()
            .expect("no code panics while it holds what is hidden")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn spans_hold_what_was_put_in(
            first in proptest::collection::vec(1u64..40, 0..30),
            later in proptest::collection::vec(1u64..40, 0..30),
            at in 1u64..40,
            length in 0u64..20,
        ) {
            let hidden = Hidden::default().with(first.clone()).with(later.clone());
            let is_hidden = |at: &u64| first.contains(at) || later.contains(at);
            prop_assert_eq!(hidden.shown_from(at), (at..).find(|at| !is_hidden(at)).unwrap());
            prop_assert_eq!(
                hidden.shown_to(at),
                (0..=at).rev().find(|at| !is_hidden(at)).unwrap()
            );
            let count = (at + 1..=at + length).filter(is_hidden).count();
            prop_assert_eq!(hidden.count(at, at + length), u64::try_from(count).unwrap());
        }
    }
}
