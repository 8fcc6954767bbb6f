//! Many clients at once, with guards, keys, repeats and futures dropped midway: what all of
//! them saw and were told is recorded and must fit together (see [`History`](crate::History)).

use eventwire_store::{
    Append, AppendError, Expect, Guard, Item, NewEvent, Position, Query, ReadOptions,
    RecordedEvent, Uuid,
};

use crate::recorder::Recorder;
use crate::sample::{event_type, in_stream, key, stream, tag, tagged};
use crate::subject::Subject;
use crate::threads::{beside, together};

const WRITERS: usize = 4;
const ROUNDS: usize = 40;

/// Writers with every kind of append, beside readers and subscribers.
pub fn what_a_storm_of_clients_saw_fits_together(subject: &Subject) {
    let recorder = Recorder::new();
    let work = |client| {
        for round in 0..ROUNDS {
            write(&recorder, subject, client, round);
        }
    };
    beside(WRITERS, work, 3, |reader| look(&recorder, subject, reader));
    conclude(&recorder, subject);
}

/// Readers who follow from place to place, each time by a new subscription.
pub fn what_resuming_subscribers_saw_fits_together(subject: &Subject) {
    let recorder = Recorder::new();
    together(WRITERS + 3, |client| {
        if client < WRITERS {
            for round in 0..ROUNDS {
                write(&recorder, subject, client, round);
            }
            return;
        }
        let mut after = Position::ORIGIN;
        for turn in 0..ROUNDS {
            let query = if client == WRITERS {
                Query::all()
            } else {
                in_stream("shared-1")
            };
            let mut subscription = recorder.subscribe(subject, query, after);
            for _ in 0..=turn % 7 {
                after = match subscription.next_item() {
                    Item::Event(event) => event.position,
                    // At the head already: there may be nothing more to come.
                    Item::CaughtUp(at) => {
                        after = at;
                        break;
                    }
                    Item::Progress(at) => at,
                    _ => after,
                };
            }
        }
    });
    conclude(&recorder, subject);
}

/// Appends whose futures are dropped at every stage, some of them repeated with their key.
pub fn what_became_of_dropped_appends_fits_together(subject: &Subject) {
    let recorder = Recorder::new();
    together(WRITERS + 1, |client| {
        for round in 0..ROUNDS {
            if client == WRITERS {
                recorder.read(subject, Query::all(), Position::ORIGIN);
                continue;
            }
            let batch = || batch(client, round, 1 + round % 3);
            let keyed = || batch().key(key(&format!("{client}/{round}")));
            match round % 4 {
                0 => recorder.abandon(subject, batch(), round % 3),
                1 => drop(recorder.append(subject, batch())),
                2 => {
                    recorder.abandon(subject, keyed(), round % 3);
                    drop(recorder.append(subject, keyed()));
                }
                _ => {
                    drop(recorder.append(subject, keyed()));
                    recorder.abandon(subject, keyed(), round % 2);
                    drop(recorder.append(subject, keyed()));
                }
            }
        }
    });
    conclude(&recorder, subject);
}

/// One writer's append of one round: of each kind in turn.
pub(crate) fn write(recorder: &Recorder, subject: &Subject, client: usize, round: usize) {
    let append = batch(client, round, 1 + round % 3);
    let shared = |expect| Guard::Stream {
        stream: stream("shared-1"),
        expect,
    };
    let append = match round % 5 {
        0 => append,
        1 => {
            let last = ReadOptions::backward().limit(1);
            let last = subject.events(in_stream("shared-1"), last);
            let version = last.first().and_then(RecordedEvent::version);
            append.guard(shared(version.map_or(Expect::NoStream, Expect::Exact)))
        }
        2 if subject.store().capabilities().query_guards => append.guard(Guard::NoMatch {
            query: tagged([group_of(client).as_str()]),
            after: subject.head(),
        }),
        3 => append.key(key(&format!("{client}/{round}"))),
        _ => append.guard(shared(Expect::Exists)),
    };
    let answer = recorder.append(subject, append.clone());
    if append.identity().is_some() {
        drop(recorder.append(subject, append));
    }
    if let Err(error) = answer {
        assert!(
            matches!(error, AppendError::Conflict(_)),
            "expected a conflict: {error}"
        );
    }
}

/// Reads everything, and holds all that was recorded against the contract.
pub(crate) fn conclude(recorder: &Recorder, subject: &Subject) {
    // What a trailing reader is not shown yet lies below the next event.
    let end = NewEvent::new(event_type("end"), "").uuid(Uuid::from_u128(u128::MAX));
    let end = recorder.append(subject, Append::new().event(end));
    subject.wait_for(
        end.unwrap_or_else(|error| panic!("the last append: {error}"))
            .last(),
    );
    recorder.read(subject, Query::all(), Position::ORIGIN);
    recorder.check().unwrap_or_else(|broken| panic!("{broken}"));
}

/// Events for the stream that all share and for one of the writer's own.
fn batch(client: usize, round: usize, count: usize) -> Append {
    let own = stream(&format!("writer-{client}"));
    let event = |n: usize| {
        let id = (client * 1_000 + round) * 10 + n + 1;
        let event = NewEvent::new(event_type("stormy"), format!("{client}/{round}/{n}"))
            .uuid(Uuid::from_u128(id as u128))
            .tag(tag(&group_of(client)));
        match n % 2 {
            0 => event.stream(stream("shared-1")),
            _ => event.stream(own.clone()),
        }
    };
    Append::new().extend((0..count).map(event))
}

/// Two writers share a group, and with it a boundary.
fn group_of(client: usize) -> String {
    format!("group:{}", client / 2)
}

/// One look at the log: a read and a subscription, each to its head.
fn look(recorder: &Recorder, subject: &Subject, reader: usize) {
    let query = match reader {
        0 => Query::all(),
        1 => in_stream("shared-1"),
        _ => tagged(["group:1"]),
    };
    recorder.read(subject, query.clone(), Position::ORIGIN);
    let head = subject.head();
    let mut subscription = recorder.subscribe(subject, query, Position::ORIGIN);
    while !matches!(subscription.next_item(), Item::CaughtUp(at) if at >= head) {}
}
