use std::collections::HashMap;

use eventwire_store::{Consumer, Position};

use crate::format::Checkpoint;

/// How far every consumer has come.
///
/// The writer alone changes it, and notes a move before it is durable; readers are shown it
/// in the same instant as the events of the commit it is part of.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    shown: HashMap<Consumer, Position>,
    /// What the last commit moves.
    moving: HashMap<Consumer, Option<Position>>,
    moved: Moved,
}

/// How far what is `moving` has come itself.
#[derive(Debug, Default, Clone, Copy)]
enum Moved {
    /// It may still be lost.
    #[default]
    NotYet,
    /// Once readers are shown the event at this position.
    With(u64),
}

impl Checkpoints {
    /// As far as these say.
    pub(crate) fn of(all: Vec<Checkpoint>) -> Self {
        let mut checkpoints = Self::default();
        all.into_iter().for_each(|moved| checkpoints.replay(moved));
        checkpoints
    }

    /// Where a consumer is, for the writer.
    pub(crate) fn latest(&self, consumer: &Consumer) -> Position {
        match self.moving.get(consumer) {
            Some(at) => at.unwrap_or_default(),
            None => self.shown.get(consumer).copied().unwrap_or_default(),
        }
    }

    /// Where a consumer is, for readers who are shown the log up to a position.
    pub(crate) fn shown(&self, consumer: &Consumer, up_to: u64) -> Position {
        match self.moved {
            Moved::With(last) if last <= up_to => self.latest(consumer),
            _ => self.shown.get(consumer).copied().unwrap_or_default(),
        }
    }

    /// Notes a move that is not durable yet. What moved before must be shown by now.
    pub(crate) fn begin(&mut self, moved: &Checkpoint) {
        if matches!(self.moved, Moved::With(_)) {
            self.settle();
        }
        self.moving.insert(moved.consumer.clone(), moved.at);
    }

    /// Says that what was begun is durable, and to be shown together with the event at
    /// position `last`.
    pub(crate) fn commit(&mut self, last: u64) {
        if !self.moving.is_empty() {
            self.moved = Moved::With(last);
        }
    }

    /// Notes a move that was read from the log.
    pub(crate) fn replay(&mut self, moved: Checkpoint) {
        match moved.at {
            Some(at) => self.shown.insert(moved.consumer, at),
            None => self.shown.remove(&moved.consumer),
        };
    }

    /// How far all consumers have come, by name. What was begun must be shown by now.
    pub(crate) fn all(&mut self) -> Vec<Checkpoint> {
        if matches!(self.moved, Moved::With(_)) {
            self.settle();
        }
        let checkpoint = |(consumer, at): (&Consumer, &Position)| Checkpoint {
            consumer: consumer.clone(),
            at: Some(*at),
        };
        let mut all: Vec<Checkpoint> = self.shown.iter().map(checkpoint).collect();
        all.sort_unstable_by(|one, other| one.consumer.cmp(&other.consumer));
        all
    }

    fn settle(&mut self) {
        self.moved = Moved::NotYet;
        let moved: Vec<_> = self.moving.drain().collect();
        for (consumer, at) in moved {
            self.replay(Checkpoint { consumer, at });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(at: Option<u64>) -> Checkpoint {
        Checkpoint {
            consumer: Consumer::new("view").unwrap(),
            at: at.map(|at| Position::from_parts(0, at)),
        }
    }

    #[test]
    fn a_move_is_shown_with_the_events_it_was_committed_with() {
        let consumer = Consumer::new("view").unwrap();
        let mut checkpoints = Checkpoints::default();
        let at = |number| Position::from_parts(0, number);
        checkpoints.replay(moved(Some(3)));

        checkpoints.begin(&moved(Some(5)));
        assert_eq!(checkpoints.latest(&consumer), at(5));
        assert_eq!(checkpoints.shown(&consumer, 9), at(3), "not durable");
        checkpoints.commit(9);
        assert_eq!(checkpoints.shown(&consumer, 8), at(3), "not shown");
        assert_eq!(checkpoints.shown(&consumer, 9), at(5));

        checkpoints.begin(&moved(None));
        assert_eq!(checkpoints.shown(&consumer, 9), at(5), "not durable");
        assert_eq!(checkpoints.latest(&consumer), Position::ORIGIN);
        checkpoints.commit(9);
        assert_eq!(checkpoints.shown(&consumer, 9), Position::ORIGIN);
    }
}
