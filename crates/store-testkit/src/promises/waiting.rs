//! `wait_for` waits until readers are shown a position: reading one's own writes on a store
//! whose readers may trail.

use eventwire_store::{Position, Query, ReadOptions};

use crate::sample::{one, several};
use crate::subject::Subject;
use crate::threads::{Count, together};

/// Readers are shown the origin at once.
pub fn the_origin_is_shown_at_once(subject: &Subject) {
    subject.wait_for(Position::ORIGIN);
    subject.put(one("room-1", "a"));
    subject.wait_for(Position::ORIGIN);
}

/// What was shown once need not be waited for again.
pub fn what_was_shown_need_not_be_waited_for(subject: &Subject) {
    for position in subject.put(several("room-1", 20)).positions {
        subject.wait_for(position);
    }
    subject.wait_for(subject.head());
}

/// What was waited for, a read shows.
pub fn what_was_waited_for_is_shown(subject: &Subject) {
    for n in 0..20 {
        let appended = subject.append(one("room-1", n.to_string()));
        let last = appended.unwrap_or_else(|error| panic!("{error}")).last();
        subject.wait_for(last);
        assert!(subject.head() >= last);
        let events = subject.events(Query::all(), ReadOptions::backward().limit(1));
        assert_eq!(events[0].position, last);
    }
}

/// A position above the head is waited for until an append gets there.
pub fn a_position_above_the_head_is_waited_for(subject: &Subject) {
    for n in 0..10 {
        let next = just_above(subject.head());
        let mut waiting = subject.begin_waiting(next);
        assert!(
            subject.poll(&mut waiting).is_pending(),
            "nothing lies at {next} or above"
        );
        subject.put(one("room-1", n.to_string()));
        let waited = subject.run(waiting);
        waited.unwrap_or_else(|error| panic!("`wait_for` failed: {error}"));
        assert!(subject.head() >= next);
    }
}

/// Who waits is woken by the append of another.
pub fn who_waits_is_woken(subject: &Subject) {
    let waited = Count::default();
    together(2, |index| {
        for n in 1..=40 {
            if index == 0 {
                waited.wait_until(n);
                subject.put(one("room-1", n.to_string()));
            } else {
                let next = just_above(subject.head());
                waited.raise();
                subject.wait_for(next);
            }
        }
    });
    assert_eq!(subject.log().len(), 40);
}

/// All who wait for one position are woken.
pub fn all_who_wait_for_one_position_are_woken(subject: &Subject) {
    const WAITERS: usize = 8;
    let next = just_above(subject.head());
    let ready = Count::default();
    together(WAITERS + 1, |index| {
        if index < WAITERS {
            let mut waiting = subject.begin_waiting(next);
            assert!(subject.poll(&mut waiting).is_pending());
            ready.raise();
            subject
                .run(waiting)
                .unwrap_or_else(|error| panic!("`wait_for` failed: {error}"));
        } else {
            ready.wait_until(WAITERS);
            subject.put(one("room-1", "woken"));
        }
    });
}

/// An append that falls short of the position ends no waiting.
pub fn an_append_that_falls_short_ends_no_waiting(subject: &Subject) {
    let mut waiting = subject.begin_waiting(Position::MAX);
    for n in 0..5 {
        subject.put(one("room-1", n.to_string()));
        assert!(
            subject.poll(&mut waiting).is_pending(),
            "no event is ever there"
        );
    }
}

/// Waiting can be given up at any moment.
pub fn waiting_can_be_given_up_at_any_moment(subject: &Subject) {
    let next = just_above(subject.head());
    let mut stays = subject.begin_waiting(next);
    assert!(subject.poll(&mut stays).is_pending());
    for polls in 0..3 {
        let mut goes = subject.begin_waiting(next);
        for _ in 0..polls {
            assert!(subject.poll(&mut goes).is_pending());
        }
        drop(goes);
    }
    subject.put(one("room-1", "a"));
    subject
        .run(stays)
        .unwrap_or_else(|error| panic!("`wait_for` failed: {error}"));
}

/// The least place above another: the next event lies there or above.
fn just_above(position: Position) -> Position {
    let (major, minor) = position.to_parts();
    Position::from_parts(
        major,
        minor.checked_add(1).expect("a log ends long before 2^64"),
    )
}
