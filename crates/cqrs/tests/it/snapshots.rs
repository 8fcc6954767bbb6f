//! States that are kept, and all that may be wrong with what was kept.

use eventwire_cqrs::{Backoff, Boundary, Decider, Dispatcher, DomainEvent, Snapshots};
use eventwire_store::{
    EventStore, MemoryStore, NameError, Query, ReadOptions, Snapshot, SnapshotName, SnapshotStore,
    StreamName, Tag,
};
use futures_executor::block_on;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::stores::{Before, Interposed, events};

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
    for wrong in [
        text.replace("Stream(", "Query("),
        text.replacen("\"epoch\":\"", "\"epoch\":\"0", 1),
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
