use std::sync::Arc;

use crate::checkpoints::Checkpoints;
use crate::dropped::Dropped;
use crate::format::{Note, Noted, NotedEntry, NotedWriter, noted_behind};
use crate::index::{BadIndex, Remainder, Sealed};

/// What a note of a stream with a name of usual length takes, or more.
const NOTE_BYTES: usize = 48;

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
            found.push((noted, first, last));
            at = noted_behind(first, last);
        }
        let mut notes = Self::default();
        for (noted, first, last) in found.into_iter().rev() {
            let taken_in = notes.take_in(&noted, last);
            taken_in.map_err(|_| BadIndex { first, page: 0 })?;
        }
        Ok(notes)
    }

    /// Takes in what an index keeps that ends with `last`, after those before it.
    ///
    /// # Errors
    /// What is wrong with it; a part of it may be taken in.
    pub(crate) fn take_in(&mut self, noted: &Noted, last: u64) -> Result<(), &'static str> {
        let mut checkpoints = Vec::new();
        // Growing step by step costs as much as all else.
        self.dropped.reserve(noted.as_bytes().len() / NOTE_BYTES);
        for entry in noted.entries(last) {
            match entry? {
                NotedEntry::Checkpoint(checkpoint) => checkpoints.push(checkpoint),
                NotedEntry::Trim { behind, trim } => self.dropped.apply(trim, behind),
            }
        }
        self.checkpoints = Checkpoints::of(checkpoints);
        Ok(())
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
        let mut noted = NotedWriter::default();
        let checkpoints = self.checkpoints.all();
        checkpoints.iter().for_each(|it| noted.checkpoint(it));
        for (behind, trim) in self.dropped.noted(noted_behind(first, last)) {
            noted.trim(behind, &trim);
        }
        noted.finish()
    }
}
