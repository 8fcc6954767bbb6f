//! A query is a disjunction of items; all conditions of an item hold together. An event is
//! shown once, however many items match it.
//!
//! One small log, and tables of queries with what they find in it.

use eventwire_store::{Append, EventType, Query, ReadOptions, Start, StreamName, Tag};

use crate::sample::{category, event_type, in_stream, labels, one, stream, tag, tagged, typed};
use crate::subject::Subject;

/// Label, stream, type and tags.
const LOG: &[(&str, Option<&str>, &str, &[&str])] = &[
    ("a", Some("room-1"), "posted", &["user:1", "lang:en"]),
    ("b", Some("room-1"), "edited", &["user:1"]),
    ("c", Some("room-10"), "posted", &["user:10"]),
    ("d", Some("room"), "posted", &[]),
    ("e", Some("user-1"), "joined", &["user:1"]),
    ("f", None, "posted", &["lang:en", "user:1"]),
    ("g", None, "joined", &[]),
    ("h", Some("a-b-c"), "posted", &["x"]),
    ("i", Some("a-x"), "posted", &["x", "lang:en"]),
    ("j", Some("-odd"), "posted", &["odd"]),
    ("k", Some("Room-1"), "Posted", &["User:1"]),
    ("l", Some("posted"), "posted", &["posted"]),
];

/// `Query::all` finds everything, events without a stream included.
pub fn all_is_everything(subject: &Subject) {
    fill(subject);
    check(subject, [(Query::all(), "abcdefghijkl")]);
}

/// A stream is found by its whole name.
pub fn a_stream_is_found_by_its_whole_name(subject: &Subject) {
    fill(subject);
    check(
        subject,
        [
            (in_stream("room-1"), "ab"),
            (in_stream("room-10"), "c"),
            (in_stream("room"), "d"),
            (in_stream("Room-1"), "k"),
            (in_stream("-odd"), "j"),
            (in_stream("posted"), "l"),
            (in_stream("room-"), ""),
            (in_stream("room-2"), ""),
            (in_stream("joined"), ""),
        ],
    );
}

/// Several streams are found in the order of the log.
pub fn several_streams_are_found_in_the_order_of_the_log(subject: &Subject) {
    fill(subject);
    check(
        subject,
        [
            (streams(&["user-1", "room-1"]), "abe"),
            (streams(&["room", "room-10", "unknown"]), "cd"),
            (streams(&["room-1", "room-1"]), "ab"),
        ],
    );
}

/// Of no streams there are no events; that is not the same as any stream.
pub fn no_streams_have_no_events(subject: &Subject) {
    fill(subject);
    check(
        subject,
        [
            (Query::streams([]), ""),
            (Query::streams([]).of_types([event_type("posted")]), ""),
            (Query::streams([]).with_tags([tag("user:1")]), ""),
        ],
    );
}

/// A category is what stands before the first dash of a stream's name.
pub fn a_category_is_what_stands_before_the_first_dash(subject: &Subject) {
    fill(subject);
    check(
        subject,
        [
            (in_category("room"), "abcd"),
            (in_category("user"), "e"),
            (in_category("a"), "hi"),
            (in_category("-odd"), "j"),
            (in_category("Room"), "k"),
            (in_category("posted"), "l"),
            (in_category("room-1"), ""),
            (in_category("a-b"), ""),
            (in_category("roo"), ""),
            (in_category("odd"), ""),
        ],
    );
}

/// Of several types any will do.
pub fn of_several_types_any_will_do(subject: &Subject) {
    fill(subject);
    check(
        subject,
        [
            (typed(["posted"]), "acdfhijl"),
            (typed(["posted", "edited"]), "abcdfhijl"),
            (typed(["joined"]), "eg"),
            (typed(["joined", "joined"]), "eg"),
            (typed(["edited", "unknown"]), "b"),
            (typed(["post"]), ""),
            (typed(["room-1"]), ""),
        ],
    );
}

/// Of several tags all must be there, in whatever order.
pub fn of_several_tags_all_must_be_there(subject: &Subject) {
    fill(subject);
    check(
        subject,
        [
            (tagged(["user:1"]), "abef"),
            (tagged(["user:1", "lang:en"]), "af"),
            (tagged(["lang:en", "user:1"]), "af"),
            (tagged(["lang:en"]), "afi"),
            (tagged(["user:1", "user:1"]), "abef"),
            (tagged(["user:10"]), "c"),
            (tagged(["User:1"]), "k"),
            (tagged(["user:1", "unknown"]), ""),
            (tagged(["user:1", "x"]), ""),
            (tagged(["user:"]), ""),
        ],
    );
}

/// Scope, types and tags of one item hold together.
pub fn the_conditions_of_an_item_hold_together(subject: &Subject) {
    fill(subject);
    check(
        subject,
        [
            (in_stream("room-1").of_types([event_type("posted")]), "a"),
            (in_category("room").with_tags([tag("user:1")]), "ab"),
            (typed(["joined"]).with_tags([tag("user:1")]), "e"),
            (
                in_category("a")
                    .of_types([event_type("posted")])
                    .with_tags([tag("lang:en")]),
                "i",
            ),
            (in_stream("room-1").of_types([event_type("joined")]), ""),
            (in_stream("room-10").with_tags([tag("user:1")]), ""),
            (typed(["posted"]).with_tags([tag("user:1")]), "af"),
        ],
    );
}

/// No types and no tags are no condition.
pub fn no_types_and_no_tags_are_no_condition(subject: &Subject) {
    fill(subject);
    let none: [EventType; 0] = [];
    let untagged: [Tag; 0] = [];
    check(
        subject,
        [
            (Query::types(none.clone()), "abcdefghijkl"),
            (Query::tags(untagged.clone()), "abcdefghijkl"),
            (in_stream("room-1").of_types(none).with_tags(untagged), "ab"),
        ],
    );
}

/// Items are alternatives: what any of them matches is found.
pub fn items_are_alternatives(subject: &Subject) {
    fill(subject);
    check(
        subject,
        [
            (in_stream("user-1").or(in_stream("room")), "de"),
            (typed(["joined"]).or(in_category("a")), "eghi"),
            (Query::streams([]).or(tagged(["odd"])), "j"),
            (in_stream("unknown").or(typed(["unknown"])), ""),
            (
                in_stream("room-1")
                    .of_types([event_type("posted")])
                    .or(typed(["joined"]).with_tags([tag("user:1")])),
                "ae",
            ),
        ],
    );
}

/// An event that several items match is shown once.
pub fn what_several_items_match_is_shown_once(subject: &Subject) {
    fill(subject);
    check(
        subject,
        [
            (in_stream("room-1").or(tagged(["user:1"])), "abef"),
            (in_stream("room-1").or(in_stream("room-1")), "ab"),
            (Query::all().or(in_stream("room-1")), "abcdefghijkl"),
            (
                tagged(["x"]).or(in_category("a")).or(typed(["posted"])),
                "acdfhijl",
            ),
        ],
    );
}

/// A query of very many items is a query like any other.
pub fn a_query_of_very_many_items_finds_what_they_find(subject: &Subject) {
    fill(subject);
    let many = |name: fn(usize) -> Query| {
        (0..300)
            .map(name)
            .reduce(Query::or)
            .unwrap_or_else(Query::all)
    };
    let unknown = many(|n| in_stream(&format!("unknown-{n}")));
    let tags = many(|n| tagged([format!("user:{n}").as_str()]));
    let names = (0..300).map(|n| stream(&format!("room-{n}")));
    check(
        subject,
        [
            (unknown.clone(), ""),
            (unknown.or(in_stream("room")), "d"),
            (tags, "abcef"),
            (Query::streams(names), "abc"),
        ],
    );
}

/// What is rare is found in a long log, at its beginning, its middle and its end.
pub fn what_is_rare_is_found_in_a_long_log(subject: &Subject) {
    let rare = |label| {
        let event = crate::sample::event("rare")
            .tag(tag("rare"))
            .stream(stream("rare-1"));
        Append::new()
            .event(event)
            .event(crate::sample::labelled(label))
    };
    subject.put(rare("beginning"));
    for n in 0..8 {
        subject.put_all(&format!("room-{n}"), 500);
        if n == 3 {
            subject.put(rare("middle"));
        }
    }
    subject.put(rare("end"));
    for query in [
        in_stream("rare-1"),
        typed(["rare"]),
        tagged(["rare"]),
        in_category("rare"),
    ] {
        assert_eq!(
            subject.events(query.clone(), ReadOptions::all()).len(),
            3,
            "{query:?}"
        );
        assert_eq!(
            subject.events(query.clone(), ReadOptions::backward()).len(),
            3,
            "{query:?}"
        );
    }
}

/// Many streams do not get into each other's way.
pub fn many_streams_are_kept_apart(subject: &Subject) {
    let name = |n: usize| format!("room-{n}");
    for round in 0..3 {
        let event = |n: usize| crate::sample::labelled(format!("{round}")).stream(stream(&name(n)));
        for from in (0..500).step_by(100) {
            subject.put(Append::new().extend((from..from + 100).map(event)));
        }
    }
    for n in [0, 1, 9, 99, 250, 499] {
        let events = subject.events(in_stream(&name(n)), ReadOptions::all());
        assert_eq!(labels(&events), ["0", "1", "2"], "{}", name(n));
    }
    assert_eq!(
        subject
            .events(in_category("room"), ReadOptions::all())
            .len(),
        1_500
    );
}

/// A filter and a place go together: what matches above it.
pub fn a_filter_begins_at_any_place(subject: &Subject) {
    fill(subject);
    let log = subject.log();
    for query in [
        tagged(["user:1"]),
        in_category("room"),
        typed(["posted"]).or(typed(["joined"])),
    ] {
        let whole = subject.events(query.clone(), ReadOptions::all());
        for event in &log {
            let at = event.position;
            let above: Vec<_> = whole
                .iter()
                .filter(|event| event.position > at)
                .cloned()
                .collect();
            let below: Vec<_> = whole
                .iter()
                .rev()
                .filter(|event| event.position < at)
                .cloned()
                .collect();
            let after = subject.events(query.clone(), ReadOptions::after(at));
            let before = subject.events(query.clone(), ReadOptions::before(at));
            assert_eq!(labels(&after), labels(&above), "{query:?} after {at}");
            assert_eq!(labels(&before), labels(&below), "{query:?} before {at}");
        }
    }
}

/// A query finds what was appended since it last looked.
pub fn a_query_finds_what_came_since(subject: &Subject) {
    fill(subject);
    check(
        subject,
        [(in_stream("room-2"), ""), (in_stream("room"), "d")],
    );
    subject.put(one("room-2", "m"));
    subject.put(one("room", "n"));
    check(
        subject,
        [(in_stream("room-2"), "m"), (in_stream("room"), "dn")],
    );
}

fn fill(subject: &Subject) {
    for chunk in LOG.chunks(5) {
        let event = |(label, name, kind, tags): &(&str, Option<&str>, &str, &[&str])| {
            let event = eventwire_store::NewEvent::new(event_type(kind), (*label).to_owned());
            let event = tags.iter().fold(event, |event, name| event.tag(tag(name)));
            match name {
                Some(name) => event.stream(stream(name)),
                None => event,
            }
        };
        subject.put(Append::new().extend(chunk.iter().map(event)));
    }
}

/// Each query finds the events with these labels: forward, backward and live.
#[track_caller]
fn check<const N: usize>(subject: &Subject, cases: [(Query, &str); N]) {
    for (query, expected) in cases {
        let forward = labels(&subject.events(query.clone(), ReadOptions::all()));
        assert_eq!(forward.concat(), expected, "{query:?}");
        let mut backward = labels(&subject.events(query.clone(), ReadOptions::backward()));
        backward.reverse();
        assert_eq!(backward.concat(), expected, "backward: {query:?}");
        let (followed, _) = subject
            .subscribe(query.clone(), Start::Beginning)
            .until_caught_up();
        assert_eq!(
            labels(&followed).concat(),
            expected,
            "subscribed: {query:?}"
        );
    }
}

fn streams(names: &[&str]) -> Query {
    Query::streams(names.iter().map(|name| -> StreamName { stream(name) }))
}

fn in_category(name: &str) -> Query {
    Query::category(category(name))
}
