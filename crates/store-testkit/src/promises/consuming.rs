//! `Append::consumed`: events are the effect of what a consumer has read up to a position.
//! They are written only where its checkpoint is below that, and move it there in the same
//! instant: however often the consumer reads again, each effect happens once.
//!
//! A store whose capabilities exclude it must say so when it is asked for it; the other
//! promises here do not bind it.

use eventwire_store::{Actual, Append, AppendError, Expect, Guard, Position, Query, ReadOptions};

use crate::sample::{consumer, in_stream, key, labelled, labels, one, several, stream};
use crate::subject::Subject;
use crate::threads::together;

/// A store either moves checkpoints in appends or says that it does not support it.
pub fn a_store_without_checkpoints_in_appends_says_so(subject: &Subject) {
    let read = subject.put(one("input-1", "a")).last();
    let append = one("effect-1", "of a").consumed(consumer("view"), read);
    if subject.store().capabilities().consumed {
        subject.put(append);
    } else {
        let refused = subject.refuse(append);
        assert!(matches!(refused, AppendError::Unsupported(_)), "{refused}");
    }
}

/// The effect of what was read already is refused, and the conflict says how far that is.
pub fn an_effect_happens_once(subject: &Subject) {
    let Some(inputs) = inputs(subject) else {
        return;
    };
    for &read in &inputs {
        let append = || one("effect-1", "effect").consumed(consumer("view"), read);
        subject.put(append());
        for _ in 0..2 {
            assert_eq!(subject.conflict(append()).actual, Actual::Consumed(read));
        }
    }
    let effects = subject.events(in_stream("effect-1"), ReadOptions::all());
    assert_eq!(effects.len(), inputs.len());
}

/// The effect of something earlier than what was read is refused as well.
pub fn an_effect_of_something_earlier_is_refused(subject: &Subject) {
    let Some(inputs) = inputs(subject) else {
        return;
    };
    subject.put(one("effect-1", "of 2").consumed(consumer("view"), inputs[2]));
    for read in [Position::ORIGIN, inputs[0], inputs[1]] {
        let late = one("effect-1", "late").consumed(consumer("view"), read);
        assert_eq!(subject.conflict(late).actual, Actual::Consumed(inputs[2]));
    }
    subject.put(one("effect-1", "of 3").consumed(consumer("view"), inputs[3]));
}

/// Consumers are apart, however alike their names are.
pub fn consumers_are_apart(subject: &Subject) {
    let Some(inputs) = inputs(subject) else {
        return;
    };
    for name in ["view", "View", "view ", "view-1", "vie"] {
        subject.put(one("effect-1", name).consumed(consumer(name), inputs[1]));
    }
    for name in ["view", "View", "view ", "view-1", "vie"] {
        let append = one("effect-1", name).consumed(consumer(name), inputs[1]);
        assert_eq!(
            subject.conflict(append).actual,
            Actual::Consumed(inputs[1]),
            "{name:?}"
        );
    }
}

/// The conflict counts the checkpoint as one past the last guard.
pub fn the_checkpoint_counts_as_one_past_the_last_guard(subject: &Subject) {
    let Some(inputs) = inputs(subject) else {
        return;
    };
    let append = || one("effect-1", "effect").consumed(consumer("view"), inputs[0]);
    subject.put(append());
    assert_eq!(subject.conflict(append()).guard, 0);
    let guarded = append().expect(Expect::Exists).guard(Guard::Stream {
        stream: stream("input-1"),
        expect: Expect::Exists,
    });
    assert_eq!(subject.conflict(guarded).guard, 2);
}

/// An append that is refused moves no checkpoint.
pub fn a_refused_append_moves_no_checkpoint(subject: &Subject) {
    let Some(inputs) = inputs(subject) else {
        return;
    };
    let append = |expect| {
        one("effect-1", "effect")
            .expect(expect)
            .consumed(consumer("view"), inputs[2])
    };
    subject.conflict(append(Expect::Exists));
    let empty = Append::new().consumed(consumer("view"), inputs[2]);
    subject.refuse(empty);
    subject.put(append(Expect::NoStream));
}

/// A key is looked at before the checkpoint: repeating the append is answered as it was.
pub fn a_key_is_looked_at_before_the_checkpoint(subject: &Subject) {
    let Some(inputs) = inputs(subject) else {
        return;
    };
    let append = || {
        one("effect-1", "effect")
            .consumed(consumer("view"), inputs[0])
            .key(key("once"))
    };
    let first = subject.put(append());
    let again = subject.put(append());
    assert!(again.duplicate);
    assert_eq!(again.positions, first.positions);
}

/// Of instances of one consumer at work at once, one writes each effect.
pub fn of_instances_at_once_one_writes_each_effect(subject: &Subject) {
    let Some(inputs) = inputs(subject) else {
        return;
    };
    for (round, &read) in inputs.iter().enumerate() {
        let answers = together(4, |instance| {
            let append = one("effect-1", format!("{round}/{instance}"));
            subject.append(append.consumed(consumer("view"), read))
        });
        let won = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(won, 1, "round {round}: {answers:?}");
    }
}

/// A consumer that forgets where it was, again and again, has each effect once and in order.
pub fn a_consumer_that_starts_over_has_each_effect_once(subject: &Subject) {
    let Some(inputs) = inputs(subject) else {
        return;
    };
    for crash_after in 0..=inputs.len() {
        let read = subject.events(in_stream("input-1"), ReadOptions::all());
        for event in read.iter().take(crash_after) {
            let effect = labelled(labels(std::slice::from_ref(event)).remove(0));
            let append = Append::to(stream("effect-1")).event(effect);
            match subject.append(append.consumed(consumer("view"), event.position)) {
                Ok(_) => {}
                Err(AppendError::Conflict(conflict)) => {
                    let is_past =
                        matches!(conflict.actual, Actual::Consumed(at) if at >= event.position);
                    assert!(is_past, "{conflict}");
                }
                Err(other) => panic!("expected a conflict: {other}"),
            }
        }
    }
    subject.put(one("end-1", "end"));
    let wanted = labels(&subject.events(in_stream("input-1"), ReadOptions::all()));
    let effects = labels(&subject.events(in_stream("effect-1"), ReadOptions::all()));
    assert_eq!(effects, wanted);
}

/// A checkpoint is no event: the log holds the effect alone.
pub fn a_checkpoint_is_no_event(subject: &Subject) {
    let Some(inputs) = inputs(subject) else {
        return;
    };
    let append = one("effect-1", "effect").consumed(consumer("view"), inputs[0]);
    let appended = subject.put(append);
    assert_eq!(subject.head(), appended.last());
    let after = subject.events(Query::all(), ReadOptions::after(inputs[5]));
    assert_eq!(labels(&after), ["effect"]);
}

/// Six events to have read; none where the store has no checkpoints in appends.
fn inputs(subject: &Subject) -> Option<Vec<Position>> {
    let is_supported = subject.store().capabilities().consumed;
    is_supported.then(|| subject.put(several("input-1", 6)).positions)
}
