use std::sync::Arc;

use eventwire_cqrs::projection::{MemoryView, Projector};
use eventwire_cqrs::{Fold, codec};
use eventwire_store::{EventStore, Item, MemoryStore, Query, ReadOptions, RecordedEvent};
use futures_executor::block_on;
use harness::{Contestant, Kind, Row};

use crate::account::{AccountEvent, deposited};
use crate::dropping::Dropping;
use crate::peers::{self, History};

const EVENTS: u64 = 10_000;

#[derive(Debug, Default)]
struct Total {
    cents: u64,
}

impl Fold for Total {
    type Event = AccountEvent;

    fn evolve(&mut self, AccountEvent::Deposited { cents }: &AccountEvent) {
        self.cents += cents;
    }
}

/// A view in memory that is made anew from 10,000 events.
pub fn row() -> Row<'static> {
    let store = Dropping::with(EVENTS).inner;
    let recorded = recorded(&store);
    let again = recorded.clone();
    let read = store.clone();
    Row {
        name: "project an event".to_owned(),
        events: total(EVENTS),
        contestants: vec![
            Contestant::new("ours, in memory", Kind::Ours, move || {
                let view = MemoryView::<Total>::new();
                let mut projector =
                    Projector::new(store.clone(), "total", view.clone()).expect("a valid name");
                block_on(projector.catch_up()).expect("all of it");
                view.read(|view| total(view.cents))
            }),
            Contestant::new("read alone", Kind::Limit, move || {
                self::recorded(&read).len()
            }),
            Contestant::new("decode and fold", Kind::Limit, move || {
                let mut view = Total::default();
                for event in &recorded {
                    view.evolve(&codec::decode(event).expect("what was written"));
                }
                total(view.cents)
            }),
            Contestant::new("fold alone", Kind::Limit, move || {
                let mut view = Total::default();
                for _ in &again {
                    view.evolve(std::hint::black_box(&deposited()));
                }
                total(view.cents)
            }),
            Contestant::new(
                "cqrs-es, rows",
                Kind::Peer,
                peers::cqrs_es::projecting(EVENTS),
            ),
            Contestant::new(
                "eventually, typed",
                Kind::Peer,
                peers::eventually::projecting(History::values(EVENTS)),
            ),
            Contestant::new(
                "eventually, JSON",
                Kind::Peer,
                peers::eventually::projecting(History::json(EVENTS)),
            ),
        ],
    }
}

fn total(cents: u64) -> usize {
    usize::try_from(cents).expect("a small number")
}

/// What the projection reads, by the same query.
fn recorded(store: &MemoryStore) -> Vec<Arc<RecordedEvent>> {
    let query = Query::types(codec::event_types::<AccountEvent>());
    let mut items = store.read(query, ReadOptions::all());
    let mut events = Vec::new();
    while let Some(chunk) = block_on(items.next_chunk()) {
        for item in chunk.expect("it is read").into_shared() {
            if let Item::Event(event) = item {
                events.push(event);
            }
        }
    }
    events
}
