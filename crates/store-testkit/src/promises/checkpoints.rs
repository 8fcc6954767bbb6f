//! `CheckpointStore`: how far consumers have come, kept beside the log. For stores that have
//! it: `conformance!(checkpoints: ...)`.

use eventwire_store::{Actual, CheckpointStore, EventStore, KeepError, Position};

use crate::harness::Reopen;
use crate::life::Life;
use crate::sample::{consumer, one, several};
use crate::subject::Subject;
use crate::threads::together;

/// A consumer that was never heard of is at the origin.
pub fn an_unknown_consumer_is_at_the_origin<S: CheckpointStore>(subject: &Subject, store: &S) {
    assert_eq!(checkpoint(subject, store, "view"), Position::ORIGIN);
}

/// What was saved is read back.
pub fn what_was_saved_is_read_back<S: CheckpointStore>(subject: &Subject, store: &S) {
    for position in subject.put(several("room-1", 5)).positions {
        must_save(subject, store, "view", position);
        assert_eq!(checkpoint(subject, store, "view"), position);
    }
}

/// A checkpoint only moves forward: the same place or an earlier one is `Behind`.
pub fn a_checkpoint_only_moves_forward<S: CheckpointStore>(subject: &Subject, store: &S) {
    let positions = subject.put(several("room-1", 5)).positions;
    must_save(subject, store, "view", positions[3]);
    for position in [Position::ORIGIN, positions[0], positions[3]] {
        let refused = save(subject, store, "view", position);
        assert!(
            matches!(refused, Err(KeepError::Behind { at }) if at == positions[3]),
            "to {position}: {refused:?}"
        );
        assert_eq!(checkpoint(subject, store, "view"), positions[3]);
    }
    must_save(subject, store, "view", positions[4]);
}

/// Consumers are apart, however alike their names are.
pub fn checkpoints_are_apart<S: CheckpointStore>(subject: &Subject, store: &S) {
    let positions = subject.put(several("room-1", 5)).positions;
    let names = ["view", "View", "view ", "../view", "\u{1f980}"];
    for (name, position) in names.iter().zip(&positions) {
        must_save(subject, store, name, *position);
    }
    for (name, position) in names.iter().zip(&positions) {
        assert_eq!(checkpoint(subject, store, name), *position, "{name:?}");
    }
}

/// A consumer that is forgotten starts over.
pub fn a_forgotten_consumer_starts_over<S: CheckpointStore>(subject: &Subject, store: &S) {
    let positions = subject.put(several("room-1", 3)).positions;
    must_save(subject, store, "view", positions[2]);
    must_save(subject, store, "other", positions[1]);
    remove(subject, store, "view");
    assert_eq!(checkpoint(subject, store, "view"), Position::ORIGIN);
    assert_eq!(checkpoint(subject, store, "other"), positions[1]);
    must_save(subject, store, "view", positions[0]);
    assert_eq!(checkpoint(subject, store, "view"), positions[0]);
}

/// Forgetting one that is not known is no error.
pub fn forgetting_an_unknown_consumer_is_no_error<S: CheckpointStore>(
    subject: &Subject,
    store: &S,
) {
    remove(subject, store, "unknown");
    remove(subject, store, "unknown");
    assert_eq!(checkpoint(subject, store, "unknown"), Position::ORIGIN);
}

/// A checkpoint is no event, and moves no head.
pub fn saving_a_checkpoint_appends_nothing<S: CheckpointStore>(subject: &Subject, store: &S) {
    let head = subject.put(several("room-1", 3)).last();
    let before = subject.log();
    must_save(subject, store, "view", head);
    remove(subject, store, "view");
    assert_eq!(subject.head(), head);
    assert_eq!(subject.log(), before);
}

/// Of instances of one consumer that save the same place at once, one is told that it did.
pub fn of_instances_that_save_one_place_one_is_told_so<S: CheckpointStore>(
    subject: &Subject,
    store: &S,
) {
    for position in subject.put(several("room-1", 10)).positions {
        let answers = together(4, |_| save(subject, store, "view", position));
        let won = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(won, 1, "at {position}: {answers:?}");
    }
}

/// `Append::consumed` moves the same checkpoint, and is held to it.
pub fn an_append_moves_the_same_checkpoint<S: CheckpointStore + EventStore>(
    subject: &Subject,
    store: &S,
) {
    if !store.capabilities().consumed {
        return;
    }
    let positions = subject.put(several("room-1", 4)).positions;
    let effect = |position| one("effect-1", "effect").consumed(consumer("view"), position);
    subject.put(effect(positions[1]));
    assert_eq!(checkpoint(subject, store, "view"), positions[1]);
    must_save(subject, store, "view", positions[2]);
    let conflict = subject.conflict(effect(positions[2]));
    assert_eq!(conflict.actual, Actual::Consumed(positions[2]));
    assert_eq!(checkpoint(subject, store, "view"), positions[2]);
    remove(subject, store, "view");
    subject.put(effect(positions[0]));
}

/// Checkpoints outlive the store as its events do, however they were moved.
pub fn checkpoints_outlive_the_store<H: Reopen>(life: Life<H>)
where
    H::Store: CheckpointStore,
{
    let (subject, store) = (life.subject(), life.store());
    let positions = subject.put(several("room-1", 4)).positions;
    must_save(subject, store, "saved", positions[1]);
    must_save(subject, store, "forgotten", positions[1]);
    remove(subject, store, "forgotten");
    let is_consumed = store.capabilities().consumed;
    if is_consumed {
        subject.put(one("effect-1", "effect").consumed(consumer("consumed"), positions[2]));
    }
    let life = life.reopen();
    let (subject, store) = (life.subject(), life.store());
    assert_eq!(checkpoint(subject, store, "saved"), positions[1]);
    assert_eq!(checkpoint(subject, store, "forgotten"), Position::ORIGIN);
    let refused = save(subject, store, "saved", positions[1]);
    assert!(
        matches!(refused, Err(KeepError::Behind { .. })),
        "{refused:?}"
    );
    if is_consumed {
        assert_eq!(checkpoint(subject, store, "consumed"), positions[2]);
    }
}

fn checkpoint<S: CheckpointStore>(subject: &Subject, store: &S, name: &str) -> Position {
    let checkpoint = subject.run(async { store.checkpoint(consumer(name)).await });
    checkpoint.unwrap_or_else(|error| panic!("`checkpoint` failed: {error}"))
}

fn save<S: CheckpointStore>(
    subject: &Subject,
    store: &S,
    name: &str,
    position: Position,
) -> Result<(), KeepError> {
    subject.run(async { store.save_checkpoint(consumer(name), position).await })
}

#[track_caller]
fn must_save<S: CheckpointStore>(subject: &Subject, store: &S, name: &str, position: Position) {
    let saved = save(subject, store, name, position);
    saved.unwrap_or_else(|error| panic!("`save_checkpoint` failed: {error}"));
}

#[track_caller]
fn remove<S: CheckpointStore>(subject: &Subject, store: &S, name: &str) {
    let removed = subject.run(async { store.remove_checkpoint(consumer(name)).await });
    removed.unwrap_or_else(|error| panic!("`remove_checkpoint` failed: {error}"));
}
