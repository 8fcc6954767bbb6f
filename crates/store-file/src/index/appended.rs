use eventwire_store::{Appended, StreamName, Version};

use crate::number;

/// Puts the answer to an append together, event by event.
#[derive(Debug)]
pub(super) struct AppendedBuilder(Appended);

impl AppendedBuilder {
    /// Of an append whose events begin at `first`.
    pub(super) fn new(first: u64) -> Self {
        Self(Appended {
            before: number::position(first - 1),
            positions: Vec::new(),
            streams: Vec::new(),
            duplicate: false,
        })
    }

    pub(super) fn push(&mut self, position: u64, place: Option<(StreamName, Version)>) {
        self.0.positions.push(number::position(position));
        let Some((name, version)) = place else {
            return;
        };
        let streams = &mut self.0.streams;
        match streams.iter_mut().find(|(known, _)| *known == name) {
            Some((_, last)) => *last = version,
            None => streams.push((name, version)),
        }
    }

    pub(super) fn finish(self) -> Appended {
        self.0
    }
}
