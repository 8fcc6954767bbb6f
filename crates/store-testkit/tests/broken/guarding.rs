//! Stores that look at guards as no store may.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::thread;

use eventwire_store::{
    Actual, AppendError, Conflict, EventStore, EventType, Expect, Guard, NewEvent, Position,
    StoreFuture, Version,
};

use crate::Fault;
use crate::faulty::{Faulty, changed, now};

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
        name: "query guards begin nowhere at places of another kind",
        caught_by: &["boundaries::a_place_above_the_head_is_invalid"],
        hangs: &[],
        store: || {
            after(|after| match after.to_parts() {
                (0, _) => after,
                _ => Position::MAX,
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
