use bytes::Bytes;

use super::Fields;
use super::note::{Checkpoint, NO_EVENTS, Note, Trim};

/// What an index keeps of the notes up to its end, as it is written there: how far every consumer
/// had come, and what was dropped behind a place before it. What was dropped up to that place the
/// index says that has it.
///
/// It may be of a million streams, so it is read where it lies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Noted(Bytes);

/// One of the things that an index keeps.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotedEntry {
    Checkpoint(Checkpoint),
    /// What was dropped, and when: behind the event at a position, or before that one.
    Trim {
        behind: u64,
        trim: Trim,
    },
}

/// The position behind which an index of the events from `first` to `last` says what was dropped.
///
/// Of all positions in it the one counts that the highest power of two divides; what is behind
/// that one less the power is in the index. So each note is in an index of every power at most,
/// the notes up to any place are in no more than 64 indexes, and which those are depends on
/// nothing but where the indexes begin and end. It lies before the index.
pub(crate) fn noted_behind(first: u64, last: u64) -> u64 {
    debug_assert!(0 < first && first <= last);
    let differing = (first - 1) ^ last;
    let power = 1 << differing.ilog2();
    let roundest = last & !(power - 1);
    roundest & (roundest - 1)
}

/// Where a note has its kind: what follows was noted behind this position.
const BEHIND: u8 = 6;

impl Noted {
    /// What an index was found to say; nothing is looked at.
    pub(crate) fn from_bytes(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What was dropped here, behind the checkpoints of another, as it is written; none where it
    /// does not say of all of it when that was.
    pub(crate) fn behind_checkpoints_of(&self, other: &Self) -> Option<Self> {
        let trims = &self.0[self.trims_at().ok()?..];
        let is_said = trims.is_empty() || trims.get(NO_EVENTS.len()) == Some(&BEHIND);
        let checkpoints = &other.0[..other.trims_at().ok()?];
        is_said.then(|| Self([checkpoints, trims].concat().into()))
    }

    /// Where the checkpoints end.
    fn trims_at(&self) -> Result<usize, &'static str> {
        let mut fields = Fields(&self.0);
        let mut at = 0;
        while let Some(NotedEntry::Checkpoint(_)) = next_entry(&mut fields, &mut 0)? {
            at = self.0.len() - fields.0.len();
        }
        Ok(at)
    }

    /// All of it, in the order in which it was noted, of an index that ends with `last`. Where it
    /// does not say when something was dropped, it was before that end.
    pub(crate) fn entries(
        &self,
        last: u64,
    ) -> impl Iterator<Item = Result<NotedEntry, &'static str>> {
        let mut fields = Fields(&self.0);
        let mut behind = last;
        std::iter::from_fn(move || {
            next_entry(&mut fields, &mut behind)
                .inspect_err(|_| fields = Fields(&[]))
                .transpose()
        })
    }
}

fn next_entry(
    fields: &mut Fields<'_>,
    behind: &mut u64,
) -> Result<Option<NotedEntry>, &'static str> {
    while !fields.0.is_empty() {
        if fields.array() != Some(NO_EVENTS) {
            return Err("what should be a note is none");
        }
        if fields.0.first() == Some(&BEHIND) {
            let position = (fields.u8(), fields.u64());
            *behind = position.1.ok_or("a place is cut short")?;
            continue;
        }
        return Ok(Some(match Note::decode(fields)? {
            Note::Checkpoint(checkpoint) => NotedEntry::Checkpoint(checkpoint),
            Note::Trim(trim) => NotedEntry::Trim {
                behind: *behind,
                trim,
            },
        }));
    }
    Ok(None)
}

/// Writes what an index is to keep: what consumers have first, and then what was dropped, in its
/// order.
#[derive(Debug, Default)]
pub(crate) struct NotedWriter {
    out: Vec<u8>,
    behind: Option<u64>,
}

impl NotedWriter {
    pub(crate) fn checkpoint(&mut self, checkpoint: &Checkpoint) {
        debug_assert!(self.behind.is_none());
        checkpoint.encode(&mut self.out);
    }

    pub(crate) fn trim(&mut self, behind: u64, trim: &Trim) {
        if self.behind != Some(behind) {
            self.behind = Some(behind);
            self.out.extend_from_slice(&NO_EVENTS);
            self.out.push(BEHIND);
            self.out.extend_from_slice(&behind.to_le_bytes());
        }
        trim.encode(&mut self.out);
    }

    pub(crate) fn finish(self) -> Noted {
        Noted(self.out.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eventwire_store::{Consumer, Position, StreamName};

    fn entries(bytes: &[u8], last: u64) -> Vec<Result<NotedEntry, &'static str>> {
        let noted = Noted::from_bytes(Bytes::copy_from_slice(bytes));
        noted.entries(last).collect()
    }

    #[test]
    fn the_bytes_are_the_documented_ones() {
        let stream = StreamName::new("room-1").unwrap();
        let checkpoint = Checkpoint {
            consumer: Consumer::new("view").unwrap(),
            at: Some(Position::from_parts(2, 7)),
        };
        let trims = [
            (9, Trim::Log { to: 5 }),
            (9, Trim::Deletion { stream, to: 8 }),
            (10, Trim::Log { to: 6 }),
        ];
        let mut writer = NotedWriter::default();
        writer.checkpoint(&checkpoint);
        for (behind, trim) in &trims {
            writer.trim(*behind, trim);
        }
        let bytes = [
            &[0, 0, 0, 0, 1, 4][..],
            b"view",
            &[2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0],
            &[0, 0, 0, 0, 6, 9, 0, 0, 0, 0, 0, 0, 0],
            &[0, 0, 0, 0, 3, 5, 0, 0, 0, 0, 0, 0, 0],
            &[0, 0, 0, 0, 5, 6],
            b"room-1",
            &[8, 0, 0, 0, 0, 0, 0, 0],
            &[0, 0, 0, 0, 6, 10, 0, 0, 0, 0, 0, 0, 0],
            &[0, 0, 0, 0, 3, 6, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        assert_eq!(writer.finish().as_bytes(), bytes);
        let trims = trims.map(|(behind, trim)| NotedEntry::Trim { behind, trim });
        let all = [NotedEntry::Checkpoint(checkpoint)]
            .into_iter()
            .chain(trims);
        assert_eq!(entries(&bytes, 12), all.map(Ok).collect::<Vec<_>>());
        for end in 0..bytes.len() {
            // It is not whole, or it is less, and ends with the first error.
            let cut = entries(&bytes[..end], 12);
            assert_ne!(cut, entries(&bytes, 12));
            let errors = cut.iter().filter(|entry| entry.is_err());
            assert!(errors.count() == usize::from(cut.last().is_some_and(Result::is_err)));
        }
    }

    #[test]
    fn what_does_not_say_when_it_was_noted_was_before_the_end() {
        let bytes = [0, 0, 0, 0, 3, 5, 0, 0, 0, 0, 0, 0, 0];
        let trim = Trim::Log { to: 5 };
        assert_eq!(
            entries(&bytes, 12),
            [Ok(NotedEntry::Trim { behind: 12, trim })]
        );
    }

    #[test]
    fn an_index_says_what_was_noted_behind_a_place_before_it() {
        for (first, last, behind) in [
            (1, 1, 0),
            (1, 9, 0),
            (2, 2, 0),
            (3, 3, 2),
            (5, 7, 4),
            (7, 9, 0),
            (9, 9, 8),
            (41, 47, 40),
            (1, u64::MAX, 0),
            (u64::MAX, u64::MAX, u64::MAX - 1),
        ] {
            assert_eq!(noted_behind(first, last), behind, "{first} to {last}");
        }
    }

    /// One that is made of two is behind what one of them is, and so has all of it.
    #[test]
    fn what_two_indexes_say_is_enough_for_one() {
        for first in 1..40 {
            for middle in first..40 {
                for last in middle + 1..41 {
                    let both = noted_behind(first, last);
                    let one = noted_behind(first, middle);
                    let other = noted_behind(middle + 1, last);
                    assert!(both == one.min(other) && both < first);
                }
            }
        }
    }
}
