use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use eventwire_store::{Cursor, Query};

use crate::codec;
use crate::fold::{Fold, UnknownEvents};
use crate::projection::{Batch, Projection};

/// A view in memory: a [`Fold`] of all events of its types. A clone is the same view.
///
/// It begins from scratch with the process, and shows a batch as a whole or not at all.
pub struct MemoryView<F> {
    shown: Arc<RwLock<Shown<F>>>,
    query: Query,
}

struct Shown<F> {
    state: F,
    at: Option<Cursor>,
}

impl<F: Fold + Sync> MemoryView<F> {
    /// A view of all events of the fold's types.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Query::types(codec::event_types::<F::Event>()))
    }

    /// A view of the events of a query.
    #[must_use]
    pub fn of(query: Query) -> Self {
        Self {
            shown: Arc::new(RwLock::new(Shown {
                state: F::default(),
                at: None,
            })),
            query,
        }
    }

    /// Looks at it. Events are not taken in meanwhile.
    pub fn read<T>(&self, look: impl FnOnce(&F) -> T) -> T {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        look(&shown.state)
    }
}

impl<F: Fold + Sync> Projection for MemoryView<F> {
    type Event = F::Event;
    type Error = Infallible;

    const UNKNOWN_EVENTS: UnknownEvents = F::UNKNOWN_EVENTS;

    fn query(&self) -> Query {
        self.query.clone()
    }

    async fn checkpoint(&mut self) -> Result<Option<Cursor>, Infallible> {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        Ok(shown.at)
    }

    async fn apply(&mut self, batch: &Batch<F::Event>) -> Result<(), Infallible> {
        let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
        for seen in &batch.events {
            shown.state.evolve(&seen.event);
        }
        shown.at = Some(batch.up_to);
        Ok(())
    }

    /// Who looks at the older one looks at this one from now on.
    async fn take_over(&mut self, old: &mut Self) -> Result<(), Infallible> {
        {
            let mut ours = self.shown.write().unwrap_or_else(PoisonError::into_inner);
            let mut shown = old.shown.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut *ours, &mut *shown);
        }
        self.shown = Arc::clone(&old.shown);
        Ok(())
    }
}

impl<F: Fold + Sync> Default for MemoryView<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F> Clone for MemoryView<F> {
    fn clone(&self) -> Self {
        Self {
            shown: Arc::clone(&self.shown),
            query: self.query.clone(),
        }
    }
}

impl<F> fmt::Debug for MemoryView<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryView")
            .field("state", &std::any::type_name::<F>())
            .finish_non_exhaustive()
    }
}
