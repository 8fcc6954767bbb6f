//! esrs 0.18: its manager of aggregates over its trait of stores, without PostgreSQL.

use std::convert::Infallible;
use std::time::SystemTime;

use async_trait::async_trait;
use esrs::AggregateState;
use esrs::manager::AggregateManager;
use esrs::store::{EventStore, EventStoreLockGuard, StoreEvent, UnlockOnDrop};
use futures_executor::block_on;
use uuid::Uuid;

use super::History;
use crate::account::{Account, AccountCommand, AccountEvent, TooMuch, deposit};

struct Accounts;

impl esrs::Aggregate for Accounts {
    const NAME: &'static str = "account";
    type State = Account;
    type Command = AccountCommand;
    type Event = AccountEvent;
    type Error = TooMuch;

    fn handle_command(
        account: &Account,
        AccountCommand::Deposit { cents, .. }: AccountCommand,
    ) -> Result<Vec<AccountEvent>, TooMuch> {
        Ok(vec![account.deposit(cents)?])
    }

    fn apply_event(mut account: Account, event: AccountEvent) -> Account {
        account.take_in(&event);
        account
    }
}

struct Store(History);

struct Unlocked;

impl UnlockOnDrop for Unlocked {}

fn stored(
    aggregate_id: Uuid,
    sequence_number: i32,
    payload: AccountEvent,
) -> StoreEvent<AccountEvent> {
    StoreEvent {
        id: aggregate_id,
        aggregate_id,
        payload,
        occurred_on: SystemTime::UNIX_EPOCH.into(),
        sequence_number,
        version: None,
    }
}

#[async_trait]
impl EventStore for Store {
    type Aggregate = Accounts;
    type Error = Infallible;

    async fn lock(&self, _: Uuid) -> Result<EventStoreLockGuard, Infallible> {
        Ok(EventStoreLockGuard::new(Unlocked))
    }

    async fn by_aggregate_id(&self, id: Uuid) -> Result<Vec<StoreEvent<AccountEvent>>, Infallible> {
        let events = (1..).zip(self.0.read());
        Ok(events
            .map(|(place, event)| stored(id, place, event))
            .collect())
    }

    async fn persist(
        &self,
        state: &mut AggregateState<Account>,
        events: Vec<AccountEvent>,
    ) -> Result<Vec<StoreEvent<AccountEvent>>, Infallible> {
        let id = *state.id();
        let mut written = Vec::with_capacity(events.len());
        for event in events {
            self.0.drop_written(&event);
            written.push(stored(id, state.next_sequence_number(), event));
        }
        Ok(written)
    }

    async fn publish(&self, _: &[StoreEvent<AccountEvent>]) {}

    async fn delete(&self, _: Uuid) -> Result<(), Infallible> {
        unreachable!("nothing is deleted")
    }
}

/// Loads, decides and appends.
pub fn deciding(history: History) -> Box<dyn FnMut() -> usize> {
    let manager = AggregateManager::new(Store(history));
    let id = Uuid::from_u128(1);
    Box::new(move || {
        block_on(async {
            let state = manager.load(id).await.expect("it is read");
            let state = state.unwrap_or_else(|| AggregateState::with_id(id));
            let outcome = manager.handle_command(state, deposit()).await;
            outcome.expect("it is appended").expect("not too much");
        });
        1
    })
}
