//! Stores that count, place and keep together what they write as no store may.

use std::collections::HashSet;
use std::sync::Mutex;
use std::thread;

use eventwire_store::{
    Append, AppendError, Capabilities, EventStore, EventType, InvalidAppend, NewEvent, Position,
    StoreFuture, StreamName, StreamPlace, Survives, Version,
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
    Fault {
        name: "names are kept in lower case",
        caught_by: &[
            "hostile::any_name_is_a_stream_of_its_own",
            "hostile::any_name_is_a_tag_of_its_own",
            "hostile::any_name_is_a_type_of_its_own",
            "hostile::any_name_is_in_its_category",
        ],
        hangs: &[],
        store: || names_become(str::to_lowercase),
    },
    Fault {
        name: "names are trimmed",
        caught_by: &["hostile::any_name_is_a_stream_of_its_own"],
        hangs: &[],
        store: || {
            names_become(|name| {
                let name = name.trim();
                if name.is_empty() {
                    "_".to_owned()
                } else {
                    name.to_owned()
                }
            })
        },
    },
    Fault {
        name: "names are cut at 250 bytes",
        caught_by: &["hostile::the_longest_names_are_taken"],
        hangs: &[],
        store: || {
            names_become(|name| {
                let end = (0..=250.min(name.len()))
                    .rev()
                    .find(|&end| name.is_char_boundary(end))
                    .unwrap();
                name[..end].to_owned()
            })
        },
    },
    Fault {
        name: "long payloads are cut",
        caught_by: &[
            "hostile::payloads_of_one_append_do_not_run_into_each_other",
            "hostile::payloads_of_any_length_come_back",
        ],
        hangs: &[],
        store: || payloads_become(|data| data[..data.len().min(60_000)].to_vec()),
    },
    Fault {
        name: "payloads end at NUL",
        caught_by: &["hostile::payload_and_metadata_come_back_byte_for_byte"],
        hangs: &[],
        store: || payloads_become(|data| data.split(|byte| *byte == 0).next().unwrap().to_vec()),
    },
    Fault {
        name: "payloads are made UTF-8",
        caught_by: &["hostile::payload_and_metadata_come_back_byte_for_byte"],
        hangs: &[],
        store: || payloads_become(|data| String::from_utf8_lossy(data).into_owned().into_bytes()),
    },
    Fault {
        name: "events with nothing in them are left out",
        caught_by: &["hostile::an_event_with_nothing_in_it_is_an_event"],
        hangs: &[],
        store: || {
            Faulty::new().request(|request| {
                let is_nothing = |event: &NewEvent| {
                    event.as_parts().data.is_empty()
                        && event.as_parts().event_type.as_str() == "empty"
                };
                if request.events.iter().any(|event| !is_nothing(event)) || request.events.len() > 1
                {
                    let first = request.events[0].clone();
                    request.events.retain(|event| !is_nothing(event));
                    if request.events.is_empty() {
                        request.events.push(first);
                    }
                }
            })
        },
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

fn names_become(change: fn(&str) -> String) -> Faulty {
    Faulty::new().request(move |request| {
        for event in &mut request.events {
            let parts = event.as_parts();
            let kind = EventType::new(change(parts.event_type.as_str())).unwrap();
            let mut renamed =
                NewEvent::new(kind, parts.data.clone()).metadata(parts.metadata.clone());
            let mut seen = HashSet::new();
            for tag in parts.tags {
                let tag = eventwire_store::Tag::new(change(tag.as_str())).unwrap();
                if seen.insert(tag.clone()) {
                    renamed = renamed.tag(tag);
                }
            }
            if let Some(name) = parts.stream {
                renamed = renamed.stream(StreamName::new(change(name.as_str())).unwrap());
            }
            *event = match parts.uuid {
                Some(uuid) => renamed.uuid(uuid),
                None => renamed,
            };
        }
    })
}

fn payloads_become(change: fn(&[u8]) -> Vec<u8>) -> Faulty {
    Faulty::new().event(move |event| {
        event.data = change(&event.data).into();
        event.metadata = change(&event.metadata).into();
    })
}
