use std::any::type_name;
use std::collections::HashMap;
use std::fmt::Debug;
use std::time::SystemTime;

use eventwire_store::{Position, RecordedEvent, StreamName, StreamPlace, Uuid, Version};

use crate::boundary::Boundary;
use crate::decision::{Decision, Facts};
use crate::fold::Fold;
use crate::states::{self, States};

/// What has happened anywhere: the past of a [`Decision`] by several states. Each is shown
/// what lies in its own boundary.
///
/// # Panics
/// Where a fact cannot be written.
#[track_caller]
pub fn history(facts: Facts) -> History {
    let happened = facts.to_string();
    let events = match facts.into_events() {
        Ok(events) => events,
        Err(error) => panic!("what has happened cannot be written: {error}"),
    };
    let mut versions: HashMap<StreamName, Version> = HashMap::new();
    let events = (1..).zip(events).map(|(place, event)| {
        let parts = event.as_parts();
        let stream = parts.stream.map(|name| {
            let version = versions
                .get(name)
                .map_or(Version::FIRST, |last| last.next());
            versions.insert(name.clone(), version);
            StreamPlace {
                name: name.clone(),
                version,
            }
        });
        RecordedEvent {
            position: Position::from_parts(0, place),
            stream,
            event_type: parts.event_type.clone(),
            uuid: Uuid::nil(),
            recorded_at: SystemTime::UNIX_EPOCH,
            tags: parts.tags.into(),
            metadata: parts.metadata.clone(),
            data: parts.data.clone(),
        }
    });
    History {
        events: events.collect(),
        happened,
    }
}

/// A past, waiting for a command.
#[must_use = "nothing is checked before `then`"]
#[derive(Debug)]
pub struct History {
    events: Vec<RecordedEvent>,
    happened: String,
}

/// A decision by several states, waiting to be compared.
#[must_use = "nothing is checked before `then`"]
#[derive(Debug)]
pub struct Decided<R> {
    premise: String,
    outcome: Result<Facts, R>,
}

impl History {
    /// What is asked for then.
    ///
    /// # Panics
    /// Where the command has no boundaries, or a state cannot read what lies in its own.
    #[track_caller]
    pub fn when<D: Decision>(self, command: D::Command) -> Decided<D::Refusal>
    where
        D::Command: Debug,
    {
        let boundaries = match D::boundaries(&command) {
            Ok(boundaries) => boundaries,
            Err(error) => panic!("{command:?} has no boundaries: {error}"),
        };
        let queries = D::States::each(&boundaries, Boundary::reads);
        let mut states = D::States::blank();
        for event in &self.events {
            let matched = eventwire_store::EventRef {
                stream: event.stream_name(),
                event_type: &event.event_type,
                tags: &event.tags,
            };
            for (part, query) in queries.as_ref().iter().enumerate() {
                if query.matches(matched)
                    && let Err(error) = states.take_in(part, event)
                {
                    panic!("{} cannot read its history: {error}", type_name::<D>());
                }
            }
        }
        Decided {
            premise: format!(
                "{} decides otherwise\ngiven\n{}when\n  {command:?}\n",
                type_name::<D>(),
                self.happened,
            ),
            outcome: D::decide(&states, &command),
        }
    }
}

impl<R: Debug> Decided<R> {
    /// Exactly these facts, in this order. A fact without a stream is one of the first
    /// boundary's stream.
    ///
    /// # Panics
    /// Where something else happens.
    #[track_caller]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "an example reads better without a reference"
    )]
    pub fn then(self, expected: Facts) {
        match &self.outcome {
            Ok(facts) if *facts == expected => {}
            Ok(facts) => panic!("{}expected\n{expected}but\n{facts}", self.premise),
            Err(refusal) => panic!(
                "{}expected\n{expected}but\n  refused: {refusal:?}\n",
                self.premise
            ),
        }
    }

    /// The domain says no, and this is why.
    ///
    /// # Panics
    /// Where it says yes, or why is something else.
    #[track_caller]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "an example reads better without a reference"
    )]
    pub fn then_refused(self, expected: R)
    where
        R: PartialEq,
    {
        match &self.outcome {
            Err(refusal) if *refusal == expected => {}
            Err(refusal) => panic!(
                "{}expected\n  refused: {expected:?}\nbut\n  refused: {refusal:?}\n",
                self.premise
            ),
            Ok(facts) => panic!(
                "{}expected\n  refused: {expected:?}\nbut\n{facts}",
                self.premise
            ),
        }
    }
}

/// What events make of a state, a view in memory for one.
///
/// # Panics
/// Where an event does not survive being written and read.
#[track_caller]
pub fn folded<F: Fold>(events: impl IntoIterator<Item = F::Event>) -> F {
    let mut state = F::default();
    let facts = events
        .into_iter()
        .fold(Facts::nothing(), |facts, event| facts.and(&event));
    for event in history(facts).events {
        if let Err(error) = states::evolve(&mut state, &event) {
            panic!("{} cannot read its history: {error}", type_name::<F>());
        }
    }
    state
}
