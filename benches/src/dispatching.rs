//! What commands, questions and views cost above what they have to do: ours beside cqrs-es and
//! beside the same by hand. Nothing here does I/O, and what is appended is dropped, so that a
//! history stays as long as it is.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, AggregateContext, AggregateError, CqrsFramework, EventEnvelope};
use eventwire_cqrs::projection::{MemoryView, Projector};
use eventwire_cqrs::{
    Boundary, CommandRequest, Decider, Dispatcher, DomainEvent, Fold, QueryError, Question,
    Snapshots, codec,
};
use eventwire_store::{
    Append, AppendError, Appended, Capabilities, Epoch, EventStore, EventStream, Expect,
    IdempotencyKey, Item, MemoryStore, NameError, Position, Query, ReadError, ReadOptions,
    Recalled, RecordedEvent, Start, StoreFuture, StreamName, Version,
};
use futures_executor::block_on;
use serde::{Deserialize, Serialize};

use crate::harness::{Contestant, Kind, Row};

const CALLS: usize = 1_000;

/// The rows of the table.
pub fn rows() -> Vec<Row<'static>> {
    let mut rows = vec![asking()];
    rows.extend([0, 10, 100, 10_000].map(deciding));
    rows.push(projecting());
    rows
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AccountEvent {
    Deposited { cents: u64 },
}

impl DomainEvent for AccountEvent {}

impl cqrs_es::DomainEvent for AccountEvent {
    fn event_type(&self) -> String {
        "deposited".to_owned()
    }
    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AccountCommand {
    Deposit { account: String, cents: u64 },
}

#[derive(Debug, thiserror::Error)]
#[error("that is too much for one account")]
struct TooMuch;

/// An account that is kept after every 100 events, where anybody keeps it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Account {
    cents: u64,
}

impl Account {
    fn deposit(&self, cents: u64) -> Result<AccountEvent, TooMuch> {
        match self.cents.checked_add(cents) {
            Some(_) => Ok(AccountEvent::Deposited { cents }),
            None => Err(TooMuch),
        }
    }
}

impl Decider for Account {
    type Command = AccountCommand;
    type Event = AccountEvent;
    type Refusal = TooMuch;

    const SNAPSHOTS: Option<Snapshots<Self>> = Some(Snapshots::json("account", 1).every(100));

    fn boundary(
        AccountCommand::Deposit { account, .. }: &AccountCommand,
    ) -> Result<Boundary, NameError> {
        Ok(Boundary::stream(StreamName::new(account.as_str())?))
    }

    fn evolve(&mut self, AccountEvent::Deposited { cents }: &AccountEvent) {
        self.cents += cents;
    }

    fn decide(
        &self,
        AccountCommand::Deposit { cents, .. }: &AccountCommand,
    ) -> Result<Vec<AccountEvent>, TooMuch> {
        Ok(vec![self.deposit(*cents)?])
    }
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = AccountCommand;
    type Event = AccountEvent;
    type Error = TooMuch;
    type Services = ();

    async fn handle(
        &mut self,
        AccountCommand::Deposit { cents, .. }: AccountCommand,
        _: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), TooMuch> {
        let event = self.deposit(cents)?;
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, AccountEvent::Deposited { cents }: AccountEvent) {
        self.cents += cents;
    }
}

const NAME: &str = "account-1";

fn deposit() -> AccountCommand {
    AccountCommand::Deposit {
        account: NAME.to_owned(),
        cents: 1,
    }
}

fn stream() -> StreamName {
    StreamName::new(NAME).expect("a valid name")
}

/// A store in memory that drops what is appended.
#[derive(Debug, Clone)]
struct Dropping {
    inner: MemoryStore,
    events: u64,
}

impl Dropping {
    fn with(events: u64) -> Self {
        let inner = MemoryStore::new();
        for _ in 0..events {
            let event =
                codec::encode(&AccountEvent::Deposited { cents: 1 }).expect("it has a form");
            block_on(inner.append(Append::to(stream()).event(event))).expect("it is appended");
        }
        Self { inner, events }
    }
}

impl EventStore for Dropping {
    fn append(&self, append: Append) -> StoreFuture<Result<Appended, AppendError>> {
        let before = Position::from_parts(0, self.events);
        let streams = append
            .events()
            .iter()
            .filter_map(|event| event.as_parts().stream.cloned());
        let version = Version::new(self.events + 1).expect("above zero");
        StoreFuture::ready(Ok(Appended {
            before,
            positions: vec![Position::from_parts(0, self.events + 1)],
            streams: streams.map(|stream| (stream, version)).collect(),
            duplicate: false,
        }))
    }
    fn recall(&self, key: IdempotencyKey) -> StoreFuture<Result<Option<Recalled>, ReadError>> {
        self.inner.recall(key)
    }
    fn read(&self, query: Query, options: ReadOptions) -> EventStream {
        self.inner.read(query, options)
    }
    fn subscribe(&self, query: Query, start: Start) -> EventStream {
        self.inner.subscribe(query, start)
    }
    fn head(&self) -> StoreFuture<Result<Position, ReadError>> {
        self.inner.head()
    }
    fn wait_for(&self, position: Position) -> StoreFuture<Result<(), ReadError>> {
        self.inner.wait_for(position)
    }
    fn epoch(&self) -> Epoch {
        self.inner.epoch()
    }
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

fn times(mut call: impl FnMut() -> usize) -> impl FnMut() -> usize {
    move || (0..CALLS).map(|_| call()).sum()
}

/// One command, and nothing between it and the store.
async fn by_hand(store: &dyn EventStore, command: &AccountCommand) -> Appended {
    let boundary = Account::boundary(command).expect("a valid name");
    let mut account = Account::default();
    let mut version = None;
    let mut items = store.read(boundary.reads(), ReadOptions::all());
    while let Some(item) = items.next().await {
        if let Item::Event(event) = item.expect("it is read") {
            version = event.version();
            let event = codec::decode(&event).expect("what was written");
            Decider::evolve(&mut account, &event);
        }
    }
    let events = Decider::decide(&account, command).expect("not too much");
    let expect = version.map_or(Expect::NoStream, Expect::Exact);
    let mut append = Append::to(stream()).expect(expect);
    for event in &events {
        append = append.event(codec::encode(event).expect("it has a form"));
    }
    store.append(append).await.expect("it is appended")
}

fn deciding(prior: u64) -> Row<'static> {
    let store = Dropping::with(prior);
    let plain = Dispatcher::builder(store.clone()).build();
    let named = Dispatcher::builder(store.clone())
        .commands::<Account>()
        .build();
    let kept = Dispatcher::builder(store.clone())
        .snapshots(store.inner.clone())
        .build();
    let events: Vec<_> = (1..=usize::try_from(prior).expect("a small number"))
        .map(|sequence| EventEnvelope {
            aggregate_id: NAME.to_owned(),
            sequence,
            payload: AccountEvent::Deposited { cents: 1 },
            metadata: HashMap::new(),
        })
        .collect();
    let json = events
        .iter()
        .map(|event| serde_json::to_string(&event.payload).expect("it has a form"))
        .collect();
    let typed = CqrsFramework::<Account, _>::new(Typed(events), vec![], ());
    let texts = CqrsFramework::<Account, _>::new(Texts(json), vec![], ());
    let body = bytes::Bytes::from(format!(r#"{{"account":"{NAME}","cents":1}}"#));
    let calls = if prior > 1_000 { 10 } else { CALLS };
    let few = move |mut call: Box<dyn FnMut() -> usize>| move || (0..calls).map(|_| call()).sum();
    Row {
        name: format!("decide on {prior} events"),
        events: calls,
        contestants: vec![
            Contestant::new(
                "ours, by type",
                Kind::Ours,
                few(Box::new(move || {
                    let receipt = block_on(plain.execute::<Account>(deposit())).expect("done");
                    receipt.appended.expect("an event").positions.len()
                })),
            ),
            Contestant::new(
                "ours, by name",
                Kind::Ours,
                few(Box::new(move || {
                    let request = CommandRequest::new("deposit", body.clone());
                    let receipt = block_on(named.dispatch(request)).expect("done");
                    receipt.appended.expect("an event").positions.len()
                })),
            ),
            Contestant::new(
                "ours, from a snapshot",
                Kind::Ours,
                few(Box::new(move || {
                    let receipt = block_on(kept.execute::<Account>(deposit())).expect("done");
                    receipt.appended.expect("an event").positions.len()
                })),
            ),
            Contestant::new(
                "by hand",
                Kind::Limit,
                few(Box::new(move || {
                    block_on(by_hand(&store, &deposit())).positions.len()
                })),
            ),
            Contestant::new(
                "cqrs-es, typed",
                Kind::Peer,
                few(Box::new(move || {
                    block_on(typed.execute(NAME, deposit())).expect("done");
                    1
                })),
            ),
            Contestant::new(
                "cqrs-es, JSON",
                Kind::Peer,
                few(Box::new(move || {
                    block_on(texts.execute(NAME, deposit())).expect("done");
                    1
                })),
            ),
        ],
    }
}

/// What the stores of cqrs-es do, without its `println!`: events as values, cloned by who reads.
struct Typed(Vec<EventEnvelope<Account>>);

/// Events as JSON, as its stores on databases have them.
struct Texts(Vec<String>);

struct Loaded {
    account: Account,
    sequence: usize,
}

impl AggregateContext<Account> for Loaded {
    fn aggregate(&mut self) -> &mut Account {
        &mut self.account
    }
}

fn wrapped(
    events: Vec<AccountEvent>,
    sequence: usize,
    metadata: HashMap<String, String>,
) -> Vec<EventEnvelope<Account>> {
    let numbered = (sequence + 1..).zip(events);
    let envelopes = numbered.map(|(sequence, payload)| EventEnvelope {
        aggregate_id: NAME.to_owned(),
        sequence,
        payload,
        metadata: metadata.clone(),
    });
    envelopes.collect()
}

fn loaded(events: impl IntoIterator<Item = AccountEvent>) -> Loaded {
    let mut loaded = Loaded {
        account: Account::default(),
        sequence: 0,
    };
    for event in events {
        loaded.account.apply(event);
        loaded.sequence += 1;
    }
    loaded
}

type Answer<T> = Result<T, AggregateError<TooMuch>>;

impl cqrs_es::EventStore<Account> for Typed {
    type AC = Loaded;

    async fn load_events(&self, _: &str) -> Answer<Vec<EventEnvelope<Account>>> {
        Ok(self.0.clone())
    }

    async fn load_aggregate(&self, id: &str) -> Answer<Loaded> {
        let events = self.load_events(id).await?;
        Ok(loaded(events.into_iter().map(|event| event.payload)))
    }

    async fn commit(
        &self,
        events: Vec<AccountEvent>,
        context: Loaded,
        metadata: HashMap<String, String>,
    ) -> Answer<Vec<EventEnvelope<Account>>> {
        Ok(wrapped(events, context.sequence, metadata))
    }
}

impl cqrs_es::EventStore<Account> for Texts {
    type AC = Loaded;

    async fn load_events(&self, _: &str) -> Answer<Vec<EventEnvelope<Account>>> {
        let events = self
            .0
            .iter()
            .map(|text| serde_json::from_str(text).expect("what was written"));
        Ok(wrapped(events.collect(), 0, HashMap::new()))
    }

    async fn load_aggregate(&self, id: &str) -> Answer<Loaded> {
        let events = self.load_events(id).await?;
        Ok(loaded(events.into_iter().map(|event| event.payload)))
    }

    async fn commit(
        &self,
        events: Vec<AccountEvent>,
        context: Loaded,
        metadata: HashMap<String, String>,
    ) -> Answer<Vec<EventEnvelope<Account>>> {
        for event in &events {
            std::hint::black_box(serde_json::to_string(event).expect("it has a form"));
        }
        Ok(wrapped(events, context.sequence, metadata))
    }
}

#[derive(Debug, Deserialize)]
struct Twice(u64);

impl Question for Twice {
    type Answer = u64;
}

type Boxed = Pin<Box<dyn Future<Output = Result<u64, QueryError>> + Send>>;

async fn twice(Twice(number): Twice) -> Result<u64, QueryError> {
    Ok(number * 2)
}

fn asking() -> Row<'static> {
    let dispatcher = Dispatcher::builder(MemoryStore::new())
        .answer("twice", twice)
        .build();
    let by_name = dispatcher.clone();
    let body = bytes::Bytes::from_static(b"21");
    let mut map: HashMap<TypeId, Box<dyn Any>> = HashMap::new();
    let handler: Arc<dyn Fn(Twice) -> Boxed> = Arc::new(|question| Box::pin(twice(question)));
    map.insert(TypeId::of::<Twice>(), Box::new(handler));
    let number = |answer: Result<u64, QueryError>| {
        usize::try_from(answer.expect("an answer")).expect("small")
    };
    Row {
        name: "answer a question".to_owned(),
        events: CALLS,
        contestants: vec![
            Contestant::new(
                "ours, by type",
                Kind::Ours,
                times(move || number(block_on(dispatcher.ask(Twice(21))))),
            ),
            Contestant::new(
                "ours, by name",
                Kind::Ours,
                times(move || {
                    block_on(by_name.query("twice", body.clone()))
                        .expect("an answer")
                        .len()
                }),
            ),
            Contestant::new(
                "a map of types",
                Kind::Limit,
                times(move || {
                    let handler =
                        map[&TypeId::of::<Twice>()].downcast_ref::<Arc<dyn Fn(Twice) -> Boxed>>();
                    number(block_on(handler.expect("it is there")(Twice(21))))
                }),
            ),
            Contestant::new(
                "a boxed future",
                Kind::Limit,
                times(move || {
                    let answer: Boxed = Box::pin(twice(std::hint::black_box(Twice(21))));
                    number(block_on(answer))
                }),
            ),
            Contestant::new(
                "block on nothing",
                Kind::Limit,
                times(move || block_on(ready(std::hint::black_box(21)))),
            ),
        ],
    }
}

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

fn projecting() -> Row<'static> {
    const EVENTS: u64 = 10_000;
    let store = Dropping::with(EVENTS).inner;
    let recorded = recorded(&store);
    let again = recorded.clone();
    let total = |cents: u64| usize::try_from(cents).expect("a small number");
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
                let event = AccountEvent::Deposited { cents: 1 };
                for _ in &again {
                    view.evolve(std::hint::black_box(&event));
                }
                total(view.cents)
            }),
        ],
    }
}

/// What the projection reads, by the same query.
fn recorded(store: &MemoryStore) -> Vec<RecordedEvent> {
    let query = Query::types(codec::event_types::<AccountEvent>());
    let mut items = store.read(query, ReadOptions::all());
    let mut events = Vec::new();
    while let Some(item) = block_on(items.next()) {
        if let Item::Event(event) = item.expect("it is read") {
            events.push(event);
        }
    }
    events
}
