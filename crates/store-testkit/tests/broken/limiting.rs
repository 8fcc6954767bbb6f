//! Stores that have other limits than they say.

use std::sync::Mutex;

use eventwire_store::{
    Append, AppendError, Capabilities, EventStore, EventType, InvalidAppend, NewEvent, StoreFuture,
    Survives,
};

use crate::Fault;
use crate::faulty::{Faulty, changed, now};

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "limits are not looked at",
        caught_by: &["limits::more_tags_are_too_many"],
        hangs: &[],
        store: || with_larger_limits(|_| true),
    },
    Fault {
        name: "the limit of tags is not looked at",
        caught_by: &[
            "limits::more_tags_are_too_many",
            "limits::one_event_past_a_limit_refuses_the_whole_append",
        ],
        hangs: &[],
        store: || with_larger_limits(|error| error.contains("tags")),
    },
    Fault {
        name: "the limit of events is not looked at",
        caught_by: &["limits::more_events_are_too_many"],
        hangs: &[],
        store: || with_larger_limits(|error| error.contains("number of events")),
    },
    Fault {
        name: "the limit of bytes is not looked at",
        caught_by: &["limits::a_larger_append_is_too_large"],
        hangs: &[],
        store: || with_larger_limits(|error| error.contains("append in bytes")),
    },
    Fault {
        name: "an event at the limit is refused",
        caught_by: &[
            "limits::the_largest_append_is_taken",
            "limits::the_most_tags_are_taken",
        ],
        hangs: &[],
        store: || {
            Faulty::new().append(|store, append| {
                let limits = store.capabilities().limits;
                let tightest = eventwire_store::Limits {
                    event_bytes: limits.event_bytes - 1,
                    append_events: limits.append_events - 1,
                    append_bytes: limits.append_bytes - 1,
                    event_tags: limits.event_tags - 1,
                };
                match eventwire_store::backend::check(
                    &append,
                    &Capabilities::full(Survives::Nothing, tightest),
                ) {
                    Ok(()) => store.append(append),
                    Err(error) => StoreFuture::ready(Err(error)),
                }
            })
        },
    },
    Fault {
        name: "only payloads count",
        caught_by: &[
            "limits::a_larger_event_is_too_large",
            "limits::every_part_of_an_event_counts",
        ],
        hangs: &[],
        store: only_payloads_count,
    },
    Fault {
        name: "what is too large is written in part",
        caught_by: &["limits::more_tags_are_too_many"],
        hangs: &[],
        store: || {
            Faulty::new().append(|store, append| {
                let answer = now(store.append(append.clone()));
                if let Err(AppendError::TooLarge { .. }) = answer {
                    drop(now(store.append(changed(&append, |request| {
                        request.events.truncate(1);
                        request.events[0] = NewEvent::new(EventType::new("part").unwrap(), "");
                    }))));
                }
                StoreFuture::ready(answer)
            })
        },
    },
    Fault {
        name: "the store stops after what was too large",
        caught_by: &["limits::more_tags_are_too_many"],
        hangs: &[],
        store: the_store_stops_after_what_was_too_large,
    },
    Fault {
        name: "guards are looked at before size",
        caught_by: &["idempotency::without_a_key_the_same_append_is_written_again"],
        hangs: &[],
        store: guards_are_looked_at_before_size,
    },
    Fault {
        name: "an empty append is written",
        caught_by: &["limits::an_append_without_events_is_invalid"],
        hangs: &[],
        store: || {
            Faulty::new().append(|store, append| {
                if append.events().is_empty() {
                    let event = NewEvent::new(EventType::new("empty").unwrap(), "");
                    return store.append(append.event(event));
                }
                store.append(append)
            })
        },
    },
];

/// Answers as if what was over a limit had been written, where the refusal reads like this.
fn with_larger_limits(is_ignored: fn(&str) -> bool) -> Faulty {
    Faulty::new().append(move |store, append| match now(store.append(append)) {
        Err(error @ AppendError::TooLarge { .. }) if is_ignored(&error.to_string()) => {
            let event = NewEvent::new(EventType::new("large").unwrap(), "");
            store.append(Append::new().event(event))
        }
        answer => StoreFuture::ready(answer),
    })
}

fn only_payloads_count() -> Faulty {
    Faulty::new().append(|store, append| match now(store.append(append.clone())) {
        Err(AppendError::TooLarge { limit, .. })
            if append
                .events()
                .iter()
                .all(|event| event.as_parts().data.len() <= limit)
                && append.events().len() == 1
                && limit > 1_000 =>
        {
            let event = NewEvent::new(EventType::new("large").unwrap(), "");
            store.append(Append::new().event(event))
        }
        answer => StoreFuture::ready(answer),
    })
}

fn the_store_stops_after_what_was_too_large() -> Faulty {
    let is_stopped = Mutex::new(false);
    Faulty::new().append(move |store, append| {
        let mut is_stopped = is_stopped.lock().unwrap();
        if *is_stopped {
            return StoreFuture::ready(Err(AppendError::Closed));
        }
        let answer = now(store.append(append));
        *is_stopped = matches!(answer, Err(AppendError::TooLarge { .. }));
        StoreFuture::ready(answer)
    })
}

/// A probe of the guards alone, before anything else is looked at.
fn guards_are_looked_at_before_size() -> Faulty {
    Faulty::new().append(|store, append| {
        let is_wrong = matches!(
            now(store.append(append.clone())),
            Err(AppendError::TooLarge { .. } | AppendError::Invalid(InvalidAppend::Empty))
        );
        let probe = changed(&append, |request| {
            request.events = vec![NewEvent::new(EventType::new("probe").unwrap(), "")];
            request.key = None;
        });
        if is_wrong && !append.guards().is_empty() {
            return store.append(probe);
        }
        store.append(append)
    })
}
