//! Stores that find what a query does not ask for, or not what it does.

use std::sync::Mutex;

use eventwire_store::{EventStore, Item, Query, QueryItem, RecordedEvent, Scope, Tag};

use crate::Fault;
use crate::faulty::{Faulty, all, altered, given, now, unlimited};

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "every query is for everything",
        caught_by: &["backward::a_backward_limit_counts_what_matches"],
        hangs: &[],
        store: || Faulty::new().query(|_| Query::all()),
    },
    Fault {
        name: "no streams are all streams",
        caught_by: &[
            "filters::no_streams_have_no_events",
            "filters::items_are_alternatives",
        ],
        hangs: &[],
        store: || {
            each_item(|item| match item.scope() {
                Scope::Streams(streams) if streams.is_empty() => Query::all()
                    .of_types(item.types().to_vec())
                    .with_tags(item.tags().to_vec()),
                _ => Query::from(item),
            })
        },
    },
    Fault {
        name: "no streams are everything",
        caught_by: &["filters::no_streams_have_no_events"],
        hangs: &[],
        store: || {
            Faulty::new().query(|query| {
        let is_empty = |item: &QueryItem| matches!(item.scope(), Scope::Streams(streams) if streams.is_empty());
        if query.items().iter().any(is_empty) { Query::all() } else { query }
    })
        },
    },
    Fault {
        name: "of several streams the first",
        caught_by: &[
            "atomicity::an_append_to_two_streams_moves_both_at_once",
            "filters::several_streams_are_found_in_the_order_of_the_log",
        ],
        hangs: &[],
        store: || {
            each_item(|item| match item.scope() {
                Scope::Streams(streams) if streams.len() > 1 => Query::stream(streams[0].clone()),
                _ => Query::from(item),
            })
        },
    },
    Fault {
        name: "a stream is found by how it begins",
        caught_by: &["filters::no_types_and_no_tags_are_no_condition"],
        hangs: &[],
        store: || {
            matching(|item, event| match (item.scope(), event.stream_name()) {
                (Scope::Streams(streams), Some(name)) => streams
                    .iter()
                    .any(|stream| name.as_str().starts_with(stream.as_str())),
                _ => false,
            })
        },
    },
    Fault {
        name: "a category is found by how it begins",
        caught_by: &["hostile::the_longest_names_are_taken"],
        hangs: &[],
        store: || {
            matching(|item, event| match (item.scope(), event.stream_name()) {
                (Scope::Category(category), Some(name)) => {
                    name.as_str().starts_with(category.as_str())
                }
                _ => false,
            })
        },
    },
    Fault {
        name: "a category ends at the last dash",
        caught_by: &["filters::a_category_is_what_stands_before_the_first_dash"],
        hangs: &[],
        store: || {
            matching(|item, event| match (item.scope(), event.stream_name()) {
                (Scope::Category(category), Some(name)) => name
                    .as_str()
                    .rsplit_once('-')
                    .is_some_and(|(head, _)| head == category.as_str()),
                _ => false,
            })
        },
    },
    Fault {
        name: "a category is empty",
        caught_by: &["filters::many_streams_are_kept_apart"],
        hangs: &[],
        store: || {
            each_item(|item| match item.scope() {
                Scope::Category(_) => Query::streams([]),
                _ => Query::from(item),
            })
        },
    },
    Fault {
        name: "a category goes without its types and tags",
        caught_by: &[
            "filters::the_conditions_of_an_item_hold_together",
            "random::any_operations_have_the_results_the_model_says",
            "random::any_subscription_is_shown_what_a_read_shows",
            "random::any_query_finds_what_it_matches",
        ],
        hangs: &[],
        store: || {
            each_item(|item| match item.scope() {
                Scope::Category(category) => Query::category(category.clone()),
                _ => Query::from(item),
            })
        },
    },
    Fault {
        name: "of several types the first",
        caught_by: &["filters::of_several_types_any_will_do"],
        hangs: &[],
        store: || {
            each_item(|item| {
                let types = item.types().iter().take(1).cloned().collect::<Vec<_>>();
                rescoped(&item)
                    .of_types(types)
                    .with_tags(item.tags().to_vec())
            })
        },
    },
    Fault {
        name: "types are not looked at",
        caught_by: &["hostile::one_text_in_many_places_is_not_confused"],
        hangs: &[],
        store: || each_item(|item| rescoped(&item).with_tags(item.tags().to_vec())),
    },
    Fault {
        name: "types are found in any case",
        caught_by: &["filters::no_streams_have_no_events"],
        hangs: &[],
        store: || {
            matching(|item, event| {
                item.types().iter().any(|kind| {
                    kind.as_str()
                        .eq_ignore_ascii_case(event.event_type.as_str())
                })
            })
        },
    },
    Fault {
        name: "tags are not looked at",
        caught_by: &["order::all_ways_of_reading_agree_on_the_order"],
        hangs: &[],
        store: || each_item(|item| rescoped(&item).of_types(item.types().to_vec())),
    },
    Fault {
        name: "of several tags any will do",
        caught_by: &["filters::of_several_tags_all_must_be_there"],
        hangs: &[],
        store: || matching(|item, event| item.tags().iter().any(|tag| event.tags.contains(tag))),
    },
    Fault {
        name: "tags are found by how they begin",
        caught_by: &["filters::no_streams_have_no_events"],
        hangs: &[],
        store: || {
            matching(|item, event| {
                let begins = |wanted: &Tag| {
                    event
                        .tags
                        .iter()
                        .any(|tag| tag.as_str().starts_with(wanted.as_str()))
                };
                !item.tags().is_empty() && item.tags().iter().all(begins)
            })
        },
    },
    Fault {
        name: "a tag goes without its stream",
        caught_by: &["filters::no_streams_have_no_events"],
        hangs: &[],
        store: || {
            each_item(|item| match item.tags() {
                [] => Query::from(item),
                tags => Query::tags(tags.to_vec()).of_types(item.types().to_vec()),
            })
        },
    },
    Fault {
        name: "of several items the first",
        caught_by: &["filters::a_query_of_very_many_items_finds_what_they_find"],
        hangs: &[],
        store: || {
            Faulty::new().query(|query| {
                query
                    .items()
                    .first()
                    .cloned()
                    .map_or_else(Query::all, Query::from)
            })
        },
    },
    Fault {
        name: "of many items a hundred",
        caught_by: &["filters::a_query_of_very_many_items_finds_what_they_find"],
        hangs: &[],
        store: || {
            Faulty::new().query(|query| {
                let items = query.items().iter().take(100).cloned().map(Query::from);
                items.reduce(Query::or).unwrap_or_else(Query::all)
            })
        },
    },
    Fault {
        name: "of many streams ten",
        caught_by: &["filters::a_query_of_very_many_items_finds_what_they_find"],
        hangs: &[],
        store: || {
            each_item(|item| match item.scope() {
                Scope::Streams(streams) => Query::streams(streams.iter().take(10).cloned())
                    .of_types(item.types().to_vec())
                    .with_tags(item.tags().to_vec()),
                _ => Query::from(item),
            })
        },
    },
    Fault {
        name: "what several items match is shown for each",
        caught_by: &["filters::what_several_items_match_is_shown_once"],
        hangs: &[],
        store: shown_for_each_item,
    },
    Fault {
        name: "events without a stream are not found",
        caught_by: &[
            "reading::tags_keep_their_order",
            "filters::all_is_everything",
        ],
        hangs: &[],
        store: || {
            Faulty::new().show(|item| match item {
                Item::Event(event) if event.stream.is_none() => vec![],
                item => vec![item],
            })
        },
    },
    Fault {
        name: "a stream, a type and a tag of one name are one",
        caught_by: &[
            "filters::a_stream_is_found_by_its_whole_name",
            "hostile::one_text_in_many_places_is_not_confused",
        ],
        hangs: &[],
        store: || {
            matching(|item, event| {
                let name = match (item.scope(), item.types(), item.tags()) {
                    (Scope::Streams(streams), [], []) if streams.len() == 1 => streams[0].as_str(),
                    (Scope::Log, [kind], []) => kind.as_str(),
                    (Scope::Log, [], [tag]) => tag.as_str(),
                    _ => return false,
                };
                event
                    .stream_name()
                    .is_some_and(|stream| stream.as_str() == name)
                    || event.event_type.as_str() == name
                    || event.tags.iter().any(|tag| tag.as_str() == name)
            })
        },
    },
    Fault {
        name: "only the last thousand are looked through",
        caught_by: &[
            "backward::a_backward_read_beside_writers_leaves_nothing_out",
            "filters::what_is_rare_is_found_in_a_long_log",
            "filters::many_streams_are_kept_apart",
        ],
        hangs: &[],
        store: only_the_last_thousand,
    },
    Fault {
        name: "a query remembers what it found",
        caught_by: &[
            "atomicity::a_conflict_leaves_every_stream_as_it_was",
            "reading::a_reader_sees_its_own_writes",
            "filters::a_query_finds_what_came_since",
            "waiting::what_was_waited_for_is_shown",
        ],
        hangs: &[],
        store: a_query_remembers,
    },
];

fn each_item(change: fn(QueryItem) -> Query) -> Faulty {
    Faulty::new().query(move |query| {
        let items = query.items().iter().cloned().map(change);
        items.reduce(Query::or).unwrap_or(query)
    })
}

/// The scope of an item, without its other conditions.
fn rescoped(item: &QueryItem) -> Query {
    match item.scope() {
        Scope::Streams(streams) => Query::streams(streams.clone()),
        Scope::Category(category) => Query::category(category.clone()),
        _ => Query::all(),
    }
}

/// Finds what matches, and what else an item is thought to match.
fn matching(is_found: fn(&QueryItem, &RecordedEvent) -> bool) -> Faulty {
    let filter = move |query: Query| {
        move |item: Item| match item {
            Item::Event(event)
                if query.matches(event.as_ref())
                    || query.items().iter().any(|item| is_found(item, &event)) =>
            {
                vec![Item::Event(event)]
            }
            Item::Event(_) => vec![],
            item => vec![item],
        }
    };
    Faulty::new()
        .read(move |store, query, options| {
            let found = altered(store.read(Query::all(), unlimited(options)), filter(query));
            match options.max_events() {
                Some(limit) => given(
                    all(found)
                        .into_iter()
                        .filter(|item| matches!(item, Item::Event(_)))
                        .take(limit)
                        .collect(),
                ),
                None => found,
            }
        })
        .subscribe(move |store, query, start| {
            altered(store.subscribe(Query::all(), start), filter(query))
        })
}

fn shown_for_each_item() -> Faulty {
    Faulty::new().read(|store, query, options| {
        let filter = query.clone();
        altered(store.read(query, options), move |item| match item {
            Item::Event(event) => {
                let count = filter
                    .items()
                    .iter()
                    .filter(|item| item.matches(event.as_ref()))
                    .count();
                vec![Item::Event(event); count]
            }
            item => vec![item],
        })
    })
}

fn only_the_last_thousand() -> Faulty {
    Faulty::new().read(|store, query, options| {
        let (_, head) = now(store.head()).unwrap().to_parts();
        let is_filtered = query != Query::all();
        altered(store.read(query, options), move |item| match item {
            Item::Event(event) if is_filtered && event.position.to_parts().1 + 1_000 < head => {
                vec![]
            }
            item => vec![item],
        })
    })
}

fn a_query_remembers() -> Faulty {
    let found = Mutex::new(std::collections::HashMap::new());
    Faulty::new().read(move |store, query, options| {
        let name = format!("{query:?}{options:?}");
        let items = all(store.read(query, options));
        given(found.lock().unwrap().entry(name).or_insert(items).clone())
    })
}
