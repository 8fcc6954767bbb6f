//! Positions are totally ordered. Once any reader has been shown position P, no event below
//! P ever appears to anyone.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use eventwire_store::{Append, Expect, Item, Position, Query, ReadOptions, RecordedEvent, Start};

use crate::sample::{event, in_stream, labelled, labels, one, several, stream, tag, tagged};
use crate::subject::Subject;
use crate::threads::{Count, beside, together};

/// The head of an empty log is `Position::ORIGIN`.
pub fn an_empty_log_has_its_head_at_the_origin(subject: &Subject) {
    assert_eq!(subject.head(), Position::ORIGIN);
}

/// The head is the position of the last event.
pub fn the_head_is_the_place_of_the_last_event(subject: &Subject) {
    for count in [1, 3, 1, 40] {
        let appended = subject.put(several("room-1", count));
        assert_eq!(subject.head(), appended.last());
    }
}

/// A refused append does not move the head.
pub fn a_refused_append_does_not_move_the_head(subject: &Subject) {
    let first = subject.put(one("room-1", "first"));
    for _ in 0..3 {
        let answer = subject.append(several("room-1", 3).expect(Expect::NoStream));
        assert!(answer.is_err(), "{answer:?}");
        assert_eq!(subject.head(), first.last());
    }
}

/// Positions rise in the order of the appends, whatever the streams.
pub fn positions_rise_from_append_to_append(subject: &Subject) {
    let mut last = Position::ORIGIN;
    for n in 0..30 {
        let appended = subject.put(several(&format!("room-{}", n % 4), 1 + n % 3));
        assert!(
            appended.positions[0] > last,
            "{:?} after {last}",
            appended.positions
        );
        last = appended.last();
    }
}

/// An answer has one position for each event, rising.
pub fn an_answer_has_one_rising_position_for_each_event(subject: &Subject) {
    for count in [1, 2, 7, 100] {
        let appended = subject.put(several("room-1", count));
        assert_eq!(appended.positions.len(), count);
        assert!(is_rising(&appended.positions), "{:?}", appended.positions);
    }
}

/// An answer's positions are those under which readers find the events.
pub fn an_answers_positions_are_those_of_its_events(subject: &Subject) {
    let append = |n: usize| {
        let label = |m| labelled(format!("{n}/{m}")).stream(stream(&format!("room-{m}")));
        Append::new().extend((0..=n % 3).map(label))
    };
    for n in 0..10 {
        let appended = subject.put(append(n));
        let events = subject.events(Query::all(), ReadOptions::after(appended.before));
        assert_eq!(positions(&events), appended.positions);
        assert!(
            labels(&events)
                .iter()
                .all(|label| label.starts_with(&format!("{n}/")))
        );
    }
}

/// `before` lies below the append's first event and not below any earlier one.
pub fn before_lies_between_the_append_and_what_came_earlier(subject: &Subject) {
    let mut earlier = Position::ORIGIN;
    for count in [1, 4, 1] {
        let appended = subject.put(several("room-1", count));
        assert!(appended.before < appended.positions[0], "{appended:?}");
        assert!(appended.before >= earlier, "{appended:?} after {earlier}");
        earlier = appended.last();
    }
}

/// No event is at `Position::ORIGIN` or at `Position::MAX`.
pub fn no_event_lies_at_either_end(subject: &Subject) {
    subject.put(several("room-1", 20));
    for event in subject.log() {
        assert!(event.position > Position::ORIGIN);
        assert!(event.position < Position::MAX);
    }
}

/// No two events have one position, and a read shows them in order.
pub fn every_event_has_a_place_of_its_own(subject: &Subject) {
    together(6, |writer| {
        for n in 0..20 {
            subject.put(several(&format!("room-{}", writer % 3), 1 + n % 4));
        }
    });
    let positions = positions(&subject.log());
    assert!(is_rising(&positions), "{positions:?}");
    assert_eq!(positions.len(), 6 * 5 * (1 + 2 + 3 + 4));
}

/// An append that begins after another was shown lies above it, whoever makes it.
pub fn what_begins_later_lies_above(subject: &Subject) {
    let shown = Mutex::new(Position::ORIGIN);
    together(6, |writer| {
        for n in 0..30 {
            let below = *shown.lock().expect("no writer panics here");
            let appended = subject.put(one(&format!("room-{writer}"), n.to_string()));
            assert!(
                appended.positions[0] > below,
                "{appended:?} began after {below} was shown"
            );
            let mut shown = shown.lock().expect("no writer panics here");
            *shown = appended.last().max(*shown);
        }
    });
}

/// The head never moves back.
pub fn the_head_never_moves_back(subject: &Subject) {
    while_writers_write(subject, |_| {
        let first = subject.head();
        let second = subject.head();
        assert!(
            first <= second,
            "the head moved back from {first} to {second}"
        );
    });
}

/// The head is never below an event that a reader was shown.
pub fn the_head_is_never_below_what_a_reader_was_shown(subject: &Subject) {
    while_writers_write(subject, |_| {
        let shown = subject.events(Query::all(), ReadOptions::backward().limit(1));
        let head = subject.head();
        if let Some(event) = shown.first() {
            assert!(
                event.position <= head,
                "shown {}, head {head}",
                event.position
            );
        }
    });
}

/// What a reader was shown, every later read shows again, with nothing come in between.
pub fn nothing_appears_below_a_place_a_read_has_shown(subject: &Subject) {
    let seen = Mutex::new(Vec::new());
    while_writers_write(subject, |_| {
        let known = seen.lock().expect("no reader panics here").clone();
        let now = positions(&subject.log());
        assert!(
            now.starts_with(&known),
            "{:?} appeared below {:?}, which was shown before",
            late(&known, &now),
            known.last()
        );
        let mut seen = seen.lock().expect("no reader panics here");
        if now.len() > seen.len() {
            *seen = now;
        }
    });
}

/// Every subscription is shown the same events in the same order, whenever it begins.
pub fn every_subscription_is_shown_the_same_order(subject: &Subject) {
    const WRITERS: usize = 4;
    const APPENDS: usize = 40;
    let written = Count::default();
    let told = together(WRITERS + 3, |index| {
        if index < WRITERS {
            for n in 0..APPENDS {
                subject.put(one(&format!("room-{index}"), n.to_string()));
                written.raise();
            }
            return Vec::new();
        }
        // One begins at once, one after a quarter, one in the middle of the writing.
        let reader = index - WRITERS;
        written.wait_until(reader * WRITERS * APPENDS / 4);
        let mut subscription = subject.subscribe(Query::all(), Start::Beginning);
        positions(&subscription.next_events(WRITERS * APPENDS))
    });
    let log = positions(&subject.log());
    for told in &told[WRITERS..] {
        assert_eq!(*told, log, "{:?} came late or never", late(told, &log));
    }
}

/// A mark is a promise as well: nothing that matches ever appears at or below it.
pub fn nothing_appears_at_or_below_a_mark(subject: &Subject) {
    let marks = Mutex::new(Vec::new());
    while_writers_write(subject, |n| {
        let query = in_stream(&format!("room-{}", n % 3));
        let items = subject.read(query.clone(), ReadOptions::all());
        let mut shown = Vec::new();
        for item in items {
            match item {
                Item::Event(event) => shown.push(event.position),
                Item::Progress(at) | Item::CaughtUp(at) => marks
                    .lock()
                    .expect("no reader panics here")
                    .push((query.clone(), at, shown.clone())),
                _ => {}
            }
        }
    });
    for (query, at, shown) in marks.into_inner().expect("no reader panics here") {
        let below: Vec<_> = positions(&subject.events(query.clone(), ReadOptions::all()))
            .into_iter()
            .filter(|position| *position <= at)
            .collect();
        assert_eq!(below, shown, "at or below the mark {at} of {query:?}");
    }
}

/// Backward readers, filtered readers and forward readers agree on the order.
pub fn all_ways_of_reading_agree_on_the_order(subject: &Subject) {
    together(4, |writer| {
        for n in 0..20 {
            let tagged = event("tagged").tag(tag(&format!("writer:{writer}")));
            let append = Append::to(stream(&format!("room-{}", n % 3))).event(tagged);
            subject.put(append);
        }
    });
    let log = positions(&subject.log());
    let mut backward = positions(&subject.events(Query::all(), ReadOptions::backward()));
    backward.reverse();
    assert_eq!(backward, log);
    let by = |query: Query| positions(&subject.events(query, ReadOptions::all()));
    let mut merged: Vec<_> = (0..3)
        .flat_map(|n| by(in_stream(&format!("room-{n}"))))
        .collect();
    merged.sort();
    assert_eq!(merged, log);
    let mut merged: Vec<_> = (0..4)
        .flat_map(|n| by(tagged([format!("writer:{n}").as_str()])))
        .collect();
    merged.sort();
    assert_eq!(merged, log);
}

/// Lets writers write while two readers look, each look given its number.
fn while_writers_write(subject: &Subject, look: impl Fn(usize) + Sync) {
    let write = |writer| {
        for n in 0..60 {
            let append = several(&format!("room-{}", (writer + n) % 3), 1 + n % 2);
            if let Err(error) = subject.append(append) {
                panic!("the store refused an append it must take: {error}");
            }
        }
    };
    let looks = AtomicUsize::new(0);
    beside(4, write, 2, |_| look(looks.fetch_add(1, Ordering::Relaxed)));
}

fn positions(events: &[RecordedEvent]) -> Vec<Position> {
    events.iter().map(|event| event.position).collect()
}

fn is_rising(positions: &[Position]) -> bool {
    positions.is_sorted_by(|a, b| a < b)
}

/// What is in `now`, below the last of `known`, and was not in `known`.
fn late(known: &[Position], now: &[Position]) -> Vec<Position> {
    let shown: HashSet<_> = known.iter().collect();
    let last = known.last().copied().unwrap_or_default();
    let is_late = |position: &&Position| **position < last && !shown.contains(position);
    now.iter().filter(is_late).copied().collect()
}
