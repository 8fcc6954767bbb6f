use std::fmt;
use std::future::Future;
use std::time::Duration;

use eventwire_store::EventStore;

/// How the kit gets at a store: opens it, and keeps alive what has to live as long.
///
/// The kit makes a harness for each test and drops it after the store, so a harness is the
/// place for a temporary directory, a container or a runtime.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use eventwire_store::MemoryStore;
/// use eventwire_store_testkit::Harness;
///
/// /// A schema of its own in one database, for each test.
/// struct Schema(String);
///
/// impl Schema {
///     fn new() -> Self {
///         static NEXT: AtomicUsize = AtomicUsize::new(0);
///         Self(format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed)))
///     }
/// }
///
/// impl Harness for Schema {
///     type Store = MemoryStore;
///
///     async fn open(&self) -> MemoryStore {
///         // MyStore::connect(&self.0).await.expect("the test database is up")
/// #       assert!(self.0.starts_with("test_"));
///         MemoryStore::new()
///     }
/// }
/// # eventwire_store_testkit::run(Schema::new, eventwire_store_testkit::promises::order::an_empty_log_has_its_head_at_the_origin);
/// ```
pub trait Harness: Send + Sync + 'static {
    /// How long one test may take before it is said to hang. A minute unless told.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// The store under test.
    type Store: EventStore + 'static;

    /// Opens a fresh store without any events. Called once.
    ///
    /// # Panics
    /// Where there is none to be had: the test fails with the message.
    fn open(&self) -> impl Future<Output = Self::Store>;

    /// Runs `work` on this thread, where the store finds what it needs around it.
    ///
    /// The kit calls the store and polls what it returns only in here, on threads of its own
    /// and with an executor of its own. A store that needs its runtime's context enters it:
    /// `let _guard = self.runtime.enter(); work()`.
    fn enter(&self, work: &mut dyn FnMut()) {
        work();
    }
}

/// A [`Harness`] whose store can end and be opened again with what it held.
pub trait Reopen: Harness {
    /// Ends the life of `store` as ungently as the harness can, and opens its log again.
    ///
    /// The kit has dropped every stream and future of `store` before. Dropping it without
    /// closing it is the least; a harness that can lose what was not made durable, by a
    /// simulated loss of power say, proves more.
    ///
    /// # Panics
    /// Where it does not open: the test fails with the message.
    fn reopen(&self, store: Self::Store) -> impl Future<Output = Self::Store>;
}

/// The harness of a store that needs nothing around it: a function that makes one.
pub struct Fresh<F>(F);

impl<F> Fresh<F> {
    /// A harness that calls `make` for the store.
    pub fn new<S>(make: F) -> Self
    where
        S: EventStore + 'static,
        F: Fn() -> S + Send + Sync + 'static,
    {
        Self(make)
    }
}

impl<S, F> Harness for Fresh<F>
where
    S: EventStore + 'static,
    F: Fn() -> S + Send + Sync + 'static,
{
    type Store = S;

    async fn open(&self) -> S {
        (self.0)()
    }
}

impl<F> fmt::Debug for Fresh<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fresh").finish_non_exhaustive()
    }
}
