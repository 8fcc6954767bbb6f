//! A backward read shows falling positions, from the last below a place.

use eventwire_store::{Item, Position, Query, ReadOptions, RecordedEvent};

use crate::sample::{in_stream, labels, one, several, stream, tagged, typed};
use crate::subject::Subject;
use crate::threads::together;

/// A backward read of an empty log shows nothing.
pub fn a_backward_read_of_an_empty_log_shows_nothing(subject: &Subject) {
    for options in [ReadOptions::backward(), ReadOptions::before(Position::MAX)] {
        assert_eq!(subject.read(Query::all(), options), []);
    }
}

/// A backward read is the forward read turned round.
pub fn a_backward_read_is_the_forward_read_turned_round(subject: &Subject) {
    subject.put(several("room-1", 7));
    subject.put_all("room-2", 400);
    subject.put_all("room-1", 300);
    for query in [
        Query::all(),
        in_stream("room-1"),
        in_stream("room-2"),
        in_stream("unknown"),
        Query::streams([stream("room-2"), stream("room-1")]),
        typed(["labelled"]),
        typed(["unknown"]).or(in_stream("room-1")),
        tagged(["unknown"]),
        Query::streams([]),
    ] {
        let mut forward = subject.events(query.clone(), ReadOptions::all());
        forward.reverse();
        let backward = subject.events(query.clone(), ReadOptions::backward());
        assert_eq!(backward, forward, "{query:?}");
    }
}

/// Reading before a position leaves out that position and all above.
pub fn before_leaves_out_the_place_itself(subject: &Subject) {
    let positions = subject.put(several("room-1", 10)).positions;
    for (index, position) in positions.iter().enumerate() {
        let events = subject.events(Query::all(), ReadOptions::before(*position));
        let expected: Vec<_> = (0..index).rev().map(|n| n.to_string()).collect();
        assert_eq!(labels(&events), expected, "before {position}");
    }
}

/// Before the origin there is nothing, before the greatest place everything.
pub fn before_either_end_there_is_nothing_or_everything(subject: &Subject) {
    subject.put(several("room-1", 5));
    let before = |position| subject.events(Query::all(), ReadOptions::before(position));
    assert_eq!(before(Position::ORIGIN), []);
    assert_eq!(labels(&before(Position::MAX)), ["4", "3", "2", "1", "0"]);
}

/// A backward read shows events alone: there is no place ahead of it to be caught up with.
pub fn a_backward_read_makes_no_marks(subject: &Subject) {
    subject.put_all("room-1", 1_500);
    subject.put(one("rare-1", "last"));
    for query in [Query::all(), in_stream("rare-1"), in_stream("unknown")] {
        for item in subject.read(query.clone(), ReadOptions::backward()) {
            assert!(matches!(item, Item::Event(_)), "{query:?}: {item:?}");
        }
    }
}

/// A limit shows the last events, latest first.
pub fn a_limit_shows_the_last_events(subject: &Subject) {
    subject.put(several("room-1", 20));
    subject.put(several("room-2", 1));
    let last = |query, limit| labels(&subject.events(query, ReadOptions::backward().limit(limit)));
    assert_eq!(last(Query::all(), 2), ["0", "19"]);
    assert_eq!(last(in_stream("room-1"), 3), ["19", "18", "17"]);
    assert_eq!(last(in_stream("room-1"), 1), ["19"]);
    assert_eq!(last(in_stream("room-1"), 20).len(), 20);
    assert_eq!(last(in_stream("room-1"), 21).len(), 20);
}

/// A limit of zero shows no event.
pub fn a_backward_limit_of_zero_shows_no_event(subject: &Subject) {
    subject.put(several("room-1", 3));
    assert_eq!(
        subject.read(Query::all(), ReadOptions::backward().limit(0)),
        []
    );
}

/// A limit counts events that match, not events that were looked at.
pub fn a_backward_limit_counts_what_matches(subject: &Subject) {
    for n in 0..8 {
        subject.put(one("rare-1", n.to_string()));
        subject.put_all("room-1", 400);
    }
    let events = subject.events(in_stream("rare-1"), ReadOptions::backward().limit(3));
    assert_eq!(labels(&events), ["7", "6", "5"]);
}

/// Reading page by page, each before the last event of the one before, shows what one read shows.
pub fn backward_pages_together_are_the_whole(subject: &Subject) {
    subject.put_all("room-1", 130);
    subject.put_all("room-2", 170);
    let whole = subject.events(Query::all(), ReadOptions::backward());
    for size in [1, 7, 64, 299, 1_000] {
        let mut found: Vec<RecordedEvent> = Vec::new();
        while found.len() <= whole.len() {
            let options = match found.last() {
                Some(event) => ReadOptions::before(event.position),
                None => ReadOptions::backward(),
            };
            let page = subject.events(Query::all(), options.limit(size));
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        assert_eq!(found, whole, "pages of {size}");
    }
}

/// A backward read beside writers shows each event below where it began once.
pub fn a_backward_read_beside_writers_leaves_nothing_out(subject: &Subject) {
    subject.put_all("room-1", 1_200);
    together(3, |index| {
        for n in 0..30 {
            if index < 2 {
                subject.put(one("room-2", n.to_string()));
            } else {
                let events = subject.events(in_stream("room-1"), ReadOptions::backward());
                let expected: Vec<_> = (0..1_200).rev().map(|n| n.to_string()).collect();
                assert_eq!(labels(&events), expected);
            }
        }
    });
}
