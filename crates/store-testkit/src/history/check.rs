use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound::Excluded;

use eventwire_store::{
    Actual, Appended, Conflict, EventRef, Guard, NewEvent, Position, Query, RecordedEvent,
    StreamName, Uuid, Version,
};

use super::{Attempt, Attempted, Broken, History, Looked, Outcome, Reader, Seen};

/// The checks lean on each other: what one has established, the next takes for granted.
pub(super) fn check(history: &History) -> Result<(), Broken> {
    let log = Log::of(history)?;
    log.check_readers()?;
    log.check_answers()?;
    log.check_contents()?;
    log.check_refusals()?;
    log.check_nothing_missing()?;
    log.check_late()?;
    log.check_whole()?;
    log.check_versions_and_guards()?;
    log.check_conflicts()
}

/// The log as readers have seen it.
struct Log<'a> {
    history: &'a History,
    events: BTreeMap<Position, &'a RecordedEvent>,
    places: HashMap<Uuid, Position>,
    /// Up to here some reader has seen everything.
    complete: Position,
}

impl<'a> Log<'a> {
    fn of(history: &'a History) -> Result<Self, Broken> {
        let mut events = BTreeMap::new();
        let mut places = HashMap::new();
        for event in history.readers.iter().flat_map(Looked::events) {
            let position = event.position;
            if *events.entry(position).or_insert(event) != event {
                return Err(Broken::Changed { position });
            }
            let first = *places.entry(event.uuid).or_insert(position);
            if first != position {
                return Err(Broken::Twice {
                    uuid: event.uuid,
                    first: first.min(position),
                    second: first.max(position),
                });
            }
        }
        let saw_all =
            |reader: &&Looked| reader.query == Query::all() && reader.after == Position::ORIGIN;
        let complete = history
            .readers
            .iter()
            .filter(saw_all)
            .map(Looked::furthest)
            .max();
        Ok(Self {
            history,
            events,
            places,
            complete: complete.unwrap_or_default(),
        })
    }

    fn attempts(&self) -> impl Iterator<Item = (Attempt, &'a Attempted)> {
        let numbered = self.history.attempts.iter().enumerate();
        numbered.map(|(index, attempted)| (Attempt(index), attempted))
    }

    fn readers(&self) -> impl Iterator<Item = (Reader, &'a Looked)> {
        let numbered = self.history.readers.iter().enumerate();
        numbered.map(|(index, looked)| (Reader(index), looked))
    }

    fn place_of(&self, event: &NewEvent) -> Option<Position> {
        self.places.get(&uuid_of(event)).copied()
    }

    /// Each reader was shown what it asked for, in order.
    fn check_readers(&self) -> Result<(), Broken> {
        for (reader, looked) in self.readers() {
            let mut passed = looked.after;
            for seen in &looked.seen {
                let (position, is_in_order) = match seen {
                    Seen::Event(event) => (event.position, event.position > passed),
                    Seen::Mark(at) => (*at, *at >= passed),
                };
                if !is_in_order {
                    return Err(Broken::OutOfOrder {
                        reader,
                        position,
                        passed,
                    });
                }
                passed = position;
                if let Seen::Event(event) = seen
                    && !looked.query.matches(event.as_ref())
                {
                    return Err(Broken::Unasked { reader, position });
                }
            }
        }
        Ok(())
    }

    /// Each answer could be one, and answers to one request agree.
    fn check_answers(&self) -> Result<(), Broken> {
        let mut first_answers: HashMap<_, &Appended> = HashMap::new();
        let mut written: HashSet<_> = HashSet::new();
        for (attempt, attempted) in self.attempts() {
            let Outcome::Written(appended) = &attempted.outcome else {
                continue;
            };
            let wrong = |reason| Err(Broken::Answer { attempt, reason });
            if appended.positions.len() != attempted.append.events().len() {
                return wrong("it has not one position for each event");
            }
            if !appended.positions.is_sorted_by(|a, b| a < b) {
                return wrong("its positions do not rise");
            }
            if appended.before >= appended.positions[0] {
                return wrong("`before` is not below its first event");
            }
            let Some((key, _)) = attempted.append.identity() else {
                continue;
            };
            let first = first_answers.entry(key).or_insert(appended);
            if first.positions != appended.positions {
                return wrong("another append with its key was answered with other positions");
            }
            if !appended.duplicate && !written.insert(key) {
                return wrong("another append with its key was no duplicate either");
            }
        }
        Ok(())
    }

    /// Every event is one that a client appended, as it was given, and where it was answered.
    fn check_contents(&self) -> Result<(), Broken> {
        for (&position, event) in &self.events {
            let uuid = event.uuid;
            let Some(&writer) = self.history.writers.get(&uuid).and_then(|all| all.first()) else {
                return Err(Broken::Invented { position, uuid });
            };
            let events = self.history.attempts[writer].append.events();
            if !events.iter().any(|given| is_recorded(given, event)) {
                return Err(Broken::Altered {
                    position,
                    uuid,
                    attempt: Attempt(writer),
                });
            }
        }
        for (attempt, attempted) in self.attempts() {
            if let Outcome::Written(appended) = &attempted.outcome {
                self.check_placed(attempt, attempted.append.events(), appended)?;
            }
        }
        Ok(())
    }

    fn check_placed(
        &self,
        attempt: Attempt,
        events: &[NewEvent],
        appended: &Appended,
    ) -> Result<(), Broken> {
        let wrong = |reason| Err(Broken::Answer { attempt, reason });
        for (event, &position) in events.iter().zip(&appended.positions) {
            if self.place_of(event).is_some_and(|place| place != position) {
                return wrong("its events are at other positions");
            }
            if self
                .events
                .get(&position)
                .is_some_and(|found| found.uuid != uuid_of(event))
            {
                return wrong("its positions are those of other events");
            }
        }
        let mut versions: HashMap<&StreamName, Version> = HashMap::new();
        for event in appended
            .positions
            .iter()
            .filter_map(|position| self.events.get(position))
        {
            if let (Some(name), Some(version)) = (event.stream_name(), event.version()) {
                versions.insert(name, version);
            }
        }
        let is_wrong = |(name, version)| appended.version_of(name) != Some(version);
        let is_whole = appended
            .positions
            .iter()
            .all(|at| self.events.contains_key(at));
        if is_whole && versions.into_iter().any(is_wrong) {
            return wrong("its versions are not those of its events");
        }
        Ok(())
    }

    /// Nothing that was refused is there, unless repeating it was not.
    fn check_refusals(&self) -> Result<(), Broken> {
        let is_refused = |index: &usize| {
            matches!(
                self.history.attempts[*index].outcome,
                Outcome::Refused | Outcome::Conflict(_)
            )
        };
        for (&uuid, &position) in &self.places {
            let writers = &self.history.writers[&uuid];
            if writers.iter().all(is_refused) {
                return Err(Broken::Refused {
                    attempt: Attempt(writers[0]),
                    position,
                });
            }
        }
        Ok(())
    }

    /// No reader has passed what it should have been shown.
    fn check_nothing_missing(&self) -> Result<(), Broken> {
        let acknowledged = self.acknowledged();
        for (reader, looked) in self.readers() {
            let passed = looked.furthest();
            let seen: HashSet<_> = looked.events().map(|event| event.position).collect();
            for (&position, &(attempt, event)) in between(&acknowledged, looked.after, passed) {
                let is_known = self.events.contains_key(&position);
                if !is_known && looked.query.matches(reference(event)) {
                    return Err(Broken::Lost {
                        attempt,
                        position,
                        reader,
                    });
                }
            }
            for (&position, event) in between(&self.events, looked.after, passed) {
                if !seen.contains(&position) && looked.query.matches(event.as_ref()) {
                    return Err(Broken::Skipped {
                        reader,
                        position,
                        passed,
                    });
                }
            }
        }
        Ok(())
    }

    fn acknowledged(&self) -> BTreeMap<Position, (Attempt, &'a NewEvent)> {
        let placed = |(attempt, attempted): (Attempt, &'a Attempted)| {
            let positions = match &attempted.outcome {
                Outcome::Written(appended) => appended.positions.as_slice(),
                _ => &[],
            };
            let events = positions.iter().zip(attempted.append.events());
            events.map(move |(&position, event)| (position, (attempt, event)))
        };
        self.attempts().flat_map(placed).collect()
    }

    /// Nothing that began later lies below what had been shown by then.
    fn check_late(&self) -> Result<(), Broken> {
        for (&uuid, &position) in &self.places {
            // The first of those that share a key may be the one that happened.
            let writer = self.history.writers[&uuid][0];
            let shown = self.history.attempts[writer].floor;
            if position <= shown {
                return Err(Broken::Late {
                    attempt: Attempt(writer),
                    position,
                    shown,
                });
            }
        }
        Ok(())
    }

    /// Each append is there as one piece, or not at all.
    fn check_whole(&self) -> Result<(), Broken> {
        for (attempt, attempted) in self.attempts() {
            let events = attempted.append.events();
            let places: Vec<_> = events
                .iter()
                .filter_map(|event| self.place_of(event))
                .collect();
            let (Some(&first), Some(&last)) = (places.iter().min(), places.iter().max()) else {
                continue;
            };
            let looked_past = |event: &&NewEvent| {
                self.place_of(event).is_none()
                    && self.history.readers.iter().any(|reader| {
                        reader.after < first
                            && reader.furthest() > last
                            && reader.query.matches(reference(event))
                    })
            };
            if let Some(missing) = events.iter().find(looked_past) {
                return Err(Broken::Torn {
                    attempt,
                    missing: uuid_of(missing),
                });
            }
            let lie_between: Vec<_> = self.events.range(first..=last).map(|(at, _)| *at).collect();
            let mismatch = places
                .iter()
                .zip(&lie_between)
                .find(|(place, found)| place != found);
            if let Some((_, &position)) = mismatch {
                return Err(Broken::Scattered { attempt, position });
            }
        }
        Ok(())
    }

    /// The log, gone through in its order: versions count up, and guards held.
    fn check_versions_and_guards(&self) -> Result<(), Broken> {
        let begun = self.begun();
        let mut versions: HashMap<&StreamName, Version> = HashMap::new();
        for (&position, event) in self.events.range(..=self.complete) {
            if let Some(&(attempt, attempted)) = begun.get(&position) {
                let guards = attempted.append.guards().iter();
                let mut held = guards.map(|guard| self.holds(guard, position, &versions));
                if let Some(guard) = held.position(|holds| !holds) {
                    return Err(Broken::Unguarded {
                        attempt,
                        position,
                        guard,
                    });
                }
            }
            let Some(place) = &event.stream else { continue };
            let expected = versions
                .get(&place.name)
                .map_or(Version::FIRST, |last| last.next());
            if place.version != expected {
                return Err(Broken::Miscounted {
                    position,
                    stream: place.name.clone(),
                    found: Some(place.version),
                    expected,
                });
            }
            versions.insert(&place.name, expected);
        }
        Ok(())
    }

    /// Where appends begin that one attempt alone can have written: of several with one key
    /// it is not known whose guards were looked at.
    fn begun(&self) -> HashMap<Position, (Attempt, &'a Attempted)> {
        let begins = |(attempt, attempted): (Attempt, &'a Attempted)| {
            let first = attempted.append.events().first()?;
            let is_alone = self.history.writers[&uuid_of(first)].len() == 1;
            is_alone.then_some((self.place_of(first)?, (attempt, attempted)))
        };
        self.attempts().filter_map(begins).collect()
    }

    fn holds(
        &self,
        guard: &Guard,
        position: Position,
        versions: &HashMap<&StreamName, Version>,
    ) -> bool {
        match guard {
            Guard::Stream { stream, expect } => expect.is_met_by(versions.get(stream).copied()),
            Guard::NoMatch { query, after } => {
                *after >= position
                    || !self
                        .events
                        .range((Excluded(after), Excluded(&position)))
                        .any(|(_, event)| query.matches(event.as_ref()))
            }
            _ => true,
        }
    }

    /// Each conflict names what can have been a reason.
    fn check_conflicts(&self) -> Result<(), Broken> {
        for (attempt, attempted) in self.attempts() {
            if let Outcome::Conflict(conflict) = &attempted.outcome
                && !self.is_founded(conflict, attempted)
            {
                return Err(Broken::Unfounded {
                    attempt,
                    guard: conflict.guard,
                });
            }
        }
        Ok(())
    }

    fn is_founded(&self, conflict: &Conflict, attempted: &Attempted) -> bool {
        match (
            attempted.append.guards().get(conflict.guard),
            conflict.actual,
        ) {
            (Some(Guard::Stream { expect, .. }), Actual::Version(actual)) => {
                !expect.is_met_by(actual)
            }
            (Some(Guard::NoMatch { query, after }), Actual::Match(at)) => {
                let found = self.events.get(&at);
                let is_match = found.is_some_and(|event| query.matches(event.as_ref()));
                at > *after && (is_match || (found.is_none() && at > self.complete))
            }
            _ => false,
        }
    }
}

/// What lies above one place, up to another.
fn between<T>(
    map: &BTreeMap<Position, T>,
    after: Position,
    to: Position,
) -> impl Iterator<Item = (&Position, &T)> {
    let above = move |(position, _): &(&Position, &T)| **position > after;
    map.range(..=to).rev().take_while(above)
}

fn uuid_of(event: &NewEvent) -> Uuid {
    event
        .as_parts()
        .uuid
        .expect("`attempt` takes no event without a UUID")
}

fn reference(event: &NewEvent) -> EventRef<'_> {
    let parts = event.as_parts();
    EventRef {
        stream: parts.stream,
        event_type: parts.event_type,
        tags: parts.tags,
    }
}

fn is_recorded(given: &NewEvent, found: &RecordedEvent) -> bool {
    let parts = given.as_parts();
    parts.uuid == Some(found.uuid)
        && parts.stream == found.stream_name()
        && *parts.event_type == found.event_type
        && *parts.tags == *found.tags
        && *parts.metadata == found.metadata
        && *parts.data == found.data
}
