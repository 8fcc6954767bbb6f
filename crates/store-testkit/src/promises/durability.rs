//! An append answered `Ok` outlives the store that answered it, with everything a reader can
//! see of it. For stores that can be reopened: `conformance!(reopening: ...)`.

use eventwire_store::{
    Actual, Append, AppendError, Cursor, Durability, Expect, Guard, InvalidAppend, Item, NewEvent,
    Position, Query, ReadOptions, Start, Uuid, Version,
};

use proptest::collection::vec;

use crate::harness::Reopen;
use crate::life::Life;
use crate::lockstep::Lockstep;
use crate::operation::Operation;
use crate::promises::random::for_all;
use crate::promises::storm::{conclude, write};
use crate::recorder::Recorder;
use crate::sample::{
    category, event, event_type, in_stream, key, labelled, labels, one, several, stream, tag,
    tagged, typed,
};
use crate::subject::Subject;
use crate::threads::together;

/// Every event is there again, the same in all its parts.
pub fn every_acknowledged_event_is_there_again<H: Reopen>(life: Life<H>) {
    fill(life.subject());
    let before = life.subject().log();
    let life = life.reopen();
    assert_eq!(life.subject().log(), before);
}

/// A log without events opens without events.
pub fn an_empty_log_opens_empty<H: Reopen>(life: Life<H>) {
    let life = life.reopen();
    assert_eq!(life.subject().log(), []);
    assert_eq!(life.subject().head(), Position::ORIGIN);
    life.subject()
        .put(one("room-1", "first").expect(Expect::NoStream));
    assert_eq!(labels(&life.reopen().subject().log()), ["first"]);
}

/// The log keeps its epoch, so that a cursor from before still means its place.
pub fn the_epoch_is_kept<H: Reopen>(life: Life<H>) {
    let epoch = life.subject().store().epoch();
    let life = life.reopen();
    assert_eq!(
        life.subject().store().epoch(),
        epoch,
        "after opening an empty log again"
    );
    fill(life.subject());
    let life = life.reopen();
    assert_eq!(
        life.subject().store().epoch(),
        epoch,
        "after opening a filled log again"
    );
}

/// The head is where it was.
pub fn the_head_is_where_it_was<H: Reopen>(life: Life<H>) {
    fill(life.subject());
    let head = life.subject().head();
    assert_eq!(life.reopen().subject().head(), head);
}

/// New events lie above all that were there before.
pub fn new_events_lie_above_the_old<H: Reopen>(life: Life<H>) {
    let last = life.subject().put(several("room-1", 5)).last();
    let life = life.reopen();
    let appended = life.subject().put(several("room-2", 2));
    assert!(appended.positions[0] > last);
    assert!(appended.before >= last);
    assert_eq!(
        labels(&life.subject().log()),
        ["0", "1", "2", "3", "4", "0", "1"]
    );
}

/// Streams go on at the version they had.
pub fn versions_go_on_where_they_were<H: Reopen>(life: Life<H>) {
    life.subject().put(several("room-1", 5));
    life.subject().put(several("room-2", 1));
    let life = life.reopen();
    for (name, expected) in [("room-1", 6), ("room-2", 2), ("room-3", 1)] {
        let appended = life.subject().put(one(name, "next"));
        let version = appended.version_of(&stream(name)).map(Version::get);
        assert_eq!(version, Some(expected), "{name}");
    }
}

/// Guards look at what was there before as well.
pub fn guards_look_at_what_was_there_before<H: Reopen>(life: Life<H>) {
    let tagged_event = labelled("claim").tag(tag("username:ada"));
    life.subject()
        .put(Append::to(stream("room-1")).event(tagged_event));
    let life = life.reopen();
    let subject = life.subject();
    let conflict = subject.conflict(one("room-1", "late").expect(Expect::NoStream));
    assert_eq!(conflict.actual, Actual::Version(Some(Version::FIRST)));
    subject.put(one("room-1", "in time").expect(Expect::Exact(Version::FIRST)));
    if subject.store().capabilities().query_guards {
        let guard = Guard::NoMatch {
            query: tagged(["username:ada"]),
            after: Position::ORIGIN,
        };
        subject.conflict(one("room-2", "late").guard(guard));
    }
}

/// Keys are remembered: repeating an append has no second effect.
pub fn keys_are_remembered<H: Reopen>(life: Life<H>) {
    let append = || several("room-1", 2).key(key("once"));
    let first = life.subject().put(append());
    let life = life.reopen();
    let second = life.subject().put(append());
    assert!(second.duplicate);
    assert_eq!(second.positions, first.positions);
    assert_eq!(second.streams, first.streams);
    assert_eq!(second.before, first.before);
    assert_eq!(life.subject().log().len(), 2);
}

/// A key used before stands for its request still: another is refused.
pub fn a_key_used_before_is_refused_to_another_request<H: Reopen>(life: Life<H>) {
    life.subject().put(one("room-1", "a").key(key("once")));
    let life = life.reopen();
    let refused = life.subject().refuse(one("room-1", "b").key(key("once")));
    assert!(
        matches!(refused, AppendError::Invalid(InvalidAppend::KeyReused(_))),
        "{refused}"
    );
}

/// `recall` answers as it did.
pub fn recall_answers_as_it_did<H: Reopen>(life: Life<H>) {
    life.subject().put(several("room-1", 2).key(key("once")));
    let before = life.subject().recall(key("once"));
    assert!(before.is_some());
    let life = life.reopen();
    assert_eq!(life.subject().recall(key("once")), before);
    assert_eq!(life.subject().recall(key("never")), None);
}

/// A key that only refused appends have had is free.
pub fn a_key_of_a_refused_append_is_free<H: Reopen>(life: Life<H>) {
    let append = |expect| one("room-1", "a").expect(expect).key(key("once"));
    life.subject().conflict(append(Expect::Exists));
    let life = life.reopen();
    assert_eq!(life.subject().recall(key("once")), None);
    assert!(!life.subject().put(append(Expect::NoStream)).duplicate);
}

/// Every query finds what it found, forward and backward.
pub fn every_query_finds_what_it_found<H: Reopen>(life: Life<H>) {
    fill(life.subject());
    let queries = [
        in_stream("room-1"),
        in_stream("room-2"),
        Query::category(category("room")),
        typed(["labelled"]),
        typed(["posted", "unknown"]),
        tagged(["user:1"]),
        tagged(["user:1", "lang:en"]),
        in_stream("room-1").or(tagged(["lang:en"])),
        Query::streams([]),
    ];
    let find = |subject: &Subject| -> Vec<_> {
        let both = |query: &Query| {
            (
                subject.events(query.clone(), ReadOptions::all()),
                subject.events(query.clone(), ReadOptions::backward()),
            )
        };
        queries.iter().map(both).collect()
    };
    let before = find(life.subject());
    assert_eq!(find(life.reopen().subject()), before);
}

/// A subscription resumed from any place goes on there, without a gap.
pub fn a_subscription_goes_on_from_where_it_was<H: Reopen>(life: Life<H>) {
    life.subject().put(several("room-1", 12));
    let mut subscription = life.subject().subscribe(Query::all(), Start::Beginning);
    let seen = subscription.next_events(5);
    let saved = Cursor {
        epoch: life.subject().store().epoch(),
        position: seen[4].position,
    };
    drop(subscription);
    let life = life.reopen();
    assert_eq!(saved.epoch, life.subject().store().epoch());
    let mut resumed = life
        .subject()
        .subscribe(Query::all(), Start::After(saved.position));
    let (missed, _) = resumed.until_caught_up();
    assert_eq!(labels(&missed), ["5", "6", "7", "8", "9", "10", "11"]);
    life.subject().put(one("room-2", "live"));
    assert_eq!(labels(&[resumed.next_event()]), ["live"]);
}

/// Where a reader had caught up, nothing comes to lie at or below afterwards.
pub fn a_mark_still_holds<H: Reopen>(life: Life<H>) {
    life.subject().put(several("room-1", 3));
    let mut subscription = life
        .subject()
        .subscribe(in_stream("rare-1"), Start::Beginning);
    let (_, mark) = subscription.until_caught_up();
    drop(subscription);
    let life = life.reopen();
    life.subject().put(one("rare-1", "after the mark"));
    let found = life
        .subject()
        .read(in_stream("rare-1"), ReadOptions::after(mark));
    assert!(
        matches!(&found[..], [Item::Event(event), ..] if event.position > mark),
        "{found:?}"
    );
}

/// What was refused does not come to light.
pub fn what_was_refused_is_not_there<H: Reopen>(life: Life<H>) {
    life.subject().put(one("room-1", "kept"));
    for _ in 0..3 {
        let append = several("room-1", 3).expect(Expect::NoStream);
        assert!(life.subject().append(append).is_err());
    }
    let life = life.reopen();
    assert_eq!(labels(&life.subject().log()), ["kept"]);
    let appended = life.subject().put(one("room-1", "second"));
    assert_eq!(
        appended.version_of(&stream("room-1")).map(Version::get),
        Some(2)
    );
}

/// An append that asked only for `Durability::Written` outlives the store as well.
pub fn what_was_only_written_outlives_the_store<H: Reopen>(life: Life<H>) {
    let append = several("room-1", 3).durability(Durability::Written);
    life.subject().put(append);
    assert_eq!(labels(&life.reopen().subject().log()), ["0", "1", "2"]);
}

/// Large appends and large events are there again.
pub fn what_is_large_is_there_again<H: Reopen>(life: Life<H>) {
    let limits = life.subject().store().capabilities().limits;
    let size = limits.event_bytes.min(3 << 20) / 2;
    let bytes: Vec<u8> = (0..size)
        .map(|n| u8::try_from(n % 251).unwrap_or_default())
        .collect();
    let large = NewEvent::new(event_type("large"), bytes).metadata(vec![0xff; size / 2]);
    life.subject()
        .put(Append::to(stream("room-1")).event(large));
    life.subject()
        .put(several("room-1", limits.append_events.min(3_000)));
    let before = life.subject().log();
    assert_eq!(life.reopen().subject().log(), before);
}

/// A log can be opened again and again, and grows in between.
pub fn a_log_has_many_lives<H: Reopen>(mut life: Life<H>) {
    let mut expected = Vec::new();
    for n in 1..=8 {
        life.subject().put(several("room-1", n));
        expected.extend((0..n).map(|label| label.to_string()));
        life = life.reopen();
        assert_eq!(labels(&life.subject().log()), expected, "in life {n}");
    }
}

/// What many writers were told is what is there.
pub fn what_many_writers_were_told_is_there<H: Reopen>(life: Life<H>) {
    let subject = life.subject();
    let told: Vec<_> = together(6, |writer| {
        let append = |n| subject.append(one(&format!("room-{writer}"), format!("{writer}/{n}")));
        (0..20).map(append).collect::<Vec<_>>()
    })
    .into_iter()
    .flatten()
    .map(|answer| answer.map(|appended| appended.last()))
    .collect::<Result<_, _>>()
    .expect("the store takes appends that nothing forbids");
    let life = life.reopen();
    let mut found: Vec<_> = life
        .subject()
        .log()
        .iter()
        .map(|event| event.position)
        .collect();
    let mut told: Vec<Position> = told;
    told.sort();
    found.sort();
    assert_eq!(found, told);
}

/// What clients saw before the store was reopened and after fits together.
pub fn what_clients_saw_over_several_lives_fits_together<H: Reopen>(mut life: Life<H>) {
    let recorder = Recorder::new();
    for chapter in 0..4 {
        let subject = life.subject();
        together(4, |client| {
            for round in chapter * 10..chapter * 10 + 10 {
                write(&recorder, subject, client, round);
            }
        });
        recorder.read(subject, Query::all(), Position::ORIGIN);
        life = life.reopen();
        recorder.read(life.subject(), Query::all(), Position::ORIGIN);
    }
    conclude(&recorder, life.subject());
}

/// Whatever is done, a store that is reopened in between answers as the model does.
#[expect(
    clippy::needless_pass_by_value,
    reason = "each promise of this chapter is given a life to end"
)]
pub fn any_operations_survive_any_reopenings<H: Reopen>(life: Life<H>) {
    let capabilities = life.subject().store().capabilities();
    let chapters = vec(vec(Operation::any(&capabilities), 1..8), 1..5);
    for_all(&chapters, |chapters| {
        let mut life = life.another();
        let mut lockstep = Lockstep::new();
        for operations in &chapters {
            for operation in operations {
                lockstep.step(life.subject(), operation)?;
            }
            life = life.reopen();
            lockstep.compare_logs(life.subject())?;
        }
        Ok(())
    });
}

/// A log with something of everything.
fn fill(subject: &Subject) {
    subject.put(several("room-1", 20));
    subject.put(one("room-2", "keyed").key(key("fill")));
    let posted = event("posted")
        .tag(tag("user:1"))
        .tag(tag("lang:en"))
        .metadata(&b"\0\xff"[..])
        .uuid(Uuid::from_u128(7));
    let append = Append::to(stream("room-1"))
        .event(posted)
        .event(labelled("\u{1f980}").tag(tag("user:1")))
        .event(event("empty").stream(stream("room-2")));
    subject.put(append);
    subject.put(Append::new().event(labelled("in no stream").tag(tag("lang:en"))));
    for n in 0..30 {
        subject.put(one(&format!("room-{}", n % 5), n.to_string()));
    }
}
