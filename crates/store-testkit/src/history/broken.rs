use eventwire_store::{Position, StreamName, Uuid, Version};
use thiserror::Error;

use super::{Attempt, Reader};

/// The first promise that a [`History`](super::History) shows to be broken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Broken {
    /// An event never changes.
    #[error("two different events were shown at position {position}")]
    Changed {
        /// Where.
        position: Position,
    },
    /// A reader is shown rising positions, above where it began.
    #[error("{reader} was shown {position} after {passed}")]
    OutOfOrder {
        /// Who.
        reader: Reader,
        /// What came late.
        position: Position,
        /// What it had been shown, or had begun after.
        passed: Position,
    },
    /// A reader is shown what matches its query.
    #[error("{reader} was shown position {position}, which its query does not match")]
    Unasked {
        /// Who.
        reader: Reader,
        /// What.
        position: Position,
    },
    /// Nothing is in the log that no client asked for.
    #[error("position {position} holds event {uuid}, which no client appended")]
    Invented {
        /// Where.
        position: Position,
        /// Which.
        uuid: Uuid,
    },
    /// An event is what its writer said.
    #[error("position {position} holds event {uuid} with other contents than {attempt} gave it")]
    Altered {
        /// Where.
        position: Position,
        /// Which.
        uuid: Uuid,
        /// Who wrote it.
        attempt: Attempt,
    },
    /// Appends with the same key have one effect, and an append without one has one as well.
    #[error("event {uuid} was written twice, at positions {first} and {second}")]
    Twice {
        /// Which.
        uuid: Uuid,
        /// Where.
        first: Position,
        /// And where again.
        second: Position,
    },
    /// An answer has a rising position for each event, above `before`, and names versions that
    /// are those of the events; answers to the same request agree.
    #[error("the answer to {attempt} is no answer: {reason}")]
    Answer {
        /// Whose.
        attempt: Attempt,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Every error but `Indeterminate` means that nothing was written.
    #[error("{attempt} was refused, and yet position {position} holds one of its events")]
    Refused {
        /// Who.
        attempt: Attempt,
        /// Where.
        position: Position,
    },
    /// Durable means durable: what was answered `Ok` is there.
    #[error(
        "{attempt} was acknowledged at position {position}, which {reader} looked past and did not see"
    )]
    Lost {
        /// Who.
        attempt: Attempt,
        /// Where it was said to be.
        position: Position,
        /// Who looked.
        reader: Reader,
    },
    /// Once a reader has been shown position P, no event below P appears to anyone.
    #[error("{reader} got to {passed} without having been shown {position}, which others were")]
    Skipped {
        /// Who.
        reader: Reader,
        /// What it was not shown.
        position: Position,
        /// How far it got.
        passed: Position,
    },
    /// What begins after a reader was shown position P lies above P.
    #[error("{attempt} came to lie at {position}, below {shown}, which was shown before it began")]
    Late {
        /// Who.
        attempt: Attempt,
        /// Where.
        position: Position,
        /// What had been shown.
        shown: Position,
    },
    /// The events of one append are there together or not at all.
    #[error("{attempt} is in the log in part: event {missing} is not there")]
    Torn {
        /// Who.
        attempt: Attempt,
        /// Which of its events.
        missing: Uuid,
    },
    /// The events of one append lie next to each other, in the order given.
    #[error(
        "the events of {attempt} do not lie next to each other in their order: position {position} is between them"
    )]
    Scattered {
        /// Who.
        attempt: Attempt,
        /// What is out of place.
        position: Position,
    },
    /// Versions count the events of a stream from 1, and leave none out.
    #[error(
        "position {position} has version {found:?} of stream {stream}, where {expected} comes next"
    )]
    Miscounted {
        /// Where.
        position: Position,
        /// Which stream.
        stream: StreamName,
        /// What is there.
        found: Option<Version>,
        /// What follows the event before.
        expected: Version,
    },
    /// Events are written only where all guards hold in that same instant.
    #[error("{attempt} was written at {position}, where its guard {guard} does not hold")]
    Unguarded {
        /// Who.
        attempt: Attempt,
        /// Where.
        position: Position,
        /// The guard's index.
        guard: usize,
    },
    /// A conflict names a guard that does not hold, and what is there instead.
    #[error(
        "{attempt} was refused for its guard {guard}, but what the conflict names is no reason"
    )]
    Unfounded {
        /// Who.
        attempt: Attempt,
        /// The index the conflict named.
        guard: usize,
    },
}
