//! Stores that count, place and keep together what they write as no store may.

use std::sync::Mutex;
use std::thread;

use eventwire_store::{
    Append, AppendError, EventStore, InvalidAppend, Position, StoreFuture, StreamName, StreamPlace,
    Version,
};

use crate::Fault;
use crate::faulty::{Faulty, changed, now};

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "versions begin at 2",
        caught_by: &["versions::the_first_event_of_a_stream_has_version_1"],
        hangs: &[],
        store: || Faulty::new().event(|event| renumber(event, |n| n + 1)),
    },
    Fault {
        name: "versions count the log",
        caught_by: &[
            "versions::each_stream_counts_by_itself",
            "versions::streams_whose_names_begin_alike_are_apart",
            "versions::writers_at_once_leave_no_version_out",
        ],
        hangs: &[],
        store: || {
            Faulty::new().event(|event| {
                let (_, number) = event.position.to_parts();
                renumber(event, |_| number);
            })
        },
    },
    Fault {
        name: "every version is 1",
        caught_by: &["cancelling::dropped_appends_get_in_nobodys_way"],
        hangs: &[],
        store: || Faulty::new().event(|event| renumber(event, |_| 1)),
    },
    Fault {
        name: "the answer tells the version before",
        caught_by: &[
            "versions::each_append_goes_on_where_the_stream_was",
            "versions::one_append_gives_its_events_rising_versions",
            "versions::writers_at_once_are_each_told_their_own_version",
        ],
        hangs: &[],
        store: || {
            Faulty::new().answer(|appended| {
                for (_, version) in &mut appended.streams {
                    *version = Version::new(version.get() - 1).unwrap_or(Version::FIRST);
                }
            })
        },
    },
    Fault {
        name: "the answer names one stream",
        caught_by: &["versions::the_answer_names_each_stream_written_to"],
        hangs: &[],
        store: || Faulty::new().answer(|appended| appended.streams.truncate(1)),
    },
    Fault {
        name: "the answer names a stream for each event",
        caught_by: &["versions::the_answer_names_each_stream_written_to"],
        hangs: &[],
        store: || {
            Faulty::new().answer(|appended| {
                let again = appended.streams.clone();
                appended.streams.extend(again);
            })
        },
    },
    Fault {
        name: "events without a stream get one",
        caught_by: &["limits::the_largest_event_is_taken"],
        hangs: &[],
        store: || {
            Faulty::new().request(|request| {
                for event in &mut request.events {
                    if event.as_parts().stream.is_none() {
                        *event = event.clone().stream(StreamName::new("none").unwrap());
                    }
                }
            })
        },
    },
    Fault {
        name: "refused appends use up versions",
        caught_by: &[
            "versions::a_refused_append_uses_up_no_version",
            "limits::the_store_goes_on_after_what_was_too_large",
        ],
        hangs: &[],
        store: refused_appends_use_up_versions,
    },
    Fault {
        name: "events are turned round",
        caught_by: &[
            "idempotency::the_same_append_with_the_same_key_is_written_once",
            "reading::a_read_from_the_beginning_shows_every_event",
        ],
        hangs: &[],
        store: || Faulty::new().request(|request| request.events.reverse()),
    },
    Fault {
        name: "events are sorted by stream",
        caught_by: &[
            "versions::an_event_without_a_stream_has_no_version",
            "atomicity::events_lie_in_the_order_in_which_they_were_given",
            "atomicity::one_append_can_write_to_several_streams_and_to_none",
        ],
        hangs: &[],
        store: || {
            Faulty::new().request(|request| {
                request
                    .events
                    .sort_by_key(|event| event.as_parts().stream.cloned());
            })
        },
    },
    Fault {
        name: "events are written one by one",
        caught_by: &["atomicity::an_append_to_two_streams_moves_both_at_once"],
        hangs: &[],
        store: events_are_written_one_by_one,
    },
    Fault {
        name: "what is written before a conflict stays",
        caught_by: &["atomicity::conflicts_among_many_writers_leave_nothing_behind"],
        hangs: &[],
        store: what_is_written_before_a_conflict_stays,
    },
    Fault {
        name: "only the first event is written",
        caught_by: &["atomicity::an_append_to_two_streams_moves_both_at_once"],
        hangs: &[],
        store: || Faulty::new().request(|request| request.events.truncate(1)),
    },
    Fault {
        name: "only a hundred events are written",
        caught_by: &[
            "atomicity::a_large_append_is_one",
            "reading::a_read_can_be_dropped_at_any_moment",
            "reading::a_read_shows_at_least_what_was_there_when_it_began",
            "limits::the_most_events_are_taken",
        ],
        hangs: &[],
        store: || Faulty::new().request(|request| request.events.truncate(100)),
    },
    Fault {
        name: "every append is written twice",
        caught_by: &["idempotency::a_duplicate_moves_no_head"],
        hangs: &[],
        store: || {
            Faulty::new().append(|store, append| {
                let again = changed(&append, |request| {
                    request.guards.clear();
                    request.key = None;
                });
                let answer = now(store.append(append));
                if answer.is_ok() {
                    drop(now(store.append(again)));
                }
                StoreFuture::ready(answer)
            })
        },
    },
    Fault {
        name: "positions of the answer are those of the next",
        caught_by: &[],
        hangs: &["idempotency::an_unknown_key_recalls_nothing"],
        store: || {
            Faulty::new().answer(|appended| {
                for position in &mut appended.positions {
                    let (major, minor) = position.to_parts();
                    *position = Position::from_parts(major, minor + 1);
                }
            })
        },
    },
    Fault {
        name: "the answer has one position",
        caught_by: &[
            "order::an_answer_has_one_rising_position_for_each_event",
            "reading::a_long_log_is_shown_as_a_whole",
        ],
        hangs: &[],
        store: || {
            Faulty::new().answer(|appended| {
                let last = appended.last();
                appended.positions = vec![last];
            })
        },
    },
    Fault {
        name: "before is the first event",
        caught_by: &[
            "order::an_answers_positions_are_those_of_its_events",
            "order::before_lies_between_the_append_and_what_came_earlier",
        ],
        hangs: &[],
        store: || Faulty::new().answer(|appended| appended.before = appended.positions[0]),
    },
    Fault {
        name: "before is the origin",
        caught_by: &["order::before_lies_between_the_append_and_what_came_earlier"],
        hangs: &[],
        store: || Faulty::new().answer(|appended| appended.before = Position::ORIGIN),
    },
    Fault {
        name: "answers lie",
        caught_by: &["idempotency::of_writers_who_share_a_key_by_mistake_one_wins"],
        hangs: &[],
        store: || {
            Faulty::new().append(|store, append| {
                let head = now(store.head()).unwrap();
                let positions = append
                    .events()
                    .iter()
                    .zip(1..)
                    .map(|(_, n)| Position::from_parts(0, head.to_parts().1 + n));
                let appended = eventwire_store::Appended {
                    before: head,
                    positions: positions.collect(),
                    streams: Vec::new(),
                    duplicate: false,
                };
                StoreFuture::ready(if append.events().is_empty() {
                    Err(InvalidAppend::Empty.into())
                } else {
                    Ok(appended)
                })
            })
        },
    },
    Fault {
        name: "nothing can be written",
        caught_by: &["order::the_head_never_moves_back"],
        hangs: &[],
        store: || Faulty::new().append(|_, _| StoreFuture::ready(Err(AppendError::Closed))),
    },
    Fault {
        name: "a dropped append is written in part",
        caught_by: &[
            "cancelling::an_append_never_polled_happens_as_a_whole_or_not_at_all",
            "cancelling::an_append_dropped_midway_happens_as_a_whole_or_not_at_all",
        ],
        hangs: &[],
        store: a_dropped_append_is_written_in_part,
    },
    Fault {
        name: "a dropped append holds up the next",
        caught_by: &[],
        hangs: &["cancelling::what_a_dropped_append_wrote_is_shown"],
        store: a_dropped_append_holds_up_the_next,
    },
    Fault {
        name: "a dropped append forgets its guards",
        caught_by: &["cancelling::a_dropped_append_is_still_guarded"],
        hangs: &[],
        store: || lazily(|request| request.guards.clear()),
    },
    Fault {
        name: "a dropped append forgets its key",
        caught_by: &[
            "cancelling::repeating_a_dropped_append_with_its_key_has_one_effect",
            "cancelling::what_a_dropped_append_wrote_is_shown",
        ],
        hangs: &[],
        store: || lazily(|request| request.key = None),
    },
];

fn renumber(event: &mut eventwire_store::RecordedEvent, number: impl FnOnce(u64) -> u64) {
    if let Some(StreamPlace { version, .. }) = &mut event.stream {
        *version = Version::new(number(version.get())).unwrap();
    }
}

/// The versions shown count the conflicts as well.
fn refused_appends_use_up_versions() -> Faulty {
    let refused = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = std::sync::Arc::clone(&refused);
    Faulty::new()
        .append(move |store, append| {
            let answer = now(store.append(append));
            if answer.is_err() {
                refused.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
            StoreFuture::ready(answer)
        })
        .event(move |event| {
            renumber(event, |n| {
                if n == 1 {
                    n
                } else {
                    n + counted.load(std::sync::atomic::Ordering::SeqCst)
                }
            });
        })
}

fn events_are_written_one_by_one() -> Faulty {
    Faulty::new().append(|store, append| {
        let whole = changed(&append, |_| {});
        let Some((last, first)) = append.events().split_last() else {
            return store.append(whole);
        };
        let guarded = changed(&append, |request| request.events.truncate(1));
        if first.is_empty() {
            return store.append(guarded);
        }
        let mut appended = match now(store.append(guarded)) {
            Ok(appended) => appended,
            Err(error) => return StoreFuture::ready(Err(error)),
        };
        if appended.duplicate {
            return StoreFuture::ready(Ok(appended));
        }
        for event in first[1..].iter().chain([last]) {
            thread::yield_now();
            let next = now(store.append(Append::new().event(event.clone()))).unwrap();
            appended.positions.extend(next.positions.iter());
            appended
                .streams
                .retain(|(name, _)| next.version_of(name).is_none());
            appended.streams.extend(next.streams);
        }
        StoreFuture::ready(Ok(appended))
    })
}

fn what_is_written_before_a_conflict_stays() -> Faulty {
    Faulty::new().append(|store, append| {
        let answer = now(store.append(append.clone()));
        if let Err(AppendError::Conflict(_)) = answer {
            let first = append.events()[0].clone();
            drop(now(store.append(Append::new().event(first))));
        }
        StoreFuture::ready(answer)
    })
}

/// Happens when it is polled, and if it is not, in the background and in part.
fn a_dropped_append_is_written_in_part() -> Faulty {
    Faulty::new().append(|store, append| {
        let part = changed(&append, |request| {
            request.events.truncate(1);
            request.guards.clear();
            request.key = None;
        });
        let (store, dropped) = (store.clone(), store.clone());
        let unfinished = OnDrop(Some(move || drop(now(dropped.append(part)))));
        StoreFuture::new(async move {
            yield_once().await;
            unfinished.call_off();
            store.append(append).await
        })
    })
}

/// A lock that a dropped future leaves locked.
fn a_dropped_append_holds_up_the_next() -> Faulty {
    let locked = std::sync::Arc::new(Mutex::new(false));
    Faulty::new().append(move |store, append| {
        let (store, locked) = (store.clone(), std::sync::Arc::clone(&locked));
        StoreFuture::new(async move {
            while std::mem::replace(&mut *locked.lock().unwrap(), true) {
                thread::yield_now();
            }
            yield_once().await;
            let answer = store.append(append).await;
            *locked.lock().unwrap() = false;
            answer
        })
    })
}

/// What was not polled to its end happens in the background, but otherwise than it was asked for.
fn lazily(change: fn(&mut crate::faulty::Request)) -> Faulty {
    Faulty::new().append(move |store, append| {
        let other = changed(&append, change);
        let (store, dropped) = (store.clone(), store.clone());
        let unfinished = OnDrop(Some(move || drop(now(dropped.append(other)))));
        StoreFuture::new(async move {
            yield_once().await;
            unfinished.call_off();
            store.append(append).await
        })
    })
}

struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    fn call_off(mut self) {
        self.0 = None;
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(drop) = self.0.take() {
            drop();
        }
    }
}

async fn yield_once() {
    let mut is_second = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut is_second, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
