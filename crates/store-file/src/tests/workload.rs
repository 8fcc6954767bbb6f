use std::sync::Arc;

use eventwire_store::backend;
use eventwire_store::{
    Append, AppendError, Appended, EventType, IdempotencyKey, Item, NewEvent, Query, ReadError,
    ReadOptions, StreamName, Tag,
};
use futures_executor::block_on;

use crate::engine::Engine;
use crate::error::OpenError;
use crate::log::SharedLog;
use crate::request::Request;
use crate::segment::Growth;
use crate::storage::simulated::Simulated;

/// Small, so that a short run makes space often and begins several segments.
const GROWTH: Growth = Growth {
    limit: 6000,
    least_ahead: 700,
    most_ahead: 2100,
};

/// The payloads of a log, in its order.
pub(super) type Payloads = Vec<String>;

pub(super) fn open(medium: &Simulated) -> Result<Engine, OpenError> {
    Engine::open(Box::new(medium.clone()), GROWTH)
}

/// The payloads readers are shown.
pub(super) fn payloads(log: &Arc<SharedLog>) -> Result<Payloads, ReadError> {
    block_on(async {
        let mut items = backend::read(Arc::clone(log), Query::all(), ReadOptions::all());
        let mut payloads = Vec::new();
        while let Some(item) = items.next().await {
            if let Item::Event(event) = item? {
                payloads.push(String::from_utf8(event.data.to_vec()).expect("payloads are text"));
            }
        }
        Ok(payloads)
    })
}

/// A series of appends that a seed decides, and what is known about each.
///
/// Invariant: `certain` is what the log must begin with; after it, it may hold `in_doubt` or
/// nothing.
#[derive(Debug)]
pub(super) struct Workload {
    random: fastrand::Rng,
    next: u64,
    pub(super) certain: Payloads,
    pub(super) in_doubt: Payloads,
    /// Answered appends with a key.
    keyed: Vec<(Append, Appended)>,
}

impl Workload {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            next: 0,
            certain: Vec::new(),
            in_doubt: Vec::new(),
            keyed: Vec::new(),
        }
    }

    /// Commits some groups of appends and keeps the account.
    pub(super) fn run(&mut self, engine: &mut Engine, groups: usize) {
        for _ in 0..groups {
            let mut appends: Vec<Append> = (0..self.random.usize(1..4))
                .map(|_| self.append())
                .collect();
            if self.random.u8(..) < 30 && appends[0].identity().is_some() {
                appends.push(appends[0].clone());
            }
            self.commit(engine, appends);
        }
    }

    fn commit(&mut self, engine: &mut Engine, appends: Vec<Append>) -> Vec<Append> {
        let mut refused = Vec::new();
        let requests: Vec<Request> = appends
            .into_iter()
            .map(|append| Request::new(append).expect("it is small"))
            .collect();
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
                    assert!(self.in_doubt.is_empty(), "answered after a failure");
                    self.certain.extend(payloads);
                    let last = appended.last().to_parts().1;
                    assert_eq!(
                        last,
                        u64::try_from(self.certain.len()).expect("it is short")
                    );
                    if request.identity.is_some() {
                        self.keyed.push((request.append, appended));
                    }
                }
                // The same append twice in a group is in doubt once.
                Err(AppendError::Indeterminate { .. }) if self.in_doubt.starts_with(&payloads) => {}
                Err(AppendError::Indeterminate { .. }) => self.in_doubt.extend(payloads),
                Err(AppendError::Poisoned { .. } | AppendError::Busy { .. }) => {
                    refused.push(request.append);
                }
                Err(error) => panic!("not an answer to expect: {error}"),
            }
        }
        refused
    }

    /// Commits one append alone, and says whether it was answered with success.
    pub(super) fn writes(&mut self, engine: &mut Engine) -> bool {
        let append = self.append();
        self.commit(engine, vec![append]).is_empty()
    }

    /// Commits one append with a large payload.
    pub(super) fn write_large(&mut self, engine: &mut Engine, bytes: usize) {
        let event_type = EventType::new("large").expect("a type");
        let payload = format!("large {}", "y".repeat(bytes));
        self.commit(
            engine,
            vec![Append::new().event(NewEvent::new(event_type, payload))],
        );
    }

    /// Checks a log that was opened again, and takes what it shows for certain. False where
    /// the medium ended before all was seen.
    #[must_use]
    pub(super) fn check(&mut self, engine: &mut Engine) -> bool {
        let Ok(found) = payloads(&engine.log) else {
            return false;
        };
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
        self.certain = found;
        self.in_doubt.clear();
        for (append, appended) in self.keyed.clone() {
            let request = Request::new(append).expect("it is small");
            let answer = engine.committer.commit(&[request]).pop();
            if engine.log.failure().is_some() {
                return false;
            }
            let expected = Appended {
                duplicate: true,
                ..appended
            };
            assert_eq!(answer.expect("one answer").expect("a duplicate"), expected);
        }
        true
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
        append
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
