use std::sync::Arc;
use std::time::{Duration, SystemTime};

use eventwire_store::backend::{Log, assign_uuid};
use eventwire_store::{AppendError, Appended, EventRef};

use crate::answer::Answer;
use crate::error::IoFailure;
use crate::format::{FrameBuffer, Note, Placing, frame_bytes, nanoseconds, record_bytes, u64_of};
use crate::index::{Home, Kept, MemoryIndex, Origin, Sealed, SealedIndex};
use crate::judge::{Verdict, judge};
use crate::log::SharedLog;
use crate::meters::Meters;
use crate::number;
use crate::request::Request;
use crate::segment::{FRAMES_FROM, Room, Tail};
use crate::shown::{Beacon, Shown};
use crate::state::State;
use crate::storage::shortage;
use crate::work::Place;

/// The part of what is enough for an index that is worth one when the store is closed; less is
/// read faster than it is written.
const REST: usize = 16;

/// Indexes that may wait for their first files. What they have is read when the store is opened
/// after a kill.
pub(crate) const MOST_UNFILED: usize = 1;

/// When what has run out, room on the disk, say, is worth another try.
const SHORTAGE_RETRY: Duration = Duration::from_secs(1);

/// The one who writes: turns a group of requests into one frame, one write and one sync.
///
/// Fails once and for good: after an error no byte is written and no sync is tried again, for
/// the system may have dropped what it could not write and say that all is well.
#[derive(Debug)]
pub(crate) struct Committer {
    place: Place,
    log: Arc<SharedLog>,
    tail: Tail,
    /// Up to where an index that is sealed has the segment.
    sealed_to: u64,
    frame: FrameBuffer,
    /// Of the events of one append; kept so that an append allocates nothing.
    homes: Vec<Home>,
    placings: Vec<Placing>,
    beacon: Beacon,
    meters: Meters,
}

/// What the requests of a group have in common.
struct Common {
    room: Room,
    recorded_at: SystemTime,
    /// The same, as records have it.
    nanoseconds: u64,
}

impl Committer {
    pub(crate) fn new(place: Place, tail: Tail) -> Self {
        let log = Arc::clone(&place.log);
        let sealed_to = match log.read().sealed.last() {
            Some(last) if last.segment().first == tail.segment.first => last.end(),
            _ => FRAMES_FROM,
        };
        let beacon = Beacon::new(&*place.storage, &place.identity);
        beacon.tell(log.read().shown);
        Self {
            place,
            log,
            tail,
            sealed_to,
            frame: FrameBuffer::default(),
            homes: Vec::new(),
            placings: Vec::new(),
            beacon,
            meters: Meters::new(),
        }
    }

    /// Answers a group of requests, in their order, all of them once what they led to is durable.
    ///
    /// A request sees what those before it in the group have written. One that drops events has
    /// a commit to itself, so that nothing is written that rests on a drop which may be lost.
    pub(crate) fn commit(&mut self, requests: &[Box<Request>]) -> Vec<Answer> {
        let is_alone = |request: &Request| request.trimming.is_some() || request.is_leaving;
        let groups = requests.chunk_by(|one, next| !is_alone(one) && !is_alone(next));
        groups.flat_map(|group| self.commit_group(group)).collect()
    }

    fn commit_group(&mut self, requests: &[Box<Request>]) -> Vec<Answer> {
        if let Some(failure) = self.log.failure() {
            return requests.iter().map(|_| poisoned(failure).into()).collect();
        }
        let room = match self.make_room(requests) {
            Ok(room) => room,
            Err(failure) => {
                let failure = self.log.fail(failure);
                return requests.iter().map(|_| poisoned(failure).into()).collect();
            }
        };
        let shown = self.log.shown();
        let recorded_at = SystemTime::now();
        let common = Common {
            room,
            recorded_at,
            nanoseconds: nanoseconds(recorded_at),
        };
        self.frame.clear();
        let answers: Vec<Answer> = requests
            .iter()
            .map(|request| self.take_in(request, &common))
            .collect();
        if self.frame.is_empty() {
            return answers;
        }
        match self.write(shown + 1) {
            Ok(()) => {
                let mut state = self.log.write();
                let last = state.last();
                state.notes.checkpoints.commit(last);
                state.shown = Shown {
                    segment: self.tail.segment.first,
                    end: self.tail.end,
                    position: last,
                };
                for trim in requests.iter().filter_map(|request| request.settled_trim()) {
                    state.notes.dropped.apply(trim, last);
                }
                let shown = state.shown;
                drop(state);
                self.log.watermark().advance(number::position(last));
                self.beacon.tell(shown);
                answers
            }
            Err(failure) => {
                let failure = self.log.fail(failure);
                requests
                    .iter()
                    .zip(answers)
                    .map(|(request, answer)| in_doubt(request, answer, shown, failure))
                    .collect()
            }
        }
    }

    /// Space for all of the requests, in this segment or the next.
    fn make_room(&mut self, requests: &[Box<Request>]) -> Result<Room, IoFailure> {
        let body = requests.iter().map(|request| request.bytes).sum();
        let needed = u64_of(frame_bytes(body));
        // A segment is named by its first event, so it is not left before it has one; nor while
        // it may end in notes that no index has, for those are read from the last segment only.
        let has_events = self.log.read().open.events() > 0;
        let is_left = requests.iter().any(|request| request.is_leaving);
        let room = if has_events && (is_left || self.tail.is_full_for(needed)) {
            self.roll(needed)
        } else {
            if self.is_due_to_seal() {
                self.seal();
            }
            self.tail.make_room(needed)
        };
        let room = room.map_err(|error| self.failed("making space in", error))?;
        let gives_room_back = requests.iter().all(|request| request.trimming.is_some());
        if gives_room_back && self.tail.has_in_reserve(needed) {
            return Ok(Room::Ready);
        }
        Ok(room)
    }

    fn roll(&mut self, needed: u64) -> std::io::Result<Room> {
        let first = self.log.shown() + 1;
        let storage = &*self.place.storage;
        let next = self.tail.next(storage, &self.place.identity, first, needed);
        let tail = match next {
            Ok(tail) => tail,
            Err(error) => return shortage(&error).map(Room::Short).ok_or(error),
        };
        self.seal();
        let shown = Shown {
            segment: first,
            end: FRAMES_FROM,
            position: first - 1,
        };
        let mut state = self.log.write();
        state.segments.push(Arc::clone(&tail.segment));
        // The end of a segment that was left is no place to name: it may be rewritten.
        state.shown = shown;
        drop(state);
        self.beacon.tell(shown);
        self.tail = tail;
        self.sealed_to = FRAMES_FROM;
        Ok(Room::Ready)
    }

    /// Whether the index in memory has enough to be put into a file, and few others wait for
    /// theirs: where files cannot be had, memory holds more rather than more pieces.
    fn is_due_to_seal(&self) -> bool {
        let state = self.log.read();
        self.is_enough(&state) && state.unfiled().count() < MOST_UNFILED
    }

    /// Whether the index in memory has enough, and cannot be sealed for those that wait; or more of
    /// them wait than may, for a segment was left.
    pub(crate) fn is_ahead_of_filing(&self) -> bool {
        let state = self.log.read();
        let unfiled = state.unfiled().count();
        unfiled > MOST_UNFILED || (unfiled == MOST_UNFILED && self.is_enough(&state))
    }

    fn is_enough(&self, state: &State) -> bool {
        let growth = self.tail.growth();
        let is_enough = state.open.events() >= growth.index_events
            || self.tail.end - self.sealed_to >= growth.index_bytes;
        is_enough && state.open.events() > 0
    }

    /// Whether closing the store should leave it an index of what it has in memory.
    pub(crate) fn seal_rest(&mut self) {
        let growth = self.tail.growth();
        let events = self.log.read().open.events();
        let rest = u64_of(REST);
        // Notes are read again as events are.
        let is_worth_it = events >= growth.index_events / REST
            || self.tail.end - self.sealed_to >= growth.index_bytes / rest;
        if self.log.failure().is_none() && events > 0 && is_worth_it {
            self.seal();
        }
    }

    /// Ends the index in memory, which has events, and begins another. Everything that is in it is
    /// durable and shown: no request is half taken in.
    pub(crate) fn seal(&mut self) {
        let last_frame = self.tail.last_frame.expect("a commit brought the events");
        let mut state = self.log.write();
        let next = MemoryIndex::after(&state.open);
        let (first, last) = (state.open.first(), state.last());
        let sealed = SealedIndex {
            segment: Arc::clone(&self.tail.segment),
            index: std::mem::replace(&mut state.open, next),
            noted: state.notes.noted(first, last),
            last_frame,
            end: self.tail.end,
            origin: Origin::Appended,
        };
        state.sealed.push(Sealed::Memory(Arc::new(sealed)));
        drop(state);
        self.sealed_to = self.tail.end;
    }

    /// Judges a request, and puts what it writes into the frame and the state.
    fn take_in(&mut self, request: &Request, common: &Common) -> Answer {
        let homes = &mut self.homes;
        match self.log.mending(|state| judge(state, request, homes)) {
            Ok(Verdict::Answered(answer)) => return answer,
            Ok(Verdict::Write) => {}
            Err(error) => return AppendError::Backend(Box::new(error)).into(),
        }
        if let Room::Short(reason) = common.room {
            let busy = AppendError::Busy {
                reason,
                retry_after: Some(SHORTAGE_RETRY),
            };
            return busy.into();
        }
        let answer = self.take_in_events(request, common);
        if let Some(checkpoint) = &request.checkpoint {
            self.log.write().notes.checkpoints.begin(checkpoint);
            self.frame.push_note(&Note::Checkpoint(checkpoint.clone()));
        }
        if let Some(trim) = request.settled_trim() {
            self.frame.push_note(&Note::Trim(trim));
        }
        answer
    }

    fn take_in_events(&mut self, request: &Request, common: &Common) -> Answer {
        let events = request.append.events();
        let mut state = self.log.write();
        let index = &mut state.open;
        let first = index.last() + 1;
        let mut offset = self.tail.end + u64_of(self.frame.next_record(request.key()));
        self.placings.clear();
        for (event, &home) in events.iter().zip(&self.homes) {
            let parts = event.as_parts();
            let length = record_bytes(&parts);
            let event = EventRef {
                stream: parts.stream,
                event_type: parts.event_type,
                tags: parts.tags,
            };
            let bytes = u32::try_from(length).expect("a record is shorter than MAX_BODY_BYTES");
            self.placings.push(Placing {
                position: index.last() + 1,
                version: index.push_into(home, event, offset, bytes),
                uuid: parts
                    .uuid
                    .unwrap_or_else(|| assign_uuid(common.recorded_at)),
                recorded_at: common.nanoseconds,
            });
            offset += u64_of(length);
        }
        let count = u32::try_from(events.len()).expect("each event has bytes of the body");
        let is_in_one = |homes: &[Home]| homes.iter().all(|home| matches!(home, Home::SameAsLast));
        let answer = if self.homes.get(1..).is_none_or(is_in_one) {
            let version = self.placings.last().and_then(|last| last.version);
            Answer::Written { first, version }
        } else {
            index.appended(first, count).into()
        };
        if let Some((key, fingerprint)) = &request.identity {
            let kept = Kept {
                fingerprint: *fingerprint,
                first,
                events: count,
            };
            index.keys.insert(key.clone(), kept);
        }
        drop(state);
        if !events.is_empty() {
            let identity = request.identity.as_ref();
            let seed = self.tail.segment.seed;
            let placings = self.placings.iter().copied();
            self.frame.push(events, identity, placings, seed);
        }
        answer
    }

    fn write(&mut self, first: u64) -> Result<(), IoFailure> {
        let frame = self
            .frame
            .finish(first, self.tail.end, self.tail.segment.seed);
        let events = self.log.read().last() + 1 - first;
        let tail = &mut self.tail;
        let written = self.meters.timed(events, frame.len(), || tail.write(frame));
        written.map_err(|error| self.failed("writing a commit to", error))
    }

    fn failed(&self, doing: &'static str, error: std::io::Error) -> IoFailure {
        self.meters.failed();
        IoFailure::new(doing, &self.tail.segment.name, self.tail.end, error)
    }
}

fn poisoned(failure: &IoFailure) -> AppendError {
    AppendError::Poisoned {
        cause: Box::new(failure.clone()),
    }
}

/// What an answer becomes when the commit that it waited for has failed.
///
/// A refusal may rest on what is now in doubt, so it does not stand either.
fn in_doubt(request: &Request, answer: Answer, shown: u64, failure: &IoFailure) -> Answer {
    match answer {
        Answer::Told(answer) => match *answer {
            Ok(appended) if is_shown(&appended, shown) => appended.into(),
            Ok(_) => indeterminate(request, failure).into(),
            Err(_) => poisoned(failure).into(),
        },
        Answer::Written { .. } => indeterminate(request, failure).into(),
    }
}

fn indeterminate(request: &Request, failure: &IoFailure) -> AppendError {
    AppendError::Indeterminate {
        key: request.key().cloned(),
        cause: Box::new(failure.clone()),
    }
}

/// Whether an answer is about events that readers were shown before.
fn is_shown(appended: &Appended, shown: u64) -> bool {
    let last = appended.positions.last();
    last.is_some_and(|&last| last <= number::position(shown))
}
