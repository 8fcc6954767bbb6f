use std::sync::Arc;

use crate::committer::Committer;
use crate::error::OpenError;
use crate::format::Label;
use crate::identity;
use crate::index::PageCache;
use crate::log::SharedLog;
use crate::recovery::{Recovered, Recovery, recover};
use crate::segment::Growth;
use crate::snapshots::Snapshots;
use crate::storage::Storage;
use crate::sweep::Sweep;
use crate::work::Place;

/// The directory of the indexes within that of the store.
pub(crate) const INDEXES: &str = "indexes";

/// A store without its thread: what is read, and who writes it.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) log: Arc<SharedLog>,
    pub(crate) snapshots: Snapshots,
    pub(crate) committer: Committer,
    pub(crate) place: Place,
    pub(crate) identity: Label,
    pub(crate) indexes: Arc<dyn Storage>,
    pub(crate) recovery: Recovery,
}

impl Engine {
    /// Recovers the store that is on a storage, or makes one.
    pub(crate) fn open(
        storage: Box<dyn Storage>,
        growth: Growth,
        sweep: Option<Sweep>,
    ) -> Result<Self, OpenError> {
        let identity = identity::read_or_create(&*storage, growth)?;
        let indexes = storage
            .directory(INDEXES)
            .map_err(OpenError::io("creating", INDEXES))?;
        let cache = Arc::new(PageCache::default());
        let Recovered {
            state,
            tail,
            report,
        } = recover(&*storage, &*indexes, &identity, &cache, growth)?;
        let log = Arc::new(SharedLog::new(state, cache));
        let snapshots = Snapshots::open(&*storage, &identity, Arc::clone(&log))?;
        let place = Place {
            storage: Arc::from(storage),
            indexes: Arc::clone(&indexes),
            identity,
            log: Arc::clone(&log),
            fan: growth.index_fan,
            turns: Arc::default(),
            sweep: sweep.map(Arc::new),
        };
        Ok(Self {
            snapshots,
            committer: Committer::new(place.clone(), tail),
            place,
            log,
            identity,
            indexes,
            recovery: report,
        })
    }
}
