//! Stores that find and show as no store may.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use eventwire_store::{
    Direction, EventStore, EventType, Item, Position, Query, QueryItem, ReadOptions, RecordedEvent,
    Scope, Start, Tag, Uuid,
};

use crate::Fault;
use crate::faulty::{Faulty, all, altered, given, now};

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
        caught_by: &["order::nothing_appears_below_a_place_a_read_has_shown"],
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
    // Queries.
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
    // Reads.
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
        caught_by: &[
            "order::nothing_appears_at_or_below_a_mark",
            "reading::where_a_read_caught_up_is_a_place_to_go_on_from",
        ],
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
    // Heads and epochs.
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

pub(crate) fn above(position: Position, distance: u64) -> Position {
    let (major, minor) = position.to_parts();
    Position::from_parts(major, minor.saturating_add(distance))
}

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

fn unlimited(options: ReadOptions) -> ReadOptions {
    match options.direction() {
        Direction::Forward { after } => ReadOptions::after(after),
        Direction::Backward { before: None } => ReadOptions::backward(),
        Direction::Backward {
            before: Some(before),
        } => ReadOptions::before(before),
    }
}

fn limited(options: ReadOptions, like: ReadOptions) -> ReadOptions {
    match like.max_events() {
        Some(limit) => options.limit(limit),
        None => options,
    }
}

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

fn backward(change: fn(Position) -> Position) -> Faulty {
    Faulty::new().read(move |store, query, options| match options.direction() {
        Direction::Backward {
            before: Some(before),
        } => store.read(query, limited(ReadOptions::before(change(before)), options)),
        _ => store.read(query, options),
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
