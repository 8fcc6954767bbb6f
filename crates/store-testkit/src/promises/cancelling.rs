//! Dropping the future of an append never cancels it: from the call on it may happen, as a
//! whole. A key finds out.

use eventwire_store::{Append, Expect, Query, ReadOptions, RecordedEvent, Start};

use crate::sample::{in_stream, key, labels, one, several};
use crate::subject::Subject;
use crate::threads::together;

/// An append whose future is never polled happens as a whole or not at all.
pub fn an_append_never_polled_happens_as_a_whole_or_not_at_all(subject: &Subject) {
    for n in 0..20 {
        drop(subject.begin(several(&format!("room-{n}"), 3)));
    }
    settle(subject);
    for n in 0..20 {
        assert_whole(subject, &format!("room-{n}"), 3);
    }
}

/// An append dropped after its first poll happens as a whole or not at all.
pub fn an_append_dropped_midway_happens_as_a_whole_or_not_at_all(subject: &Subject) {
    for n in 0..20 {
        let mut append = subject.begin(several(&format!("room-{n}"), 3));
        let answered = subject.poll(&mut append).is_ready();
        drop(append);
        settle(subject);
        assert_whole(subject, &format!("room-{n}"), 3);
        let events = subject.events(in_stream(&format!("room-{n}")), ReadOptions::all());
        assert!(
            !answered || events.len() == 3,
            "it was answered, and is not there"
        );
    }
}

/// Repeating a dropped append with its key has one effect.
pub fn repeating_a_dropped_append_with_its_key_has_one_effect(subject: &Subject) {
    for n in 0..20 {
        let name = format!("room-{n}");
        let append = || several(&name, 2).key(key(&format!("key-{n}")));
        let mut dropped = subject.begin(append());
        if n % 2 == 0 {
            drop(subject.poll(&mut dropped));
        }
        drop(dropped);
        subject.put(append());
        let events = subject.events(in_stream(&name), ReadOptions::all());
        assert_eq!(labels(&events), ["0", "1"], "{name}");
    }
}

/// A dropped append that is guarded still happens only where its guards hold.
pub fn a_dropped_append_is_still_guarded(subject: &Subject) {
    subject.put(one("room-1", "opened"));
    for _ in 0..20 {
        let append = one("room-1", "never").expect(Expect::NoStream);
        let mut dropped = subject.begin(append);
        drop(subject.poll(&mut dropped));
    }
    settle(subject);
    let events = subject.events(in_stream("room-1"), ReadOptions::all());
    assert_eq!(labels(&events), ["opened"]);
}

/// Dropped appends get in nobody's way: others go in, in order and without gaps in versions.
pub fn dropped_appends_get_in_nobodys_way(subject: &Subject) {
    together(4, |writer| {
        for n in 0..30 {
            let append = one("shared-1", format!("{writer}/{n}"));
            if writer < 2 {
                let mut dropped = subject.begin(append);
                if n % 2 == 0 {
                    drop(subject.poll(&mut dropped));
                }
            } else {
                subject.put(append);
            }
        }
    });
    settle(subject);
    let events = subject.events(in_stream("shared-1"), ReadOptions::all());
    let versions: Vec<_> = events.iter().filter_map(RecordedEvent::version).collect();
    assert!(
        versions
            .iter()
            .map(|version| version.get())
            .eq(1..=versions.len() as u64)
    );
    let kept = labels(&events);
    for writer in 2..4 {
        for n in 0..30 {
            let label = format!("{writer}/{n}");
            let count = kept.iter().filter(|kept| **kept == label).count();
            assert_eq!(count, 1, "{label} was answered");
        }
    }
}

/// What a dropped append wrote is shown to readers like anything else.
pub fn what_a_dropped_append_wrote_is_shown(subject: &Subject) {
    let mut subscription = subject.subscribe(Query::all(), Start::Beginning);
    let append = || one("room-1", "dropped").key(key("once"));
    let mut dropped = subject.begin(append());
    drop(subject.poll(&mut dropped));
    drop(dropped);
    // Known only now: the first answer says so by being a duplicate, or not.
    let appended = subject.put(append());
    let (shown, _) = subscription.until_caught_up_with(appended.last());
    assert_eq!(labels(&shown), ["dropped"]);
    assert_eq!(shown[0].position, appended.last());
}

/// Lets what is under way come to an end: what was called earlier is decided before this.
fn settle(subject: &Subject) {
    subject.put(Append::new().event(crate::sample::event("settled")));
}

#[track_caller]
fn assert_whole(subject: &Subject, name: &str, count: usize) {
    let events = subject.events(in_stream(name), ReadOptions::all());
    assert!(
        events.is_empty() || events.len() == count,
        "{name} holds {} of {count} events of one append",
        events.len()
    );
}
