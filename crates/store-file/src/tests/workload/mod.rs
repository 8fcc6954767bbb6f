mod choices;

use std::io;
use std::sync::Arc;

use eventwire_store::{
    Actual, Append, AppendError, Appended, Category, Conflict, Consumer, EventType, NewEvent,
    Position, Query, ReadOptions, RecordedEvent, Snapshot, SnapshotName, StreamName, Tag, Version,
};

use super::account::{Account, Checkpoints};
use super::reading::{Payloads, events, payload_of};
use crate::compaction::{Compacted, Compaction};
use crate::engine::Engine;
use crate::error::OpenError;
use crate::format::{Trim, in_memory};
use crate::log::SharedLog;
use crate::number;
use crate::reader::LogReader;
use crate::request::Request;
use crate::segment::Growth;
use crate::storage::simulated::Simulated;
use crate::sweep::Sweep;
use crate::trimming::Trimming;
use crate::work::catch_up;

/// Small, so that a short run makes space often and begins several segments.
pub(super) const GROWTH: Growth = Growth {
    limit: 6000,
    least_ahead: 700,
    most_ahead: 2100,
    reserve: 300,
    index_events: 4,
    index_bytes: 2500,
    index_fan: 3,
};

pub(crate) fn open(medium: &Simulated) -> Result<Engine, OpenError> {
    Engine::open(Box::new(medium.clone()), GROWTH, None)
}

/// One that compacts itself.
pub(super) fn open_sweeping(medium: &Simulated) -> Result<Engine, OpenError> {
    Engine::open(Box::new(medium.clone()), GROWTH, Some(Sweep::new(10)))
}

/// A series of appends and trims that a seed decides, and what is known about each.
///
/// Invariant: the log is as in `certain` or, where there is one, as in `in_doubt`. The snapshot
/// is one of `snapshots`, or none.
#[derive(Debug, Clone)]
pub(super) struct Workload {
    random: fastrand::Rng,
    next: u64,
    certain: Account,
    in_doubt: Option<Account>,
    /// Streams that have been deleted, or will be.
    passing: u64,
    keeps_all: bool,
    /// Answered appends with a key.
    keyed: Vec<(Append, Appended)>,
    /// Saved since the last removal that was answered.
    snapshots: Vec<Snapshot>,
}

impl Workload {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            next: 0,
            certain: Account::default(),
            in_doubt: None,
            passing: 0,
            keeps_all: false,
            keyed: Vec::new(),
            snapshots: Vec::new(),
        }
    }

    /// A workload that drops nothing.
    pub(super) fn that_keeps_all(seed: u64) -> Self {
        Self {
            keeps_all: true,
            ..Self::new(seed)
        }
    }

    /// Commits some groups of appends and keeps the account.
    pub(super) fn run(&mut self, engine: &mut Engine, groups: usize) {
        for _ in 0..groups {
            let mut requests: Vec<Request> = (0..self.random.usize(1..4))
                .map(|_| match self.random.u8(..8) {
                    0 => Request::of_checkpoint(self.checkpoint()),
                    1 if !self.keeps_all => Request::of_trimming(Trimming::new(self.trim())),
                    _ => request(self.append()),
                })
                .collect();
            if self.random.u8(..) < 30 && requests[0].identity.is_some() {
                requests.push(request(requests[0].append.clone()));
            }
            self.commit(engine, requests);
            if self.random.bool() {
                file_indexes(engine);
            }
            if !self.keeps_all && self.random.u8(..6) == 0 {
                // What fails is left as it was.
                drop(compact(engine));
            }
            self.keep_snapshot(engine);
        }
    }

    /// Saves a snapshot of what is certain, removes the one there is, or does neither.
    fn keep_snapshot(&mut self, engine: &Engine) {
        match self.random.u8(..8) {
            0 => {
                let removed = engine.snapshots.remove(&snapshot_name());
                self.snapshots.retain(|_| removed.is_err());
            }
            1 | 2 => {
                let snapshot = snapshot(self.certain.last());
                drop(engine.snapshots.save(&snapshot_name(), &snapshot));
                self.snapshots.push(snapshot);
            }
            _ => {}
        }
    }

    /// The requests that were refused.
    fn commit(&mut self, engine: &mut Engine, requests: Vec<Request>) -> Vec<Request> {
        let mut refused = Vec::new();
        for (request, answer) in engine.committer.ask_all(requests) {
            match answer {
                Ok(_) if request.trimming.is_some() => {
                    assert!(!self.is_in_doubt(), "answered after a failure");
                    let trimming = request.trimming.expect("it is one");
                    let trimmed = trimming.trimmed().expect("it is settled");
                    let dropped = self.certain.trim(&trimming.trim);
                    assert_eq!(trimmed.events, dropped, "{:?}", trimming.trim);
                }
                Ok(appended) if appended.duplicate => {
                    let known = self
                        .keyed
                        .iter()
                        .find(|(_, known)| known.positions == appended.positions);
                    assert!(known.is_some(), "a duplicate of nothing: {appended:?}");
                }
                Ok(appended) => {
                    assert!(!self.is_in_doubt(), "answered after a failure");
                    self.certain.append(&request.append);
                    if let Some(last) = appended.positions.last() {
                        assert_eq!(last.to_parts().1, self.certain.last());
                    }
                    for (stream, version) in &appended.streams {
                        assert_eq!(version.get(), self.certain.versions[stream], "{stream}");
                    }
                    self.certain.follow(request.checkpoint);
                    if request.identity.is_some() {
                        self.keyed.push((request.append, appended));
                    }
                }
                Err(AppendError::Indeterminate { .. }) => {
                    let in_doubt = self.in_doubt.get_or_insert_with(|| self.certain.clone());
                    in_doubt.follow(request.checkpoint);
                    if let Some(trimming) = request.trimming {
                        in_doubt.trim(&trimming.trim);
                    }
                    // The same append twice in a group is in doubt once.
                    let payloads = payloads_of(&request.append);
                    if !payloads.iter().any(|payload| in_doubt.has(payload)) {
                        in_doubt.append(&request.append);
                    }
                }
                Err(AppendError::Conflict(Conflict {
                    actual: Actual::Deleted,
                    ..
                })) => {
                    let event = request.append.events()[0].as_parts();
                    let stream = event.stream.expect("it is in one");
                    assert!(self.certain.deleted.contains(stream), "{stream}");
                }
                Err(AppendError::Conflict(Conflict { actual, .. })) => {
                    let moved = request.checkpoint;
                    let moved = moved.expect("only a checkpoint is a condition");
                    let at = self.certain.checkpoints.get(&moved.consumer).copied();
                    assert_eq!(actual, Actual::Consumed(at.unwrap_or_default()));
                    assert!(
                        moved.at <= at,
                        "a checkpoint that moves forward was refused"
                    );
                }
                // Of the backend's own: neither an index nor its segment can be read.
                Err(
                    AppendError::Poisoned { .. }
                    | AppendError::Busy { .. }
                    | AppendError::Backend(_),
                ) => refused.push(request),
                Err(error) => panic!("not an answer to expect: {error}"),
            }
        }
        refused
    }

    /// Commits one append alone, and says whether it was answered with success.
    pub(super) fn writes(&mut self, engine: &mut Engine) -> bool {
        let append = request(self.append());
        self.commit(engine, vec![append]).is_empty()
    }

    /// Commits one trim alone, and says whether it was answered with success.
    pub(super) fn drops(&mut self, engine: &mut Engine, trim: Trim) -> bool {
        let trim = Request::of_trimming(Trimming::new(trim));
        self.commit(engine, vec![trim]).is_empty() && !self.is_in_doubt()
    }

    /// Commits one append with a large payload.
    pub(super) fn write_large(&mut self, engine: &mut Engine, bytes: usize) {
        let event_type = EventType::new("large").expect("a type");
        let payload = format!("large {}", "y".repeat(bytes));
        let append = Append::new().event(NewEvent::new(event_type, payload));
        self.commit(engine, vec![request(append)]);
    }

    /// Whether anything may have happened and may not.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.in_doubt.is_some()
    }

    /// Checks a log that was opened again, and takes what it shows for certain. False where
    /// the medium ended before all was seen.
    #[must_use]
    pub(super) fn check(&mut self, engine: &mut Engine) -> bool {
        let Ok(all) = events(&engine.log, Query::all(), ReadOptions::all()) else {
            return false;
        };
        let found: Payloads = all.iter().map(payload_of).collect();
        let checkpoints = checkpoints(engine);
        let state = engine.log.read();
        let dropped = (state.notes.dropped.log_to(), state.notes.dropped.deleted());
        drop(state);
        let is_as_in = |account: &Account| {
            found == account.held()
                && checkpoints == account.checkpoints
                && dropped == (account.log_to, account.deleted.len())
        };
        if let Some(in_doubt) = self.in_doubt.take()
            && is_as_in(&in_doubt)
        {
            self.certain = in_doubt;
        }
        assert!(
            is_as_in(&self.certain),
            "the log holds {:?} and {checkpoints:?}, without {dropped:?}; certain is {:?}",
            found
                .iter()
                .map(|payload| short(payload))
                .collect::<Vec<_>>(),
            self.certain,
        );
        let is_found = Self::finds(&engine.log, &all, ReadOptions::all());
        if !is_found || !self.has_its_streams(&engine.log) {
            return false;
        }
        let Ok(snapshot) = engine.snapshots.read(&snapshot_name()) else {
            return false;
        };
        if let Some(snapshot) = snapshot {
            assert!(
                self.snapshots.contains(&snapshot),
                "not saved: {snapshot:?}"
            );
            assert!(snapshot.position.to_parts().1 <= self.certain.last());
        }
        for (append, appended) in self.keyed.clone() {
            let answer = engine.committer.ask(request(append));
            if engine.log.failure().is_some() || matches!(answer, Err(AppendError::Backend(_))) {
                return false;
            }
            let expected = Appended {
                duplicate: true,
                ..appended
            };
            assert_eq!(answer.expect("a duplicate"), expected);
        }
        true
    }

    /// Whether all can be asked for that readers of a log are shown: each event, stream and key is
    /// what it should be, by every way to it.
    #[must_use]
    pub(super) fn is_shown_by(&self, log: &Arc<SharedLog>) -> bool {
        let Ok(all) = events(log, Query::all(), ReadOptions::all()) else {
            return false;
        };
        let found: Payloads = all.iter().map(payload_of).collect();
        assert!(found == self.certain.held(), "other events");
        for (position, stream) in self.certain.places() {
            let at = all.binary_search_by_key(&number::position(position), |event| event.position);
            let event = &all[at.expect("it is held")];
            assert_eq!(event.stream_name(), stream, "position {position}");
        }
        Self::finds(log, &all, ReadOptions::all())
            && Self::finds(log, &all, ReadOptions::backward())
            && Self::is_lent_by(log, &all)
            && self.has_its_streams(log)
            && self.has_its_keys(log)
    }

    /// Whether every query finds those of all events that match.
    fn finds(log: &Arc<SharedLog>, all: &[RecordedEvent], options: ReadOptions) -> bool {
        for query in queries() {
            let Ok(mut found) = events(log, query.clone(), options) else {
                return false;
            };
            found.sort_unstable_by_key(|event| event.position);
            let expected = all.iter().filter(|event| query.matches(event.as_ref()));
            assert!(found.iter().eq(expected), "{query:?}, {options:?}");
        }
        true
    }

    /// Whether what is read is lent, commit by commit or by the indexes.
    fn is_lent_by(log: &Arc<SharedLog>, all: &[RecordedEvent]) -> bool {
        for query in queries().chain([Query::all()]) {
            let mut reader = LogReader::new(Arc::clone(log), query.clone(), Position::ORIGIN);
            let mut lent = Vec::new();
            loop {
                match reader.next_batch() {
                    Ok(Some(batch)) => lent.extend(batch.into_iter().map(|event| event.to_event())),
                    Ok(None) => break,
                    Err(_) => return false,
                }
            }
            let expected = all.iter().filter(|event| query.matches(event.as_ref()));
            assert!(lent.iter().eq(expected), "{query:?} is lent otherwise");
        }
        true
    }

    fn has_its_streams(&self, log: &SharedLog) -> bool {
        for (stream, &version) in &self.certain.versions {
            let state = log.read();
            let is_deleted = self.certain.deleted.contains(stream);
            assert_eq!(
                state.notes.dropped.is_deleted(stream),
                is_deleted,
                "{stream}"
            );
            let Ok(found) = state.version(stream) else {
                return false;
            };
            assert_eq!(found.map(Version::get), Some(version), "{stream}");
        }
        true
    }

    fn has_its_keys(&self, log: &SharedLog) -> bool {
        for (append, appended) in &self.keyed {
            let (key, _) = append.identity().expect("it has one");
            let Ok(recalled) = log.recall(key) else {
                return false;
            };
            let expected = Appended {
                duplicate: true,
                ..appended.clone()
            };
            let recalled = recalled.map(|recalled| recalled.appended);
            assert_eq!(recalled, Some(expected), "{key:?}");
        }
        true
    }

    /// The payloads of dropped events that are like no other.
    pub(super) fn dropped(&self) -> Payloads {
        self.certain.dropped()
    }

    /// The position of the last event.
    pub(super) fn last(&self) -> u64 {
        self.certain.last()
    }

    /// The payloads that readers must be shown.
    pub(super) fn held(&self) -> Payloads {
        self.certain.held()
    }

    /// The payloads that readers must be shown of positions above one and below another.
    pub(super) fn held_between(&self, above: u64, below: u64) -> Payloads {
        self.certain.held_between(above, below)
    }

    /// Takes what a log shows for certain, whatever was known of it.
    pub(super) fn learn(&mut self, engine: &Engine) {
        self.keyed.clear();
        let removed = engine.snapshots.remove(&snapshot_name());
        removed.expect("nothing fails");
        self.certain = Account::default();
        let state = engine.log.read();
        for stream in rooms().chain((0..=self.passing).map(passing)) {
            if let Some(version) = state.version(&stream).expect("nothing fails") {
                self.certain.versions.insert(stream, version.get());
            }
        }
        self.certain.log_to = state.notes.dropped.log_to();
        drop(state);
        self.certain.checkpoints = checkpoints(engine);
        let events = events(&engine.log, Query::all(), ReadOptions::all());
        for event in events.expect("it can be read") {
            self.certain
                .fill(number::of(event.position), &payload_of(&event));
        }
        self.certain.fill_dropped(engine.log.shown());
    }
}

fn rooms() -> impl Iterator<Item = StreamName> {
    (0..3).map(|n| StreamName::new(format!("room-{n}")).expect("a name"))
}

/// A stream that is deleted after a while.
fn passing(number: u64) -> StreamName {
    StreamName::new(format!("passing-{number}")).expect("a name")
}

/// One for each of the names that events are found by.
fn queries() -> impl Iterator<Item = Query> {
    let tag = |n| Query::tags([Tag::new(format!("by:{n}")).expect("a tag")]);
    let category = Query::category(Category::new("room").expect("a name"));
    let streams = rooms().chain((0..2).map(passing)).map(Query::stream);
    streams.chain((0..4).map(tag)).chain([category])
}

fn snapshot_name() -> SnapshotName {
    SnapshotName::new("fold").expect("a name")
}

/// The snapshot of a log of so many events: of one sector, or of several.
fn snapshot(events: u64) -> Snapshot {
    Snapshot {
        position: number::position(events),
        schema: 1,
        data: format!("{events} ")
            .repeat(in_memory(events * 8).expect("it is short"))
            .into(),
    }
}

/// Puts indexes into files, as far as the medium lets it.
pub(super) fn file_indexes(engine: &Engine) {
    drop(catch_up(&engine.place));
}

/// Takes out of the files what was dropped.
pub(super) fn compact(engine: &Engine) -> io::Result<Compacted> {
    let place = &engine.place;
    let mut compaction = Compaction::begin(place)?;
    while compaction.step(place)? {}
    compaction.end(place)
}

fn request(append: Append) -> Request {
    Request::new(append).expect("it is small")
}

/// The checkpoints readers are shown.
fn checkpoints(engine: &Engine) -> Checkpoints {
    let all = consumers().map(|consumer| {
        let at = engine.log.checkpoint(&consumer);
        (consumer, at)
    });
    all.filter(|(_, at)| *at != Position::ORIGIN).collect()
}

fn consumers() -> impl Iterator<Item = Consumer> {
    let name = |name| Consumer::new(name).expect("a name");
    ["mailer", "view", "ledger"].into_iter().map(name)
}

fn payloads_of(append: &Append) -> Payloads {
    append
        .events()
        .iter()
        .map(|event| String::from_utf8(event.as_parts().data.to_vec()).expect("payloads are text"))
        .collect()
}

fn short(payload: &str) -> &str {
    payload.split(' ').next().unwrap_or(payload)
}
