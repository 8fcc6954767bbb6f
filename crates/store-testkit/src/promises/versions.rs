//! A version is a place in a stream, counted by the store: the first event of a stream has
//! version 1, and none is left out.

use eventwire_store::{Append, Expect, ReadOptions, RecordedEvent, StreamName, Version};

use crate::sample::{in_stream, labelled, one, several, stream};
use crate::subject::Subject;
use crate::threads::together;

/// The first event of a stream has version 1.
pub fn the_first_event_of_a_stream_has_version_1(subject: &Subject) {
    let appended = subject.put(one("room-1", "first"));
    assert_eq!(appended.version_of(&stream("room-1")), Some(Version::FIRST));
    assert_eq!(versions(subject, "room-1"), [1]);
}

/// The version of the event after one is the next number, from append to append.
pub fn each_append_goes_on_where_the_stream_was(subject: &Subject) {
    for expected in 1..=20 {
        let appended = subject.put(one("room-1", "again"));
        let version = appended.version_of(&stream("room-1")).map(Version::get);
        assert_eq!(version, Some(expected));
    }
    assert_eq!(versions(subject, "room-1"), (1..=20).collect::<Vec<_>>());
}

/// The events of one append to one stream have versions that rise by one.
pub fn one_append_gives_its_events_rising_versions(subject: &Subject) {
    subject.put(several("room-1", 3));
    let appended = subject.put(several("room-1", 50));
    let last = appended.version_of(&stream("room-1")).map(Version::get);
    assert_eq!(
        last,
        Some(53),
        "the version of a stream is that of its last event"
    );
    assert_eq!(versions(subject, "room-1"), (1..=53).collect::<Vec<_>>());
}

/// Each stream counts by itself, also within one append.
pub fn each_stream_counts_by_itself(subject: &Subject) {
    subject.put(several("room-1", 2));
    let mixed = ["room-2", "room-1", "room-2", "user-1", "room-1"];
    let append = Append::new().extend(mixed.map(|name| labelled("mixed").stream(stream(name))));
    subject.put(append);
    assert_eq!(versions(subject, "room-1"), [1, 2, 3, 4]);
    assert_eq!(versions(subject, "room-2"), [1, 2]);
    assert_eq!(versions(subject, "user-1"), [1]);
}

/// Streams whose names begin alike are different streams.
pub fn streams_whose_names_begin_alike_are_apart(subject: &Subject) {
    let names = ["room", "room-", "room-1", "room-10", "room-1-0", "roo"];
    for name in names {
        subject.put(one(name, name));
    }
    for name in names {
        let appended = subject.put(one(name, name));
        let version = appended.version_of(&stream(name)).map(Version::get);
        assert_eq!(version, Some(2), "{name}");
        assert_eq!(versions(subject, name), [1, 2], "{name}");
    }
}

/// The answer names each stream written to once, with its version afterwards.
pub fn the_answer_names_each_stream_written_to(subject: &Subject) {
    subject.put(several("room-1", 4));
    subject.put(one("room-3", "not written to below"));
    let append = several("room-1", 2)
        .event(labelled("other").stream(stream("room-2")))
        .event(labelled("back again"));
    let mut streams = subject.put(append).streams;
    streams.sort();
    let streams: Vec<_> = streams
        .iter()
        .map(|(name, version)| (name.as_str(), version.get()))
        .collect();
    assert_eq!(streams, [("room-1", 7), ("room-2", 1)]);
}

/// An event without a stream has no version, and counts in no stream.
pub fn an_event_without_a_stream_has_no_version(subject: &Subject) {
    let append = Append::new()
        .event(labelled("without"))
        .event(labelled("within").stream(stream("room-1")))
        .event(labelled("without"));
    let appended = subject.put(append);
    assert_eq!(appended.streams, [(stream("room-1"), Version::FIRST)]);
    let found: Vec<_> = subject
        .log()
        .iter()
        .map(|event| event.version().map(Version::get))
        .collect();
    assert_eq!(found, [None, Some(1), None]);
}

/// An append that was refused uses up no version.
pub fn a_refused_append_uses_up_no_version(subject: &Subject) {
    subject.put(one("room-1", "first"));
    subject.conflict(several("room-1", 5).expect(Expect::NoStream));
    subject.put(one("room-1", "second"));
    assert_eq!(versions(subject, "room-1"), [1, 2]);
}

/// Writers who append to one stream at once leave no version out and give none twice.
pub fn writers_at_once_leave_no_version_out(subject: &Subject) {
    together(6, |writer| {
        for _ in 0..20 {
            let append =
                several("room-1", 1 + writer % 3).event(labelled("apart").stream(own(writer)));
            subject.put(append);
        }
    });
    // 20 appends of 1, 2 and 3 events, by two writers each.
    assert_eq!(versions(subject, "room-1"), (1..=240).collect::<Vec<_>>());
    for writer in 0..6 {
        assert_eq!(
            versions(subject, own(writer).as_str()),
            (1..=20).collect::<Vec<_>>()
        );
    }
}

/// Writers at once are each told the version that their own events have.
pub fn writers_at_once_are_each_told_their_own_version(subject: &Subject) {
    let answers = together(4, |writer| {
        let append = |n| one("room-1", format!("{writer}/{n}"));
        (0..25)
            .map(|n| (format!("{writer}/{n}"), subject.put(append(n))))
            .collect::<Vec<_>>()
    });
    let events = subject.events(in_stream("room-1"), ReadOptions::all());
    for (label, appended) in answers.into_iter().flatten() {
        let found = events.iter().find(|event| event.data == label.as_bytes());
        let found = found.expect("an acknowledged event is in the log");
        assert_eq!(
            found.version(),
            appended.version_of(&stream("room-1")),
            "{label}"
        );
        assert_eq!(found.position, appended.last(), "{label}");
    }
}

fn own(writer: usize) -> StreamName {
    stream(&format!("writer-{writer}"))
}

fn versions(subject: &Subject, name: &str) -> Vec<u64> {
    let events = subject.events(in_stream(name), ReadOptions::all());
    let version = |event: &RecordedEvent| {
        assert_eq!(event.stream_name(), Some(&stream(name)));
        event.version().map_or(0, Version::get)
    };
    events.iter().map(version).collect()
}
