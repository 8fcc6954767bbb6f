use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

/// Time as this crate sees it: for backoff, deadlines and leases. Never for an order.
///
/// [`SystemClock`] is the default everywhere; tests bring their own
/// ([`SimulatedClock`](crate::testing::SimulatedClock)).
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// What time it is. Deadlines are kept as this, so that they outlive the process.
    fn now(&self) -> SystemTime;

    /// Is over after this long.
    fn sleep(&self, duration: Duration) -> Sleep;
}

/// A wait that ends by itself.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The machine's time, and tokio's timer.
///
/// Sleeping needs a tokio runtime with time enabled, and panics outside of one.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}
