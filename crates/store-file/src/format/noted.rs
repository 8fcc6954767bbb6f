use super::Fields;
use super::note::{Checkpoint, NO_EVENTS, Note, Trim};

/// What an index keeps of the notes up to its end: how far every consumer had come, and what was
/// dropped behind a place before it. What was dropped up to that place the index says that has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) checkpoints: Vec<Checkpoint>,
    /// In the order in which it was noted.
    pub(crate) trims: Vec<NotedTrim>,
}

/// What was dropped, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotedTrim {
    /// The position of the last event before it was noted, or of a later one.
    pub(crate) behind: u64,
    pub(crate) trim: Trim,
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
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for checkpoint in &self.checkpoints {
            checkpoint.encode(&mut out);
        }
        for at_once in self.trims.chunk_by(|one, next| one.behind == next.behind) {
            out.extend_from_slice(&NO_EVENTS);
            out.push(BEHIND);
            out.extend_from_slice(&at_once[0].behind.to_le_bytes());
            for noted in at_once {
                noted.trim.encode(&mut out);
            }
        }
        out
    }

    /// What an index says that ends with `last`. Where it does not say when something was dropped,
    /// it was before its end.
    pub(crate) fn decode(bytes: &[u8], last: u64) -> Result<Self, &'static str> {
        let mut fields = Fields(bytes);
        let mut noted = Self::default();
        let mut behind = last;
        while !fields.0.is_empty() {
            if fields.array() != Some(NO_EVENTS) {
                return Err("what should be a note is none");
            }
            if fields.0.first() == Some(&BEHIND) {
                let position = (fields.u8(), fields.u64());
                behind = position.1.ok_or("a place is cut short")?;
                continue;
            }
            match Note::decode(&mut fields)? {
                Note::Checkpoint(checkpoint) => noted.checkpoints.push(checkpoint),
                Note::Trim(trim) => noted.trims.push(NotedTrim { behind, trim }),
            }
        }
        Ok(noted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eventwire_store::{Consumer, Position, StreamName};

    #[test]
    fn the_bytes_are_the_documented_ones() {
        let stream = StreamName::new("room-1").unwrap();
        let noted = Noted {
            checkpoints: vec![Checkpoint {
                consumer: Consumer::new("view").unwrap(),
                at: Some(Position::from_parts(2, 7)),
            }],
            trims: [
                (9, Trim::Log { to: 5 }),
                (9, Trim::Deletion { stream, to: 8 }),
                (10, Trim::Log { to: 6 }),
            ]
            .map(|(behind, trim)| NotedTrim { behind, trim })
            .to_vec(),
        };
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
        assert_eq!(noted.encode(), bytes);
        assert_eq!(Noted::decode(&bytes, 12), Ok(noted));
        for end in 0..bytes.len() {
            // It is not whole, or it is less.
            assert_ne!(Noted::decode(&bytes[..end], 12), Noted::decode(&bytes, 12));
        }
    }

    #[test]
    fn what_does_not_say_when_it_was_noted_was_before_the_end() {
        let bytes = [0, 0, 0, 0, 3, 5, 0, 0, 0, 0, 0, 0, 0];
        let trim = Trim::Log { to: 5 };
        let trims = vec![NotedTrim { behind: 12, trim }];
        let checkpoints = Vec::new();
        assert_eq!(Noted::decode(&bytes, 12), Ok(Noted { checkpoints, trims }));
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
