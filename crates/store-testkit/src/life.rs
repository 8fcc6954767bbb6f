use std::fmt;
use std::sync::Arc;

use crate::harness::Reopen;
use crate::subject::{Make, Subject, inside};

/// A store from one opening to the next.
pub struct Life<H: Reopen> {
    subject: Subject,
    store: Arc<H::Store>,
    harness: Arc<H>,
    make: Arc<Make<H>>,
}

impl<H: Reopen> Life<H> {
    /// The first life of a fresh store.
    #[must_use]
    pub fn begin(make: impl Fn() -> H + Send + Sync + 'static) -> Self {
        Self::begin_shared(Arc::new(make))
    }

    fn begin_shared(make: Arc<Make<H>>) -> Self {
        let harness = Arc::new(make());
        let store = inside(|work| harness.enter(work), harness.open());
        Self::of(store, harness, make)
    }

    /// Ends this life and begins the next, with what was kept.
    ///
    /// # Panics
    /// Where the test still holds a clone of the subject: there would be two stores on one log.
    #[must_use]
    pub fn reopen(self) -> Self {
        let Self {
            subject,
            store,
            harness,
            make,
        } = self;
        drop(subject);
        let store = Arc::into_inner(store).expect("a test drops all subjects of a life it ends");
        let store = inside(|work| harness.enter(work), harness.reopen(store));
        Self::of(store, harness, make)
    }

    /// The first life of another store, as fresh as this one was.
    #[must_use]
    pub fn another(&self) -> Self {
        Self::begin_shared(Arc::clone(&self.make))
    }

    /// The store of this life.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The store itself, with all that it is.
    #[must_use]
    pub fn store(&self) -> &H::Store {
        &self.store
    }

    fn of(store: H::Store, harness: Arc<H>, make: Arc<Make<H>>) -> Self {
        let store = Arc::new(store);
        Self {
            subject: Subject::new(Arc::clone(&store), &harness, &make),
            store,
            harness,
            make,
        }
    }
}

impl<H: Reopen> fmt::Debug for Life<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life").finish_non_exhaustive()
    }
}
