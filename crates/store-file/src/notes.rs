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
        self.dropped.settle();
        self.checkpoints = Checkpoints::of(checkpoints);
        Ok(())
    }

    /// What one index keeps in place of several that follow each other, each given by its first
    /// and last position and what it keeps; as if it had been made at once.
    ///
    /// # Errors
    /// Which of them is not as it was written.
    pub(crate) fn merged(parts: &[(u64, u64, Noted)]) -> Result<Noted, usize> {
        let (Some((first, ..)), Some((_, last, ending))) = (parts.first(), parts.last()) else {
            return Ok(Noted::default());
        };
        // The last of those that reach back furthest has all that those before it have.
        let behind = |(first, last, _): &(u64, u64, Noted)| noted_behind(*first, *last);
        let furthest = parts.iter().map(behind).min();
        let from = parts
            .iter()
            .rposition(|part| Some(behind(part)) == furthest);
        let from = from.unwrap_or(0);
        let mut later = Self::default();
        let take_in = |notes: &mut Self, number: usize| {
            let (_, last, noted) = &parts[number];
            notes.take_in(noted, *last).map_err(|_| number)
        };
        (from + 1..parts.len()).try_for_each(|number| take_in(&mut later, number))?;
        // It may have a million, and mostly nothing was dropped since.
        if later.dropped.changes() == 0
            && let Some(noted) = parts[from].2.behind_checkpoints_of(ending)
        {
            return Ok(noted);
        }
        let mut notes = Self::default();
        (from..parts.len()).try_for_each(|number| take_in(&mut notes, number))?;
        Ok(notes.noted(*first, *last))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Checkpoint, Trim};
    use eventwire_store::{Consumer, Position, StreamName};
    use proptest::prelude::*;

    fn note(kind: u8, name: u8, to: u64) -> Note {
        let stream = StreamName::new(format!("room-{name}")).unwrap();
        match kind {
            0 => Note::Trim(Trim::Log { to: to / 2 }),
            1..5 => Note::Trim(Trim::Stream { stream, to }),
            5..8 => Note::Trim(Trim::Deletion { stream, to }),
            _ => Note::Checkpoint(Checkpoint {
                consumer: Consumer::new(format!("view-{name}")).unwrap(),
                at: Some(Position::from_parts(0, to)),
            }),
        }
    }

    proptest! {
        #[test]
        fn what_is_merged_is_what_would_have_been_kept_at_once(
            first in 1u64..70,
            events in 1u64..70,
            before in proptest::collection::vec((0u64..70, 0u8..10, 0u8..6), 0..12),
            since in proptest::collection::vec((0u64..70, 0u8..10, 0u8..6), 0..12),
            cuts in proptest::collection::btree_set(0u64..70, 0..5),
        ) {
            let last = first + events - 1;
            // Where each was noted: behind an event before the first, or one from it on.
            let mut noted: Vec<(u64, Note)> = before
                .into_iter()
                .map(|(at, kind, name)| (at % first, kind, name))
                .chain(since.into_iter().map(|(at, kind, name)| (first + at % events, kind, name)))
                .map(|(at, kind, name)| (at, note(kind, name, at)))
                .collect();
            noted.sort_by_key(|&(at, _)| at);
            let up_to = |end: u64| {
                let mut notes = Notes::default();
                for (at, note) in noted.iter().filter(|&&(at, _)| at <= end) {
                    notes.replay(note.clone(), *at);
                }
                notes
            };
            let mut ends: Vec<u64> = cuts.into_iter().map(|cut| first + cut).collect();
            ends.retain(|&end| end < last);
            ends.push(last);
            let mut begin = first;
            let parts: Vec<_> = ends
                .into_iter()
                .map(|end| {
                    let part = (begin, end, up_to(end).noted(begin, end));
                    begin = end + 1;
                    part
                })
                .collect();
            prop_assert_eq!(Notes::merged(&parts), Ok(up_to(last).noted(first, last)));
        }
    }
}
