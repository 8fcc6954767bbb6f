//! Stores that keep and recall keys as no store may.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::thread;

use eventwire_store::{
    AppendError, EventStore, EventType, Fingerprint, Guard, InvalidAppend, MemoryStore, NewEvent,
    Position, Recalled, StoreFuture,
};

use crate::Fault;
use crate::faulty::{Answer, Faulty, Request, changed, now};

pub(crate) const FAULTS: &[Fault] = &[
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
