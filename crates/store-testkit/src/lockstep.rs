use eventwire_store::{
    Actual, AppendError, Appended, Conflict, Item, Position, Query, ReadOptions, RecordedEvent,
    StreamName, Version,
};
use thiserror::Error;

use crate::model::Model;
use crate::operation::{Draft, Operation, Reading, Step};
use crate::sample::key;
use crate::subject::Subject;

/// A store and the [`Model`], led through the same operations.
///
/// It holds no handle on the store, so a store can be reopened between two operations.
#[derive(Debug, Clone, Default)]
pub struct Lockstep {
    model: Model,
    /// Where the store has put each event of the model, in order.
    places: Vec<Position>,
}

/// Where a store and the model part.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the store answers {what} with {found}, where the contract says {expected}")]
pub struct Disagreement {
    what: String,
    found: String,
    expected: String,
}

impl Lockstep {
    /// Both empty.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Does one operation on both and compares what comes of it.
    ///
    /// # Errors
    /// [`Disagreement`] where the store does other than the model.
    pub fn step(&mut self, subject: &Subject, operation: &Operation) -> Result<(), Disagreement> {
        match &operation.0 {
            Step::Append(draft) => self.append(subject, draft),
            Step::Read(reading) => self.read(subject, reading),
            Step::Recall(name) => {
                let found = subject.recall(key(name));
                let expected = self.model.recall(&key(name)).map(|mut recalled| {
                    recalled.appended = self.placed(recalled.appended);
                    recalled
                });
                let found = found.map(|recalled| (recalled.fingerprint, answer(recalled.appended)));
                let expected =
                    expected.map(|recalled| (recalled.fingerprint, answer(recalled.appended)));
                agree(&format!("recall({name})"), &found, &expected)
            }
        }?;
        self.compare_heads(subject)
    }

    /// Compares the whole log.
    ///
    /// # Errors
    /// [`Disagreement`] where the store holds other than the model.
    pub fn compare_logs(&self, subject: &Subject) -> Result<(), Disagreement> {
        let query = Query::all();
        let options = ReadOptions::all();
        let expected = self.model.read(&query, options);
        self.compare_events(
            "a read of everything",
            &subject.events(query, options),
            expected,
        )
    }

    fn append(&mut self, subject: &Subject, draft: &Draft) -> Result<(), Disagreement> {
        let append = draft.resolve(&self.places);
        let modelled = draft.resolve(&self.model_places());
        let what = format!("{append:?}");
        let conflicts = self.model.conflicts(&modelled);
        let found = subject.append(append);
        let expected = self.model.append(&modelled);
        match (found, expected) {
            (Ok(found), Ok(expected)) => {
                if !expected.duplicate {
                    self.places.extend(&found.positions);
                }
                subject.wait_for(found.last());
                agree(&what, &answer(found), &answer(self.placed(expected)))
            }
            (Err(AppendError::Conflict(found)), Err(AppendError::Conflict(_))) => {
                let conflicts: Vec<_> = conflicts
                    .iter()
                    .map(|conflict| self.placed_conflict(conflict))
                    .collect();
                if conflicts.contains(&found) {
                    return Ok(());
                }
                Err(differ(
                    &what,
                    format!("{found:?}"),
                    format!("one of {conflicts:?}"),
                ))
            }
            (Err(AppendError::Invalid(found)), Err(AppendError::Invalid(expected))) => {
                agree(&what, &found, &expected)
            }
            (found, expected) => Err(differ(&what, format!("{found:?}"), format!("{expected:?}"))),
        }
    }

    fn read(&self, subject: &Subject, reading: &Reading) -> Result<(), Disagreement> {
        let options = reading.resolve(&self.places);
        let what = format!("a read of {:?} with {options:?}", reading.query);
        let items = subject.read(reading.query.clone(), options);
        if reading.catches_up(options) && !matches!(items.last(), Some(Item::CaughtUp(_))) {
            return Err(differ(
                &what,
                format!("{:?} at its end", items.last()),
                "that it has caught up".to_owned(),
            ));
        }
        let event = |item| match item {
            Item::Event(event) => Some(event),
            _ => None,
        };
        let found: Vec<_> = items.into_iter().filter_map(event).collect();
        let expected = self
            .model
            .read(&reading.query, reading.resolve(&self.model_places()));
        self.compare_events(&what, &found, expected)
    }

    fn compare_events(
        &self,
        what: &str,
        found: &[RecordedEvent],
        expected: Vec<RecordedEvent>,
    ) -> Result<(), Disagreement> {
        // What the store chooses is no difference: the place, the time, the identity.
        let alike = |(found, expected): (&RecordedEvent, RecordedEvent)| RecordedEvent {
            position: self.placed_position(expected.position),
            recorded_at: found.recorded_at,
            uuid: found.uuid,
            ..expected
        };
        let missing = expected.get(found.len()..).unwrap_or_default().to_vec();
        let mut placed: Vec<_> = found.iter().zip(expected).map(alike).collect();
        placed.extend(missing);
        agree(what, &found, &placed.as_slice())
    }

    fn compare_heads(&self, subject: &Subject) -> Result<(), Disagreement> {
        let expected = self.places.last().copied().unwrap_or_default();
        agree("head", &subject.head(), &expected)
    }

    fn model_places(&self) -> Vec<Position> {
        let place = |number: u64| Position::from_parts(0, number);
        (1..).map(place).take(self.places.len()).collect()
    }

    /// Where the store has the event that the model has here; either end is the same place.
    fn placed_position(&self, position: Position) -> Position {
        let (_, number) = position.to_parts();
        let index = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1));
        let place = index.and_then(|index| self.places.get(index));
        place.copied().unwrap_or(position)
    }

    fn placed(&self, appended: Appended) -> Appended {
        let place = |position: &Position| self.placed_position(*position);
        Appended {
            positions: appended.positions.iter().map(place).collect(),
            ..appended
        }
    }

    fn placed_conflict(&self, conflict: &Conflict) -> Conflict {
        let actual = match conflict.actual {
            Actual::Match(position) => Actual::Match(self.placed_position(position)),
            Actual::Consumed(position) => Actual::Consumed(self.placed_position(position)),
            other => other,
        };
        Conflict {
            actual,
            guard: conflict.guard,
        }
    }
}

/// What of an answer the contract decides: not where `before` is, nor the order of streams.
fn answer(mut appended: Appended) -> (Vec<Position>, Vec<(StreamName, Version)>, bool) {
    appended.streams.sort();
    (appended.positions, appended.streams, appended.duplicate)
}

fn agree<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &T,
    expected: &T,
) -> Result<(), Disagreement> {
    if found == expected {
        return Ok(());
    }
    Err(differ(what, format!("{found:?}"), format!("{expected:?}")))
}

fn differ(what: &str, found: String, expected: String) -> Disagreement {
    Disagreement {
        what: what.to_owned(),
        found,
        expected,
    }
}
