use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// How often something is tried again, and how long is waited before: the wait doubles from
/// `first` up to `most`, and up to as much again is added at random, so that those who
/// collided do not collide again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    retries: u32,
    first: Duration,
    most: Duration,
}

impl Backoff {
    /// This many retries, 1 ms before the first and at most 100 ms before any, as long
    /// again at random.
    #[must_use]
    pub const fn retries(retries: u32) -> Self {
        Self {
            retries,
            first: Duration::from_millis(1),
            most: Duration::from_millis(100),
        }
    }

    /// This many retries, none of which waits.
    #[must_use]
    pub const fn at_once(retries: u32) -> Self {
        Self {
            retries,
            first: Duration::ZERO,
            most: Duration::ZERO,
        }
    }

    /// The wait before the first retry.
    #[must_use]
    pub const fn first(mut self, wait: Duration) -> Self {
        self.first = wait;
        self
    }

    /// The longest wait.
    #[must_use]
    pub const fn most(mut self, wait: Duration) -> Self {
        self.most = wait;
        self
    }

    /// How often.
    #[must_use]
    pub const fn max_retries(&self) -> u32 {
        self.retries
    }

    /// The waits, one before each retry.
    pub fn waits(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let retries = usize::try_from(self.retries).unwrap_or(usize::MAX);
        ExponentialBuilder::default()
            .with_min_delay(self.first)
            .with_max_delay(self.most)
            .with_max_times(retries)
            .with_jitter()
            .build()
    }
}

impl Default for Backoff {
    /// 8 retries.
    fn default() -> Self {
        Self::retries(8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_as_much_again() {
        let millis = Duration::from_millis;
        let backoff = Backoff::retries(6).first(millis(10)).most(millis(100));
        for _ in 0..100 {
            let waits: Vec<_> = backoff.waits().collect();
            let least = [10, 20, 40, 80, 100, 100].map(millis);
            assert_eq!(waits.len(), least.len());
            for (wait, least) in waits.into_iter().zip(least) {
                assert!(least <= wait && wait <= 2 * least, "{wait:?} {least:?}");
            }
        }
        assert_eq!(Backoff::retries(0).waits().count(), 0);
        assert!(Backoff::at_once(3).waits().eq([Duration::ZERO; 3]));
    }
}
