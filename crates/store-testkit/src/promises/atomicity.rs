//! The events of one append lie next to each other, are seen together or not at all, and are
//! written only where all guards hold.

use std::sync::atomic::{AtomicUsize, Ordering};

use eventwire_store::{Append, Expect, Guard, Item, Query, ReadOptions, RecordedEvent, Start};

use crate::sample::{event, labelled, labels, one, several, stream, tag};
use crate::subject::Subject;
use crate::threads::{beside, together};

/// Events lie in the order in which they were given.
pub fn events_lie_in_the_order_in_which_they_were_given(subject: &Subject) {
    let given: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    let name = |n: usize| stream(&format!("room-{}", n % 7));
    let event = |(n, label): (usize, &String)| labelled(label.as_str()).stream(name(n));
    subject.put(Append::new().extend(given.iter().enumerate().map(event)));
    assert_eq!(labels(&subject.log()), given);
}

/// One append can write to several streams and to none.
pub fn one_append_can_write_to_several_streams_and_to_none(subject: &Subject) {
    let append = Append::to(stream("room-1"))
        .event(labelled("a"))
        .event(labelled("b").stream(stream("room-2")))
        .event(labelled("c"));
    subject.put(append);
    subject.put(Append::new().event(labelled("d")));
    let found: Vec<_> = subject
        .log()
        .iter()
        .map(|event| event.stream_name().map(ToString::to_string))
        .collect();
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(
        found,
        [named("room-1"), named("room-2"), named("room-1"), None]
    );
}

/// A guard that does not hold keeps all streams of the append as they were.
pub fn a_conflict_leaves_every_stream_as_it_was(subject: &Subject) {
    subject.put(one("room-2", "is there"));
    let append = Append::new()
        .event(labelled("a").stream(stream("room-1")))
        .event(labelled("b").stream(stream("room-2")))
        .event(labelled("c").stream(stream("room-3")))
        .guard(Guard::Stream {
            stream: stream("room-2"),
            expect: Expect::NoStream,
        });
    subject.conflict(append);
    for (name, expect) in [
        ("room-1", Expect::NoStream),
        ("room-3", Expect::NoStream),
        ("room-2", Expect::Exact(eventwire_store::Version::FIRST)),
    ] {
        subject.put(one(name, "as it was").expect(expect));
    }
}

/// The events of one append lie next to each other, however many write at once.
pub fn the_events_of_one_append_lie_next_to_each_other(subject: &Subject) {
    together(6, |writer| {
        for n in 0..20 {
            subject.put(batch(&format!("{writer}/{n}"), 2 + n % 5));
        }
    });
    let log = subject.log();
    assert_whole(&log, "the log");
    assert_eq!(log.len(), 6 * 4 * (2 + 3 + 4 + 5 + 6));
}

/// A read that runs to the head never ends within an append.
pub fn a_read_never_ends_within_an_append(subject: &Subject) {
    beside_writers(subject, || {
        assert_whole(&subject.log(), "a read to the head");
    });
}

/// A backward read never begins within an append.
pub fn a_backward_read_never_begins_within_an_append(subject: &Subject) {
    beside_writers(subject, || {
        let mut events = subject.events(Query::all(), ReadOptions::backward());
        events.reverse();
        assert_whole(&events, "a backward read from the head");
    });
}

/// A subscription that says it has caught up has shown no append in part.
pub fn a_subscription_catches_up_with_whole_appends(subject: &Subject) {
    const WRITERS: usize = 3;
    const APPENDS: usize = 40;
    const EVENTS: usize = 4;
    together(WRITERS + 1, |index| {
        if index < WRITERS {
            for n in 0..APPENDS {
                subject.put(batch(&format!("{index}/{n}"), EVENTS));
            }
            return;
        }
        let mut subscription = subject.subscribe(Query::all(), Start::Beginning);
        let mut shown = Vec::new();
        while shown.len() < WRITERS * APPENDS * EVENTS {
            match subscription.next_item() {
                Item::Event(event) => shown.push(event),
                Item::CaughtUp(_) => assert_whole(&shown, "a subscription that has caught up"),
                _ => {}
            }
        }
    });
}

/// Readers of different streams see the same appends: both streams have moved, or neither.
pub fn an_append_to_two_streams_moves_both_at_once(subject: &Subject) {
    beside_writers(subject, || {
        let both = Query::streams([stream("left-1"), stream("right-1")]);
        let events = subject.events(both, ReadOptions::all());
        let count = |name| {
            let name = Some(stream(name));
            events
                .iter()
                .filter(|event| event.stream_name() == name.as_ref())
                .count()
        };
        assert_eq!(count("left-1"), count("right-1"));
    });
}

/// An append of many events is there as a whole.
pub fn a_large_append_is_one(subject: &Subject) {
    let count = subject
        .store()
        .capabilities()
        .limits
        .append_events
        .min(5_000);
    let appended = subject.put(several("room-1", count));
    let log = subject.log();
    assert_eq!(log.len(), count);
    let positions: Vec<_> = log.iter().map(|event| event.position).collect();
    assert_eq!(positions, appended.positions);
}

/// A batch that conflicts while others write leaves nothing behind.
pub fn conflicts_among_many_writers_leave_nothing_behind(subject: &Subject) {
    let taken = AtomicUsize::new(0);
    together(6, |writer| {
        for n in 0..20 {
            let append = batch(&format!("{writer}/{n}"), 3).guard(Guard::Stream {
                stream: stream(&format!("turn-{n}")),
                expect: Expect::NoStream,
            });
            let turn = labelled("taken").stream(stream(&format!("turn-{n}")));
            if subject.append(append.event(turn)).is_ok() {
                taken.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    subject.put(Append::new().event(event("end")));
    assert_eq!(taken.into_inner(), 20, "each turn is taken once");
    assert_eq!(
        subject.log().len(),
        20 * 4 + 1,
        "only what was acknowledged is there"
    );
}

/// An append whose events say to which append they belong, and how many they are.
fn batch(name: &str, count: usize) -> Append {
    let stream_of = |n: usize| {
        stream(if n.is_multiple_of(2) {
            "left-1"
        } else {
            "right-1"
        })
    };
    let event = |n| {
        labelled(format!("{name}:{n}"))
            .tag(tag(&format!("of:{count}")))
            .stream(stream_of(n))
    };
    Append::new().extend((0..count).map(event))
}

/// Panics where an append lies there in part, or with another between its events.
#[track_caller]
fn assert_whole(events: &[RecordedEvent], what: &str) {
    let batch_of = |event: &RecordedEvent| {
        let label = labels(std::slice::from_ref(event)).remove(0);
        label.split(':').next().map(str::to_owned)
    };
    for run in events.chunk_by(|a, b| batch_of(a) == batch_of(b)) {
        let expected = format!("of:{}", run.len());
        let is_whole = run.iter().all(|event| event.tags.contains(&tag(&expected)));
        assert!(
            is_whole,
            "{what} shows an append in part: {:?}",
            labels(run)
        );
    }
}

/// Lets three writers write batches of four while another thread looks.
fn beside_writers(subject: &Subject, look: impl Fn() + Sync) {
    let write = |writer| {
        for n in 0..60 {
            if let Err(error) = subject.append(batch(&format!("{writer}/{n}"), 4)) {
                panic!("the store refused an append it must take: {error}");
            }
        }
    };
    beside(3, write, 1, |_| look());
}
