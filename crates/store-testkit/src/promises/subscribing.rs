//! A subscription from P yields every matching event above P once, in order. It is *defined*
//! as reading `(cursor, head]` again whenever the head moves.

use std::collections::BTreeMap;
use std::task::Poll;

use eventwire_store::{Append, Item, Position, Query, ReadOptions, Start, Version};

use crate::sample::{event, in_stream, labelled, labels, one, several, tag, tagged, typed};
use crate::subject::Subject;
use crate::threads::{Count, together};

/// History first, then what is appended, in one order.
pub fn history_comes_first_and_then_what_is_appended(subject: &Subject) {
    subject.put(several("room-1", 3));
    let mut subscription = subject.subscribe(Query::all(), Start::Beginning);
    let (history, _) = subscription.until_caught_up();
    assert_eq!(labels(&history), ["0", "1", "2"]);
    for label in ["live", "and", "well"] {
        subject.put(one("room-1", label));
        assert_eq!(labels(&[subscription.next_event()]), [label]);
    }
}

/// `Start::After` begins with the first event above the place.
pub fn a_subscription_begins_above_its_place(subject: &Subject) {
    let positions = subject.put(several("room-1", 8)).positions;
    for (index, position) in positions.iter().enumerate() {
        let mut subscription = subject.subscribe(Query::all(), Start::After(*position));
        let (events, _) = subscription.until_caught_up();
        let expected: Vec<_> = (index + 1..8).map(|n| n.to_string()).collect();
        assert_eq!(labels(&events), expected, "after {position}");
    }
}

/// `Start::End` begins with the first event appended from now on, and shows no history.
pub fn a_subscription_from_the_end_shows_no_history(subject: &Subject) {
    subject.put(several("room-1", 5));
    let mut subscription = subject.subscribe(Query::all(), Start::End);
    let (history, _) = subscription.until_caught_up();
    assert_eq!(history, []);
    subject.put(one("room-1", "new"));
    assert_eq!(labels(&[subscription.next_event()]), ["new"]);
}

/// From now on means from the call, not from the first poll.
pub fn from_now_on_means_from_the_call(subject: &Subject) {
    subject.put(several("room-1", 2));
    let mut subscription = subject.subscribe(Query::all(), Start::End);
    subject.put(one("room-1", "before the first poll"));
    subject.put(one("room-1", "after it"));
    let events = subscription.next_events(2);
    assert_eq!(labels(&events), ["before the first poll", "after it"]);
}

/// A subscription to an empty log says that it has caught up, and then waits.
pub fn a_subscription_to_an_empty_log_catches_up_and_waits(subject: &Subject) {
    let mut subscription = subject.subscribe(Query::all(), Start::Beginning);
    let (events, _) = subscription.until_caught_up();
    assert_eq!(events, []);
    subject.put(one("room-1", "first"));
    assert_eq!(labels(&[subscription.next_event()]), ["first"]);
}

/// `CaughtUp` is yielded each time the head is reached.
pub fn a_subscription_says_each_time_that_it_has_caught_up(subject: &Subject) {
    let mut subscription = subject.subscribe(Query::all(), Start::Beginning);
    for n in 0..10 {
        let head = subject.put(several("room-1", 1 + n % 3)).last();
        let (events, caught_up) = subscription.until_caught_up_with(head);
        assert_eq!(events.len(), 1 + n % 3);
        // Not past anything to come.
        let rest = subject.events(Query::all(), ReadOptions::after(caught_up));
        assert_eq!(rest, []);
    }
}

/// A subscription that matches nothing still says how far it has looked.
pub fn a_subscription_says_how_far_it_has_looked(subject: &Subject) {
    for query in [
        in_stream("unknown"),
        Query::streams([]),
        tagged(["unknown"]),
        typed(["unknown"]),
    ] {
        let mut subscription = subject.subscribe(query.clone(), Start::Beginning);
        for _ in 0..3 {
            let head = subject.put(several("room-1", 3)).last();
            loop {
                match subscription.next_item() {
                    Item::Progress(at) | Item::CaughtUp(at) if at >= head => break,
                    Item::Event(event) => panic!("{query:?} does not match {event:?}"),
                    _ => {}
                }
            }
        }
    }
}

/// A subscription shows what matches and nothing else, in history and live.
pub fn a_subscription_shows_only_what_matches(subject: &Subject) {
    let append = |n: usize| {
        let tagged = event("posted").tag(tag(if n.is_multiple_of(3) { "fizz" } else { "plain" }));
        Append::to(crate::sample::stream(&format!("room-{}", n % 4))).event(tagged)
    };
    for n in 0..12 {
        subject.put(append(n));
    }
    let query = in_stream("room-1").or(tagged(["fizz"]));
    let mut subscription = subject.subscribe(query.clone(), Start::Beginning);
    let (mut shown, _) = subscription.until_caught_up();
    assert_eq!(shown.len(), 6, "0 1 3 5 6 9 match: {shown:?}");
    for n in 12..24 {
        subject.put(append(n));
    }
    shown.extend(subscription.next_events(6));
    assert_eq!(shown, subject.events(query, ReadOptions::all()));
}

/// A subscription shows an event as a read does.
pub fn a_subscription_shows_an_event_as_a_read_does(subject: &Subject) {
    let mut subscription = subject.subscribe(Query::all(), Start::Beginning);
    subscription.until_caught_up();
    let rich = labelled("\0\u{1f980}")
        .tag(tag("b"))
        .tag(tag("a"))
        .metadata(&b"\xff"[..]);
    subject.put(Append::new().event(rich));
    subject.put(several("room-1", 2));
    let shown = subscription.next_events(3);
    assert_eq!(shown, subject.log());
}

/// Resuming after any event that was shown goes on with the next.
pub fn resuming_after_any_event_goes_on_with_the_next(subject: &Subject) {
    for n in 0..6 {
        subject.put(several("room-1", 2));
        subject.put(one("room-2", n.to_string()));
    }
    let query = in_stream("room-2");
    let whole = subject.events(query.clone(), ReadOptions::all());
    for stopped in 0..whole.len() {
        let mut first = subject.subscribe(query.clone(), Start::Beginning);
        let mut shown = first.next_events(stopped + 1);
        drop(first);
        let resumed = subject.subscribe(query.clone(), Start::After(shown[stopped].position));
        let (rest, _) = { resumed }.until_caught_up();
        shown.extend(rest);
        assert_eq!(shown, whole, "resumed after {stopped}");
    }
}

/// Resuming from any mark loses nothing and shows nothing twice.
pub fn resuming_from_any_mark_loses_nothing(subject: &Subject) {
    let query = in_stream("rare-1");
    let mut after = Position::ORIGIN;
    let mut shown = Vec::new();
    for n in 0..12 {
        if n % 3 == 0 {
            subject.put(one("rare-1", n.to_string()));
        }
        let head = *subject.put_all("room-1", 200).last().expect("it appends");
        let mut subscription = subject.subscribe(query.clone(), Start::After(after));
        loop {
            match subscription.next_item() {
                Item::Event(event) => shown.push(event),
                Item::Progress(at) | Item::CaughtUp(at) => {
                    after = at;
                    // Resume from wherever it first said something, most of the time.
                    if n % 4 != 0 || at >= head {
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    let (rest, _) = subject
        .subscribe(query, Start::After(after))
        .until_caught_up();
    shown.extend(rest);
    assert_eq!(labels(&shown), ["0", "3", "6", "9"]);
}

/// A subscription that nobody polls for a long while is shown all of it afterwards.
pub fn a_slow_subscriber_is_shown_everything(subject: &Subject) {
    let mut subscription = subject.subscribe(Query::all(), Start::Beginning);
    subject.put(one("room-1", "first"));
    assert_eq!(labels(&[subscription.next_event()]), ["first"]);
    for _ in 0..20 {
        subject.put_all("room-1", 300);
    }
    let shown = subscription.next_events(6_000);
    assert_eq!(shown, subject.log()[1..]);
}

/// A subscription that waits is woken by an append.
pub fn a_waiting_subscription_is_woken(subject: &Subject) {
    let shown = Count::default();
    together(2, |index| {
        // Only when each has been shown is the next appended: no wake can stand for two.
        if index == 0 {
            for n in 0..50 {
                shown.wait_until(n);
                subject.put(one("room-1", n.to_string()));
            }
            return;
        }
        let mut subscription = subject.subscribe(in_stream("room-1"), Start::Beginning);
        for n in 0..50 {
            assert_eq!(labels(&[subscription.next_event()]), [n.to_string()]);
            shown.raise();
        }
    });
}

/// All who wait are woken.
pub fn all_who_wait_are_woken(subject: &Subject) {
    const FOLLOWERS: usize = 8;
    let ready = Count::default();
    let shown = together(FOLLOWERS + 1, |index| {
        if index == FOLLOWERS {
            ready.wait_until(FOLLOWERS);
            subject.put(several("room-1", 3));
            return Vec::new();
        }
        let mut subscription = subject.subscribe(Query::all(), Start::Beginning);
        subscription.until_caught_up();
        ready.raise();
        subscription.next_events(3)
    });
    for shown in &shown[..FOLLOWERS] {
        assert_eq!(labels(shown), ["0", "1", "2"]);
    }
}

/// From history to live nothing is lost, doubled or turned round, under load.
pub fn the_hand_over_to_live_is_seamless_under_load(subject: &Subject) {
    const WRITERS: usize = 3;
    const APPENDS: usize = 60;
    together(WRITERS + 3, |index| {
        if index < WRITERS {
            for n in 0..APPENDS {
                subject.put(one(&format!("writer-{index}"), n.to_string()));
            }
            return;
        }
        // Again and again a subscription begins in the middle of the writing, follows for a
        // while and is resumed by another.
        let mut next = BTreeMap::new();
        let mut after = Position::ORIGIN;
        let mut shown = 0;
        while shown < WRITERS * APPENDS {
            let mut subscription = subject.subscribe(Query::all(), Start::After(after));
            let few = (WRITERS * APPENDS - shown).min(5 + index * 7);
            for event in subscription.next_events(few) {
                assert!(event.position > after, "{} after {after}", event.position);
                after = event.position;
                let expected = next.entry(event.stream_name().cloned()).or_insert(0_usize);
                assert_eq!(labels(&[event]), [expected.to_string()], "of one writer");
                *expected += 1;
            }
            shown += few;
        }
        assert!(next.values().all(|&count| count == APPENDS), "{next:?}");
    });
}

/// Filtered subscriptions under load are each shown theirs, all of it and in order.
pub fn filtered_subscriptions_under_load_are_each_shown_theirs(subject: &Subject) {
    const APPENDS: usize = 50;
    together(6, |index| {
        let writer = index % 3;
        let name = format!("writer-{writer}");
        if index < 3 {
            for n in 0..APPENDS {
                subject.put(one(&name, n.to_string()));
            }
        } else {
            let mut subscription = subject.subscribe(in_stream(&name), Start::Beginning);
            let expected: Vec<_> = (0..APPENDS).map(|n| n.to_string()).collect();
            assert_eq!(labels(&subscription.next_events(APPENDS)), expected);
        }
    });
}

/// A subscription from the end, begun under load, is shown everything above where it began.
pub fn a_subscription_from_the_end_under_load_has_no_gap(subject: &Subject) {
    const APPENDS: usize = 120;
    let (written, subscribed) = (Count::default(), Count::default());
    together(4, |index| {
        if index == 0 {
            for n in 0..APPENDS {
                // Whoever subscribes late is waited for, so that all have much to be shown.
                if n == APPENDS / 2 {
                    subscribed.wait_until(3);
                }
                subject.put(one("room-1", n.to_string()));
                written.raise();
            }
            return;
        }
        written.wait_until(index * 15);
        let mut subscription = subject.subscribe(in_stream("room-1"), Start::End);
        subscribed.raise();
        let first = subscription.next_event().version().map_or(0, Version::get);
        assert!(first > 15, "version {first} was there before it began");
        for expected in first + 1..=120 {
            let version = subscription.next_event().version();
            assert_eq!(version, Version::new(expected));
        }
    });
}

/// Dropping a subscription at any moment disturbs nobody.
pub fn a_subscription_can_be_dropped_at_any_moment(subject: &Subject) {
    let mut stays = subject.subscribe(Query::all(), Start::Beginning);
    for n in 0..20 {
        let mut goes = subject.subscribe(Query::all(), Start::Beginning);
        match n % 4 {
            0 => {}
            1 => drop(goes.next_item()),
            2 => drop(goes.until_caught_up()),
            _ => while let Poll::Ready(Some(_)) = goes.poll() {},
        }
        drop(goes);
        subject.put(one("room-1", n.to_string()));
        assert_eq!(labels(&[stays.next_event()]), [n.to_string()]);
    }
}

/// A subscription owns all it needs: history is shown when the handle it was made from is gone.
pub fn a_subscription_outlives_the_handle_it_was_made_from(subject: &Subject) {
    let other = subject.another();
    other.put_all("room-1", 700);
    let mut subscription = other.subscribe(Query::all(), Start::Beginning);
    drop(other);
    assert_eq!(subscription.next_events(700).len(), 700);
}

/// Nothing lies above the greatest place, and a subscription from there is shown nothing.
pub fn a_subscription_from_the_greatest_place_is_shown_nothing(subject: &Subject) {
    subject.put(several("room-1", 3));
    let mut beyond = subject.subscribe(Query::all(), Start::After(Position::MAX));
    let mut beside = subject.subscribe(Query::all(), Start::End);
    for n in 0..5 {
        subject.put(one("room-1", n.to_string()));
        beside.next_event();
        while let Poll::Ready(Some(item)) = beyond.poll() {
            assert!(!matches!(item, Item::Event(_)), "{item:?}");
        }
    }
}

/// A large append is shown whole, however many events a subscription takes at a time.
pub fn a_large_append_is_shown_whole(subject: &Subject) {
    let mut subscription = subject.subscribe(Query::all(), Start::Beginning);
    subscription.until_caught_up();
    let count = subject
        .store()
        .capabilities()
        .limits
        .append_events
        .min(3_000);
    let positions = subject.put(several("room-1", count)).positions;
    let shown = subscription.next_events(count);
    assert!(shown.iter().map(|event| event.position).eq(positions));
}
