//! Appends with the same key and the same fingerprint have one effect and one answer, the
//! later ones marked `duplicate`.

use eventwire_store::{
    Append, AppendError, Expect, Fingerprint, IdempotencyKey, InvalidAppend, MAX_NAME_BYTES,
    Position, Query, ReadOptions, Uuid,
};

use crate::sample::{event, key, labelled, labels, one, several, stream, tag};
use crate::subject::Subject;
use crate::threads::together;

/// The same append with the same key is written once.
pub fn the_same_append_with_the_same_key_is_written_once(subject: &Subject) {
    for _ in 0..4 {
        subject.put(several("room-1", 3).key(key("once")));
    }
    assert_eq!(labels(&subject.log()), ["0", "1", "2"]);
}

/// The later answers are the first, marked `duplicate`.
pub fn the_later_answers_are_the_first_marked_duplicate(subject: &Subject) {
    subject.put(one("room-1", "earlier"));
    let append = || {
        several("room-1", 2)
            .event(labelled("elsewhere").stream(stream("room-2")))
            .key(key("once"))
    };
    let mut first = subject.put(append());
    assert!(!first.duplicate, "the first is no duplicate");
    subject.put(several("room-1", 3));
    first.duplicate = true;
    first.streams.sort();
    for _ in 0..2 {
        let mut again = subject.put(append());
        again.streams.sort();
        assert_eq!(again, first);
    }
}

/// A duplicate writes nothing and moves no head.
pub fn a_duplicate_moves_no_head(subject: &Subject) {
    let append = || one("room-1", "a").key(key("once"));
    subject.put(append());
    let head = subject.put(one("room-1", "b")).last();
    subject.put(append());
    assert_eq!(subject.head(), head);
    assert_eq!(subject.events(Query::all(), ReadOptions::after(head)), []);
}

/// The same key with other events is `InvalidAppend::KeyReused`, and says which key.
pub fn the_same_key_with_other_events_is_refused(subject: &Subject) {
    let first = || Append::to(stream("room-1")).event(labelled("a").tag(tag("x")));
    subject.put(first().key(key("once")));
    for other in [
        one("room-1", "a"),
        one("room-1", "b"),
        first().event(labelled("a")),
        Append::to(stream("room-2")).event(labelled("a").tag(tag("x"))),
        Append::new().event(labelled("a").tag(tag("x"))),
        Append::to(stream("room-1")).event(labelled("a").tag(tag("y"))),
        Append::to(stream("room-1")).event(labelled("a").tag(tag("x")).metadata("m")),
        Append::to(stream("room-1")).event(labelled("a").tag(tag("x")).uuid(Uuid::nil())),
        Append::to(stream("room-1")).event(event("other").tag(tag("x"))),
    ] {
        assert_reused(&subject.refuse(other.key(key("once"))), "once");
    }
    assert!(
        subject.put(first().key(key("once"))).duplicate,
        "the key still stands for the first"
    );
}

/// Without a key the same append is another append.
pub fn without_a_key_the_same_append_is_written_again(subject: &Subject) {
    for _ in 0..3 {
        assert!(!subject.put(one("room-1", "same")).duplicate);
    }
    assert_eq!(labels(&subject.log()), ["same", "same", "same"]);
}

/// The same events under another key are other events.
pub fn another_key_is_another_append(subject: &Subject) {
    for name in ["one", "two", "One", "one "] {
        assert!(
            !subject.put(one("room-1", "same").key(key(name))).duplicate,
            "{name:?}"
        );
    }
    assert_eq!(subject.log().len(), 4);
}

/// A key is looked at before the guards: a repeated append does not conflict with itself.
pub fn a_duplicate_is_known_before_its_guards_are_looked_at(subject: &Subject) {
    let append = || {
        one("room-1", "opened")
            .expect(Expect::NoStream)
            .key(key("once"))
    };
    let first = subject.put(append());
    let second = subject.put(append());
    assert!(second.duplicate);
    assert_eq!(second.positions, first.positions);
}

/// Which guards an append has is no part of what makes it the same.
pub fn other_guards_make_no_other_request(subject: &Subject) {
    subject.put(
        one("room-1", "opened")
            .expect(Expect::NoStream)
            .key(key("once")),
    );
    assert!(
        subject
            .put(one("room-1", "opened").key(key("once")))
            .duplicate
    );
    let guarded = one("room-1", "opened")
        .expect(Expect::Exists)
        .key(key("once"));
    assert!(subject.put(guarded).duplicate);
}

/// A reused key is told before a guard that does not hold.
pub fn a_reused_key_is_told_before_a_conflict(subject: &Subject) {
    subject.put(one("room-1", "a").key(key("once")));
    let append = one("room-1", "b").expect(Expect::NoStream).key(key("once"));
    assert_reused(&subject.refuse(append), "once");
}

/// An append that was refused leaves its key free.
pub fn a_refused_append_leaves_its_key_free(subject: &Subject) {
    let append = |expect| one("room-1", "a").expect(expect).key(key("once"));
    subject.conflict(append(Expect::Exists));
    assert_eq!(subject.recall(key("once")), None);
    assert!(!subject.put(append(Expect::NoStream)).duplicate);
    let other = one("room-1", "b")
        .key(key("twice"))
        .expect(Expect::NoStream);
    subject.conflict(other);
    assert!(
        !subject.put(one("room-1", "c").key(key("twice"))).duplicate,
        "not even for this one"
    );
}

/// A fingerprint of the caller's own decides what is the same request.
pub fn a_fingerprint_of_the_callers_own_decides(subject: &Subject) {
    let print = |text: &'static str| Fingerprint::of([text.as_bytes()]);
    let append = |label, command| {
        one("room-1", label)
            .key(key("once"))
            .fingerprint(print(command))
    };
    let first = subject.put(append("decided at noon", "post hi"));
    let second = subject.put(append("decided at one", "post hi"));
    assert!(second.duplicate, "the same command led to other events");
    assert_eq!(second.positions, first.positions);
    assert_reused(
        &subject.refuse(append("decided at noon", "post ho")),
        "once",
    );
}

/// A UUID that the store chose is no part of the request, and is chosen once.
pub fn a_uuid_the_store_chose_is_chosen_once(subject: &Subject) {
    let append = || one("room-1", "a").key(key("once"));
    subject.put(append());
    let before = subject.log();
    assert!(subject.put(append()).duplicate);
    assert_eq!(subject.log(), before);
}

/// A key no append had recalls nothing.
pub fn an_unknown_key_recalls_nothing(subject: &Subject) {
    assert_eq!(subject.recall(key("unknown")), None);
    subject.put(one("room-1", "a").key(key("known")));
    for name in ["unknown", "know", "known ", "Known"] {
        assert_eq!(subject.recall(key(name)), None, "{name:?}");
    }
}

/// A known key recalls the answer, marked `duplicate`, and the fingerprint.
pub fn a_known_key_recalls_its_answer(subject: &Subject) {
    subject.put(one("room-1", "earlier"));
    let append = several("room-1", 2).key(key("known"));
    let (_, fingerprint) = append.identity().expect("the append has a key");
    let mut appended = subject.put(append);
    appended.duplicate = true;
    subject.put(one("room-1", "later"));
    let recalled = subject.recall(key("known")).expect("the key is known");
    assert_eq!(recalled.appended, appended);
    assert_eq!(recalled.fingerprint, fingerprint);
    let own = Fingerprint::of([b"own".as_slice()]);
    subject.put(one("room-1", "b").key(key("own")).fingerprint(own));
    let recalled = subject.recall(key("own")).expect("the key is known");
    assert_eq!(recalled.fingerprint, own);
}

/// Of writers who make the same keyed append at once, all are given one answer.
pub fn writers_at_once_are_given_one_answer(subject: &Subject) {
    for round in 0..15 {
        let append = || several("room-1", 2).key(key(&format!("round-{round}")));
        let answers = together(6, |_| subject.append(append()));
        let answers: Vec<_> = answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(|error| panic!("round {round}: {error}")))
            .collect();
        let first = answers.iter().filter(|answer| !answer.duplicate).count();
        assert_eq!(first, 1, "round {round}: one is no duplicate: {answers:?}");
        for answer in &answers {
            assert_eq!(answer.positions, answers[0].positions, "round {round}");
            assert_eq!(answer.streams, answers[0].streams, "round {round}");
        }
    }
    subject.put(one("room-2", "end"));
    assert_eq!(subject.log().len(), 15 * 2 + 1);
}

/// Of writers who make different appends under one key at once, one is answered `Ok`.
pub fn of_writers_who_share_a_key_by_mistake_one_wins(subject: &Subject) {
    for round in 0..10 {
        let name = format!("round-{round}");
        let answers = together(4, |writer| {
            subject.append(one("room-1", format!("{writer}")).key(key(&name)))
        });
        let won = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(won, 1, "round {round}: {answers:?}");
        for lost in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert_reused(lost, &name);
        }
    }
}

/// A key is remembered however much is appended after it.
pub fn a_key_is_remembered_behind_many_others(subject: &Subject) {
    let keyed = |n: usize| one("room-1", n.to_string()).key(key(&format!("key-{n}")));
    let positions: Vec<Position> = (0..400).map(|n| subject.put(keyed(n)).last()).collect();
    for n in [0, 1, 150, 399] {
        let again = subject.put(keyed(n));
        assert!(again.duplicate, "key-{n}");
        assert_eq!(again.last(), positions[n], "key-{n}");
    }
    assert_eq!(subject.log().len(), 400);
}

/// Keys that look alike are apart, and any text a key can hold will do.
pub fn any_text_is_a_key_of_its_own(subject: &Subject) {
    let longest = "k".repeat(MAX_NAME_BYTES);
    let almost = format!("{}j", &longest[1..]);
    let texts = [
        "a",
        "A",
        " a",
        "a ",
        "é",
        "e\u{301}",
        "../a",
        "a/b",
        "*",
        "%",
        "'; --",
        "\u{1f980}",
        longest.as_str(),
        almost.as_str(),
    ];
    let keyed = |text: &str| one("room-1", text).key(key(text));
    for text in texts {
        assert!(!subject.put(keyed(text)).duplicate, "{text:?}");
    }
    for text in texts {
        assert!(subject.put(keyed(text)).duplicate, "{text:?}");
    }
}

#[track_caller]
fn assert_reused(error: &AppendError, name: &str) {
    let is_reused = |reused: &IdempotencyKey| reused.as_str() == name;
    assert!(
        matches!(error, AppendError::Invalid(InvalidAppend::KeyReused(key)) if is_reused(key)),
        "expected that the key {name:?} is reused, but the store answered: {error}"
    );
}
