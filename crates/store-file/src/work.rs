use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::format::Label;
use crate::log::SharedLog;
use crate::storage::Storage;
use crate::sweep::Sweep;
use crate::{filing, upkeep};

/// Where the files are that are worked on beside the writer, and what they are of.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The store's own directory.
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) indexes: Arc<dyn Storage>,
    pub(crate) identity: Label,
    pub(crate) log: Arc<SharedLog>,
    /// Indexes of one segment that are merged at a time while it is written to.
    pub(crate) fan: usize,
    pub(crate) turns: Arc<Turns>,
    /// Where the store compacts itself.
    pub(crate) sweep: Option<Arc<Sweep>>,
}

/// Each kind of work is done by one at a time.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    filing: Mutex<()>,
    upkeep: Mutex<()>,
}

impl Turns {
    /// Waits until nobody else does work of this kind.
    pub(crate) fn take(&self, work: Work) -> MutexGuard<'_, ()> {
        let turn = match work {
            Work::Filing => &self.filing,
            Work::Upkeep => &self.upkeep,
        };
        turn.lock()
            .expect("no code panics while it works on the files")
    }
}

/// What is done beside the writer. What is there serves as well, and where the process ends first
/// it is done again.
///
/// The two never have to do with the same file: filing has the indexes that never had one, upkeep
/// all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Putting the indexes that the writer has sealed into files. What it has not come to is read
    /// when the store is opened after a kill, so it waits for nothing but the medium.
    Filing,
    /// Making one index of several, indexes that were bad again, and segments shorter, or none.
    Upkeep,
}

impl Work {
    /// Whether there is any.
    pub(crate) fn is_due(self, place: &Place) -> bool {
        match self {
            Self::Filing => filing::is_due(&place.log.read()),
            Self::Upkeep => upkeep::is_due(place, &place.log.read()),
        }
    }

    /// Does what is to be done next, and lets readers use what comes of it; says whether there was
    /// anything.
    ///
    /// # Errors
    /// Of the medium. It is no failure of the log: the files stay as they are.
    pub(crate) fn step(self, place: &Place) -> io::Result<bool> {
        let turn = place.turns.take(self);
        match self {
            Self::Filing => filing::step(place, turn),
            Self::Upkeep => upkeep::step(place, turn),
        }
    }
}

/// Does all that is due, on this thread.
///
/// # Errors
/// As of [`Work::step`]; the rest is not begun.
pub(crate) fn catch_up(place: &Place) -> io::Result<()> {
    while Work::Filing.step(place)? || Work::Upkeep.step(place)? {}
    Ok(())
}
