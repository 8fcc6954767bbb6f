use crate::checkpoints::Checkpoints;
use crate::dropped::Dropped;
use crate::format::Note;

/// What the log says beside its events: how far consumers have come, and what was dropped.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) checkpoints: Checkpoints,
    pub(crate) dropped: Dropped,
}

impl Notes {
    /// What these notes say, one after the other.
    pub(crate) fn of(notes: Vec<Note>) -> Self {
        let mut all = Self::default();
        notes.into_iter().for_each(|note| all.replay(note));
        all
    }

    /// Takes in a note that was read from the log.
    pub(crate) fn replay(&mut self, note: Note) {
        match note {
            Note::Checkpoint(checkpoint) => self.checkpoints.replay(checkpoint),
            Note::Trim(trim) => self.dropped.apply(trim),
        }
    }

    /// The notes that say it all, in an order that depends on nothing else. What consumers have
    /// begun must be shown by now.
    pub(crate) fn all(&mut self) -> Vec<Note> {
        let checkpoints = self.checkpoints.all().into_iter().map(Note::Checkpoint);
        let trims = self.dropped.all().into_iter().map(Note::Trim);
        checkpoints.chain(trims).collect()
    }
}
