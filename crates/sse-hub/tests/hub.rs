//! What subscribers of a hub are shown, told and woken for.

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use eventwire_sse_hub::{Hub, Interest, Lagged, Subscription, Topic};
use futures_core::{FusedStream, Stream};

type Numbers = Hub<u64, u64>;

/// The floor of every hub here.
const FLOOR: u64 = 100;

fn hub(capacity: usize) -> Numbers {
    Hub::new(NonZeroUsize::new(capacity).expect("not zero"), FLOOR)
}

/// Entries whose value is ten times their key, about their key's parity and all of them about "any".
fn publish(hub: &Numbers, keys: impl IntoIterator<Item = u64>) {
    for key in keys {
        hub.publish(key, &[parity(key), Topic::of("any")], key * 10);
    }
}

fn parity(key: u64) -> Topic {
    Topic::of(&("parity", key % 2))
}

fn even() -> Interest {
    Interest::any([parity(0)])
}

/// What a subscription has to yield now, and how it stands then.
fn drain(subscription: &mut Subscription<u64, u64>) -> (Vec<u64>, End) {
    let mut context = Context::from_waker(Waker::noop());
    let mut keys = Vec::new();
    loop {
        match pin!(&mut *subscription).poll_next(&mut context) {
            Poll::Ready(Some(Ok((key, value)))) => {
                assert_eq!(value, key * 10);
                keys.push(key);
            }
            Poll::Ready(Some(Err(Lagged { missed, .. }))) => return (keys, End::Lagged(missed)),
            Poll::Ready(None) => return (keys, End::Closed),
            Poll::Pending => return (keys, End::Waits),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Waits,
    Closed,
    Lagged(u64),
}

/// How often a task was woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Polls once, expecting nothing, so that the next entry that matches wakes.
fn wait(subscription: &mut Subscription<u64, u64>) -> Arc<Wakes> {
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let polled = pin!(subscription).poll_next(&mut Context::from_waker(&waker));
    assert_eq!(polled, Poll::Pending);
    wakes
}

fn woken(wakes: &Wakes) -> usize {
    wakes.0.load(Ordering::Relaxed)
}

#[test]
fn entries_come_in_order_and_once() {
    let hub = hub(8);
    let mut all = hub.subscribe(FLOOR, Interest::All);
    publish(&hub, 101..=103);
    assert_eq!(drain(&mut all), (vec![101, 102, 103], End::Waits));
    publish(&hub, 104..=104);
    assert_eq!(drain(&mut all), (vec![104], End::Waits));
}

#[test]
fn only_what_meets_the_interest_is_shown() {
    let hub = hub(8);
    let cases = [
        (Interest::All, vec![101, 102, 103, 104]),
        (even(), vec![102, 104]),
        (
            Interest::any([parity(0), parity(1), Topic::of("any")]),
            vec![101, 102, 103, 104],
        ),
        (Interest::any([Topic::of("nothing")]), vec![]),
        (Interest::any([]), vec![]),
    ];
    let before: Vec<_> = cases
        .iter()
        .map(|case| hub.subscribe(FLOOR, case.0.clone()))
        .collect();
    publish(&hub, 101..=104);
    for ((interest, keys), mut early) in cases.into_iter().zip(before) {
        let mut late = hub.subscribe(FLOOR, interest.clone());
        assert_eq!(
            drain(&mut early),
            (keys.clone(), End::Waits),
            "{interest:?}"
        );
        assert_eq!(drain(&mut late), (keys, End::Waits), "{interest:?}");
    }
}

#[test]
fn a_subscription_may_begin_anywhere_in_the_ring_or_above_it() {
    let hub = hub(3);
    publish(&hub, [101, 105, 109, 113]);
    let cases: [(u64, &[u64]); 8] = [
        (101, &[105, 109, 113, 117, 118]),
        (104, &[105, 109, 113, 117, 118]),
        (105, &[109, 113, 117, 118]),
        (113, &[117, 118]),
        (116, &[117, 118]),
        (117, &[118]),
        (118, &[]),
        (900, &[]),
    ];
    let mut subscriptions = cases.map(|(after, _)| hub.subscribe(after, Interest::All));
    let mut shown = subscriptions
        .each_mut()
        .map(|subscription| drain(subscription).0);
    publish(&hub, [117, 118]);
    for ((subscription, shown), (after, keys)) in
        subscriptions.iter_mut().zip(&mut shown).zip(cases)
    {
        shown.extend(drain(subscription).0);
        assert_eq!(shown, keys, "after {after}");
        assert_eq!(subscription.cursor(), after.max(118));
    }
}

#[test]
fn entries_up_to_the_start_are_passed_over_when_they_are_published() {
    let hub = hub(8);
    let mut ahead = hub.subscribe(103, Interest::All);
    let wakes = wait(&mut ahead);
    publish(&hub, 101..=103);
    assert_eq!((woken(&wakes), ahead.cursor()), (0, 103));
    publish(&hub, 104..=105);
    assert_eq!(woken(&wakes), 1);
    assert_eq!(drain(&mut ahead), (vec![104, 105], End::Waits));
}

#[test]
fn lag_begins_exactly_where_the_ring_ends() {
    let cases = [
        // (published, what an `All` subscription yields, how it ends)
        (4, vec![101, 102, 103, 104], End::Waits),
        (5, vec![], End::Lagged(1)),
        (9, vec![], End::Lagged(5)),
    ];
    for (published, keys, end) in cases {
        let hub = hub(4);
        let mut all = hub.subscribe(FLOOR, Interest::All);
        publish(&hub, 101..=FLOOR + published);
        assert_eq!(drain(&mut all), (keys, end), "{published} published");
    }
}

#[test]
fn lag_in_the_middle_counts_what_was_lost_and_matched() {
    let hub = hub(4);
    let mut all = hub.subscribe(FLOOR, Interest::All);
    let mut evens = hub.subscribe(FLOOR, even());
    publish(&hub, 101..=102);
    let mut context = Context::from_waker(Waker::noop());
    let first = pin!(&mut all).poll_next(&mut context);
    assert_eq!(first, Poll::Ready(Some(Ok((101, 1010)))));
    publish(&hub, 103..=109); // the ring holds 106..=109
    assert_eq!(drain(&mut all), (vec![], End::Lagged(4)));
    assert_eq!(drain(&mut evens), (vec![], End::Lagged(2)));
    assert_eq!((all.cursor(), evens.cursor()), (101, FLOOR));
}

#[test]
fn what_does_not_match_never_makes_lag() {
    let hub = hub(2);
    let mut evens = hub.subscribe(FLOOR, even());
    let wakes = wait(&mut evens);
    publish(&hub, (101..200).step_by(2));
    assert_eq!(drain(&mut evens), (vec![], End::Waits));
    publish(&hub, (201..300).step_by(2));
    publish(&hub, [300, 301]);
    assert_eq!(drain(&mut evens), (vec![300], End::Waits));
    publish(&hub, [302, 303, 305]); // 302 has left
    assert_eq!(drain(&mut evens), (vec![], End::Lagged(1)));
    assert_eq!(
        woken(&wakes),
        0,
        "the waker of the last poll is the one that counts"
    );
}

#[test]
fn below_the_floor_there_is_nothing_but_lag() {
    let hub = hub(2);
    let missed = |after, interest| {
        let mut subscription = hub.subscribe(after, interest);
        assert_eq!(subscription.cursor(), after);
        let (keys, end) = drain(&mut subscription);
        assert_eq!(keys, [], "after {after}");
        assert_eq!(
            drain(&mut subscription),
            (vec![], End::Closed),
            "ends after it said so"
        );
        end
    };
    assert_eq!(missed(FLOOR - 1, Interest::All), End::Lagged(0));
    publish(&hub, 101..=105); // the ring holds 104 and 105
    assert_eq!(missed(FLOOR - 1, Interest::All), End::Lagged(3));
    assert_eq!(missed(FLOOR, Interest::All), End::Lagged(3));
    assert_eq!(missed(102, Interest::All), End::Lagged(1));
    assert_eq!(missed(102, even()), End::Lagged(0));
    assert_eq!(hub.subscribers(), 0);
    assert_eq!(drain(&mut hub.subscribe(103, Interest::All)).0, [104, 105]);
}

#[test]
fn the_cursor_passes_what_does_not_match() {
    let hub = hub(8);
    let mut evens = hub.subscribe(FLOOR, even());
    publish(&hub, 101..=103);
    assert_eq!(evens.cursor(), FLOOR, "it moves when polled");
    drain(&mut evens);
    assert_eq!(evens.cursor(), 103);
    publish(&hub, [105]);
    drain(&mut evens);
    assert_eq!(evens.cursor(), 105);
}

#[test]
fn closing_lets_what_was_published_through() {
    let hub = hub(8);
    let mut reads = hub.subscribe(FLOOR, Interest::All);
    let mut waits = hub.subscribe(103, Interest::All);
    let wakes = wait(&mut waits);
    publish(&hub, 101..=102);
    hub.close();
    publish(&hub, [103]);
    assert_eq!(woken(&wakes), 1);
    assert_eq!(drain(&mut reads), (vec![101, 102], End::Closed));
    assert_eq!(drain(&mut waits), (vec![], End::Closed));
    assert!(reads.is_terminated() && waits.is_terminated());
    assert_eq!(hub.subscribers(), 0);
    assert_eq!(
        drain(&mut hub.subscribe(101, Interest::All)),
        (vec![102], End::Closed)
    );
}

#[test]
fn the_last_hub_dropped_closes() {
    let hub = hub(8);
    let clone = hub.clone();
    let mut all = hub.subscribe(FLOOR, Interest::All);
    drop(hub);
    let wakes = wait(&mut all);
    publish(&clone, [101]);
    drop(clone);
    assert_eq!(woken(&wakes), 1);
    assert_eq!(drain(&mut all), (vec![101], End::Closed));
}

#[test]
fn only_those_who_match_are_woken_and_once() {
    let hub = hub(8);
    let mut evens: Vec<_> = (0..3).map(|_| hub.subscribe(FLOOR, even())).collect();
    let mut odds = hub.subscribe(FLOOR, Interest::any([parity(1)]));
    let mut all = hub.subscribe(FLOOR, Interest::All);
    let even_wakes: Vec<_> = evens.iter_mut().map(wait).collect();
    let (odd_wakes, all_wakes) = (wait(&mut odds), wait(&mut all));
    let counts = || {
        let evens: usize = even_wakes.iter().map(|wakes| woken(wakes)).sum();
        (evens, woken(&odd_wakes), woken(&all_wakes))
    };
    publish(&hub, [102]);
    assert_eq!(counts(), (3, 0, 1));
    publish(&hub, [104]);
    assert_eq!(
        counts(),
        (3, 0, 1),
        "who was woken is not woken again before it looked"
    );
    publish(&hub, [105]);
    assert_eq!(counts(), (3, 1, 1));
}

#[test]
fn the_waker_of_the_last_poll_is_woken() {
    let hub = hub(8);
    let mut all = hub.subscribe(FLOOR, Interest::All);
    let (old, new) = (wait(&mut all), wait(&mut all));
    publish(&hub, [101]);
    assert_eq!((woken(&old), woken(&new)), (0, 1));
}

#[test]
fn who_waits_is_known_to_wait_until_something_changes() {
    let hub = hub(4);
    let mut subscription = hub.subscribe(FLOOR, even());
    let mine = Waker::from(Arc::new(Wakes::default()));
    let other = Waker::from(Arc::new(Wakes::default()));
    let [mut mine, other] = [&mine, &other].map(Context::from_waker);
    assert!(!subscription.is_waiting(&mine), "it was never polled");
    for step in [
        |_: &Numbers| {},
        |hub: &Numbers| publish(hub, [101]),
        |hub: &Numbers| publish(hub, [102]),
    ] as [fn(&Numbers); 3]
    {
        step(&hub);
        assert!(!subscription.is_waiting(&mine), "something has changed");
        while pin!(&mut subscription).poll_next(&mut mine).is_ready() {}
        assert!(subscription.is_waiting(&mine));
        assert!(!subscription.is_waiting(&other), "another is not woken");
        assert!(pin!(&mut subscription).poll_next(&mut mine).is_pending());
    }
    hub.close();
    assert!(!subscription.is_waiting(&mine));
    assert_eq!(
        pin!(&mut subscription).poll_next(&mut mine),
        Poll::Ready(None)
    );
    assert!(!subscription.is_waiting(&mine), "it has ended");
}

#[test]
fn those_who_left_are_not_counted_or_held() {
    let hub = hub(8);
    let held = Arc::new(());
    let values = Hub::new(NonZeroUsize::MIN, FLOOR);
    values.publish(101, &[], Arc::clone(&held));
    values.publish(102, &[], Arc::new(()));
    assert_eq!(Arc::strong_count(&held), 1, "what left the ring is dropped");

    for round in 0..20 {
        let all: Vec<_> = (0..1_000)
            .map(|user| {
                let own = Topic::of(&("user", round, user));
                hub.subscribe(FLOOR, Interest::any([own, Topic::of("any")]))
            })
            .collect();
        assert_eq!(hub.subscribers(), 1_000);
        drop(all);
        assert_eq!(hub.subscribers(), 0);
    }
}

/// A waker that is the last to hold a subscription, as the waker of a task is.
#[test]
fn a_waker_may_hold_the_subscription() {
    struct Task(#[expect(dead_code, reason = "held")] std::sync::Mutex<Subscription<u64, u64>>);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    let hub = hub(8);
    let mut watched = hub.subscribe(FLOOR, Interest::All);
    for key in [101, 102] {
        let held = std::sync::Mutex::new(hub.subscribe(FLOOR, Interest::All));
        let waker = Waker::from(Arc::new(Task(held)));
        drop(drain(&mut watched));
        let polled = pin!(&mut watched).poll_next(&mut Context::from_waker(&waker));
        assert_eq!(polled, Poll::Pending);
        drop(waker);
        assert_eq!(hub.subscribers(), 2);
        if key == 101 {
            publish(&hub, [key]); // wakes, and so drops, the task
        } else {
            wait(&mut watched); // replaces it
        }
        assert_eq!(hub.subscribers(), 1);
    }
}

#[test]
fn a_hub_and_its_subscriptions_cross_threads() {
    fn crosses<S: Send + Sync>() {}
    crosses::<Hub<u64, Box<u64>>>();
    crosses::<Subscription<u64, Box<u64>>>();
}

#[test]
fn lag_says_what_to_do() {
    let mut behind = hub(1).subscribe(FLOOR - 1, Interest::All);
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(Some(Err(lagged))) = pin!(&mut behind).poll_next(&mut context) else {
        panic!("a subscription below the floor has lagged")
    };
    assert_eq!(
        lagged.to_string(),
        "fell behind the ring by 0 entries or more; read them where they are kept"
    );
}

#[test]
fn who_subscribes_after_the_head_is_shown_only_what_comes() {
    let hub = hub(2);
    assert_eq!(hub.head(), FLOOR);
    publish(&hub, [101, 102, 103]);
    assert_eq!(hub.head(), 103);
    let mut late = hub.subscribe(hub.head(), Interest::All);
    publish(&hub, [104]);
    assert_eq!(drain(&mut late), (vec![104], End::Waits));
}

#[test]
fn a_subscription_tells_how_far_behind_it_is() {
    let hub = hub(3);
    let mut some = hub.subscribe(FLOOR, even());
    let mut all = hub.subscribe(FLOOR, Interest::All);
    assert_eq!((some.unread(), all.unread()), (0, 0));
    publish(&hub, 101..=104);
    assert_eq!((some.unread(), all.unread()), (2, 4));
    assert_eq!(drain(&mut some), (vec![102, 104], End::Waits));
    assert_eq!(some.unread(), 0);
    // Those that have left the ring count until it has said so.
    assert_eq!(drain(&mut all), (vec![], End::Lagged(1)));
    assert_eq!(all.unread(), 0);
    let below = hub.subscribe(FLOOR, Interest::All);
    assert_eq!(below.unread(), 1);
}
