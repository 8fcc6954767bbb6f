//! The largest append a store takes is what its capabilities say; more is `TooLarge`, and
//! nothing is written. Checks come in the order: empty, size, key, guards.
//!
//! A limit past 64 MiB or 100,000 events is not gone up to.

use eventwire_store::{
    Append, AppendError, Expect, InvalidAppend, Limits, NewEvent, Query, ReadOptions, Version,
};

use crate::sample::{event, event_type, key, one, several, stream, tag};
use crate::subject::Subject;

const MOST_BYTES: usize = 64 << 20;
const MOST_EVENTS: usize = 100_000;

/// An append without events is `InvalidAppend::Empty`.
pub fn an_append_without_events_is_invalid(subject: &Subject) {
    for append in [Append::new(), Append::to(stream("room-1"))] {
        assert_empty(&subject.refuse(append));
    }
}

/// An append without events is empty before it is anything else.
pub fn an_append_without_events_is_empty_before_all_else(subject: &Subject) {
    subject.put(one("room-1", "a").key(key("once")));
    let guarded = Append::to(stream("room-1")).expect(Expect::NoStream);
    assert_empty(&subject.refuse(guarded.clone()));
    assert_empty(&subject.refuse(guarded.key(key("once"))));
}

/// The largest event is taken, and comes back whole.
pub fn the_largest_event_is_taken(subject: &Subject) {
    let limits = limits(subject);
    let size = limits.event_bytes.min(limits.append_bytes);
    if size > MOST_BYTES {
        return;
    }
    let append = Append::new().event(of_size(size));
    subject.put(append);
    let events = subject.events(Query::all(), ReadOptions::backward().limit(1));
    assert_eq!(events[0].data, of_size(size).as_parts().data);
}

/// A byte more than the largest event is too large.
pub fn a_larger_event_is_too_large(subject: &Subject) {
    let limit = limits(subject).event_bytes;
    if limit > MOST_BYTES {
        return;
    }
    let refused = subject.refuse(Append::new().event(of_size(limit + 1)));
    assert_too_large(&refused, limit + 1, limit);
}

/// Metadata, type, stream and tags count as the payload does.
pub fn every_part_of_an_event_counts(subject: &Subject) {
    let limit = limits(subject).event_bytes;
    if limit > MOST_BYTES {
        return;
    }
    let full = || of_size(limit);
    let longer = event_type("larger");
    let data = full().as_parts().data.clone();
    for (part, event) in [
        ("metadata", full().metadata("m")),
        ("tag", full().tag(tag("t"))),
        ("stream", full().stream(stream("s"))),
        ("type", NewEvent::new(longer, data)),
    ] {
        let refused = subject.refuse(Append::new().event(event));
        assert_too_large(&refused, limit + 1, limit);
        assert!(matches!(refused, AppendError::TooLarge { .. }), "{part}");
    }
}

/// As many events as the limit says are taken.
pub fn the_most_events_are_taken(subject: &Subject) {
    let limit = limits(subject).append_events;
    if limit > MOST_EVENTS {
        return;
    }
    assert_eq!(subject.put(several("room-1", limit)).positions.len(), limit);
    assert_eq!(subject.log().len(), limit);
}

/// One event more is too many.
pub fn more_events_are_too_many(subject: &Subject) {
    let limit = limits(subject).append_events;
    if limit > MOST_EVENTS {
        return;
    }
    assert_too_large(
        &subject.refuse(several("room-1", limit + 1)),
        limit + 1,
        limit,
    );
}

/// As many bytes as the limit says are taken, in several events.
pub fn the_largest_append_is_taken(subject: &Subject) {
    let Some(events) = filling(&limits(subject), 0) else {
        return;
    };
    let count = events.len();
    subject.put(Append::new().extend(events));
    assert_eq!(subject.log().len(), count);
}

/// One byte more is too large, although each event is not.
pub fn a_larger_append_is_too_large(subject: &Subject) {
    let limits = limits(subject);
    let Some(events) = filling(&limits, 1) else {
        return;
    };
    let refused = subject.refuse(Append::new().extend(events));
    assert_too_large(&refused, limits.append_bytes + 1, limits.append_bytes);
}

/// As many tags as the limit says are taken, and each finds the event.
pub fn the_most_tags_are_taken(subject: &Subject) {
    let limit = limits(subject).event_tags;
    if limit > 1_000 {
        return;
    }
    subject.put(Append::new().event(with_tags(limit)));
    for n in [0, limit / 2, limit - 1] {
        let query = Query::tags([tag(&format!("tag-{n}"))]);
        assert_eq!(
            subject.events(query, ReadOptions::all()).len(),
            1,
            "tag-{n}"
        );
    }
    let query = Query::tags((0..limit).map(|n| tag(&format!("tag-{n}"))));
    assert_eq!(subject.events(query, ReadOptions::all()).len(), 1);
}

/// One tag more is too many.
pub fn more_tags_are_too_many(subject: &Subject) {
    let limit = limits(subject).event_tags;
    if limit > 1_000 {
        return;
    }
    let refused = subject.refuse(Append::new().event(with_tags(limit + 1)));
    assert_too_large(&refused, limit + 1, limit);
}

/// Size is looked at before the key and the guards.
pub fn size_is_looked_at_before_key_and_guards(subject: &Subject) {
    let limit = limits(subject).event_tags;
    if limit > 1_000 {
        return;
    }
    subject.put(one("room-1", "a").key(key("once")));
    let large = || Append::to(stream("room-1")).event(with_tags(limit + 1));
    assert_too_large(&subject.refuse(large().key(key("once"))), limit + 1, limit);
    assert_too_large(
        &subject.refuse(large().expect(Expect::NoStream)),
        limit + 1,
        limit,
    );
    let refused = subject.refuse(large().key(key("free")));
    assert_too_large(&refused, limit + 1, limit);
    assert_eq!(
        subject.recall(key("free")),
        None,
        "what is too large leaves its key free"
    );
}

/// One event past a limit refuses the whole append.
pub fn one_event_past_a_limit_refuses_the_whole_append(subject: &Subject) {
    let limit = limits(subject).event_tags;
    if limit > 1_000 {
        return;
    }
    for large_at in 0..3 {
        let events = (0..3).map(|n| with_tags(if n == large_at { limit + 1 } else { 1 }));
        let refused = subject.refuse(Append::to(stream("room-1")).extend(events));
        assert_too_large(&refused, limit + 1, limit);
    }
}

/// What is refused for its size is taken once it is smaller: the store goes on.
pub fn the_store_goes_on_after_what_was_too_large(subject: &Subject) {
    let limit = limits(subject).event_tags;
    if limit > 1_000 {
        return;
    }
    for n in 0..3 {
        subject.refuse(Append::to(stream("room-1")).event(with_tags(limit + 1)));
        let appended = subject.put(one("room-1", n.to_string()));
        assert_eq!(
            appended.version_of(&stream("room-1")).map(Version::get),
            Some(n + 1)
        );
    }
}

fn limits(subject: &Subject) -> Limits {
    subject.store().capabilities().limits
}

/// An event that counts as this many bytes: `large` is its type.
fn of_size(bytes: usize) -> NewEvent {
    let data = vec![b'x'; bytes.saturating_sub("large".len())];
    NewEvent::new(event_type("large"), data)
}

fn with_tags(count: usize) -> NewEvent {
    (0..count).fold(event("tagged"), |event, n| {
        event.tag(tag(&format!("tag-{n}")))
    })
}

/// Events within the limits that together are `over` bytes more than an append may be;
/// none where that cannot be, or is past what the kit goes up to.
fn filling(limits: &Limits, over: usize) -> Option<Vec<NewEvent>> {
    let total = limits.append_bytes;
    let each = limits.event_bytes.min(total / 2 + 1);
    let count = (total + over).div_ceil(each);
    if total > MOST_BYTES || count > limits.append_events {
        return None;
    }
    // The last two share what is left, so that neither is too small to be an event.
    let mut sizes = vec![each; count - 2];
    let left = total + over - each * (count - 2);
    sizes.extend([left / 2, left - left / 2]);
    Some(sizes.into_iter().map(of_size).collect())
}

#[track_caller]
fn assert_empty(error: &AppendError) {
    let is_empty = matches!(error, AppendError::Invalid(InvalidAppend::Empty));
    assert!(
        is_empty,
        "expected that the append is empty, but the store answered: {error}"
    );
}

#[track_caller]
fn assert_too_large(error: &AppendError, size: usize, limit: usize) {
    match error {
        AppendError::TooLarge {
            size: told,
            limit: allowed,
            ..
        } => {
            assert_eq!((*told, *allowed), (size, limit), "{error}");
        }
        other => panic!("expected that {size} is over {limit}, but the store answered: {other}"),
    }
}
