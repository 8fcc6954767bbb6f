use eventwire_cqrs::{CommandRequest, Decider, Dispatcher, Receipt, codec};
use eventwire_store::{Append, Appended, EventStore, Expect, Item, ReadOptions};
use futures_executor::block_on;
use harness::{Contestant, Kind, Row};

use crate::account::{Account, AccountCommand, NAME, deposit, stream};
use crate::dropping::Dropping;
use crate::peers::{self, History};

/// Loading, folding, deciding and appending, after so many events.
pub fn row(prior: u64) -> Row<'static> {
    let store = Dropping::with(prior);
    let plain = Dispatcher::builder(store.clone()).build();
    let named = Dispatcher::builder(store.clone())
        .commands::<Account>()
        .build();
    let kept = Dispatcher::builder(store.clone())
        .snapshots(store.inner.clone())
        .build();
    let body = bytes::Bytes::from(format!(r#"{{"account":"{NAME}","cents":1}}"#));
    let commands = if prior > 1_000 { 10 } else { 1_000 };
    let ours = |name, call| Contestant::new(name, Kind::Ours, times(commands, call));
    let peer = |name, call| Contestant::new(name, Kind::Peer, times(commands, call));
    let values = || History::values(prior);
    let json = || History::json(prior);
    Row {
        name: format!("decide on {prior} events"),
        events: commands,
        contestants: vec![
            ours(
                "ours, by type",
                Box::new(move || written(block_on(plain.execute::<Account>(deposit())))),
            ),
            ours(
                "ours, by name",
                Box::new(move || {
                    let request = CommandRequest::new("deposit", body.clone());
                    written(block_on(named.dispatch(request)))
                }),
            ),
            ours(
                "ours, from a snapshot",
                Box::new(move || written(block_on(kept.execute::<Account>(deposit())))),
            ),
            Contestant::new(
                "by hand",
                Kind::Limit,
                times(
                    commands,
                    Box::new(move || block_on(by_hand(&store, &deposit())).positions.len()),
                ),
            ),
            peer("cqrs-es, typed", peers::cqrs_es::deciding(values())),
            peer("cqrs-es, JSON", peers::cqrs_es::deciding(json())),
            peer("cqrs-es, rows", peers::cqrs_es::deciding_on_rows(prior)),
            peer("eventually, typed", peers::eventually::deciding(values())),
            peer("eventually, JSON", peers::eventually::deciding(json())),
            peer("esrs, typed", peers::esrs::deciding(values())),
            peer("esrs, JSON", peers::esrs::deciding(json())),
            peer(
                "disintegrate, typed",
                peers::disintegrate::deciding(values()),
            ),
            peer("disintegrate, JSON", peers::disintegrate::deciding(json())),
        ],
    }
}

type Call = Box<dyn FnMut() -> usize>;

fn times(commands: usize, mut call: Call) -> impl FnMut() -> usize {
    move || (0..commands).map(|_| call()).sum()
}

fn written(receipt: Result<Receipt, impl std::fmt::Debug>) -> usize {
    let appended = receipt.expect("done").appended;
    appended.expect("an event").positions.len()
}

/// One command, and nothing between it and the store.
async fn by_hand(store: &dyn EventStore, command: &AccountCommand) -> Appended {
    let boundary = Account::boundary(command).expect("a valid name");
    let mut account = Account::default();
    let mut version = None;
    let mut items = store.read(boundary.reads(), ReadOptions::all());
    while let Some(chunk) = items.next_chunk().await {
        for item in chunk.expect("it is read").iter() {
            if let Item::Event(event) = item {
                version = event.version();
                account.take_in(&codec::decode(event).expect("what was written"));
            }
        }
    }
    let events = account.decide(command).expect("not too much");
    let expect = version.map_or(Expect::NoStream, Expect::Exact);
    let mut append = Append::to(stream()).expect(expect);
    for event in &events {
        append = append.event(codec::encode(event).expect("it has a form"));
    }
    store.append(append).await.expect("it is appended")
}
