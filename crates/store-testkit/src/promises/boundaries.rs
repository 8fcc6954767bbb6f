//! `Guard::NoMatch`: no event matches the query above a place, so that what was read up to
//! there still stands (a Dynamic Consistency Boundary, dcb.events).
//!
//! A store whose capabilities exclude query guards must say so when it is asked for one; the
//! other promises here do not bind it.

use eventwire_store::{
    Actual, Append, AppendError, Expect, Guard, InvalidAppend, Position, Query, ReadOptions,
    Version,
};

use crate::sample::{
    category, event, event_type, in_stream, key, labelled, labels, one, several, stream, tag,
    tagged, typed,
};
use crate::subject::Subject;
use crate::threads::together;

/// A store either checks query guards or says that it does not support them.
pub fn a_store_without_query_guards_says_so(subject: &Subject) {
    let append = one("room-1", "guarded").guard(none_of(tagged(["user:1"]), Position::ORIGIN));
    if subject.store().capabilities().query_guards {
        subject.put(append);
    } else {
        let refused = subject.refuse(append);
        assert!(matches!(refused, AppendError::Unsupported(_)), "{refused}");
    }
}

/// In an empty log nothing matches.
pub fn nothing_matches_in_an_empty_log(subject: &Subject) {
    if !has_query_guards(subject) {
        return;
    }
    subject.put(one("room-1", "first").guard(none_of(Query::all(), Position::ORIGIN)));
    assert_eq!(labels(&subject.log()), ["first"]);
}

/// A match above the place refuses the append, and the conflict says where it is.
pub fn a_match_above_the_place_is_a_conflict(subject: &Subject) {
    if !has_query_guards(subject) {
        return;
    }
    let claimed = subject.put(claim("ada"));
    let conflict = subject.conflict(claim("ada").guard(unclaimed("ada", Position::ORIGIN)));
    assert_eq!(conflict.guard, 0);
    assert_eq!(conflict.actual, Actual::Match(claimed.last()));
    subject.put(claim("bob").guard(unclaimed("bob", Position::ORIGIN)));
}

/// What lies at the place or below it was read, and does not count.
pub fn what_was_read_does_not_count(subject: &Subject) {
    if !has_query_guards(subject) {
        return;
    }
    let first = subject.put(claim("ada"));
    let second = subject.put(claim("ada"));
    let conflict = subject.conflict(claim("ada").guard(unclaimed("ada", first.last())));
    assert_eq!(conflict.actual, Actual::Match(second.last()));
    subject.put(claim("ada").guard(unclaimed("ada", second.last())));
}

/// The place of the answer's `before` lies below its events: they count above it.
pub fn an_append_counts_above_its_own_before(subject: &Subject) {
    if !has_query_guards(subject) {
        return;
    }
    subject.put(claim("ada"));
    let second = subject.put(claim("ada"));
    let conflict = subject.conflict(claim("ada").guard(unclaimed("ada", second.before)));
    assert_eq!(conflict.actual, Actual::Match(second.last()));
}

/// Only events that match the query count, whatever it is made of.
pub fn only_what_matches_counts(subject: &Subject) {
    if !has_query_guards(subject) {
        return;
    }
    let posted = event("posted").tag(tag("user:1")).tag(tag("lang:en"));
    subject.put(Append::to(stream("room-1")).event(posted));
    subject.put(Append::new().event(event("joined").tag(tag("user:2"))));
    for (query, expected) in [
        (Query::all(), Holds::No),
        (Query::streams([]), Holds::Yes),
        (in_stream("room-1"), Holds::No),
        (in_stream("room-10"), Holds::Yes),
        (in_stream("room"), Holds::Yes),
        (Query::category(category("room")), Holds::No),
        (Query::category(category("room-1")), Holds::Yes),
        (typed(["posted"]), Holds::No),
        (typed(["edited"]), Holds::Yes),
        (typed(["edited", "joined"]), Holds::No),
        (tagged(["user:1"]), Holds::No),
        (tagged(["user:1", "lang:en"]), Holds::No),
        (tagged(["user:2", "lang:en"]), Holds::Yes),
        (tagged(["user:3"]), Holds::Yes),
        (
            in_stream("room-1").of_types([event_type("joined")]),
            Holds::Yes,
        ),
        (typed(["joined"]).with_tags([tag("user:2")]), Holds::No),
        (typed(["joined"]).with_tags([tag("user:1")]), Holds::Yes),
        (tagged(["user:3"]).or(tagged(["user:2"])), Holds::No),
        (tagged(["user:3"]).or(in_stream("room-2")), Holds::Yes),
    ] {
        // Tagged with nothing and in no stream, the probe itself answers to `all` alone.
        let probe = Append::new().event(event("probe"));
        let answer = subject.append(probe.guard(none_of(query.clone(), Position::ORIGIN)));
        match (&answer, expected) {
            (Ok(_), Holds::Yes) => {}
            (Err(AppendError::Conflict(conflict)), Holds::No) => {
                assert!(
                    matches!(conflict.actual, Actual::Match(_)),
                    "{query:?}: {conflict}"
                );
            }
            _ => panic!("{query:?} should hold: {expected:?}, but the answer is {answer:?}"),
        }
    }
}

/// The conflict's place is that of an event that matches and lies above the guard's place.
pub fn a_conflict_names_an_event_that_matches(subject: &Subject) {
    if !has_query_guards(subject) {
        return;
    }
    subject.put(claim("ada"));
    let read = subject.put(one("room-1", "read up to here")).last();
    subject.put(one("room-1", "does not match"));
    let matching = [
        subject.put(claim("ada")).last(),
        subject.put(claim("ada")).last(),
    ];
    subject.put(one("room-1", "does not match"));
    match subject
        .conflict(claim("ada").guard(unclaimed("ada", read)))
        .actual
    {
        Actual::Match(found) => assert!(
            matching.contains(&found),
            "{found} is not one of {matching:?}"
        ),
        other => panic!("a query guard conflicts with a match, not with: {other}"),
    }
}

/// Each guard has a place of its own.
pub fn each_guard_has_its_own_place(subject: &Subject) {
    if !has_query_guards(subject) {
        return;
    }
    let ada = subject.put(claim("ada")).last();
    let bob = subject.put(claim("bob")).last();
    let both = |ada_after, bob_after| {
        one("pair-1", "joined")
            .guard(unclaimed("ada", ada_after))
            .guard(unclaimed("bob", bob_after))
    };
    assert_eq!(subject.conflict(both(Position::ORIGIN, bob)).guard, 0);
    assert_eq!(subject.conflict(both(ada, ada)).guard, 1);
    assert_eq!(subject.conflict(both(bob, Position::ORIGIN)).guard, 1);
    subject.put(both(ada, bob));
}

/// Stream guards and query guards hold together.
pub fn stream_and_query_guards_hold_together(subject: &Subject) {
    if !has_query_guards(subject) {
        return;
    }
    let claimed = subject.put(claim("ada")).last();
    let append = |expect, after| {
        one("room-1", "guarded")
            .expect(expect)
            .guard(unclaimed("ada", after))
    };
    let by_query = subject.conflict(append(Expect::NoStream, Position::ORIGIN));
    assert_eq!(
        (by_query.guard, by_query.actual),
        (1, Actual::Match(claimed))
    );
    let by_stream = subject.conflict(append(Expect::Exists, claimed));
    assert_eq!(
        (by_stream.guard, by_stream.actual),
        (0, Actual::Version(None))
    );
    subject.put(append(Expect::NoStream, claimed));
}

/// The append's own events do not count against its guards.
pub fn its_own_events_do_not_count(subject: &Subject) {
    if !has_query_guards(subject) {
        return;
    }
    let twice = claim("ada").event(labelled("again").tag(tag("username:ada")));
    subject.put(twice.guard(unclaimed("ada", Position::ORIGIN)));
    assert_eq!(subject.log().len(), 2);
}

/// Where a read said that it had caught up is a sound place for a guard.
pub fn where_a_read_caught_up_is_a_sound_place(subject: &Subject) {
    if !has_query_guards(subject) {
        return;
    }
    subject.put(claim("ada"));
    subject.put(several("room-1", 10));
    let mut reading = subject.start_reading(username("ada"), ReadOptions::all());
    let (_, read_to) = reading.until_caught_up();
    subject.put(claim("bob"));
    subject.put(claim("ada").guard(unclaimed("ada", read_to)));
    subject.conflict(claim("ada").guard(unclaimed("ada", read_to)));
}

/// The head is a sound place: a guard on everything after it says that the log has not moved.
pub fn a_guard_on_everything_notices_any_append(subject: &Subject) {
    if !has_query_guards(subject) {
        return;
    }
    subject.put(several("room-1", 3));
    let head = subject.head();
    subject.put(one("room-1", "unmoved").guard(none_of(Query::all(), head)));
    let conflict = subject.conflict(one("room-1", "moved").guard(none_of(Query::all(), head)));
    assert!(
        matches!(conflict.actual, Actual::Match(at) if at > head),
        "{conflict}"
    );
}

/// A place no event can be above is never a conflict.
pub fn nothing_lies_above_the_greatest_place(subject: &Subject) {
    if !has_query_guards(subject) {
        return;
    }
    subject.put(several("room-1", 3));
    subject.put(one("room-1", "a").guard(none_of(Query::all(), Position::MAX)));
}

/// Any other place above every event is that of another store: that nothing lies above it says
/// nothing, so nothing is written. Guards are looked at in their order: one before it that does not
/// hold is a conflict, and one behind it is not come to.
pub fn a_place_above_the_head_is_invalid(subject: &Subject) {
    if !has_query_guards(subject) {
        return;
    }
    subject.put(several("room-1", 3));
    let append = |after| {
        let append = one("room-1", "a").guard(none_of(Query::all(), after));
        append.key(key("again"))
    };
    let above = |head: Position| {
        let (major, minor) = head.to_parts();
        [
            (major, minor + 1),
            (major, u64::MAX),
            (major + 1, 0),
            (u64::MAX, u64::MAX - 1),
        ]
    };
    for number in 0..4 {
        let (major, minor) = above(subject.head())[number];
        let place = Position::from_parts(major, minor);
        let refused = subject.refuse(append(place));
        assert!(
            matches!(
                refused,
                AppendError::Invalid(InvalidAppend::BeyondHead { guard: 0, after }) if after == place
            ),
            "{refused}"
        );
    }
    let mixed = |places: [Position; 2]| {
        let guards = places.map(|after| none_of(Query::all(), after));
        one("room-1", "a").guarded_by(guards)
    };
    let far = Position::from_parts(u64::MAX, 0);
    let conflict = subject.conflict(mixed([Position::ORIGIN, far]));
    assert_eq!(conflict.guard, 0);
    let refused = subject.refuse(mixed([far, Position::ORIGIN]));
    assert!(
        matches!(
            refused,
            AppendError::Invalid(InvalidAppend::BeyondHead { guard: 0, .. })
        ),
        "{refused}"
    );
    subject.put(append(subject.head()));
}

/// A match far below much that does not match is found.
pub fn a_match_below_much_else_is_found(subject: &Subject) {
    if !has_query_guards(subject) {
        return;
    }
    let claimed = subject.put(claim("ada")).last();
    for _ in 0..6 {
        subject.put_all("room-1", 1_000);
    }
    let guard = none_of(
        username("ada").with_tags([tag("kind:claim")]),
        Position::ORIGIN,
    );
    assert_eq!(
        subject.conflict(claim("ada").guard(guard)).actual,
        Actual::Match(claimed)
    );
}

/// Of writers who claim the same name at once, one is answered `Ok`.
pub fn of_writers_who_claim_one_name_one_wins(subject: &Subject) {
    if !has_query_guards(subject) {
        return;
    }
    for round in 0..15 {
        let name = format!("name-{round}");
        let answers = together(6, |_| {
            subject.append(claim(&name).guard(unclaimed(&name, Position::ORIGIN)))
        });
        let won: Vec<_> = answers
            .iter()
            .filter_map(|answer| answer.as_ref().ok())
            .collect();
        assert_eq!(won.len(), 1, "round {round}: {answers:?}");
        for lost in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            let expected = Actual::Match(won[0].last());
            assert!(
                matches!(lost, AppendError::Conflict(conflict) if conflict.actual == expected),
                "round {round}: {lost}"
            );
        }
    }
}

/// A conflict is answered only once readers can be shown the match it was with.
pub fn what_a_conflict_matched_can_be_read(subject: &Subject) {
    if !has_query_guards(subject) {
        return;
    }
    for round in 0..20 {
        let name = format!("name-{round}");
        together(4, |_| {
            match subject.append(claim(&name).guard(unclaimed(&name, Position::ORIGIN))) {
                Ok(_) => {}
                Err(AppendError::Conflict(conflict)) => {
                    let shown = subject.events(username(&name), ReadOptions::all());
                    let shown = shown.first().map(|event| Actual::Match(event.position));
                    assert_eq!(Some(conflict.actual), shown, "round {round}");
                }
                Err(other) => panic!("expected a conflict: {other}"),
            }
        });
    }
}

/// Two decisions that each read what the other writes cannot both stand (write skew).
pub fn two_decisions_that_read_what_the_other_writes_cannot_both_stand(subject: &Subject) {
    if !has_query_guards(subject) {
        return;
    }
    for round in 0..15 {
        let ward = format!("ward:{round}");
        // Two are on call, and each may leave only while the other stays.
        let append = Append::new().event(event("on-call").tag(tag(&ward)));
        let read_to = subject
            .put(append.event(event("on-call").tag(tag(&ward))))
            .last();
        let left = together(2, |doctor| {
            let leave = event("off-call")
                .tag(tag(&ward))
                .tag(tag(&format!("doctor:{doctor}")));
            let guard = none_of(tagged([ward.as_str()]), read_to);
            subject.append(Append::new().event(leave).guard(guard))
        });
        let left = left.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(left, 1, "round {round}");
    }
}

/// Many writers who read, decide and append under a guard keep a rule across streams.
pub fn a_rule_across_streams_survives_many_writers(subject: &Subject) {
    if !has_query_guards(subject) {
        return;
    }
    const SEATS: usize = 12;
    let course = || tagged(["course:1"]);
    together(6, |student| {
        // Each try that fails is one of another that went through: there are only so many.
        for _ in 0..=SEATS {
            let mut reading = subject.start_reading(course(), ReadOptions::all());
            let (taken, read_to) = reading.until_caught_up();
            if taken.len() >= SEATS {
                return;
            }
            let seat = labelled("seat")
                .tag(tag("course:1"))
                .stream(stream(&format!("student-{student}")));
            let append = Append::new().event(seat).guard(none_of(course(), read_to));
            match subject.append(append) {
                Ok(appended) => subject.wait_for(appended.last()),
                Err(AppendError::Conflict(_)) => {}
                Err(other) => panic!("expected a conflict: {other}"),
            }
        }
        panic!("student {student} is refused although nobody else gets through");
    });
    assert_eq!(subject.events(course(), ReadOptions::all()).len(), SEATS);
}

/// A guard whose query names a stream agrees with the stream's version.
pub fn a_guard_on_a_stream_by_query_agrees_with_its_version(subject: &Subject) {
    if !has_query_guards(subject) {
        return;
    }
    let third = subject.put(several("room-1", 3)).last();
    let append = |after| one("room-1", "next").guard(none_of(in_stream("room-1"), after));
    subject.conflict(append(Position::ORIGIN));
    let appended = subject.put(append(third).expect(Expect::Exact(three())));
    assert_eq!(
        appended.version_of(&stream("room-1")).map(Version::get),
        Some(4)
    );
    subject.conflict(append(third));
}

#[derive(Debug, Clone, Copy)]
enum Holds {
    Yes,
    No,
}

fn has_query_guards(subject: &Subject) -> bool {
    subject.store().capabilities().query_guards
}

fn three() -> Version {
    Version::new(3).expect("a version is at least 1")
}

fn username(name: &str) -> Query {
    tagged([format!("username:{name}").as_str()])
}

fn claim(name: &str) -> Append {
    let claimed = labelled(name).tag(tag("kind:claim"));
    Append::new().event(claimed.tag(tag(&format!("username:{name}"))))
}

fn unclaimed(name: &str, after: Position) -> Guard {
    none_of(username(name), after)
}

fn none_of(query: Query, after: Position) -> Guard {
    Guard::NoMatch { query, after }
}
