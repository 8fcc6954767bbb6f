//! Stores that read from another place, further or less far than they are asked to.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use eventwire_store::{Direction, EventStore, Item, Position, Query, ReadOptions, Start};

use crate::Fault;
use crate::faulty::{Faulty, above, all, altered, given, now, unlimited};

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "after shows the place itself",
        caught_by: &["reading::after_the_head_there_is_nothing"],
        hangs: &[],
        store: || {
            forward(|after| {
                let (major, minor) = after.to_parts();
                Position::from_parts(major, minor.saturating_sub(1))
            })
        },
    },
    Fault {
        name: "after leaves out one more",
        caught_by: &[
            "reading::after_leaves_out_the_place_itself",
            "reading::pages_together_are_the_whole",
        ],
        hangs: &[],
        store: || {
            forward(|after| {
                let (major, minor) = after.to_parts();
                if after == Position::ORIGIN {
                    after
                } else {
                    Position::from_parts(major, minor.saturating_add(1))
                }
            })
        },
    },
    Fault {
        name: "after is not looked at",
        caught_by: &["reading::after_the_head_there_is_nothing"],
        hangs: &[],
        store: || forward(|_| Position::ORIGIN),
    },
    Fault {
        name: "before shows the place itself",
        caught_by: &[
            "backward::before_leaves_out_the_place_itself",
            "backward::backward_pages_together_are_the_whole",
            "filters::a_filter_begins_at_any_place",
        ],
        hangs: &[],
        store: || {
            backward(|before| {
                let (major, minor) = before.to_parts();
                Position::from_parts(major, minor.saturating_add(1))
            })
        },
    },
    Fault {
        name: "before is not looked at",
        caught_by: &["backward::before_either_end_there_is_nothing_or_everything"],
        hangs: &[],
        store: || backward(|_| Position::MAX),
    },
    Fault {
        name: "a backward read runs forward",
        caught_by: &["backward::a_backward_read_is_the_forward_read_turned_round"],
        hangs: &[],
        store: || {
            Faulty::new().read(|store, query, options| match options.direction() {
                Direction::Backward { .. } => {
                    let forward = limited(ReadOptions::all(), options);
                    let events = all(store.read(query, forward));
                    given(
                        events
                            .into_iter()
                            .filter(|item| matches!(item, Item::Event(_)))
                            .collect(),
                    )
                }
                Direction::Forward { .. } => store.read(query, options),
            })
        },
    },
    Fault {
        name: "a backward read says that it has caught up",
        caught_by: &[
            "backward::a_backward_read_of_an_empty_log_shows_nothing",
            "backward::a_backward_read_makes_no_marks",
            "backward::a_backward_limit_of_zero_shows_no_event",
        ],
        hangs: &[],
        store: || {
            Faulty::new().read(|store, query, options| {
                let mut items = all(store.read(query, options));
                if matches!(options.direction(), Direction::Backward { .. }) {
                    items.push(Item::CaughtUp(Position::ORIGIN));
                }
                given(items)
            })
        },
    },
    Fault {
        name: "a limit is not looked at",
        caught_by: &["backward::a_limit_shows_the_last_events"],
        hangs: &[],
        store: || Faulty::new().read(|store, query, options| store.read(query, unlimited(options))),
    },
    Fault {
        name: "a limit of zero is none",
        caught_by: &["backward::a_backward_limit_of_zero_shows_no_event"],
        hangs: &[],
        store: || {
            Faulty::new().read(|store, query, options| {
                store.read(
                    query,
                    if options.max_events() == Some(0) {
                        unlimited(options)
                    } else {
                        options
                    },
                )
            })
        },
    },
    Fault {
        name: "a limit is one more",
        caught_by: &["backward::a_backward_limit_of_zero_shows_no_event"],
        hangs: &[],
        store: || {
            Faulty::new().read(|store, query, options| {
                store.read(
                    query,
                    match options.max_events() {
                        Some(limit) => options.limit(limit.saturating_add(1)),
                        None => options,
                    },
                )
            })
        },
    },
    Fault {
        name: "a limit is one less",
        caught_by: &["reading::a_limit_of_exactly_what_matches_shows_all"],
        hangs: &[],
        store: || {
            Faulty::new().read(|store, query, options| {
                store.read(
                    query,
                    match options.max_events() {
                        Some(limit) => options.limit(limit.saturating_sub(1)),
                        None => options,
                    },
                )
            })
        },
    },
    Fault {
        name: "a limit is a thousand at most",
        caught_by: &["reading::a_limit_above_what_matches_changes_nothing"],
        hangs: &[],
        store: || {
            Faulty::new().read(|store, query, options| match options.max_events() {
                Some(limit) if limit > 1_000 => store.read(query, options.limit(10)),
                _ => store.read(query, options),
            })
        },
    },
    Fault {
        name: "a limit counts what is looked at",
        caught_by: &[
            "reading::a_limit_counts_what_matches",
            "backward::a_backward_limit_counts_what_matches",
        ],
        hangs: &[],
        store: a_limit_counts_what_is_looked_at,
    },
    Fault {
        name: "a limited read says that it has caught up",
        caught_by: &[
            "reading::a_limit_shows_the_first_and_has_not_caught_up",
            "reading::a_limit_of_zero_shows_no_event",
        ],
        hangs: &[],
        store: || {
            Faulty::new().read(|store, query, options| {
                let mut items = all(store.read(query, options));
                if options.max_events().is_some()
                    && matches!(options.direction(), Direction::Forward { .. })
                {
                    items.push(Item::CaughtUp(now(store.head()).unwrap()));
                }
                given(items)
            })
        },
    },
    Fault {
        name: "a read ends without a word",
        caught_by: &["reading::a_read_of_an_empty_log_has_caught_up"],
        hangs: &[],
        store: || {
            Faulty::new().read(|store, query, options| {
                let items = all(store.read(query, options));
                given(
                    items
                        .into_iter()
                        .filter(|item| matches!(item, Item::Event(_)))
                        .collect(),
                )
            })
        },
    },
    Fault {
        name: "a read catches up twice",
        caught_by: &[
            "reading::a_read_of_an_empty_log_has_caught_up",
            "reading::a_forward_read_ends_with_caught_up",
        ],
        hangs: &[],
        store: || {
            Faulty::new().read(|store, query, options| {
                let mut items = all(store.read(query, options));
                items.extend(
                    items
                        .last()
                        .cloned()
                        .filter(|item| matches!(item, Item::CaughtUp(_))),
                );
                given(items)
            })
        },
    },
    Fault {
        name: "a read ends after 256 events",
        caught_by: &[
            "atomicity::the_events_of_one_append_lie_next_to_each_other",
            "order::every_event_has_a_place_of_its_own",
            "backward::a_backward_read_is_the_forward_read_turned_round",
        ],
        hangs: &[],
        store: || {
            Faulty::new().read(|store, query, options| {
                let limit = options.max_events().unwrap_or(256).min(256);
                given(all(store.read(query, options.limit(limit))))
            })
        },
    },
    Fault {
        name: "a read is of what was there at the first",
        caught_by: &["waiting::what_was_waited_for_is_shown"],
        hangs: &[],
        store: a_read_is_of_what_was_there_at_the_first,
    },
    Fault {
        name: "a read takes what it shows",
        caught_by: &["order::nothing_appears_below_a_place_a_read_has_shown"],
        hangs: &[],
        store: a_read_takes_what_it_shows,
    },
    Fault {
        name: "one reader at a time",
        caught_by: &["reading::readers_at_once_are_each_shown_everything"],
        hangs: &[],
        store: one_reader_at_a_time,
    },
    Fault {
        name: "a read needs its store",
        caught_by: &["reading::a_read_outlives_the_handle_it_was_made_from"],
        hangs: &[],
        store: || needing_the_store(),
    },
    Fault {
        name: "a read goes on beyond its end",
        caught_by: &["epochs::logs_are_apart"],
        hangs: &[],
        store: || {
            Faulty::new().read(|store, query, options| {
                let mut items = all(store.read(query, options));
                let again: Vec<_> = items
                    .iter()
                    .filter(|item| matches!(item, Item::Event(_)))
                    .cloned()
                    .collect();
                items.extend(again);
                given(items)
            })
        },
    },
    Fault {
        name: "marks are ahead",
        caught_by: &["reading::where_a_read_caught_up_is_a_place_to_go_on_from"],
        hangs: &[],
        store: || {
            Faulty::new().show(|item| {
                vec![match item {
                    Item::CaughtUp(at) => Item::CaughtUp(above(at, 3)),
                    Item::Progress(at) => Item::Progress(above(at, 2_000)),
                    item => item,
                }]
            })
        },
    },
    Fault {
        name: "marks are behind",
        caught_by: &["reading::where_a_read_caught_up_is_a_place_to_go_on_from"],
        hangs: &[],
        store: || {
            Faulty::new().show(|item| {
                vec![match item {
                    Item::CaughtUp(_) => Item::CaughtUp(Position::ORIGIN),
                    Item::Progress(_) => Item::Progress(Position::ORIGIN),
                    item => item,
                }]
            })
        },
    },
    Fault {
        name: "there is progress that was not made",
        caught_by: &["reading::every_mark_is_a_place_to_go_on_from"],
        hangs: &[],
        store: || {
            Faulty::new().show(|item| match item {
                Item::Event(event) => {
                    let ahead = above(event.position, 800);
                    vec![Item::Event(event), Item::Progress(ahead)]
                }
                item => vec![item],
            })
        },
    },
    Fault {
        name: "a read is sorted by stream",
        caught_by: &[
            "atomicity::a_read_never_ends_within_an_append",
            "atomicity::a_backward_read_never_begins_within_an_append",
        ],
        hangs: &[],
        store: || {
            Faulty::new().read(|store, query, options| {
                let mut items = all(store.read(query, options));
                let events = items
                    .iter()
                    .take_while(|item| matches!(item, Item::Event(_)))
                    .count();
                items[..events].sort_by_key(|item| match item {
                    Item::Event(event) => event.stream_name().cloned(),
                    _ => None,
                });
                given(items)
            })
        },
    },
    Fault {
        name: "a read is torn",
        caught_by: &["atomicity::a_read_never_ends_within_an_append"],
        hangs: &[],
        store: a_read_is_torn,
    },
];

fn forward(change: fn(Position) -> Position) -> Faulty {
    Faulty::new()
        .read(move |store, query, options| match options.direction() {
            Direction::Forward { after } => {
                store.read(query, limited(ReadOptions::after(change(after)), options))
            }
            Direction::Backward { .. } => store.read(query, options),
        })
        .subscribe(move |store, query, start| match start {
            Start::Beginning => store.subscribe(query, Start::After(change(Position::ORIGIN))),
            Start::After(after) => store.subscribe(query, Start::After(change(after))),
            end => store.subscribe(query, end),
        })
}

fn a_limit_counts_what_is_looked_at() -> Faulty {
    Faulty::new().read(|store, query, options| {
        let Some(limit) = options.max_events() else {
            return store.read(query, options);
        };
        let looked_at = all(store.read(
            Query::all(),
            unlimited(options).limit(limit.saturating_mul(50)),
        ));
        let matches =
            |item: &Item| matches!(item, Item::Event(event) if query.matches(event.as_ref()));
        given(looked_at.into_iter().filter(matches).take(limit).collect())
    })
}

fn a_read_is_of_what_was_there_at_the_first() -> Faulty {
    let snapshot = Mutex::new(None);
    Faulty::new().read(move |store, query, options| {
        let mut snapshot = snapshot.lock().unwrap();
        let head = *snapshot.get_or_insert_with(|| now(store.head()).unwrap());
        altered(store.read(query, options), move |item| match item {
            Item::Event(event) if event.position > head => vec![],
            item => vec![item],
        })
    })
}

/// Like a queue.
fn a_read_takes_what_it_shows() -> Faulty {
    let taken = Arc::new(Mutex::new(HashSet::new()));
    Faulty::new().show(move |item| match item {
        Item::Event(event) if !taken.lock().unwrap().insert(event.position) => vec![],
        item => vec![item],
    })
}

/// Another read ends the one before.
fn one_reader_at_a_time() -> Faulty {
    let reader = Arc::new(AtomicUsize::new(0));
    Faulty::new().read(move |store, query, options| {
        let mine = reader.fetch_add(1, Ordering::SeqCst) + 1;
        let reader = Arc::clone(&reader);
        altered(store.read(query, options), move |item| {
            std::thread::yield_now();
            if reader.load(Ordering::SeqCst) == mine {
                vec![item]
            } else {
                vec![]
            }
        })
    })
}

/// What is shown ends when the handle is dropped.
fn needing_the_store() -> Faulty {
    let handle = Arc::new(());
    let weak = Arc::downgrade(&handle);
    let shown = weak.clone();
    Faulty::new()
        .epoch(move |epoch| {
            let _held = &handle;
            epoch
        })
        .show(move |item| {
            if shown.strong_count() > 0 {
                vec![item]
            } else {
                vec![]
            }
        })
}

/// The last event is not there yet.
fn a_read_is_torn() -> Faulty {
    Faulty::new().read(|store, query, options| {
        let mut items = all(store.read(query, options));
        if items.len() > 2 {
            match options.direction() {
                Direction::Forward { .. } => drop(items.remove(items.len() - 2)),
                Direction::Backward { .. } => drop(items.remove(0)),
            }
        }
        given(items)
    })
}

fn limited(options: ReadOptions, like: ReadOptions) -> ReadOptions {
    match like.max_events() {
        Some(limit) => options.limit(limit),
        None => options,
    }
}

fn backward(change: fn(Position) -> Position) -> Faulty {
    Faulty::new().read(move |store, query, options| match options.direction() {
        Direction::Backward {
            before: Some(before),
        } => store.read(query, limited(ReadOptions::before(change(before)), options)),
        _ => store.read(query, options),
    })
}
