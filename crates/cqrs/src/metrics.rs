//! What is told to the `metrics` facade, and nothing without the feature: the names, units and
//! labels are those of `docs/metrics.md`.

use std::time::SystemTime;

use crate::reply::CommandFuture;

/// How far a view, or a process, is behind: none of the time where it shows the whole log.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shown {
    /// Up to an event that was recorded then.
    #[cfg_attr(
        not(feature = "metrics"),
        expect(dead_code, reason = "nobody is told when")
    )]
    Event(SystemTime),
    All,
}

#[cfg(not(feature = "metrics"))]
mod told {
    use super::{CommandFuture, Shown};

    #[inline]
    pub(crate) fn describe() {}

    /// Not told.
    pub(crate) struct Calling;

    impl Calling {
        #[inline]
        pub(crate) fn begin(_command: &str) -> Self {
            Self
        }

        #[inline]
        pub(crate) fn told_of(self, answer: CommandFuture) -> CommandFuture {
            answer
        }
    }

    #[inline]
    pub(crate) fn projected(_projection: &str, _events: usize) {}

    #[inline]
    pub(crate) fn shown(_projection: &str, _shown: Shown) {}

    #[inline]
    pub(crate) fn parked(_projection: &str) {}

    #[inline]
    pub(crate) fn advanced(_process: &'static str, _cause: &'static str) {}

    #[inline]
    pub(crate) fn attended(_process: &'static str, _shown: Shown) {}
}

#[cfg(feature = "metrics")]
mod told {
    use std::time::{Duration, Instant, SystemTime};

    use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};
    use metrics::{gauge, histogram};

    use super::{CommandFuture, Shown};
    use crate::error::CommandError;
    use crate::layers::Outcome;
    use crate::receipt::Receipt;
    use crate::reply::ReplyFuture;

    const COMMANDS: &str = "eventwire_commands_total";
    const DURATION: &str = "eventwire_command_duration_seconds";
    const CONFLICTS: &str = "eventwire_command_conflicts_total";
    const PROJECTED: &str = "eventwire_projection_events_total";
    const LAG: &str = "eventwire_projection_lag_seconds";
    const PARKED: &str = "eventwire_projection_parked_total";
    const ADVANCED: &str = "eventwire_process_steps_total";
    const BEHIND: &str = "eventwire_process_lag_seconds";

    /// Tells the recorder what each metric is. Recorders keep it by name, so that once is enough:
    /// when the first dispatcher or projector is made.
    pub(crate) fn describe() {
        describe_counter!(
            COMMANDS,
            Unit::Count,
            "Commands by name that were answered."
        );
        describe_histogram!(DURATION, Unit::Seconds, "From the call to the answer.");
        describe_counter!(
            CONFLICTS,
            Unit::Count,
            "Races that commands lost and were decided again for, or gave up."
        );
        describe_counter!(PROJECTED, Unit::Count, "Events that views have taken in.");
        describe_gauge!(
            LAG,
            Unit::Seconds,
            "How old the last event is that a view shows; 0 where it shows all."
        );
        describe_counter!(PARKED, Unit::Count, "Events that were put aside.");
        describe_counter!(
            ADVANCED,
            Unit::Count,
            "What happened to instances of processes: events, reminders, answers."
        );
        describe_gauge!(
            BEHIND,
            Unit::Seconds,
            "How old the last event is that a process has seen to; 0 where it has seen to all."
        );
    }

    /// A command that was called by its name.
    pub(crate) struct Calling {
        command: String,
        begun: Instant,
    }

    impl Calling {
        pub(crate) fn begin(command: &str) -> Self {
            Self {
                command: command.to_owned(),
                begun: Instant::now(),
            }
        }

        /// The same answer, told when it comes. One whose future is dropped is not told.
        pub(crate) fn told_of(self, answer: CommandFuture) -> CommandFuture {
            ReplyFuture::new(async move {
                let answer = answer.await;
                self.tell(&answer);
                answer
            })
        }

        fn tell(self, answer: &Result<Receipt, CommandError>) {
            let Self { command, begun } = self;
            // Any caller can make up a name: all that are none are one.
            let command = match answer {
                Err(CommandError::Unknown { .. }) => String::new(),
                _ => command,
            };
            let outcome = Outcome::of(answer).as_str();
            counter!(COMMANDS, "command" => command.clone(), "outcome" => outcome).increment(1);
            histogram!(DURATION, "command" => command.clone(), "outcome" => outcome)
                .record(begun.elapsed());
            let lost = lost(answer);
            if lost > 0 {
                counter!(CONFLICTS, "command" => command).increment(lost);
            }
        }
    }

    /// How many races a command lost.
    fn lost(answer: &Result<Receipt, CommandError>) -> u64 {
        match answer {
            Ok(receipt) => receipt.attempts.saturating_sub(1).into(),
            Err(CommandError::Conflict(contention)) => contention.attempts.into(),
            Err(_) => 0,
        }
    }

    pub(crate) fn projected(projection: &str, events: usize) {
        let events = u64::try_from(events).unwrap_or(u64::MAX);
        counter!(PROJECTED, "projection" => projection.to_owned()).increment(events);
    }

    pub(crate) fn shown(projection: &str, shown: Shown) {
        gauge!(LAG, "projection" => projection.to_owned()).set(lag(shown));
    }

    fn lag(shown: Shown) -> Duration {
        match shown {
            Shown::Event(recorded_at) => SystemTime::now()
                .duration_since(recorded_at)
                .unwrap_or_default(),
            Shown::All => Duration::ZERO,
        }
    }

    pub(crate) fn advanced(process: &'static str, cause: &'static str) {
        counter!(ADVANCED, "process" => process, "cause" => cause).increment(1);
    }

    pub(crate) fn attended(process: &'static str, shown: Shown) {
        gauge!(BEHIND, "process" => process).set(lag(shown));
    }

    pub(crate) fn parked(projection: &str) {
        counter!(PARKED, "projection" => projection.to_owned()).increment(1);
    }
}

pub(crate) use told::{Calling, advanced, attended, describe, parked, projected, shown};
