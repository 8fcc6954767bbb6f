use std::collections::BTreeMap;

use eventwire_store::StreamName;

use crate::format::Trim;
use crate::index::MemoryIndex;

/// The last stub of each stream, and of the events in none, in a part of the log: what its files
/// alone say of what was dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stubs {
    lasts: BTreeMap<Option<StreamName>, u64>,
}

impl Stubs {
    /// Takes in the stubs of an index below a position; those of indexes before it are in already.
    pub(crate) fn take_in(&mut self, index: &MemoryIndex, below: u64) {
        for (position, stream) in index.stubs().filter(|&(position, _)| position < below) {
            match self.lasts.get_mut(&stream.cloned()) {
                Some(last) => *last = position,
                None => drop(self.lasts.insert(stream.cloned(), position)),
            }
        }
    }

    /// The least that was dropped of what lies below a position. A stub is left of an event only
    /// when it was dropped with its stream up to there, or with the log.
    pub(crate) fn trims(&self, below: u64) -> impl Iterator<Item = Trim> {
        self.lasts.iter().map(move |(stream, &last)| {
            let to = last.min(below - 1);
            match stream.clone() {
                Some(stream) => Trim::Stream { stream, to },
                None => Trim::Log { to },
            }
        })
    }
}
