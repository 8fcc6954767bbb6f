//! Stores that look at guards and keys as no store may.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::thread;

use eventwire_store::{
    Actual, AppendError, Conflict, EventStore, EventType, Expect, Fingerprint, Guard,
    InvalidAppend, MemoryStore, NewEvent, Position, Recalled, StoreFuture, Version,
};

use crate::Fault;
use crate::faulty::{Answer, Faulty, Request, changed, now};

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "guards are not looked at",
        caught_by: &["guards::expecting_a_version_is_not_met_by_a_missing_stream"],
        hangs: &[],
        store: || Faulty::new().request(|request| request.guards.clear()),
    },
    Fault {
        name: "stream guards are not looked at",
        caught_by: &["guards::expecting_a_version_is_not_met_by_a_missing_stream"],
        hangs: &[],
        store: || {
            Faulty::new().request(|request| {
                request
                    .guards
                    .retain(|guard| !matches!(guard, Guard::Stream { .. }));
            })
        },
    },
    Fault {
        name: "only the first guard is looked at",
        caught_by: &["guards::a_conflict_says_which_guard_does_not_hold"],
        hangs: &[],
        store: || Faulty::new().request(|request| request.guards.truncate(1)),
    },
    Fault {
        name: "only the last guard is looked at",
        caught_by: &["guards::a_conflict_says_which_guard_does_not_hold"],
        hangs: &[],
        store: || {
            Faulty::new().request(|request| {
                let last = request.guards.pop();
                request.guards = last.into_iter().collect();
            })
        },
    },
    Fault {
        name: "one guard for each stream",
        caught_by: &[
            "guards::a_conflict_says_which_guard_does_not_hold",
            "guards::two_guards_on_one_stream_are_both_conditions",
        ],
        hangs: &[],
        store: || {
            Faulty::new().request(|request| {
                let mut guarded = HashSet::new();
                request.guards.retain(|guard| match guard {
                    Guard::Stream { stream, .. } => guarded.insert(stream.clone()),
                    _ => true,
                });
            })
        },
    },
    Fault {
        name: "guards on streams not written to are not looked at",
        caught_by: &[
            "guards::every_guard_must_hold",
            "guards::a_stream_that_is_only_read_can_be_guarded",
            "guards::guards_on_streams_only_read_prevent_write_skew",
        ],
        hangs: &[],
        store: || {
            Faulty::new().request(|request| {
                let written: HashSet<_> = request
                    .events
                    .iter()
                    .filter_map(|event| event.as_parts().stream.cloned())
                    .collect();
                request.guards.retain(|guard| match guard {
                    Guard::Stream { stream, .. } => written.contains(stream),
                    _ => true,
                });
            })
        },
    },
    Fault {
        name: "any guard is refused on a missing stream",
        caught_by: &["guards::expecting_anything_is_met_by_every_stream"],
        hangs: &[],
        store: || {
            expecting(|expect| match expect {
                Expect::Any => Expect::Exists,
                other => other,
            })
        },
    },
    Fault {
        name: "no stream means any",
        caught_by: &["guards::expecting_no_stream_is_met_until_the_first_event"],
        hangs: &[],
        store: || {
            expecting(|expect| match expect {
                Expect::NoStream => Expect::Any,
                other => other,
            })
        },
    },
    Fault {
        name: "exists means any",
        caught_by: &[
            "guards::expecting_a_stream_is_met_from_the_first_event_on",
            "guards::an_appends_own_events_do_not_count",
        ],
        hangs: &[],
        store: || {
            expecting(|expect| match expect {
                Expect::Exists => Expect::Any,
                other => other,
            })
        },
    },
    Fault {
        name: "exact means exists",
        caught_by: &["guards::expecting_a_version_is_met_by_that_version_alone"],
        hangs: &[],
        store: || {
            expecting(|expect| match expect {
                Expect::Exact(_) => Expect::Exists,
                other => other,
            })
        },
    },
    Fault {
        name: "exact is one off",
        caught_by: &["guards::deciding_again_at_the_actual_version_gets_through"],
        hangs: &[],
        store: || {
            expecting(|expect| match expect {
                Expect::Exact(version) => Expect::Exact(version.next_or_first()),
                other => other,
            })
        },
    },
    Fault {
        name: "a conflict names the first guard",
        caught_by: &["boundaries::stream_and_query_guards_hold_together"],
        hangs: &[],
        store: || conflicting(|conflict| conflict.guard = 0),
    },
    Fault {
        name: "a conflict counts guards from one",
        caught_by: &[
            "guards::of_writers_who_expect_the_same_version_one_wins",
            "boundaries::a_match_above_the_place_is_a_conflict",
        ],
        hangs: &[],
        store: || conflicting(|conflict| conflict.guard += 1),
    },
    Fault {
        name: "a conflict forgets the version",
        caught_by: &[
            "guards::expecting_a_version_is_not_met_by_a_missing_stream",
            "guards::what_a_conflict_was_with_can_be_read",
            "guards::deciding_again_at_the_actual_version_gets_through",
        ],
        hangs: &[],
        store: || {
            conflicting(|conflict| {
                if let Actual::Version(version) = &mut conflict.actual {
                    *version = match version {
                        Some(_) => None,
                        None => Some(Version::FIRST),
                    };
                }
            })
        },
    },
    Fault {
        name: "a conflict names the origin",
        caught_by: &[
            "boundaries::what_was_read_does_not_count",
            "boundaries::an_append_counts_above_its_own_before",
            "boundaries::a_conflict_names_an_event_that_matches",
            "boundaries::a_guard_on_everything_notices_any_append",
            "boundaries::of_writers_who_claim_one_name_one_wins",
            "boundaries::what_a_conflict_matched_can_be_read",
        ],
        hangs: &[],
        store: || {
            conflicting(|conflict| {
                if let Actual::Match(position) = &mut conflict.actual {
                    *position = Position::ORIGIN;
                }
            })
        },
    },
    Fault {
        name: "a conflict is for ever",
        caught_by: &["guards::a_conflict_is_about_now_and_not_for_ever"],
        hangs: &[],
        store: a_conflict_is_for_ever,
    },
    Fault {
        name: "guards look at the append itself",
        caught_by: &[
            "guards::an_append_without_guards_always_goes_in",
            "boundaries::nothing_matches_in_an_empty_log",
            "boundaries::its_own_events_do_not_count",
        ],
        hangs: &[],
        store: guards_look_at_the_append_itself,
    },
    Fault {
        name: "guards are looked at before the append",
        caught_by: &[
            "boundaries::its_own_events_do_not_count",
            "guards::of_writers_who_expect_the_same_version_one_wins",
            "guards::guards_on_streams_only_read_prevent_write_skew",
            "boundaries::of_writers_who_claim_one_name_one_wins",
            "boundaries::two_decisions_that_read_what_the_other_writes_cannot_both_stand",
        ],
        hangs: &[],
        store: guards_are_looked_at_before_the_append,
    },
    Fault {
        name: "query guards are not looked at",
        caught_by: &["boundaries::where_a_read_caught_up_is_a_sound_place"],
        hangs: &[],
        store: || {
            Faulty::new().request(|request| {
                request
                    .guards
                    .retain(|guard| !matches!(guard, Guard::NoMatch { .. }));
            })
        },
    },
    Fault {
        name: "query guards are said to be missing, and taken",
        caught_by: &["boundaries::a_store_without_query_guards_says_so"],
        hangs: &[],
        store: || {
            Faulty::new()
                .capabilities(|mut capabilities| {
                    capabilities.query_guards = false;
                    capabilities
                })
                .request(|request| {
                    request
                        .guards
                        .retain(|guard| !matches!(guard, Guard::NoMatch { .. }));
                })
        },
    },
    Fault {
        name: "query guards begin at the origin",
        caught_by: &["boundaries::nothing_lies_above_the_greatest_place"],
        hangs: &[],
        store: || after(|_| Position::ORIGIN),
    },
    Fault {
        name: "query guards count the place itself",
        caught_by: &[
            "boundaries::two_decisions_that_read_what_the_other_writes_cannot_both_stand",
            "boundaries::a_rule_across_streams_survives_many_writers",
        ],
        hangs: &[],
        store: || {
            after(|after| {
                let (major, minor) = after.to_parts();
                Position::from_parts(major, minor.saturating_sub(1))
            })
        },
    },
    Fault {
        name: "query guards leave out the next place",
        caught_by: &["boundaries::what_a_conflict_matched_can_be_read"],
        hangs: &[],
        store: || {
            after(|after| {
                let (major, minor) = after.to_parts();
                Position::from_parts(major, minor.saturating_add(1))
            })
        },
    },
    Fault {
        name: "the least place serves all guards",
        caught_by: &["boundaries::each_guard_has_its_own_place"],
        hangs: &[],
        store: || shared_after(|places| places.min()),
    },
    Fault {
        name: "the greatest place serves all guards",
        caught_by: &["boundaries::each_guard_has_its_own_place"],
        hangs: &[],
        store: || shared_after(|places| places.max()),
    },
    Fault {
        name: "query guards look at the tags alone",
        caught_by: &[
            "boundaries::only_what_matches_counts",
            "boundaries::a_guard_on_a_stream_by_query_agrees_with_its_version",
        ],
        hangs: &[],
        store: || {
            Faulty::new().request(|request| {
                for guard in &mut request.guards {
                    if let Guard::NoMatch { query, .. } = guard {
                        let tags = query.items().iter().flat_map(|item| item.tags().to_vec());
                        *query = eventwire_store::Query::tags(tags);
                    }
                }
            })
        },
    },
    Fault {
        name: "query guards look at the last thousand",
        caught_by: &["boundaries::a_match_below_much_else_is_found"],
        hangs: &[],
        store: query_guards_look_at_the_last_thousand,
    },
    Fault {
        name: "keys are not kept",
        caught_by: &["idempotency::of_writers_who_share_a_key_by_mistake_one_wins"],
        hangs: &[],
        store: || Faulty::new().request(|request| request.key = None),
    },
    Fault {
        name: "a duplicate is not marked",
        caught_by: &["idempotency::a_uuid_the_store_chose_is_chosen_once"],
        hangs: &[],
        store: || Faulty::new().answer(|appended| appended.duplicate = false),
    },
    Fault {
        name: "a first answer is marked",
        caught_by: &["idempotency::without_a_key_the_same_append_is_written_again"],
        hangs: &[],
        store: || Faulty::new().answer(|appended| appended.duplicate = true),
    },
    Fault {
        name: "a duplicate is answered with the head",
        caught_by: &[
            "idempotency::the_later_answers_are_the_first_marked_duplicate",
            "idempotency::writers_at_once_are_given_one_answer",
            "storm::what_a_storm_of_clients_saw_fits_together",
            "storm::what_resuming_subscribers_saw_fits_together",
            "storm::what_became_of_dropped_appends_fits_together",
        ],
        hangs: &[],
        store: a_duplicate_is_answered_with_the_head,
    },
    Fault {
        name: "other events under a key are a duplicate",
        caught_by: &["idempotency::of_writers_who_share_a_key_by_mistake_one_wins"],
        hangs: &[],
        store: || fingerprinted(|_, _| Fingerprint::from_bits(0)),
    },
    Fault {
        name: "payloads alone are the fingerprint",
        caught_by: &["idempotency::a_fingerprint_of_the_callers_own_decides"],
        hangs: &[],
        store: || {
            fingerprinted(|request, _| {
                let data = request
                    .events
                    .iter()
                    .map(|event| event.as_parts().data.as_ref());
                Fingerprint::of(data)
            })
        },
    },
    Fault {
        name: "an own fingerprint is not looked at",
        caught_by: &["idempotency::a_fingerprint_of_the_callers_own_decides"],
        hangs: &[],
        store: || {
            fingerprinted(|request, _| {
                let data = request
                    .events
                    .iter()
                    .map(|event| event.as_parts().data.as_ref());
                Fingerprint::of(data)
            })
        },
    },
    Fault {
        name: "guards are part of the fingerprint",
        caught_by: &["idempotency::other_guards_make_no_other_request"],
        hangs: &[],
        store: || {
            fingerprinted(|request, print| {
                Fingerprint::from_bits(print.to_bits() ^ request.guards.len() as u64)
            })
        },
    },
    Fault {
        name: "the chosen UUID is part of the fingerprint",
        caught_by: &["idempotency::a_duplicate_moves_no_head"],
        hangs: &[],
        store: || {
            let count = std::sync::atomic::AtomicU64::new(0);
            fingerprinted(move |_, print| {
                let chosen = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                Fingerprint::from_bits(print.to_bits() ^ chosen)
            })
        },
    },
    Fault {
        name: "guards are looked at before the key",
        caught_by: &[
            "idempotency::a_duplicate_is_known_before_its_guards_are_looked_at",
            "idempotency::a_reused_key_is_told_before_a_conflict",
        ],
        hangs: &[],
        store: guards_are_looked_at_before_the_key,
    },
    Fault {
        name: "the key is looked at before the size",
        caught_by: &[
            "limits::an_append_without_events_is_empty_before_all_else",
            "limits::size_is_looked_at_before_key_and_guards",
        ],
        hangs: &[],
        store: the_key_is_looked_at_before_the_size,
    },
    Fault {
        name: "a refused append uses up its key",
        caught_by: &[
            "idempotency::the_same_key_with_other_events_is_refused",
            "idempotency::a_refused_append_leaves_its_key_free",
        ],
        hangs: &[],
        store: a_refused_append_uses_up_its_key,
    },
    Fault {
        name: "a hundred keys are kept",
        caught_by: &["idempotency::a_key_is_remembered_behind_many_others"],
        hangs: &[],
        store: a_hundred_keys_are_kept,
    },
    Fault {
        name: "keys are kept in lower case",
        caught_by: &["idempotency::another_key_is_another_append"],
        hangs: &[],
        store: || keyed(str::to_lowercase),
    },
    Fault {
        name: "keys are cut at 250 bytes",
        caught_by: &["idempotency::any_text_is_a_key_of_its_own"],
        hangs: &[],
        store: || keyed(|key| key.chars().take(250).collect()),
    },
    Fault {
        name: "keys are kept after a while",
        caught_by: &[
            "idempotency::of_writers_who_share_a_key_by_mistake_one_wins",
            "idempotency::writers_at_once_are_given_one_answer",
        ],
        hangs: &[],
        store: keys_are_kept_after_a_while,
    },
    Fault {
        name: "nothing is recalled",
        caught_by: &["idempotency::a_known_key_recalls_its_answer"],
        hangs: &[],
        store: || Faulty::new().recall(|_| None),
    },
    Fault {
        name: "everything is recalled",
        caught_by: &["idempotency::an_unknown_key_recalls_nothing"],
        hangs: &[],
        store: || {
            Faulty::new().recall(|recalled| {
                Some(recalled.unwrap_or_else(|| Recalled {
                    fingerprint: Fingerprint::from_bits(0),
                    appended: eventwire_store::Appended {
                        before: Position::ORIGIN,
                        positions: vec![Position::from_parts(0, 1)],
                        streams: Vec::new(),
                        duplicate: true,
                    },
                }))
            })
        },
    },
    Fault {
        name: "what is recalled is not marked",
        caught_by: &["idempotency::a_known_key_recalls_its_answer"],
        hangs: &[],
        store: || {
            Faulty::new().recall(|recalled| {
                recalled.map(|mut recalled| {
                    recalled.appended.duplicate = false;
                    recalled
                })
            })
        },
    },
    Fault {
        name: "what is recalled has no fingerprint",
        caught_by: &["idempotency::a_known_key_recalls_its_answer"],
        hangs: &[],
        store: || {
            Faulty::new().recall(|recalled| {
                recalled.map(|mut recalled| {
                    recalled.fingerprint = Fingerprint::from_bits(0);
                    recalled
                })
            })
        },
    },
];

trait NextOrFirst {
    fn next_or_first(self) -> Self;
}

impl NextOrFirst for Version {
    fn next_or_first(self) -> Self {
        Self::new(self.get().wrapping_add(1)).unwrap_or(Self::FIRST)
    }
}

fn expecting(change: fn(Expect) -> Expect) -> Faulty {
    Faulty::new().request(move |request| {
        for guard in &mut request.guards {
            if let Guard::Stream { expect, .. } = guard {
                *expect = change(*expect);
            }
        }
    })
}

fn conflicting(change: fn(&mut Conflict)) -> Faulty {
    Faulty::new().append(move |store, append| {
        StoreFuture::ready(now(store.append(append)).map_err(|error| match error {
            AppendError::Conflict(mut conflict) => {
                change(&mut conflict);
                AppendError::Conflict(conflict)
            }
            other => other,
        }))
    })
}

fn a_conflict_is_for_ever() -> Faulty {
    let refused = Mutex::new(HashMap::new());
    Faulty::new().append(move |store, append| {
        let mut refused = refused.lock().unwrap();
        let name = format!("{:?}{:?}", append.guards(), append.events());
        if let Some(conflict) = refused.get(&name) {
            return StoreFuture::ready(Err(AppendError::Conflict(Conflict::clone(conflict))));
        }
        let answer = now(store.append(append));
        if let Err(AppendError::Conflict(conflict)) = &answer {
            refused.insert(name, conflict.clone());
        }
        StoreFuture::ready(answer)
    })
}

/// Writes first, into a store that is thrown away, and looks at the guards there.
fn guards_look_at_the_append_itself() -> Faulty {
    Faulty::new().append(|store, append| {
        for (guard, condition) in append.guards().iter().enumerate() {
            let is_met_by_itself = append.events().iter().any(|event| {
                let parts = event.as_parts();
                match condition {
                    Guard::Stream {
                        stream,
                        expect: Expect::NoStream,
                    } => parts.stream == Some(stream),
                    Guard::NoMatch { query, after } => {
                        *after != Position::MAX
                            && query.matches(eventwire_store::EventRef {
                                stream: parts.stream,
                                event_type: parts.event_type,
                                tags: parts.tags,
                            })
                    }
                    _ => false,
                }
            });
            if is_met_by_itself {
                let actual = Actual::Version(None);
                return StoreFuture::ready(Err(AppendError::Conflict(Conflict { guard, actual })));
            }
        }
        store.append(append)
    })
}

/// The classic race: look, and then write.
fn guards_are_looked_at_before_the_append() -> Faulty {
    Faulty::new().append(|store, append| {
        if append.guards().is_empty() || append.events().is_empty() {
            return store.append(append);
        }
        // Nothing of what it writes can be known by a guard: it is in no stream that is used.
        let probe = changed(&append, |request| {
            request.events = vec![NewEvent::new(EventType::new("probe").unwrap(), "")];
            request.key = None;
        });
        if let Err(error) = now(store.append(probe)) {
            return StoreFuture::ready(Err(error));
        }
        for _ in 0..50 {
            thread::yield_now();
        }
        store.append(changed(&append, |request| request.guards.clear()))
    })
}

fn after(change: fn(Position) -> Position) -> Faulty {
    Faulty::new().request(move |request| {
        for guard in &mut request.guards {
            if let Guard::NoMatch { after, .. } = guard {
                *after = change(*after);
            }
        }
    })
}

type Places<'a> = &'a mut dyn Iterator<Item = Position>;

fn shared_after(choose: fn(Places<'_>) -> Option<Position>) -> Faulty {
    Faulty::new().request(move |request| {
        let mut places = request.guards.iter().filter_map(|guard| match guard {
            Guard::NoMatch { after, .. } => Some(*after),
            _ => None,
        });
        let Some(chosen) = choose(&mut places) else {
            return;
        };
        for guard in &mut request.guards {
            if let Guard::NoMatch { after, .. } = guard {
                *after = chosen;
            }
        }
    })
}

fn query_guards_look_at_the_last_thousand() -> Faulty {
    Faulty::new().append(|store, append| {
        let (_, head) = now(store.head()).unwrap().to_parts();
        let least = Position::from_parts(0, head.saturating_sub(1_000));
        store.append(changed(&append, |request| {
            for guard in &mut request.guards {
                if let Guard::NoMatch { after, .. } = guard {
                    *after = least.max(*after);
                }
            }
        }))
    })
}

fn a_duplicate_is_answered_with_the_head() -> Faulty {
    Faulty::new().append(|store, append| {
        let head = now(store.head()).unwrap();
        StoreFuture::ready(now(store.append(append)).map(|mut appended| {
            if appended.duplicate {
                appended.positions = vec![head];
            }
            appended
        }))
    })
}

fn fingerprinted(
    print: impl Fn(&Request, Fingerprint) -> Fingerprint + Send + Sync + 'static,
) -> Faulty {
    Faulty::new().request(move |request| {
        if let Some((key, given)) = request.key.clone() {
            request.key = Some((key, print(request, given)));
        }
    })
}

fn guards_are_looked_at_before_the_key() -> Faulty {
    Faulty::new().append(|store, append| {
        if append.identity().is_some() && !append.guards().is_empty() && !append.events().is_empty()
        {
            let keyless = changed(&append, |request| request.key = None);
            if let Some(error) = conflict_of(store, keyless.guards().to_vec()) {
                return StoreFuture::ready(Err(error));
            }
        }
        store.append(append)
    })
}

/// What these guards conflict with now, without writing anything.
fn conflict_of(store: &MemoryStore, guards: Vec<Guard>) -> Option<AppendError> {
    let impossible = Guard::NoMatch {
        query: eventwire_store::Query::all(),
        after: Position::ORIGIN,
    };
    let count = guards.len();
    let probe =
        eventwire_store::Append::new().event(NewEvent::new(EventType::new("probe").unwrap(), ""));
    let probe = guards
        .into_iter()
        .chain([impossible])
        .fold(probe, eventwire_store::Append::guard);
    if now(store.head()).unwrap() == Position::ORIGIN {
        return None;
    }
    match now(store.append(probe)) {
        Err(AppendError::Conflict(conflict)) if conflict.guard < count => {
            Some(AppendError::Conflict(conflict))
        }
        _ => None,
    }
}

fn the_key_is_looked_at_before_the_size() -> Faulty {
    Faulty::new().append(|store, append| {
        let known = append
            .identity()
            .and_then(|(key, _)| now(store.recall(key.clone())).unwrap());
        match (now(store.append(append.clone())), known) {
            (
                Err(AppendError::TooLarge { .. } | AppendError::Invalid(InvalidAppend::Empty)),
                Some(_),
            ) => {
                let (key, _) = append.identity().unwrap();
                StoreFuture::ready(Err(InvalidAppend::KeyReused(key.clone()).into()))
            }
            (answer, _) => StoreFuture::ready(answer),
        }
    })
}

fn a_refused_append_uses_up_its_key() -> Faulty {
    let used = Mutex::new(HashSet::new());
    Faulty::new().append(move |store, append| {
        let mut used = used.lock().unwrap();
        let key = append.identity().map(|(key, _)| key.clone());
        if let Some(key) = key.clone().filter(|key| used.contains(key)) {
            return StoreFuture::ready(Err(InvalidAppend::KeyReused(key).into()));
        }
        let answer: Answer = now(store.append(append));
        if answer.is_err() {
            used.extend(key);
        }
        StoreFuture::ready(answer)
    })
}

fn a_hundred_keys_are_kept() -> Faulty {
    let kept = Mutex::new(HashMap::new());
    Faulty::new().request(move |request| {
        let mut kept = kept.lock().unwrap();
        if let Some((key, _)) = &mut request.key {
            // A key that was pushed out is kept anew, under another name.
            let count = kept.len();
            let (number, times) = kept.entry(key.clone()).or_insert((count, 0));
            if count > *number + 100 {
                *times += 1;
                *key = eventwire_store::IdempotencyKey::new(format!("{key}#{times}")).unwrap();
            }
        }
    })
}

fn keyed(change: fn(&str) -> String) -> Faulty {
    Faulty::new().request(move |request| {
        if let Some((key, _)) = &mut request.key {
            *key = eventwire_store::IdempotencyKey::new(change(key.as_str())).unwrap();
        }
    })
}

/// Between the look and the keeping there is time for another to look.
fn keys_are_kept_after_a_while() -> Faulty {
    let kept: Mutex<
        HashMap<eventwire_store::IdempotencyKey, (Fingerprint, eventwire_store::Appended)>,
    > = Mutex::default();
    Faulty::new().append(move |store, append| {
        let Some((key, print)) = append.identity().map(|(key, print)| (key.clone(), print)) else {
            return store.append(append);
        };
        if let Some((known, appended)) = kept.lock().unwrap().get(&key) {
            return StoreFuture::ready(if *known == print {
                Ok(eventwire_store::Appended {
                    duplicate: true,
                    ..appended.clone()
                })
            } else {
                Err(InvalidAppend::KeyReused(key).into())
            });
        }
        for _ in 0..50 {
            thread::yield_now();
        }
        let answer = now(store.append(changed(&append, |request| request.key = None)));
        if let Ok(appended) = &answer {
            kept.lock().unwrap().insert(key, (print, appended.clone()));
        }
        StoreFuture::ready(answer)
    })
}
