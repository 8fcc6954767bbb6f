//! What a store tells of its commits, and of the work beside them, in numbers, through the `metrics` facade; nothing without the
//! feature. The table is `docs/metrics.md`.

#[cfg(feature = "metrics")]
pub(crate) use counted::{Meters, WorkMeters};
#[cfg(not(feature = "metrics"))]
pub(crate) use silent::{Meters, WorkMeters};

#[cfg(feature = "metrics")]
mod counted {
    use std::fmt;
    use std::time::Instant;

    use metrics::{
        Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram,
    };

    const EVENTS: &str = "eventwire_store_commit_events";
    const BYTES: &str = "eventwire_store_commit_bytes";
    const DURATION: &str = "eventwire_store_commit_duration_seconds";
    const FAILURES: &str = "eventwire_store_failures_total";
    const WORK_FAILURES: &str = "eventwire_store_upkeep_failures_total";

    /// The numbers of one store. Looked up once, when it is opened: a recorder is to be there by then.
    pub(crate) struct Meters {
        events: Histogram,
        bytes: Histogram,
        duration: Histogram,
        failures: Counter,
    }

    fn describe() {
        describe_histogram!(EVENTS, Unit::Count, "How many events a commit has.");
        describe_histogram!(BYTES, Unit::Bytes, "The length of a commit in the log.");
        describe_histogram!(
            DURATION,
            Unit::Seconds,
            "What it took to write a commit and to make it durable."
        );
        describe_counter!(
            FAILURES,
            Unit::Count,
            "Failures after which nothing is written any more."
        );
    }

    impl Meters {
        pub(crate) fn new() -> Self {
            describe();
            Self {
                events: histogram!(EVENTS),
                bytes: histogram!(BYTES),
                duration: histogram!(DURATION),
                failures: counter!(FAILURES),
            }
        }

        /// Does what writes a commit of so many events and bytes.
        pub(crate) fn timed<E>(
            &self,
            events: u64,
            bytes: usize,
            write: impl FnOnce() -> Result<(), E>,
        ) -> Result<(), E> {
            let begun = Instant::now();
            write()?;
            self.duration.record(begun.elapsed());
            self.events.record(events as f64);
            self.bytes.record(bytes as f64);
            Ok(())
        }

        pub(crate) fn failed(&self) {
            self.failures.increment(1);
        }
    }

    /// The numbers of what is done beside the commits.
    pub(crate) struct WorkMeters {
        failures: Counter,
    }

    impl WorkMeters {
        pub(crate) fn new() -> Self {
            describe_counter!(
                WORK_FAILURES,
                Unit::Count,
                "Failures in writing indexes and removing files, which are tried again."
            );
            Self {
                failures: counter!(WORK_FAILURES),
            }
        }

        pub(crate) fn failed(&self) {
            self.failures.increment(1);
        }
    }

    impl fmt::Debug for WorkMeters {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("WorkMeters").finish_non_exhaustive()
        }
    }

    impl fmt::Debug for Meters {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Meters").finish_non_exhaustive()
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod silent {
    /// Nobody counts.
    #[derive(Debug)]
    pub(crate) struct Meters;

    impl Meters {
        pub(crate) fn new() -> Self {
            Self
        }

        pub(crate) fn timed<E>(
            &self,
            _: u64,
            _: usize,
            write: impl FnOnce() -> Result<(), E>,
        ) -> Result<(), E> {
            write()
        }

        pub(crate) fn failed(&self) {}
    }

    /// Nobody counts.
    #[derive(Debug)]
    pub(crate) struct WorkMeters;

    impl WorkMeters {
        pub(crate) fn new() -> Self {
            Self
        }

        pub(crate) fn failed(&self) {}
    }
}
