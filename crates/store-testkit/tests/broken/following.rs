//! Stores whose subscriptions and waits are as in no store.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use eventwire_store::{
    EventStore, EventStream, Item, Position, Query, ReadError, ReadOptions, Start, StoreFuture,
};

use crate::Fault;
use crate::faulty::{Faulty, above, all, altered, given, now};

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "a subscription ends at the head",
        caught_by: &["subscribing::a_subscription_to_an_empty_log_catches_up_and_waits"],
        hangs: &[],
        store: || {
            Faulty::new().subscribe(|store, query, start| match start {
                Start::Beginning => store.read(query, ReadOptions::all()),
                Start::After(after) => store.read(query, ReadOptions::after(after)),
                Start::End => store.read(query, ReadOptions::after(now(store.head()).unwrap())),
            })
        },
    },
    Fault {
        name: "a subscription shows no history",
        caught_by: &["subscribing::resuming_from_any_mark_loses_nothing"],
        hangs: &[],
        store: || Faulty::new().subscribe(|store, query, _| store.subscribe(query, Start::End)),
    },
    Fault {
        name: "a subscription always begins at the beginning",
        caught_by: &[
            "subscribing::a_subscription_begins_above_its_place",
            "subscribing::resuming_after_any_event_goes_on_with_the_next",
            "subscribing::resuming_from_any_mark_loses_nothing",
            "subscribing::the_hand_over_to_live_is_seamless_under_load",
        ],
        hangs: &[],
        store: || {
            Faulty::new().subscribe(|store, query, _| store.subscribe(query, Start::Beginning))
        },
    },
    Fault {
        name: "the end is the beginning",
        caught_by: &[
            "subscribing::a_subscription_from_the_end_shows_no_history",
            "subscribing::from_now_on_means_from_the_call",
        ],
        hangs: &[],
        store: || {
            Faulty::new().subscribe(|store, query, start| match start {
                Start::End => store.subscribe(query, Start::Beginning),
                start => store.subscribe(query, start),
            })
        },
    },
    Fault {
        name: "the end is found at the first poll",
        caught_by: &[],
        hangs: &["subscribing::from_now_on_means_from_the_call"],
        store: || {
            Faulty::new().subscribe(|store, query, start| match start {
                Start::End => lazy(store.clone(), query),
                start => store.subscribe(query, start),
            })
        },
    },
    Fault {
        name: "a subscription falls asleep at the head",
        caught_by: &[],
        hangs: &["subscribing::a_waiting_subscription_is_woken"],
        store: || {
            Faulty::new().subscribe(|store, query, start| {
                let mut is_asleep = false;
                altered(store.subscribe(query, start), move |item| {
                    if is_asleep {
                        return vec![];
                    }
                    is_asleep = matches!(item, Item::CaughtUp(_));
                    vec![item]
                })
            })
        },
    },
    Fault {
        name: "the first live event is lost",
        caught_by: &["subscribing::a_subscription_says_each_time_that_it_has_caught_up"],
        hangs: &[],
        store: || at_hand_over(|_| vec![]),
    },
    Fault {
        name: "the first live event is shown twice",
        caught_by: &[
            "subscribing::history_comes_first_and_then_what_is_appended",
            "subscribing::a_subscription_says_each_time_that_it_has_caught_up",
            "subscribing::a_slow_subscriber_is_shown_everything",
            "subscribing::all_who_wait_are_woken",
            "subscribing::a_subscription_can_be_dropped_at_any_moment",
            "subscribing::a_large_append_is_shown_whole",
        ],
        hangs: &[],
        store: || at_hand_over(|item| vec![item.clone(), item]),
    },
    Fault {
        name: "live events are not filtered",
        caught_by: &[
            "subscribing::a_subscription_says_how_far_it_has_looked",
            "subscribing::a_subscription_shows_only_what_matches",
        ],
        hangs: &[],
        store: || {
            Faulty::new().subscribe(|store, query, start| {
                let mut is_live = false;
                altered(store.subscribe(Query::all(), start), move |item| {
                    is_live |= matches!(item, Item::CaughtUp(_));
                    match &item {
                        Item::Event(event) if !is_live && !query.matches(event.as_ref()) => vec![],
                        _ => vec![item],
                    }
                })
            })
        },
    },
    Fault {
        name: "live events lose their metadata",
        caught_by: &["subscribing::a_subscription_shows_an_event_as_a_read_does"],
        hangs: &[],
        store: || {
            at_hand_over(|item| match item {
                Item::Event(mut event) => {
                    event.metadata.clear();
                    event.tags = [].into();
                    vec![Item::Event(event)]
                }
                item => vec![item],
            })
        },
    },
    Fault {
        name: "a subscription is silent about what does not match",
        caught_by: &[],
        hangs: &["subscribing::a_subscription_says_how_far_it_has_looked"],
        store: || {
            Faulty::new().subscribe(|store, query, start| {
                let mut last_was_event = true;
                altered(store.subscribe(query, start), move |item| {
                    let is_event = matches!(item, Item::Event(_));
                    let is_shown = is_event || last_was_event;
                    last_was_event = is_event;
                    if is_shown { vec![item] } else { vec![] }
                })
            })
        },
    },
    Fault {
        name: "a subscription never says that it has caught up",
        caught_by: &[],
        hangs: &["subscribing::a_subscription_to_an_empty_log_catches_up_and_waits"],
        store: || {
            Faulty::new().subscribe(|store, query, start| {
                altered(store.subscribe(query, start), |item| match item {
                    Item::CaughtUp(_) => vec![],
                    item => vec![item],
                })
            })
        },
    },
    Fault {
        name: "a subscription says once that it has caught up",
        caught_by: &[],
        hangs: &["subscribing::a_subscription_says_each_time_that_it_has_caught_up"],
        store: || {
            Faulty::new().subscribe(|store, query, start| {
                let mut is_said = false;
                altered(store.subscribe(query, start), move |item| match item {
                    Item::CaughtUp(_) if std::mem::replace(&mut is_said, true) => vec![],
                    item => vec![item],
                })
            })
        },
    },
    Fault {
        name: "a subscription has caught up before history",
        caught_by: &["subscribing::resuming_from_any_mark_loses_nothing"],
        hangs: &[],
        store: || {
            Faulty::new().subscribe(|store, query, start| {
                let head = now(store.head()).unwrap();
                let mut is_said = false;
                altered(store.subscribe(query, start), move |item| {
                    if std::mem::replace(&mut is_said, true) {
                        vec![item]
                    } else {
                        vec![Item::CaughtUp(head), item]
                    }
                })
            })
        },
    },
    Fault {
        name: "a ring of a thousand",
        caught_by: &[],
        hangs: &[
            "subscribing::a_subscription_outlives_the_handle_it_was_made_from",
            "subscribing::a_slow_subscriber_is_shown_everything",
        ],
        store: || {
            Faulty::new().subscribe(|store, query, start| {
                let (store, after) = (store.clone(), AtomicBool::new(false));
                let ring = store.clone();
                altered(store.subscribe(query, start), move |item| match item {
                    Item::Event(event) => {
                        let (_, head) = now(ring.head()).unwrap().to_parts();
                        after.store(true, Ordering::SeqCst);
                        if event.position.to_parts().1 + 600 < head {
                            vec![]
                        } else {
                            vec![Item::Event(event)]
                        }
                    }
                    item => vec![item],
                })
            })
        },
    },
    Fault {
        name: "one subscription at a time",
        caught_by: &[],
        hangs: &["subscribing::all_who_wait_are_woken"],
        store: one_subscription_at_a_time,
    },
    Fault {
        name: "a dropped subscription closes the others",
        caught_by: &["subscribing::resuming_from_any_mark_loses_nothing"],
        hangs: &[],
        store: a_dropped_subscription_closes_the_others,
    },
    Fault {
        name: "subscribers divide the events",
        caught_by: &["subscribing::a_subscription_begins_above_its_place"],
        hangs: &[],
        store: subscribers_divide_the_events,
    },
    Fault {
        name: "now and then live events are turned round",
        caught_by: &["subscribing::a_subscription_shows_an_event_as_a_read_does"],
        hangs: &[],
        store: || {
            Faulty::new().subscribe(|store, query, start| {
                let mut held = None;
                altered(store.subscribe(query, start), move |item| match item {
                    Item::Event(event)
                        if event.position.to_parts().1 % 4 == 1 && held.is_none() =>
                    {
                        held = Some(event);
                        vec![]
                    }
                    Item::Event(event) => std::iter::once(event)
                        .chain(held.take())
                        .map(Item::Event)
                        .collect(),
                    mark => held
                        .take()
                        .map(Item::Event)
                        .into_iter()
                        .chain([mark])
                        .collect(),
                })
            })
        },
    },
    Fault {
        name: "a subscription catches up within an append",
        caught_by: &["atomicity::a_subscription_catches_up_with_whole_appends"],
        hangs: &[],
        store: || {
            Faulty::new().subscribe(|store, query, start| {
                altered(store.subscribe(query, start), |item| match item {
                    Item::Event(event) => {
                        let at = event.position;
                        vec![Item::Event(event), Item::CaughtUp(at)]
                    }
                    item => vec![item],
                })
            })
        },
    },
    Fault {
        name: "the greatest place wraps round",
        caught_by: &["subscribing::a_subscription_from_the_greatest_place_is_shown_nothing"],
        hangs: &[],
        store: || {
            Faulty::new().subscribe(|store, query, start| match start {
                Start::After(Position::MAX) => store.subscribe(query, Start::Beginning),
                start => store.subscribe(query, start),
            })
        },
    },
    Fault {
        name: "the greatest place wraps round in reads",
        caught_by: &["reading::after_the_head_there_is_nothing"],
        hangs: &[],
        store: || {
            Faulty::new().read(|store, query, options| {
                if options == ReadOptions::after(Position::MAX) {
                    return store.read(query, ReadOptions::all());
                }
                store.read(query, options)
            })
        },
    },
    Fault {
        name: "a large append is shown in part",
        caught_by: &[],
        hangs: &["subscribing::a_subscription_outlives_the_handle_it_was_made_from"],
        store: || {
            Faulty::new().subscribe(|store, query, start| {
                let mut run = 0;
                altered(store.subscribe(query, start), move |item| {
                    run = if matches!(item, Item::Event(_)) {
                        run + 1
                    } else {
                        0
                    };
                    if run > 500 { vec![] } else { vec![item] }
                })
            })
        },
    },
    Fault {
        name: "waiting ends at once",
        caught_by: &[
            "waiting::a_position_above_the_head_is_waited_for",
            "waiting::waiting_can_be_given_up_at_any_moment",
        ],
        hangs: &[],
        store: || Faulty::new().wait_for(|_, _| StoreFuture::ready(Ok(()))),
    },
    Fault {
        name: "waiting never ends",
        caught_by: &[],
        hangs: &["subscribing::a_subscription_shows_an_event_as_a_read_does"],
        store: || Faulty::new().wait_for(|_, _| StoreFuture::new(pending())),
    },
    Fault {
        name: "the origin is waited for",
        caught_by: &[],
        hangs: &["waiting::the_origin_is_shown_at_once"],
        store: || {
            Faulty::new().wait_for(|store, position| {
                if position == Position::ORIGIN {
                    return StoreFuture::new(pending());
                }
                store.wait_for(position)
            })
        },
    },
    Fault {
        name: "waiting looks once",
        caught_by: &[],
        hangs: &["waiting::all_who_wait_for_one_position_are_woken"],
        store: || {
            Faulty::new().wait_for(|store, position| {
                if now(store.head()).unwrap() >= position {
                    return StoreFuture::ready(Ok(()));
                }
                StoreFuture::new(pending())
            })
        },
    },
    Fault {
        name: "waiting ends with any append",
        caught_by: &["waiting::an_append_that_falls_short_ends_no_waiting"],
        hangs: &[],
        store: || {
            Faulty::new().wait_for(|store, position| {
                let head = now(store.head()).unwrap();
                store.wait_for(position.min(above(head, 1)))
            })
        },
    },
    Fault {
        name: "waiting ends with the next append",
        caught_by: &[],
        hangs: &["subscribing::a_subscription_shows_an_event_as_a_read_does"],
        store: || {
            Faulty::new().wait_for(|store, position| {
                let head = now(store.head()).unwrap();
                store.wait_for(if position == head {
                    above(head, 1)
                } else {
                    position
                })
            })
        },
    },
    Fault {
        name: "one waits at a time",
        caught_by: &[],
        hangs: &["waiting::all_who_wait_for_one_position_are_woken"],
        store: one_waits_at_a_time,
    },
    Fault {
        name: "giving up waiting fails",
        caught_by: &[],
        hangs: &["waiting::waiting_can_be_given_up_at_any_moment"],
        store: giving_up_waiting_fails,
    },
    Fault {
        name: "waiting fails",
        caught_by: &[
            "order::positions_rise_from_append_to_append",
            "order::what_begins_later_lies_above",
            "subscribing::a_subscription_outlives_the_handle_it_was_made_from",
            "waiting::the_origin_is_shown_at_once",
            "waiting::what_was_shown_need_not_be_waited_for",
        ],
        hangs: &[],
        store: || Faulty::new().wait_for(|_, _| StoreFuture::ready(Err(ReadError::Closed))),
    },
];

/// Subscribes only when it is polled.
fn lazy(store: eventwire_store::MemoryStore, query: Query) -> EventStream {
    let mut inner = None;
    EventStream::new(PollFn(move |context: &mut std::task::Context<'_>| {
        let inner = inner.get_or_insert_with(|| store.subscribe(query.clone(), Start::End));
        futures_core::Stream::poll_next(std::pin::Pin::new(inner), context)
    }))
}

struct PollFn<F>(F);

impl<F, T> futures_core::Stream for PollFn<F>
where
    F: FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<T>> + Unpin,
{
    type Item = T;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<T>> {
        (self.get_mut().0)(context)
    }
}

/// What becomes of the first event after a subscription has caught up.
fn at_hand_over(change: fn(Item) -> Vec<Item>) -> Faulty {
    Faulty::new().subscribe(move |store, query, start| {
        let mut is_first = false;
        altered(store.subscribe(query, start), move |item| match item {
            Item::CaughtUp(_) => {
                is_first = true;
                vec![item]
            }
            Item::Event(_) if std::mem::take(&mut is_first) => change(item),
            item => vec![item],
        })
    })
}

/// Another subscription silences the one before.
fn one_subscription_at_a_time() -> Faulty {
    let latest = Arc::new(AtomicUsize::new(0));
    Faulty::new().subscribe(move |store, query, start| {
        let mine = latest.fetch_add(1, Ordering::SeqCst) + 1;
        let latest = Arc::clone(&latest);
        altered(store.subscribe(query, start), move |item| {
            if latest.load(Ordering::SeqCst) == mine {
                vec![item]
            } else {
                vec![]
            }
        })
    })
}

fn a_dropped_subscription_closes_the_others() -> Faulty {
    struct Closes(Arc<AtomicBool>);

    impl Drop for Closes {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    let is_closed = Arc::new(AtomicBool::new(false));
    Faulty::new().subscribe(move |store, query, start| {
        if is_closed.load(Ordering::SeqCst) {
            return given(all(store.read(query, ReadOptions::all())));
        }
        let closes = Closes(Arc::clone(&is_closed));
        altered(store.subscribe(query, start), move |item| {
            if closes.0.load(Ordering::SeqCst) {
                vec![]
            } else {
                vec![item]
            }
        })
    })
}

/// Like consumers of a queue.
fn subscribers_divide_the_events() -> Faulty {
    let taken = Arc::new(Mutex::new(std::collections::HashSet::new()));
    Faulty::new().subscribe(move |store, query, start| {
        let taken = Arc::clone(&taken);
        altered(store.subscribe(query, start), move |item| match item {
            Item::Event(event) if !taken.lock().unwrap().insert(event.position) => vec![],
            item => vec![item],
        })
    })
}

fn one_waits_at_a_time() -> Faulty {
    let is_waiting = Arc::new(AtomicBool::new(false));
    Faulty::new().wait_for(move |store, position| {
        if now(store.head()).unwrap() >= position {
            return StoreFuture::ready(Ok(()));
        }
        if is_waiting.swap(true, Ordering::SeqCst) {
            return StoreFuture::new(pending());
        }
        let is_waiting = Arc::clone(&is_waiting);
        let waiting = store.wait_for(position);
        StoreFuture::new(async move {
            let waited = waiting.await;
            is_waiting.store(false, Ordering::SeqCst);
            waited
        })
    })
}

/// Whoever gives up takes the wake of the others along.
fn giving_up_waiting_fails() -> Faulty {
    struct GivesUp(Arc<AtomicBool>);

    impl Drop for GivesUp {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    let is_given_up = Arc::new(AtomicBool::new(false));
    Faulty::new().wait_for(move |store, position| {
        let (given_up, waiting) = (Arc::clone(&is_given_up), store.wait_for(position));
        StoreFuture::new(async move {
            let guard = GivesUp(Arc::clone(&given_up));
            let waited = waiting.await;
            if given_up.load(Ordering::SeqCst) {
                pending::<()>().await;
            }
            std::mem::forget(guard);
            waited
        })
    })
}
