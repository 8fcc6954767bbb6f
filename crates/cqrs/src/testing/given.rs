use std::any::type_name;
use std::fmt::{self, Debug, Write};

use crate::codec::{self, Undecoded};
use crate::decider::Decider;
use crate::event::{DomainEvent, Stored};

/// What has happened, in order.
///
/// # Panics
/// Where an event does not survive being written and read: what a store would give back is
/// another event, or none.
#[track_caller]
pub fn given<D: Decider>(events: impl IntoIterator<Item = D::Event>) -> Given<D>
where
    D::Event: Debug + PartialEq,
{
    let mut given = Given {
        state: D::default(),
        history: Vec::new(),
    };
    for event in events {
        Decider::evolve(&mut given.state, &survivor(&event));
        given.history.push(event);
    }
    given
}

/// A history, waiting for a command.
#[must_use = "nothing is checked before `then`"]
pub struct Given<D: Decider> {
    state: D,
    history: Vec<D::Event>,
}

impl<D: Decider> Given<D> {
    /// What is asked for then.
    #[track_caller]
    pub fn when(self, command: D::Command) -> When<D>
    where
        D::Command: Debug,
    {
        let outcome = Decider::decide(&self.state, &command);
        When {
            asked: format!("{command:?}"),
            history: self.history,
            outcome,
        }
    }
}

/// A decision, waiting to be compared.
#[must_use = "nothing is checked before `then`"]
pub struct When<D: Decider> {
    asked: String,
    history: Vec<D::Event>,
    outcome: Result<Vec<D::Event>, D::Refusal>,
}

impl<D: Decider> When<D>
where
    D::Event: Debug + PartialEq,
{
    /// Exactly these events happen, in this order.
    ///
    /// # Panics
    /// Where something else does; the message compares them line by line. And where an
    /// event does not survive being written and read.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = D::Event>) {
        let expected: Vec<_> = expected.into_iter().collect();
        match &self.outcome {
            Ok(events) if *events == expected => {
                for event in events {
                    survivor(event);
                }
            }
            _ => self.fail(&expected),
        }
    }

    /// Nothing needs to happen.
    ///
    /// # Panics
    /// Where something does, or the domain says no.
    #[track_caller]
    pub fn then_nothing(self) {
        self.then([]);
    }

    /// The domain says no, and this is why.
    ///
    /// # Panics
    /// Where it says yes, or why is something else.
    #[track_caller]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "an example reads better without a reference, as `then` does"
    )]
    pub fn then_refused(self, expected: D::Refusal)
    where
        D::Refusal: PartialEq,
    {
        match &self.outcome {
            Err(refusal) if *refusal == expected => {}
            _ => panic!("{}", self.report(&format!("  refused: {expected:?}\n"))),
        }
    }

    /// The domain says no, for a reason that passes a check.
    ///
    /// # Panics
    /// Where it says yes, or the check fails.
    #[track_caller]
    pub fn then_refused_with(self, is_expected: impl FnOnce(&D::Refusal) -> bool) {
        match &self.outcome {
            Err(refusal) if is_expected(refusal) => {}
            _ => panic!(
                "{}",
                self.report("  refused, for a reason that passes the check\n")
            ),
        }
    }

    #[track_caller]
    fn fail(&self, expected: &[D::Event]) -> ! {
        let Ok(actual) = &self.outcome else {
            panic!("{}", self.report(&listed(expected)));
        };
        panic!(
            "{}then (- expected, + happened)\n{}",
            self.premise(),
            compared(expected, actual)
        );
    }

    fn report(&self, expected: &str) -> String {
        let happened = match &self.outcome {
            Ok(events) => listed(events),
            Err(refusal) => format!("  refused: {refusal:?}\n"),
        };
        format!("{}expected\n{expected}but\n{happened}", self.premise())
    }

    fn premise(&self) -> String {
        format!(
            "{} decides otherwise\ngiven\n{}when\n  {}\n",
            type_name::<D>(),
            listed(&self.history),
            self.asked
        )
    }
}

impl<D: Decider> Debug for Given<D>
where
    D::Event: Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given")
            .field("history", &self.history)
            .finish_non_exhaustive()
    }
}

impl<D: Decider> Debug for When<D>
where
    D::Event: Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("When")
            .field("history", &self.history)
            .field("asked", &self.asked)
            .field("outcome", &self.outcome)
            .finish()
    }
}

/// The event a store would give back.
#[track_caller]
fn survivor<E>(event: &E) -> E
where
    E: DomainEvent + Debug + PartialEq,
{
    let written = match codec::encode(event) {
        Ok(written) => written,
        Err(error) => panic!("{event:?} cannot be written: {error}"),
    };
    let parts = written.as_parts();
    let read: Result<E, Undecoded> =
        codec::read(Stored::new(parts.event_type.as_str(), parts.data));
    match read {
        Ok(read) if read == *event => read,
        Ok(read) => panic!("{event:?} is written, but read back as {read:?}"),
        Err(error) => panic!("{event:?} is written, but cannot be read back: {error}"),
    }
}

fn listed<E: Debug>(events: &[E]) -> String {
    if events.is_empty() {
        return "  nothing\n".to_owned();
    }
    events.iter().fold(String::new(), |mut lines, event| {
        writeln!(lines, "  {event:?}").expect("a string takes all that is written");
        lines
    })
}

/// Both lists side by side, place by place.
fn compared<E: Debug + PartialEq>(expected: &[E], actual: &[E]) -> String {
    let mut lines = String::new();
    let mut line = |mark: char, event: &E| {
        writeln!(lines, "{mark} {event:?}").expect("a string takes all that is written");
    };
    for index in 0..expected.len().max(actual.len()) {
        match (expected.get(index), actual.get(index)) {
            (Some(wanted), Some(found)) if wanted == found => line(' ', found),
            (wanted, found) => {
                wanted.into_iter().for_each(|event| line('-', event));
                found.into_iter().for_each(|event| line('+', event));
            }
        }
    }
    lines
}
