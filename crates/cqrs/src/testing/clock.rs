use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, SystemTime};

use crate::clock::{Clock, Sleep};

/// Time that a test moves. A clone is the same clock; it begins at [`SystemTime::UNIX_EPOCH`].
///
/// ```
/// use std::time::Duration;
/// use eventwire_cqrs::{Clock, testing::SimulatedClock};
/// # futures_executor::block_on(async {
/// let clock = SimulatedClock::new();
/// let hour = clock.sleep(Duration::from_secs(3_600));
/// clock.advance(Duration::from_secs(3_600));
/// hour.await;
///
/// // Whoever waits for this one moves it.
/// let clock = SimulatedClock::hasty();
/// clock.sleep(Duration::from_secs(3_600)).await;
/// # });
/// ```
#[derive(Clone)]
pub struct SimulatedClock {
    is_hasty: bool,
    time: Arc<Mutex<Time>>,
}

struct Time {
    now: SystemTime,
    sleepers: Vec<Waker>,
}

impl SimulatedClock {
    /// Stands still until it is moved.
    #[must_use]
    pub fn new() -> Self {
        Self {
            is_hasty: false,
            time: Arc::new(Mutex::new(Time {
                now: SystemTime::UNIX_EPOCH,
                sleepers: Vec::new(),
            })),
        }
    }

    /// Stands still at a time until it is moved.
    #[must_use]
    pub fn at(now: SystemTime) -> Self {
        let clock = Self::new();
        clock.time().now = now;
        clock
    }

    /// Moves to the end of every wait, so that nobody waits.
    #[must_use]
    pub fn hasty() -> Self {
        Self {
            is_hasty: true,
            ..Self::new()
        }
    }

    /// Moves it, and wakes who has waited long enough.
    pub fn advance(&self, duration: Duration) {
        let sleepers = {
            let mut time = self.time();
            time.now += duration;
            std::mem::take(&mut time.sleepers)
        };
        sleepers.into_iter().for_each(Waker::wake);
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        self.time.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until(&self, end: SystemTime) -> impl Future<Output = ()> + Send + use<> {
        let clock = self.clone();
        poll_fn(move |context| {
            let mut time = clock.time();
            if time.now >= end {
                return Poll::Ready(());
            }
            time.sleepers.push(context.waker().clone());
            Poll::Pending
        })
    }

    /// Others get a turn, then it is that late.
    fn jump_to(&self, end: SystemTime) -> impl Future<Output = ()> + Send + use<> {
        let clock = self.clone();
        let mut has_yielded = false;
        poll_fn(move |context| {
            if !std::mem::replace(&mut has_yielded, true) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let late = end.duration_since(clock.now()).unwrap_or_default();
            clock.advance(late);
            Poll::Ready(())
        })
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> SystemTime {
        self.time().now
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let end = self.now() + duration;
        if self.is_hasty {
            return Box::pin(self.jump_to(end));
        }
        Box::pin(self.wait_until(end))
    }
}

impl Default for SimulatedClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SimulatedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedClock")
            .field("now", &self.now())
            .field("is_hasty", &self.is_hasty)
            .finish_non_exhaustive()
    }
}
