use std::sync::Arc;

use eventwire_store::Epoch;

use crate::committer::Committer;
use crate::error::OpenError;
use crate::identity;
use crate::log::SharedLog;
use crate::recovery::{Recovered, Recovery, recover};
use crate::segment::Growth;
use crate::snapshots::Snapshots;
use crate::storage::Storage;

/// A store without its thread: what is read, and who writes it.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) log: Arc<SharedLog>,
    pub(crate) snapshots: Snapshots,
    pub(crate) committer: Committer,
    pub(crate) epoch: Epoch,
    pub(crate) recovery: Recovery,
}

impl Engine {
    /// Recovers the store that is on a storage, or makes one.
    pub(crate) fn open(storage: Box<dyn Storage>, growth: Growth) -> Result<Self, OpenError> {
        let identity = identity::read_or_create(&*storage, growth)?;
        let Recovered {
            state,
            tail,
            report,
        } = recover(&*storage, &identity, growth)?;
        let log = Arc::new(SharedLog::new(state));
        let snapshots = Snapshots::open(&*storage, &identity, Arc::clone(&log))?;
        Ok(Self {
            snapshots,
            committer: Committer::new(storage, identity, Arc::clone(&log), tail),
            log,
            epoch: identity.epoch,
            recovery: report,
        })
    }
}
