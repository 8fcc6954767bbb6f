use std::sync::Arc;

use crate::checkpoints::Checkpoints;
use crate::dropped::Dropped;
use crate::format::{Note, Noted, noted_behind};
use crate::index::{BadIndex, Remainder, Sealed};

/// What the log says beside its events: how far consumers have come, and what was dropped.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) checkpoints: Checkpoints,
    pub(crate) dropped: Dropped,
}

impl Notes {
    /// What the notes come to up to the end of indexes that follow remainders. It takes one
    /// position after the other from which each says it, and so a few of them, however many there
    /// are.
    pub(crate) fn of(remainders: &[Arc<Remainder>], sealed: &[Sealed]) -> Result<Self, BadIndex> {
        let gone_to = remainders.last().map_or(0, |remainder| remainder.last());
        let mut at = sealed.last().map_or(gone_to, Sealed::last);
        let mut found = Vec::new();
        while at > 0 {
            let (noted, first, last) = if at > gone_to {
                let index = &sealed[sealed.partition_point(|sealed| sealed.last() < at)];
                (index.noted()?, index.first(), index.last())
            } else {
                let remainder = &remainders[remainders.partition_point(|it| it.last() < at)];
                (remainder.noted()?, remainder.first(), remainder.last())
            };
            found.push(noted);
            at = noted_behind(first, last);
        }
        let mut notes = Self::default();
        found
            .into_iter()
            .rev()
            .for_each(|noted| notes.take_in(noted));
        Ok(notes)
    }

    /// Takes in what an index keeps, after those before it.
    pub(crate) fn take_in(&mut self, noted: Noted) {
        self.checkpoints = Checkpoints::of(noted.checkpoints);
        for noted in noted.trims {
            self.dropped.apply(noted.trim, noted.behind);
        }
    }

    /// Takes in a note that was read from the log, behind the event at a position.
    pub(crate) fn replay(&mut self, note: Note, behind: u64) {
        match note {
            Note::Checkpoint(checkpoint) => self.checkpoints.replay(checkpoint),
            Note::Trim(trim) => self.dropped.apply(trim, behind),
        }
    }

    /// What an index keeps of them whose events, from one position to another, are the last. What
    /// consumers have begun must be shown by now.
    pub(crate) fn noted(&mut self, first: u64, last: u64) -> Noted {
        Noted {
            checkpoints: self.checkpoints.all(),
            trims: self.dropped.noted(noted_behind(first, last)),
        }
    }
}
