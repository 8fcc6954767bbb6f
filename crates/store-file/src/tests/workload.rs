use std::collections::BTreeMap;
use std::sync::Arc;

use eventwire_store::backend;
use eventwire_store::{
    Actual, Append, AppendError, Appended, Conflict, Consumer, EventType, IdempotencyKey, Item,
    NewEvent, Position, Query, ReadError, ReadOptions, RecordedEvent, Snapshot, SnapshotName,
    StreamName, Tag,
};
use futures_executor::block_on;

use crate::engine::Engine;
use crate::error::OpenError;
use crate::format::{Checkpoint, u64_of};
use crate::log::SharedLog;
use crate::request::Request;
use crate::segment::Growth;
use crate::storage::simulated::Simulated;

/// Small, so that a short run makes space often and begins several segments.
const GROWTH: Growth = Growth {
    limit: 6000,
    least_ahead: 700,
    most_ahead: 2100,
    index_events: 4,
    index_bytes: 2500,
    index_fan: 3,
};

/// The payloads of a log, in its order.
pub(super) type Payloads = Vec<String>;

/// How far consumers have come; those that were never heard of are not in it.
type Checkpoints = BTreeMap<Consumer, Position>;

pub(crate) fn open(medium: &Simulated) -> Result<Engine, OpenError> {
    Engine::open(Box::new(medium.clone()), GROWTH)
}

/// The payloads readers are shown.
pub(super) fn payloads(log: &Arc<SharedLog>) -> Result<Payloads, ReadError> {
    found(log, Query::all(), ReadOptions::all())
}

/// The payloads of the events that a reader finds.
pub(super) fn found(
    log: &Arc<SharedLog>,
    query: Query,
    options: ReadOptions,
) -> Result<Payloads, ReadError> {
    let events = events(log, query, options)?;
    Ok(events.iter().map(payload_of).collect())
}

/// The events that a reader finds.
fn events(
    log: &Arc<SharedLog>,
    query: Query,
    options: ReadOptions,
) -> Result<Vec<RecordedEvent>, ReadError> {
    block_on(async {
        let mut items = backend::read(Arc::clone(log), query, options);
        let mut events = Vec::new();
        while let Some(item) = items.next().await {
            if let Item::Event(event) = item? {
                events.push(event);
            }
        }
        Ok(events)
    })
}

fn payload_of(event: &RecordedEvent) -> String {
    String::from_utf8(event.data.to_vec()).expect("payloads are text")
}

/// A series of appends that a seed decides, and what is known about each.
///
/// Invariant: `certain` is what the log must begin with; after it, it may hold `in_doubt` or
/// nothing. The checkpoints are `checkpoints`, or, where the log holds what is in doubt, those
/// in doubt. The snapshot is one of `snapshots`, or none.
#[derive(Debug, Clone)]
pub(super) struct Workload {
    random: fastrand::Rng,
    next: u64,
    pub(super) certain: Payloads,
    pub(super) in_doubt: Payloads,
    checkpoints: Checkpoints,
    checkpoints_in_doubt: Option<Checkpoints>,
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
            certain: Vec::new(),
            in_doubt: Vec::new(),
            checkpoints: Checkpoints::new(),
            checkpoints_in_doubt: None,
            keyed: Vec::new(),
            snapshots: Vec::new(),
        }
    }

    /// Commits some groups of appends and keeps the account.
    pub(super) fn run(&mut self, engine: &mut Engine, groups: usize) {
        for _ in 0..groups {
            let mut requests: Vec<Request> = (0..self.random.usize(1..4))
                .map(|_| match self.random.u8(..6) {
                    0 => Request::of_checkpoint(self.checkpoint()),
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
                let snapshot = snapshot(self.certain.len());
                drop(engine.snapshots.save(&snapshot_name(), &snapshot));
                self.snapshots.push(snapshot);
            }
            _ => {}
        }
    }

    /// The requests that were refused.
    fn commit(&mut self, engine: &mut Engine, requests: Vec<Request>) -> Vec<Request> {
        let mut refused = Vec::new();
        let answers = engine.committer.commit(&requests);
        for (request, answer) in requests.into_iter().zip(answers) {
            let payloads = payloads_of(&request.append);
            match answer {
                Ok(appended) if appended.duplicate => {
                    let known = self
                        .keyed
                        .iter()
                        .find(|(_, known)| known.positions == appended.positions);
                    assert!(known.is_some(), "a duplicate of nothing: {appended:?}");
                }
                Ok(appended) => {
                    assert!(!self.is_in_doubt(), "answered after a failure");
                    self.certain.extend(payloads);
                    let count = u64::try_from(self.certain.len()).expect("it is short");
                    if let Some(last) = appended.positions.last() {
                        assert_eq!(last.to_parts().1, count);
                    }
                    follow(&mut self.checkpoints, request.checkpoint);
                    if request.identity.is_some() {
                        self.keyed.push((request.append, appended));
                    }
                }
                Err(AppendError::Indeterminate { .. }) => {
                    let certain = &self.checkpoints;
                    let in_doubt = self.checkpoints_in_doubt.get_or_insert(certain.clone());
                    follow(in_doubt, request.checkpoint);
                    // The same append twice in a group is in doubt once.
                    if !self.in_doubt.starts_with(&payloads) {
                        self.in_doubt.extend(payloads);
                    }
                }
                Err(AppendError::Conflict(Conflict { actual, .. })) => {
                    let moved = request.checkpoint;
                    let moved = moved.expect("only a checkpoint is a condition");
                    let at = self.checkpoints.get(&moved.consumer).copied();
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

    /// Commits one append with a large payload.
    pub(super) fn write_large(&mut self, engine: &mut Engine, bytes: usize) {
        let event_type = EventType::new("large").expect("a type");
        let payload = format!("large {}", "y".repeat(bytes));
        let append = Append::new().event(NewEvent::new(event_type, payload));
        self.commit(engine, vec![request(append)]);
    }

    /// Whether anything may have happened and may not.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.checkpoints_in_doubt.is_some()
    }

    /// Checks a log that was opened again, and takes what it shows for certain. False where
    /// the medium ended before all was seen.
    #[must_use]
    pub(super) fn check(&mut self, engine: &mut Engine) -> bool {
        let Ok(all) = events(&engine.log, Query::all(), ReadOptions::all()) else {
            return false;
        };
        let found: Payloads = all.iter().map(payload_of).collect();
        let whole = [self.certain.clone(), self.in_doubt.clone()].concat();
        assert!(
            found == self.certain || found == whole,
            "the log holds {} events, of which {} are certain and {} in doubt:\n{:?}",
            found.len(),
            self.certain.len(),
            self.in_doubt.len(),
            found
                .iter()
                .map(|payload| short(payload))
                .collect::<Vec<_>>(),
        );
        let checkpoints = checkpoints(engine);
        let in_doubt = self.checkpoints_in_doubt.take();
        let is_as_before = found == self.certain && checkpoints == self.checkpoints;
        let is_as_after = found == whole && Some(&checkpoints) == in_doubt.as_ref();
        assert!(
            is_as_before || is_as_after,
            "the checkpoints are {checkpoints:?}, before {:?}, perhaps {in_doubt:?}",
            self.checkpoints
        );
        self.certain = found;
        self.checkpoints = checkpoints;
        self.in_doubt.clear();
        for query in queries() {
            let Ok(found) = events(&engine.log, query.clone(), ReadOptions::all()) else {
                return false;
            };
            let expected = all.iter().filter(|event| query.matches(event.as_ref()));
            assert_eq!(found, expected.cloned().collect::<Vec<_>>(), "{query:?}");
        }
        let Ok(snapshot) = engine.snapshots.read(&snapshot_name()) else {
            return false;
        };
        if let Some(snapshot) = snapshot {
            assert!(
                self.snapshots.contains(&snapshot),
                "not saved: {snapshot:?}"
            );
            assert!(snapshot.position.to_parts().1 <= u64_of(self.certain.len()));
        }
        for (append, appended) in self.keyed.clone() {
            let answer = engine.committer.commit(&[request(append)]).pop();
            let answer = answer.expect("one answer");
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

    /// Takes what a log shows for certain, whatever was known of it.
    #[must_use]
    pub(super) fn check_anew(&mut self, engine: &mut Engine) -> bool {
        self.keyed.clear();
        self.checkpoints = checkpoints(engine);
        self.check(engine)
    }

    fn append(&mut self) -> Append {
        if self.random.u8(..) < 20
            && let Some((append, _)) = self.keyed.first()
        {
            return append.clone();
        }
        let number = self.next;
        self.next += 1;
        let stream = StreamName::new(format!("room-{}", self.random.u8(..3))).expect("a name");
        let mut append = Append::to(stream);
        for event in 0..self.random.usize(1..4) {
            append = append.event(self.event(number, event));
        }
        if self.random.u8(..) < 80 {
            append = append.key(IdempotencyKey::new(format!("key-{number}")).expect("a key"));
        }
        if self.random.u8(..) < 80 {
            let (consumer, position) = self.move_forward();
            append = append.consumed(consumer, position);
        }
        append
    }

    /// A consumer and a place; not always forward for one that was in doubt, or in a group.
    fn move_forward(&mut self) -> (Consumer, Position) {
        let consumer = consumers()
            .nth(self.random.usize(..3))
            .expect("there are three");
        let at = self.checkpoints.get(&consumer).copied().unwrap_or_default();
        let forward = self.random.u64(1..9);
        let position = Position::from_parts(0, at.to_parts().1 + forward);
        (consumer, position)
    }

    fn checkpoint(&mut self) -> Checkpoint {
        let (consumer, position) = self.move_forward();
        let at = (self.random.u8(..4) > 0).then_some(position);
        Checkpoint { consumer, at }
    }

    fn event(&mut self, append: u64, event: usize) -> NewEvent {
        // Mostly within one sector, sometimes over several.
        let length = match self.random.u8(..8) {
            0 => self.random.usize(500..2500),
            _ => self.random.usize(..90),
        };
        let payload = format!("{append}.{event} {}", "x".repeat(length));
        let event_type = EventType::new("posted").expect("a type");
        let tag = Tag::new(format!("by:{}", self.random.u8(..4))).expect("a tag");
        NewEvent::new(event_type, payload).tag(tag)
    }
}

/// One for each of the names that events are found by.
fn queries() -> impl Iterator<Item = Query> {
    let stream = |n| Query::stream(StreamName::new(format!("room-{n}")).expect("a name"));
    let tag = |n| Query::tags([Tag::new(format!("by:{n}")).expect("a tag")]);
    (0..3).map(stream).chain((0..4).map(tag))
}

fn snapshot_name() -> SnapshotName {
    SnapshotName::new("fold").expect("a name")
}

/// The snapshot of a log of so many events: of one sector, or of several.
fn snapshot(events: usize) -> Snapshot {
    Snapshot {
        position: Position::from_parts(0, u64_of(events)),
        schema: 1,
        data: format!("{events} ").repeat(events * 8).into(),
    }
}

/// Puts indexes into files, as far as the medium lets it.
pub(super) fn file_indexes(engine: &Engine) {
    while let Some(filing) = engine.committer.next_filing() {
        if filing.run().is_err() {
            return;
        }
    }
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

/// Carries out what was noted.
fn follow(checkpoints: &mut Checkpoints, moved: Option<Checkpoint>) {
    if let Some(Checkpoint { consumer, at }) = moved {
        match at {
            Some(at) => checkpoints.insert(consumer, at),
            None => checkpoints.remove(&consumer),
        };
    }
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
