//! Stores that show events, heads and epochs as no store may.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use eventwire_store::{EventStore, EventType, Item, Position, Uuid};

use crate::Fault;
use crate::faulty::{Faulty, above, now};

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "metadata is lost",
        caught_by: &["hostile::payload_and_metadata_come_back_byte_for_byte"],
        hangs: &[],
        store: || Faulty::new().event(|event| event.metadata.clear()),
    },
    Fault {
        name: "tags are sorted",
        caught_by: &["reading::tags_keep_their_order"],
        hangs: &[],
        store: || {
            Faulty::new().event(|event| {
                let mut tags = event.tags.to_vec();
                tags.sort();
                event.tags = tags.into();
            })
        },
    },
    Fault {
        name: "types are lost",
        caught_by: &["reading::an_event_comes_back_as_it_was_given"],
        hangs: &[],
        store: || Faulty::new().event(|event| event.event_type = EventType::new("event").unwrap()),
    },
    Fault {
        name: "streams are lost",
        caught_by: &["reading::a_stream_is_shown_in_the_order_of_its_versions"],
        hangs: &[],
        store: || Faulty::new().event(|event| event.stream = None),
    },
    Fault {
        name: "identities are chosen anew",
        caught_by: &["backward::a_backward_read_is_the_forward_read_turned_round"],
        hangs: &[],
        store: || {
            let next = AtomicU64::new(1);
            Faulty::new().event(move |event| {
                event.uuid = Uuid::from_u128(next.fetch_add(1, Ordering::SeqCst).into());
            })
        },
    },
    Fault {
        name: "nil and all ones are no identities",
        caught_by: &["hostile::any_uuid_is_kept"],
        hangs: &[],
        store: || {
            Faulty::new().event(|event| {
                if event.uuid.is_nil() || event.uuid.is_max() {
                    event.uuid = Uuid::from_u128(7);
                }
            })
        },
    },
    Fault {
        name: "identities are all the same",
        caught_by: &["reading::an_event_without_an_identity_is_given_one"],
        hangs: &[],
        store: || {
            Faulty::new().event(|event| {
                event.uuid = Uuid::from_u128(0x0193_4a5b_6c7d_7e8f_9012_3456_789a_bcde);
            })
        },
    },
    Fault {
        name: "the time is that of the reading",
        caught_by: &[
            "reading::a_recorded_event_never_changes",
            "reading::readers_at_once_are_each_shown_everything",
        ],
        hangs: &[],
        store: || {
            let reads = AtomicU64::new(0);
            Faulty::new().event(move |event| {
                let seconds = Duration::from_secs(reads.fetch_add(1, Ordering::SeqCst));
                event.recorded_at = SystemTime::UNIX_EPOCH + seconds;
            })
        },
    },
    Fault {
        name: "positions have gone round",
        caught_by: &["order::the_head_is_never_below_what_a_reader_was_shown"],
        hangs: &[],
        store: || {
            Faulty::new().event(|event| {
                event.position = Position::from_parts(0, u64::MAX - event.position.to_parts().1);
            })
        },
    },
    Fault {
        name: "positions begin at the origin",
        caught_by: &["order::no_event_lies_at_either_end"],
        hangs: &[],
        store: || {
            Faulty::new().event(|event| {
                event.position = Position::from_parts(0, event.position.to_parts().1 - 1);
            })
        },
    },
    Fault {
        name: "two events share a position",
        caught_by: &["filters::a_filter_begins_at_any_place"],
        hangs: &[],
        store: || {
            Faulty::new().event(|event| {
                event.position = Position::from_parts(0, event.position.to_parts().1.div_ceil(2));
            })
        },
    },
    Fault {
        name: "some events come late",
        caught_by: &[
            "order::nothing_appears_below_a_place_a_read_has_shown",
            "order::nothing_appears_at_or_below_a_mark",
        ],
        hangs: &[],
        store: some_events_come_late,
    },
    Fault {
        name: "some events are left out",
        caught_by: &[
            "subscribing::a_subscription_from_the_end_under_load_has_no_gap",
            "backward::before_either_end_there_is_nothing_or_everything",
        ],
        hangs: &[],
        store: || {
            Faulty::new().show(|item| match item {
                Item::Event(event) if event.position.to_parts().1 % 5 == 0 => vec![],
                item => vec![item],
            })
        },
    },
    Fault {
        name: "some events are shown twice",
        caught_by: &[
            "waiting::who_waits_is_woken",
            "order::every_subscription_is_shown_the_same_order",
            "subscribing::filtered_subscriptions_under_load_are_each_shown_theirs",
        ],
        hangs: &[],
        store: || {
            Faulty::new().show(|item| match item {
                Item::Event(event) if event.position.to_parts().1 % 5 == 0 => {
                    vec![Item::Event(event.clone()), Item::Event(event)]
                }
                item => vec![item],
            })
        },
    },
    Fault {
        name: "nothing is shown",
        caught_by: &["epochs::logs_are_apart"],
        hangs: &[],
        store: || {
            Faulty::new().show(|item| match item {
                Item::Event(_) => vec![],
                item => vec![item],
            })
        },
    },
    Fault {
        name: "the head is one behind",
        caught_by: &["order::the_head_is_never_below_what_a_reader_was_shown"],
        hangs: &[],
        store: || {
            Faulty::new().head(|head| Position::from_parts(0, head.to_parts().1.saturating_sub(1)))
        },
    },
    Fault {
        name: "the head is one ahead",
        caught_by: &[
            "order::an_empty_log_has_its_head_at_the_origin",
            "epochs::logs_are_apart",
        ],
        hangs: &[],
        store: || Faulty::new().head(|head| above(head, 1)),
    },
    Fault {
        name: "the head is at the origin",
        caught_by: &[
            "order::the_head_is_the_place_of_the_last_event",
            "order::the_head_is_never_below_what_a_reader_was_shown",
        ],
        hangs: &[],
        store: || Faulty::new().head(|_| Position::ORIGIN),
    },
    Fault {
        name: "the head goes back and forth",
        caught_by: &[
            "order::the_head_never_moves_back",
            "reading::reading_changes_nothing",
        ],
        hangs: &[],
        store: || {
            let asked = AtomicU64::new(0);
            Faulty::new().head(move |head| match asked.fetch_add(1, Ordering::SeqCst) % 2 {
                0 => head,
                _ => Position::from_parts(0, head.to_parts().1 / 2),
            })
        },
    },
    Fault {
        name: "the head counts refusals",
        caught_by: &["order::a_refused_append_does_not_move_the_head"],
        hangs: &[],
        store: the_head_counts_refusals,
    },
    Fault {
        name: "every log has one epoch",
        caught_by: &["epochs::another_log_has_another_epoch"],
        hangs: &[],
        store: || Faulty::new().epoch(|_| eventwire_store::Epoch::new(1)),
    },
    Fault {
        name: "an epoch is chosen at each look",
        caught_by: &["epochs::a_log_keeps_its_epoch"],
        hangs: &[],
        store: || Faulty::new().epoch(|_| eventwire_store::Epoch::random()),
    },
    Fault {
        name: "capabilities wear off",
        caught_by: &["epochs::capabilities_do_not_change"],
        hangs: &[],
        store: || {
            let asked = AtomicUsize::new(0);
            Faulty::new().capabilities(move |mut capabilities| {
                capabilities.limits.event_tags -= asked.fetch_add(1, Ordering::SeqCst).min(1);
                capabilities
            })
        },
    },
    Fault {
        name: "all logs are one",
        caught_by: &["epochs::logs_are_apart"],
        hangs: &[],
        store: all_logs_are_one,
    },
];

/// Every third event is shown only when there is another after it: what was allocated is not
/// what was committed.
fn some_events_come_late() -> Faulty {
    let looks = Arc::new(Mutex::new(std::collections::HashMap::new()));
    Faulty::new().show(move |item| match item {
        Item::Event(event) => {
            let mut looks = looks.lock().unwrap();
            let count = looks.entry(event.position).or_insert(0);
            *count += 1;
            let is_late = event.position.to_parts().1 % 3 == 1 && *count == 1;
            if is_late {
                vec![]
            } else {
                vec![Item::Event(event)]
            }
        }
        item => vec![item],
    })
}

fn the_head_counts_refusals() -> Faulty {
    let refused = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&refused);
    Faulty::new()
        .append(move |store, append| {
            let answer = now(store.append(append));
            refused.fetch_add(u64::from(answer.is_err()), Ordering::SeqCst);
            eventwire_store::StoreFuture::ready(answer)
        })
        .head(move |head| above(head, counted.load(Ordering::SeqCst)))
}

/// One log in the whole process: so only for a promise about two logs.
fn all_logs_are_one() -> Faulty {
    static ONE: std::sync::LazyLock<Faulty> = std::sync::LazyLock::new(Faulty::new);
    ONE.clone()
}
