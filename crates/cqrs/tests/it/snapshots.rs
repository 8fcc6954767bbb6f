//! States that are kept, and all that may be wrong with what was kept.

use eventwire_cqrs::{
    Backoff, Boundary, CommandError, CommandOptions, Decider, Decision, Dispatcher, DomainEvent,
    Facts, Snapshots,
};
use eventwire_store::{
    EventStore, Expect, MemoryStore, NameError, Query, ReadOptions, Snapshot, SnapshotName,
    SnapshotStore, StreamName, Tag,
};
use futures_executor::block_on;
use futures_util::FutureExt;
use futures_util::future::join_all;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::stores::{Before, Interposed, Trailing, events};

/// Adds up, and says in each event what it had added up to before.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Sum<const SCHEMA: u32> {
    total: u64,
    /// How many events this state was made of since it was read.
    #[serde(skip)]
    folded: u64,
}

#[derive(Debug, Clone, Deserialize)]
enum Add {
    Add { to: String, by: u64 },
    AddTagged { tag: String, by: u64 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Added {
    Added {
        tag: Option<String>,
        by: u64,
        before: u64,
        folded: u64,
    },
}

impl DomainEvent for Added {
    fn tags(&self) -> Result<Vec<Tag>, NameError> {
        let Self::Added { tag, .. } = self;
        tag.iter().map(|tag| Tag::new(tag.as_str())).collect()
    }
}

impl<const SCHEMA: u32> Decider for Sum<SCHEMA> {
    type Command = Add;
    type Event = Added;
    type Refusal = std::convert::Infallible;

    const SNAPSHOTS: Option<Snapshots<Self>> = Some(Snapshots::json("sum", SCHEMA).every(3));

    fn boundary(command: &Add) -> Result<Boundary, NameError> {
        Ok(match command {
            Add::Add { to, .. } => Boundary::stream(StreamName::new(to.as_str())?),
            Add::AddTagged { tag, .. } => Boundary::query(Query::tags([Tag::new(tag.as_str())?])),
        })
    }

    fn evolve(&mut self, Added::Added { by, .. }: &Added) {
        self.total += by;
        self.folded += 1;
    }

    fn decide(&self, command: &Add) -> Result<Vec<Added>, Self::Refusal> {
        let (tag, by) = match command {
            Add::Add { by, .. } => (None, *by),
            Add::AddTagged { tag, by } => (Some(tag.clone()), *by),
        };
        Ok(vec![Added::Added {
            tag,
            by,
            before: self.total,
            folded: self.folded,
        }])
    }
}

fn add(to: &str) -> Add {
    Add::Add {
        to: to.to_owned(),
        by: 1,
    }
}

fn tagged(tag: &str) -> Add {
    Add::AddTagged {
        tag: tag.to_owned(),
        by: 1,
    }
}

fn keeping(store: &MemoryStore) -> Dispatcher {
    Dispatcher::builder(store.clone())
        .snapshots(store.clone())
        .build()
}

/// What the next one finds: the sum before it, and of how many events it was made.
fn next<const SCHEMA: u32>(store: &MemoryStore, command: Add) -> (u64, u64) {
    let dispatcher = keeping(store);
    block_on(dispatcher.execute::<Sum<SCHEMA>>(command)).unwrap();
    let last = block_on(events(store)).pop().unwrap();
    let Added::Added { before, folded, .. } = eventwire_cqrs::codec::decode(&last).unwrap();
    (before, folded)
}

#[test]
fn a_fold_goes_on_from_what_was_kept() {
    for command in [add("a"), tagged("t")] {
        let store = MemoryStore::new();
        let found: Vec<_> = (0..9).map(|_| next::<1>(&store, command.clone())).collect();
        // Kept after the 3rd, the 6th: a fold is never longer than what makes the next due.
        let folded = [0, 1, 2, 3, 1, 2, 3, 1, 2];
        let expected: Vec<_> = (0..9).zip(folded).collect();
        assert_eq!(found, expected, "{command:?}");
    }
}

#[test]
fn what_was_kept_at_the_end_of_a_stream_knows_how_far_that_is() {
    let store = MemoryStore::new();
    for _ in 0..3 {
        next::<1>(&store, add("a"));
    }
    // It folds all there is, which is kept, and then is not met.
    let dispatcher = keeping(&store);
    let unmet = CommandOptions::default().expect(Expect::NoStream);
    let unmet = block_on(dispatcher.execute_with::<Sum<1>>(add("a"), unmet));
    assert!(matches!(unmet, Err(CommandError::Precondition(_))));
    let written = dispatcher.execute::<Sum<1>>(add("a")).now_or_never();
    assert_eq!(written.unwrap().unwrap().attempts, 1);
    let last = block_on(events(&store)).pop().unwrap();
    let Added::Added { before, folded, .. } = eventwire_cqrs::codec::decode(&last).unwrap();
    assert_eq!((before, folded), (3, 0));
}

#[test]
fn nothing_is_kept_unless_somebody_keeps_it() {
    let store = MemoryStore::new();
    let dispatcher = Dispatcher::builder(store.clone()).build();
    for _ in 0..5 {
        block_on(dispatcher.execute::<Sum<1>>(add("a"))).unwrap();
    }
    assert_eq!(next::<1>(&store, add("a")), (5, 5));
}

#[test]
fn another_schema_begins_from_scratch_and_takes_its_place() {
    let store = MemoryStore::new();
    for _ in 0..5 {
        next::<1>(&store, add("a"));
    }
    assert_eq!(next::<2>(&store, add("a")), (5, 5));
    assert_eq!(next::<2>(&store, add("a")), (6, 1));
}

#[test]
fn boundaries_do_not_share_what_is_kept() {
    let store = MemoryStore::new();
    for _ in 0..5 {
        next::<1>(&store, add("a"));
    }
    assert_eq!(next::<1>(&store, add("b")), (0, 0));
    assert_eq!(next::<1>(&store, tagged("a")), (0, 0));
    assert_eq!(next::<1>(&store, add("a")), (5, 2));
}

#[test]
fn what_cannot_be_right_is_passed_over() {
    let store = MemoryStore::new();
    for _ in 0..5 {
        next::<1>(&store, add("a"));
    }
    let kept = |store: &MemoryStore| {
        let hash = eventwire_store::Fingerprint::of([format!(
            "{:?}",
            Boundary::stream(StreamName::new("a").unwrap())
        )
        .as_bytes()]);
        let name = SnapshotName::new(format!("sum/{:016x}", hash.to_bits())).unwrap();
        (
            name.clone(),
            block_on(store.snapshot(name)).unwrap().unwrap(),
        )
    };
    let (name, good) = kept(&store);
    let text = String::from_utf8(good.data.to_vec()).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines[2] = "no version";
    for wrong in [
        text.replace("Stream(", "Query("),
        text.replacen('\n', "\n0", 1),
        lines.join("\n"),
        text.replace("total", "sum"),
        text.replace('\n', " "),
        String::new(),
    ] {
        assert_ne!(wrong, text);
        block_on(store.remove_snapshot(name.clone())).unwrap();
        let snapshot = Snapshot {
            data: wrong.clone().into(),
            ..good.clone()
        };
        block_on(store.save_snapshot(name.clone(), snapshot)).unwrap();
        let count = u64::try_from(block_on(events(&store)).len()).unwrap();
        assert_eq!(next::<1>(&store, add("a")), (count, count), "{wrong}");
    }
}

#[test]
fn a_lost_race_is_decided_again_from_what_was_kept() {
    let store = MemoryStore::new();
    for _ in 0..4 {
        next::<1>(&store, add("a"));
    }
    let other = keeping(&store);
    let overtaken = Interposed::once(store.clone(), Before::Append, async move {
        other.execute::<Sum<1>>(add("a")).await.unwrap();
    });
    let dispatcher = Dispatcher::builder(overtaken)
        .snapshots(store.clone())
        .build();
    let receipt = block_on(dispatcher.execute::<Sum<1>>(add("a"))).unwrap();
    assert_eq!(receipt.attempts, 2);
    let last = block_on(events(&store)).pop().unwrap();
    let Added::Added { before, folded, .. } = eventwire_cqrs::codec::decode(&last).unwrap();
    assert_eq!((before, folded), (5, 2));
}

#[test]
fn many_at_once_add_up_with_and_without_what_is_kept() {
    let store = MemoryStore::new();
    let dispatcher = Dispatcher::builder(Interposed::new(store.clone()))
        .snapshots(store.clone())
        .conflict_retries(Backoff::at_once(99))
        .build();
    let adds = (0..50).map(|_| dispatcher.execute::<Sum<1>>(add("a")));
    for outcome in block_on(join_all(adds)) {
        outcome.unwrap();
    }
    let head = block_on(store.head()).unwrap();
    assert_eq!(head.to_parts().1, 50);
    let mut total = 0;
    let mut items = store.read(Query::all(), ReadOptions::all());
    while let Some(item) = block_on(items.next()) {
        if let eventwire_store::Item::Event(event) = item.unwrap() {
            let Added::Added { by, before, .. } = eventwire_cqrs::codec::decode(&event).unwrap();
            assert_eq!(before, total);
            total += by;
        }
    }
    assert_eq!(total, 50);
}

#[derive(Debug, Clone, Deserialize)]
enum AddToBoth {
    AddToBoth { left: String, right: String },
}

/// Adds to two sums at once.
struct Adding;

impl Decision for Adding {
    type Command = AddToBoth;
    type States = (Sum<1>, Sum<1>);
    type Refusal = std::convert::Infallible;

    fn boundaries(command: &AddToBoth) -> Result<[Boundary; 2], NameError> {
        let AddToBoth::AddToBoth { left, right } = command;
        let of = |name: &str| Ok(Boundary::stream(StreamName::new(name)?));
        Ok([of(left)?, of(right)?])
    }

    fn decide((left, right): &Self::States, command: &AddToBoth) -> Result<Facts, Self::Refusal> {
        let added = |sum: &Sum<1>| Added::Added {
            tag: None,
            by: 1,
            before: sum.total,
            folded: sum.folded,
        };
        let AddToBoth::AddToBoth { right: to, .. } = command;
        Ok(Facts::nothing()
            .and(&added(left))
            .and_in(StreamName::new(to.as_str()), &added(right)))
    }
}

fn both(left: &str, right: &str) -> AddToBoth {
    AddToBoth::AddToBoth {
        left: left.to_owned(),
        right: right.to_owned(),
    }
}

/// What the last events found, the latest last: the sum before them, and of how many events it
/// was made.
fn found(store: &MemoryStore, count: usize) -> Vec<(u64, u64)> {
    let all = block_on(events(store));
    let last = all[all.len() - count..].iter().map(|event| {
        let Added::Added { before, folded, .. } = eventwire_cqrs::codec::decode(event).unwrap();
        (before, folded)
    });
    last.collect()
}

fn next_of_both(store: &MemoryStore, left: &str, right: &str) -> [(u64, u64); 2] {
    block_on(keeping(store).execute::<Adding>(both(left, right))).unwrap();
    found(store, 2).try_into().unwrap()
}

#[test]
fn each_state_of_several_goes_on_from_what_was_kept_of_it() {
    let store = MemoryStore::new();
    for _ in 0..5 {
        next::<1>(&store, add("a"));
    }
    // What one decider keeps is good for who decides with others; the other is read alone.
    assert_eq!(next_of_both(&store, "a", "b"), [(5, 2), (0, 0)]);
    // That was 3 for `a`, which is kept by who finds it so.
    assert_eq!(next_of_both(&store, "b", "a"), [(1, 1), (6, 3)]);
    assert_eq!(next_of_both(&store, "a", "b"), [(7, 1), (2, 2)]);
    assert_eq!(next_of_both(&store, "a", "b"), [(8, 2), (3, 3)]);
    assert_eq!(next_of_both(&store, "a", "b"), [(9, 3), (4, 1)]);
    // And the other way round.
    assert_eq!(next::<1>(&store, add("b")), (5, 2));
}

#[test]
fn a_state_is_not_brought_to_a_place_that_readers_are_not_shown() {
    let store = MemoryStore::new();
    let trailing = Trailing::new(store.clone());
    next::<1>(&store, add("b"));
    for _ in 0..5 {
        next::<1>(&store, add("a"));
    }
    let dispatcher = Dispatcher::builder(trailing.clone())
        .snapshots(store.clone())
        .build();
    let mut deciding = Box::pin(dispatcher.execute::<Adding>(both("a", "b")));
    // `a` was kept as of a place that this reader has not come to, with `b` before it.
    assert!((&mut deciding).now_or_never().is_none());
    block_on(trailing.show());
    assert_eq!(block_on(deciding).unwrap().attempts, 1);
    assert_eq!(found(&store, 2), [(5, 2), (1, 1)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Which is kept when depends on all that came before; what is found does not.
    #[test]
    fn what_is_kept_changes_nothing_but_how_much_is_read(
        commands in prop::collection::vec((0..3_usize, prop::option::of(0..3_usize)), 1..40),
    ) {
        let (kept, plain) = (MemoryStore::new(), MemoryStore::new());
        let with = keeping(&kept);
        let without = Dispatcher::builder(plain.clone()).build();
        let names = ["a", "b", "c"];
        for (left, right) in commands {
            for dispatcher in [&with, &without] {
                block_on(async {
                    match right {
                        Some(right) if right != left => {
                            let command = both(names[left], names[right]);
                            dispatcher.execute::<Adding>(command).await.unwrap();
                        }
                        _ => {
                            dispatcher.execute::<Sum<1>>(add(names[left])).await.unwrap();
                        }
                    }
                });
            }
        }
        let sums = |store: &MemoryStore| {
            let all = block_on(events(store)).len();
            found(store, all).into_iter().map(|(before, _)| before).collect::<Vec<_>>()
        };
        prop_assert_eq!(sums(&kept), sums(&plain));
    }
}
