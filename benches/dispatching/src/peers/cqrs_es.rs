//! cqrs-es 0.5: its framework over a store that does what its `MemStore` does without `println!`,
//! and over its own store for databases, of rows that are parsed as they are read.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{
    PersistedEventRepository, PersistedEventStore, PersistenceError, QueryReplay, ReplayStream,
    SerializedEvent, SerializedSnapshot,
};
use cqrs_es::{
    Aggregate, AggregateContext, AggregateError, CqrsFramework, EventEnvelope, EventStore, Query,
};
use futures_executor::block_on;
use serde_json::Value;

use super::History;
use crate::account::{Account, AccountCommand, AccountEvent, NAME, TooMuch, deposit, deposited};

const EVENT_TYPE: &str = "deposited";
const EVENT_VERSION: &str = "1";

impl cqrs_es::DomainEvent for AccountEvent {
    fn event_type(&self) -> String {
        EVENT_TYPE.to_owned()
    }
    fn event_version(&self) -> String {
        EVENT_VERSION.to_owned()
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

    fn apply(&mut self, event: AccountEvent) {
        self.take_in(&event);
    }
}

type Answer<T> = Result<T, AggregateError<TooMuch>>;

struct Store(History);

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
    events: impl IntoIterator<Item = AccountEvent>,
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

impl EventStore<Account> for Store {
    type AC = Loaded;

    async fn load_events(&self, _: &str) -> Answer<Vec<EventEnvelope<Account>>> {
        Ok(wrapped(self.0.read(), 0, HashMap::new()))
    }

    async fn load_aggregate(&self, id: &str) -> Answer<Loaded> {
        let mut account = Account::default();
        let events = self.load_events(id).await?;
        let sequence = events.len();
        for event in events {
            account.apply(event.payload);
        }
        Ok(Loaded { account, sequence })
    }

    async fn commit(
        &self,
        events: Vec<AccountEvent>,
        context: Loaded,
        metadata: HashMap<String, String>,
    ) -> Answer<Vec<EventEnvelope<Account>>> {
        for event in &events {
            self.0.drop_written(event);
        }
        Ok(wrapped(events, context.sequence, metadata))
    }
}

/// Loads, decides and appends.
pub fn deciding(history: History) -> Box<dyn FnMut() -> usize> {
    executing(CqrsFramework::new(Store(history), vec![], ()))
}

/// The same over the store for databases.
pub fn deciding_on_rows(events: u64) -> Box<dyn FnMut() -> usize> {
    let store = PersistedEventStore::new_event_store(Rows::of(events));
    executing(CqrsFramework::new(store, vec![], ()))
}

fn executing<S: EventStore<Account> + 'static>(
    framework: CqrsFramework<Account, S>,
) -> Box<dyn FnMut() -> usize> {
    Box::new(move || {
        block_on(framework.execute(NAME, deposit())).expect("not too much");
        1
    })
}

/// A table of events, the payloads and the metadata as text.
struct Rows(Vec<(String, String)>);

impl Rows {
    fn of(events: u64) -> Self {
        let payload = serde_json::to_string(&deposited()).expect("it has a form");
        Self(
            (0..events)
                .map(|_| (payload.clone(), "{}".to_owned()))
                .collect(),
        )
    }

    fn read(&self) -> impl Iterator<Item = SerializedEvent> {
        let value = |text: &str| serde_json::from_str(text).expect("what was written");
        (1..)
            .zip(&self.0)
            .map(move |(sequence, (payload, metadata))| {
                SerializedEvent::new(
                    NAME.to_owned(),
                    sequence,
                    Account::TYPE.to_owned(),
                    EVENT_TYPE.to_owned(),
                    EVENT_VERSION.to_owned(),
                    value(payload),
                    value(metadata),
                )
            })
    }
}

impl PersistedEventRepository for Rows {
    async fn get_events<A: Aggregate>(
        &self,
        _: &str,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        Ok(self.read().collect())
    }

    async fn get_last_events<A: Aggregate>(
        &self,
        _: &str,
        _: usize,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        unreachable!("nothing is kept but events")
    }

    async fn get_snapshot<A: Aggregate>(
        &self,
        _: &str,
    ) -> Result<Option<SerializedSnapshot>, PersistenceError> {
        unreachable!("nothing is kept but events")
    }

    async fn persist<A: Aggregate>(
        &self,
        events: &[SerializedEvent],
        _: Option<(String, Value, usize)>,
    ) -> Result<(), PersistenceError> {
        for event in events {
            std::hint::black_box((event.payload.to_string(), event.metadata.to_string()));
        }
        Ok(())
    }

    async fn stream_events<A: Aggregate>(&self, _: &str) -> Result<ReplayStream, PersistenceError> {
        self.stream_all_events::<A>().await
    }

    async fn stream_all_events<A: Aggregate>(&self) -> Result<ReplayStream, PersistenceError> {
        // All at once, so that no other task is needed to feed it.
        let (mut feed, stream) = ReplayStream::new(self.0.len().max(1));
        for event in self.read() {
            feed.push(Ok(event)).await?;
        }
        Ok(stream)
    }
}

/// What is in the accounts together.
#[derive(Clone, Default)]
struct Total(Arc<AtomicU64>);

#[async_trait]
impl Query<Account> for Total {
    async fn dispatch(&self, _: &str, events: &[EventEnvelope<Account>]) {
        for event in events {
            let AccountEvent::Deposited { cents } = event.payload;
            self.0.fetch_add(cents, Ordering::Relaxed);
        }
    }
}

/// Shows a view all events.
pub fn projecting(events: u64) -> impl FnMut() -> usize {
    let total = Total::default();
    let replay = QueryReplay::<_, _, Account>::new(Rows::of(events), total.clone());
    move || {
        total.0.store(0, Ordering::Relaxed);
        block_on(replay.replay_all()).expect("it is read");
        usize::try_from(total.0.load(Ordering::Relaxed)).expect("a small number")
    }
}
