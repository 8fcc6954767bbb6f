//! A read yields what matches, up to the head as it is when the read gets there; then it
//! ends. A forward read that was not ended by its limit ends with `CaughtUp`.

use std::collections::HashSet;

use eventwire_store::{
    Append, Item, NewEvent, Position, Query, ReadOptions, RecordedEvent, StreamPlace, Uuid, Version,
};

use crate::sample::{
    event, event_type, in_stream, labelled, labels, one, several, stream, tag, tagged,
};
use crate::subject::Subject;
use crate::threads::together;

/// A read of an empty log says that it has caught up, and nothing else.
pub fn a_read_of_an_empty_log_has_caught_up(subject: &Subject) {
    let items = subject.read(Query::all(), ReadOptions::all());
    assert!(matches!(items[..], [Item::CaughtUp(_)]), "{items:?}");
}

/// A read from the beginning shows every event.
pub fn a_read_from_the_beginning_shows_every_event(subject: &Subject) {
    subject.put(several("room-1", 3));
    subject.put(Append::new().event(labelled("in no stream")));
    subject.put(one("room-2", "last"));
    assert_eq!(
        labels(&subject.log()),
        ["0", "1", "2", "in no stream", "last"]
    );
}

/// An event comes back as it was given, in every part.
pub fn an_event_comes_back_as_it_was_given(subject: &Subject) {
    let uuid = Uuid::from_u128(0x0193_4a5b_6c7d_7e8f_9012_3456_789a_bcde);
    let given = event("message-posted")
        .tag(tag("user:7"))
        .tag(tag("lang:en"))
        .metadata("by the gateway")
        .uuid(uuid);
    let appended = subject.put(Append::to(stream("room-1")).event(given));
    let log = subject.log();
    let [found] = &log[..] else {
        panic!("one event was appended: {log:?}")
    };
    let place = StreamPlace {
        name: stream("room-1"),
        version: Version::FIRST,
    };
    assert_eq!(found.position, appended.last());
    assert_eq!(found.stream, Some(place));
    assert_eq!(found.event_type, event_type("message-posted"));
    assert_eq!(found.uuid, uuid);
    assert_eq!(found.tags[..], [tag("user:7"), tag("lang:en")]);
    assert_eq!(found.metadata, "by the gateway");
    assert_eq!(found.data, "");
}

/// Tags keep the order in which they were given.
pub fn tags_keep_their_order(subject: &Subject) {
    let given = ["z", "a", "m", "A", "10", "9"].map(tag);
    let tagged = given.iter().cloned().fold(event("tagged"), NewEvent::tag);
    subject.put(Append::new().event(tagged));
    assert_eq!(subject.log()[0].tags[..], given);
}

/// An event without an identity is given a UUID of version 7, one of its own.
pub fn an_event_without_an_identity_is_given_one(subject: &Subject) {
    subject.put(several("room-1", 50));
    subject.put(several("room-1", 50));
    let log = subject.log();
    for event in &log {
        assert_eq!(event.uuid.get_version_num(), 7, "{}", event.uuid);
    }
    let uuids: HashSet<_> = log.iter().map(|event| event.uuid).collect();
    assert_eq!(uuids.len(), 100);
}

/// An event that was recorded never changes, however often it is read.
pub fn a_recorded_event_never_changes(subject: &Subject) {
    subject.put(several("room-1", 10));
    let first = subject.log();
    subject.put(several("room-1", 10));
    assert_eq!(subject.log()[..10], first);
    let read = |query| subject.events(query, ReadOptions::backward());
    let mut backward = read(in_stream("room-1"));
    backward.reverse();
    assert_eq!(backward[..10], first);
}

/// Reading after a position leaves out that position and all below.
pub fn after_leaves_out_the_place_itself(subject: &Subject) {
    let positions = subject.put(several("room-1", 10)).positions;
    for (index, position) in positions.iter().enumerate() {
        let events = subject.events(Query::all(), ReadOptions::after(*position));
        let expected: Vec<_> = (index + 1..10).map(|n| n.to_string()).collect();
        assert_eq!(labels(&events), expected, "after {position}");
    }
}

/// Reading after the head, or after any place beyond it, shows nothing and has caught up.
pub fn after_the_head_there_is_nothing(subject: &Subject) {
    let head = subject.put(several("room-1", 5)).last();
    for after in [head, Position::MAX] {
        let items = subject.read(Query::all(), ReadOptions::after(after));
        assert!(
            matches!(items[..], [Item::CaughtUp(_)]),
            "after {after}: {items:?}"
        );
    }
}

/// A forward read without a limit ends with `CaughtUp`, once, whatever matched.
pub fn a_forward_read_ends_with_caught_up(subject: &Subject) {
    subject.put(several("room-1", 10));
    subject.put(one("room-2", "last"));
    for query in [
        Query::all(),
        in_stream("room-1"),
        in_stream("room-2"),
        in_stream("unknown"),
        Query::streams([]),
    ] {
        let items = subject.read(query.clone(), ReadOptions::all());
        let marks = items
            .iter()
            .filter(|item| matches!(item, Item::CaughtUp(_)));
        assert_eq!(marks.count(), 1, "{query:?}: {items:?}");
        assert!(
            matches!(items.last(), Some(Item::CaughtUp(_))),
            "{query:?}: {items:?}"
        );
    }
}

/// Where a read has caught up is not below anything it showed nor above anything to come.
pub fn where_a_read_caught_up_is_a_place_to_go_on_from(subject: &Subject) {
    let mut after = Position::ORIGIN;
    let mut found = Vec::new();
    for n in 0..12 {
        subject.put(one("rare-1", n.to_string()));
        subject.put(several("room-1", n % 3 + 1));
        let mut reading = subject.start_reading(in_stream("rare-1"), ReadOptions::after(after));
        let (events, caught_up) = reading.until_caught_up();
        assert!(events.iter().all(|event| event.position <= caught_up));
        assert!(caught_up >= after, "went back from {after} to {caught_up}");
        found.extend(events);
        after = caught_up;
    }
    let expected: Vec<_> = (0..12).map(|n| n.to_string()).collect();
    assert_eq!(labels(&found), expected);
}

/// Every mark of a read is a sound place to resume from, and marks never go back.
pub fn every_mark_is_a_place_to_go_on_from(subject: &Subject) {
    for n in 0..6 {
        subject.put_all("room-1", 700);
        subject.put(one("rare-1", n.to_string()));
    }
    let mut shown = 0;
    let mut last = Position::ORIGIN;
    for item in subject.read(in_stream("rare-1"), ReadOptions::all()) {
        let (Item::Progress(at) | Item::CaughtUp(at)) = item else {
            let Item::Event(event) = item else { continue };
            assert!(event.position > last, "{} after {last}", event.position);
            last = event.position;
            shown += 1;
            continue;
        };
        assert!(
            at >= last,
            "the mark {at} lies below {last}, which was passed"
        );
        last = at;
        let rest = subject.events(in_stream("rare-1"), ReadOptions::after(at));
        let expected: Vec<_> = (shown..6).map(|n: usize| n.to_string()).collect();
        assert_eq!(labels(&rest), expected, "resumed from the mark {at}");
    }
    assert_eq!(shown, 6);
}

/// A limit below what matches shows the first of it and does not say that it has caught up.
pub fn a_limit_shows_the_first_and_has_not_caught_up(subject: &Subject) {
    subject.put(several("room-1", 20));
    for limit in [1, 2, 19] {
        let items = subject.read(Query::all(), ReadOptions::all().limit(limit));
        assert_eq!(events_of(&items).len(), limit);
        assert!(
            !items.iter().any(|item| matches!(item, Item::CaughtUp(_))),
            "{items:?}"
        );
        let expected: Vec<_> = (0..limit).map(|n| n.to_string()).collect();
        assert_eq!(labels(&events_of(&items)), expected);
    }
}

/// A limit above what matches leaves the read as it is without one.
pub fn a_limit_above_what_matches_changes_nothing(subject: &Subject) {
    subject.put(several("room-1", 20));
    let whole = subject.log();
    for limit in [21, 1_000, usize::MAX] {
        let items = subject.read(Query::all(), ReadOptions::all().limit(limit));
        assert_eq!(events_of(&items), whole, "limit {limit}");
        assert!(
            matches!(items.last(), Some(Item::CaughtUp(_))),
            "limit {limit}"
        );
    }
}

/// A limit of as many as match shows all of them.
pub fn a_limit_of_exactly_what_matches_shows_all(subject: &Subject) {
    subject.put(several("room-1", 20));
    subject.put(several("room-2", 5));
    for (query, count) in [
        (Query::all(), 25),
        (in_stream("room-1"), 20),
        (in_stream("room-2"), 5),
    ] {
        let events = subject.events(query, ReadOptions::all().limit(count));
        assert_eq!(events.len(), count);
    }
}

/// A limit of zero shows no event, and has caught up only where there is nothing to look at.
pub fn a_limit_of_zero_shows_no_event(subject: &Subject) {
    let head = subject.put(several("room-1", 3)).last();
    let items = subject.read(Query::all(), ReadOptions::all().limit(0));
    assert_eq!(events_of(&items), []);
    assert!(
        !items.iter().any(|item| matches!(item, Item::CaughtUp(_))),
        "{items:?}"
    );
    let items = subject.read(Query::all(), ReadOptions::after(head).limit(0));
    assert_eq!(events_of(&items), []);
}

/// A limit counts events that match, not events that were looked at.
pub fn a_limit_counts_what_matches(subject: &Subject) {
    for n in 0..10 {
        subject.put_all("room-1", 400);
        subject.put(one("rare-1", n.to_string()));
    }
    let events = subject.events(in_stream("rare-1"), ReadOptions::all().limit(7));
    assert_eq!(labels(&events), ["0", "1", "2", "3", "4", "5", "6"]);
}

/// Reading page by page, each after the last event of the one before, shows what one read shows.
pub fn pages_together_are_the_whole(subject: &Subject) {
    for n in 0..4 {
        subject.put(several("room-1", 90));
        subject.put(one("room-2", n.to_string()));
    }
    let whole = subject.log();
    for size in [1, 7, 64, 91, 1_000] {
        let mut found: Vec<RecordedEvent> = Vec::new();
        while found.len() <= whole.len() {
            let after = found
                .last()
                .map_or(Position::ORIGIN, |event| event.position);
            let page = subject.events(Query::all(), ReadOptions::after(after).limit(size));
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        assert_eq!(found, whole, "pages of {size}");
    }
}

/// A long log is shown as a whole.
pub fn a_long_log_is_shown_as_a_whole(subject: &Subject) {
    let mut given = Vec::new();
    for n in 0..20 {
        given.extend(subject.put(several(&format!("room-{n}"), 400)).positions);
    }
    let found: Vec<_> = subject.log().iter().map(|event| event.position).collect();
    assert_eq!(found, given);
}

/// A stream is its own log: its events alone, in the order of their versions.
pub fn a_stream_is_shown_in_the_order_of_its_versions(subject: &Subject) {
    for n in 0..30 {
        subject.put(one("room-1", n.to_string()));
        subject.put(one("room-2", "between"));
    }
    let events = subject.events(in_stream("room-1"), ReadOptions::all());
    let versions: Vec<_> = events.iter().filter_map(RecordedEvent::version).collect();
    let expected: Vec<_> = (1..=30).filter_map(Version::new).collect();
    assert_eq!(versions, expected);
}

/// Reading changes nothing.
pub fn reading_changes_nothing(subject: &Subject) {
    subject.put(several("room-1", 5));
    let (before, head) = (subject.log(), subject.head());
    for _ in 0..3 {
        assert_eq!(subject.log(), before);
        assert_eq!(subject.head(), head);
    }
}

/// Dropping a read at any moment loses nothing for other readers.
pub fn a_read_can_be_dropped_at_any_moment(subject: &Subject) {
    subject.put_all("room-1", 600);
    let whole = subject.log();
    for taken in [0, 1, 255, 256, 257, 599] {
        let mut reading = subject.start_reading(Query::all(), ReadOptions::all());
        assert_eq!(reading.next_events(taken), whole[..taken]);
        drop(reading);
        let mut again = subject.start_reading(Query::all(), ReadOptions::all());
        assert_eq!(again.next_events(taken + 1), whole[..=taken]);
    }
}

/// Readers at once are each shown everything.
pub fn readers_at_once_are_each_shown_everything(subject: &Subject) {
    subject.put_all("room-1", 500);
    let whole = subject.log();
    for found in together(6, |_| subject.log()) {
        assert_eq!(found, whole);
    }
}

/// A read owns all it needs: it goes on when the handle it was made from is gone.
pub fn a_read_outlives_the_handle_it_was_made_from(subject: &Subject) {
    let other = subject.another();
    other.put_all("room-1", 700);
    let mut reading = other.start_reading(Query::all(), ReadOptions::all());
    let first = reading.next_events(3);
    drop(other);
    let (rest, _) = reading.until_caught_up();
    assert_eq!(labels(&first), ["0", "1", "2"]);
    assert_eq!(rest.len(), 697);
}

/// A read begun before an append may show it or not, but shows all that was there before.
pub fn a_read_shows_at_least_what_was_there_when_it_began(subject: &Subject) {
    subject.put_all("room-1", 600);
    let mut reading = subject.start_reading(Query::all(), ReadOptions::all());
    let first = reading.next_event();
    subject.put(one("room-1", "meanwhile"));
    let (rest, caught_up) = reading.until_caught_up();
    let log = subject.log();
    let shown: Vec<_> = std::iter::once(first).chain(rest).collect();
    assert!(shown.len() >= 600);
    assert!(log.starts_with(&shown));
    let missing = &log[shown.len()..];
    assert!(missing.iter().all(|event| event.position > caught_up));
}

/// A write that was answered, and waited for, is shown by the next read.
pub fn a_reader_sees_its_own_writes(subject: &Subject) {
    together(4, |writer| {
        let mark = format!("writer:{writer}");
        for n in 1..=20 {
            subject.put(Append::new().event(event("mine").tag(tag(&mark))));
            let mine = subject.events(tagged([mark.as_str()]), ReadOptions::all());
            assert_eq!(mine.len(), n);
        }
    });
}

fn events_of(items: &[Item]) -> Vec<RecordedEvent> {
    let event = |item: &Item| match item {
        Item::Event(event) => Some(event.clone()),
        _ => None,
    };
    items.iter().filter_map(event).collect()
}
