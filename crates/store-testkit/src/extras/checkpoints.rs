//! Checkpoints move forward, and with an append exactly once.

#![allow(missing_docs, reason = "the name of each test is its sentence")]

use std::thread;

use eventwire_store::{
    Actual, Append, AppendError, CheckpointStore, Consumer, Expect, KeepError, Position,
};

use crate::sample::{key, labels, one};
use crate::subject::Subject;

fn consumer(name: &str) -> Consumer {
    Consumer::new(name).expect("the kit's own names are valid")
}

fn at(place: u64) -> Position {
    Position::from_parts(0, place)
}

fn save<S: CheckpointStore>(
    subject: &Subject,
    store: &S,
    name: &str,
    position: Position,
) -> Result<(), KeepError> {
    subject.run(store.save_checkpoint(consumer(name), position))
}

fn shown<S: CheckpointStore>(subject: &Subject, store: &S, name: &str) -> Position {
    let shown = subject.run(store.checkpoint(consumer(name)));
    shown.expect("a checkpoint is read")
}

/// Whether appends can move a checkpoint; a store that cannot has to say so.
fn can_consume(subject: &Subject) -> bool {
    if subject.store().capabilities().consumed {
        return true;
    }
    let refused = subject.append(effect("p", at(1), "x"));
    assert!(
        matches!(refused, Err(AppendError::Unsupported(_))),
        "a store without the capability refuses: {refused:?}"
    );
    false
}

fn effect(of: &str, read_to: Position, label: &str) -> Append {
    one("effects", label).consumed(consumer(of), read_to)
}

pub fn a_consumer_never_heard_of_is_at_the_origin<S: CheckpointStore>(
    subject: &Subject,
    store: &S,
) {
    assert_eq!(shown(subject, store, "p"), Position::ORIGIN);
}

pub fn a_saved_checkpoint_is_shown<S: CheckpointStore>(subject: &Subject, store: &S) {
    for place in [1, 2, 1_000_000_007] {
        save(subject, store, "p", at(place)).expect("a checkpoint moves forward");
        assert_eq!(shown(subject, store, "p"), at(place));
    }
    let pair = Position::from_parts(7, 3);
    save(subject, store, "p", pair).expect("a position of two parts is above one of one");
    assert_eq!(shown(subject, store, "p"), pair);
}

pub fn a_checkpoint_only_moves_forward<S: CheckpointStore>(subject: &Subject, store: &S) {
    save(subject, store, "p", at(5)).expect("a checkpoint moves forward");
    for place in [5, 4, 0] {
        match save(subject, store, "p", at(place)) {
            Err(KeepError::Behind { at: shown }) => assert_eq!(shown, at(5)),
            other => panic!("moved from 5 to {place}: {other:?}"),
        }
    }
    assert_eq!(shown(subject, store, "p"), at(5));
}

pub fn a_removed_checkpoint_starts_over<S: CheckpointStore>(subject: &Subject, store: &S) {
    save(subject, store, "p", at(5)).expect("a checkpoint moves forward");
    for _ in 0..2 {
        let removed = subject.run(store.remove_checkpoint(consumer("p")));
        removed.expect("removing is no error, whether or not there is one");
        assert_eq!(shown(subject, store, "p"), Position::ORIGIN);
    }
    save(subject, store, "p", at(1)).expect("it starts over");
}

pub fn consumers_are_apart<S: CheckpointStore>(subject: &Subject, store: &S) {
    let names = ["p", "P", "p ", "p/q", "ä", "..", "room-1"];
    for (place, name) in (1..).zip(names) {
        save(subject, store, name, at(place)).expect("a checkpoint moves forward");
    }
    for (place, name) in (1..).zip(names) {
        assert_eq!(shown(subject, store, name), at(place), "{name:?}");
    }
}

pub fn an_append_moves_its_consumers_checkpoint<S: CheckpointStore>(subject: &Subject, store: &S) {
    if !can_consume(subject) {
        return;
    }
    subject.put(effect("p", at(3), "a"));
    assert_eq!(shown(subject, store, "p"), at(3));
    assert_eq!(shown(subject, store, "q"), Position::ORIGIN);
    save(subject, store, "p", at(4)).expect("it is the same checkpoint");
    let behind = subject.append(effect("p", at(4), "b"));
    assert!(behind.is_err(), "it is the same checkpoint: {behind:?}");
}

pub fn an_effect_that_has_happened_is_a_conflict<S: CheckpointStore>(subject: &Subject, store: &S) {
    if !can_consume(subject) {
        return;
    }
    subject.put(effect("p", at(3), "a"));
    for place in [3, 2] {
        let again = effect("p", at(place), "b").expect(Expect::Exists);
        match subject.append(again) {
            Err(AppendError::Conflict(conflict)) => {
                assert_eq!(
                    (conflict.guard, conflict.actual),
                    (1, Actual::Consumed(at(3)))
                );
            }
            other => panic!("the effect of {place} happened twice: {other:?}"),
        }
    }
    assert_eq!(labels(&subject.log()), ["a"]);
    assert_eq!(shown(subject, store, "p"), at(3));
}

pub fn a_refused_append_moves_no_checkpoint<S: CheckpointStore>(subject: &Subject, store: &S) {
    if !can_consume(subject) {
        return;
    }
    let refused = effect("p", at(3), "a").expect(Expect::Exists);
    assert!(subject.append(refused).is_err());
    assert_eq!(shown(subject, store, "p"), Position::ORIGIN);
}

pub fn a_repeated_append_moves_no_checkpoint<S: CheckpointStore>(subject: &Subject, store: &S) {
    if !can_consume(subject) {
        return;
    }
    let first = subject.put(effect("p", at(3), "a").key(key("k")));
    let again = subject.put(effect("p", at(3), "a").key(key("k")));
    assert!(
        again.duplicate,
        "the key is looked at before the checkpoint"
    );
    assert_eq!(again.positions, first.positions);
    assert_eq!(shown(subject, store, "p"), at(3));
}

pub fn of_two_instances_of_a_consumer_each_effect_happens_once<S: CheckpointStore>(
    subject: &Subject,
    store: &S,
) {
    const EFFECTS: u64 = 200;
    if !can_consume(subject) {
        return;
    }
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for place in 1..=EFFECTS {
                    let effect = effect("p", at(place), &place.to_string());
                    match subject.append(effect) {
                        Ok(_) | Err(AppendError::Conflict(_)) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            });
        }
    });
    let expected: Vec<String> = (1..=EFFECTS).map(|place| place.to_string()).collect();
    assert_eq!(labels(&subject.log()), expected);
    assert_eq!(shown(subject, store, "p"), at(EFFECTS));
}
