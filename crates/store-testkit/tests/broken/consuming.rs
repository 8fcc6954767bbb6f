//! Stores that move checkpoints in appends as no store may.

use std::sync::Mutex;

use eventwire_store::{
    Actual, Append, AppendError, CheckpointStore, Conflict, Consumer, EventStore, EventType,
    InvalidAppend, NewEvent, Position, StoreFuture,
};

use crate::Fault;
use crate::faulty::{Faulty, changed, now};

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "checkpoints are not looked at",
        caught_by: &[
            "consuming::an_effect_happens_once",
            "consuming::of_instances_at_once_one_writes_each_effect",
            "consuming::a_consumer_that_starts_over_has_each_effect_once",
        ],
        hangs: &[],
        store: || Faulty::new().request(|request| request.consumed = None),
    },
    Fault {
        name: "checkpoints in appends are said to be missing, and taken",
        caught_by: &["consuming::a_store_without_checkpoints_in_appends_says_so"],
        hangs: &[],
        store: || {
            Faulty::new().capabilities(|mut capabilities| {
                capabilities.consumed = false;
                capabilities
            })
        },
    },
    Fault {
        name: "only the same place is a repetition",
        caught_by: &["consuming::an_effect_of_something_earlier_is_refused"],
        hangs: &[],
        store: only_the_same_place_is_a_repetition,
    },
    Fault {
        name: "all consumers are one",
        caught_by: &["consuming::consumers_are_apart"],
        hangs: &[],
        store: || {
            Faulty::new().request(|request| {
                if let Some((consumer, _)) = &mut request.consumed {
                    *consumer = Consumer::new("one").unwrap();
                }
            })
        },
    },
    Fault {
        name: "the checkpoint counts as the first guard",
        caught_by: &["consuming::the_checkpoint_counts_as_one_past_the_last_guard"],
        hangs: &[],
        store: || {
            Faulty::new().append(|store, append| {
                StoreFuture::ready(now(store.append(append)).map_err(|error| match error {
                    AppendError::Conflict(Conflict {
                        actual: actual @ Actual::Consumed(_),
                        ..
                    }) => AppendError::Conflict(Conflict { guard: 0, actual }),
                    other => other,
                }))
            })
        },
    },
    Fault {
        name: "a refused append moves the checkpoint",
        caught_by: &["consuming::a_refused_append_moves_no_checkpoint"],
        hangs: &[],
        store: || {
            Faulty::new().append(|store, append| {
                let consumed = changed(&append, |_| {});
                let answer = now(store.append(append));
                if let (Err(_), Some((consumer, position))) = (&answer, consumed.consumption()) {
                    drop(now(store.save_checkpoint(consumer.clone(), position)));
                }
                StoreFuture::ready(answer)
            })
        },
    },
    Fault {
        name: "the checkpoint is looked at before the key",
        caught_by: &["consuming::a_key_is_looked_at_before_the_checkpoint"],
        hangs: &[],
        store: || {
            Faulty::new().append(|store, append| {
                let keyless = changed(&append, |request| request.key = None);
                if append.identity().is_some() && append.consumption().is_some() {
                    return store.append(keyless);
                }
                store.append(append)
            })
        },
    },
    Fault {
        name: "a checkpoint is an event",
        caught_by: &["consuming::a_checkpoint_is_no_event"],
        hangs: &[],
        store: || {
            Faulty::new().append(|store, append| {
                let is_consumed = append.consumption().is_some();
                let answer = now(store.append(append));
                if is_consumed && answer.is_ok() {
                    let event = NewEvent::new(EventType::new("checkpoint").unwrap(), "");
                    drop(now(store.append(Append::new().event(event))));
                }
                StoreFuture::ready(answer)
            })
        },
    },
    Fault {
        name: "a conflict names the place asked for",
        caught_by: &["consuming::an_effect_of_something_earlier_is_refused"],
        hangs: &[],
        store: || {
            Faulty::new().append(|store, append| {
                let asked = append.consumption().map(|(_, position)| position);
                StoreFuture::ready(now(store.append(append)).map_err(|error| match error {
                    AppendError::Conflict(Conflict {
                        guard,
                        actual: Actual::Consumed(at),
                    }) => AppendError::Conflict(Conflict {
                        guard,
                        actual: Actual::Consumed(asked.unwrap_or(at)),
                    }),
                    other => other,
                }))
            })
        },
    },
];

/// As a store would that keeps the last place for each consumer and compares for equality.
fn only_the_same_place_is_a_repetition() -> Faulty {
    let last: Mutex<Option<Position>> = Mutex::new(None);
    Faulty::new().append(move |store, append| {
        let Some((_, position)) = append.consumption() else {
            return store.append(append);
        };
        if append.events().is_empty() {
            return StoreFuture::ready(Err(InvalidAppend::Empty.into()));
        }
        let mut last = last.lock().unwrap();
        if *last == Some(position) {
            let conflict = Conflict {
                guard: append.guards().len(),
                actual: Actual::Consumed(position),
            };
            return StoreFuture::ready(Err(AppendError::Conflict(conflict)));
        }
        *last = Some(position);
        store.append(changed(&append, |request| request.consumed = None))
    })
}
