//! disintegrate 4: its decision maker over its trait of stores, without PostgreSQL.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use disintegrate::{
    Decision, DecisionMaker, Event, EventSourcedStateStore, EventStore, NoSnapshot, PersistedEvent,
    StateMutate, StateQuery, StreamItem, StreamQuery,
};
use futures_executor::block_on;
use futures_util::stream::{self, BoxStream, StreamExt};
use serde::{Deserialize, Serialize};

use super::History;
use crate::account::{AccountEvent, NAME, TooMuch};

/// Its events name what they are found by.
#[derive(Debug, Clone, PartialEq, Eq, Event, Serialize, Deserialize)]
#[stream(DepositEvent, [Deposited])]
enum BankEvent {
    Deposited {
        #[id]
        account: String,
        cents: u64,
    },
}

#[derive(Default, Clone, StateQuery, Serialize, Deserialize)]
#[state_query(DepositEvent)]
struct Balance {
    #[id]
    account: String,
    cents: u64,
}

impl StateMutate for Balance {
    fn mutate(&mut self, event: Self::Event) {
        let DepositEvent::Deposited { cents, .. } = event;
        self.cents += cents;
    }
}

struct Deposit {
    account: String,
    cents: u64,
}

impl Decision for Deposit {
    type Event = BankEvent;
    type StateQuery = Balance;
    type Error = TooMuch;

    fn state_query(&self) -> Balance {
        Balance {
            account: self.account.clone(),
            cents: 0,
        }
    }

    fn process(&self, balance: &Balance) -> Result<Vec<BankEvent>, TooMuch> {
        balance.cents.checked_add(self.cents).ok_or(TooMuch)?;
        Ok(vec![BankEvent::Deposited {
            account: self.account.clone(),
            cents: self.cents,
        }])
    }
}

#[derive(Clone)]
struct Store(Arc<History>);

fn of_the_account(AccountEvent::Deposited { cents }: AccountEvent) -> BankEvent {
    BankEvent::Deposited {
        account: NAME.to_owned(),
        cents,
    }
}

#[async_trait]
impl EventStore<i64, BankEvent> for Store {
    type Error = Infallible;

    fn stream<'a, QE>(
        &'a self,
        _: &'a StreamQuery<i64, QE>,
    ) -> BoxStream<'a, Result<StreamItem<i64, QE>, Infallible>>
    where
        QE: TryFrom<BankEvent> + Event + 'static + Clone + Send + Sync,
        <QE as TryFrom<BankEvent>>::Error: Error + 'static + Send + Sync,
    {
        let events = (1..).zip(self.0.read()).map(|(id, event)| {
            let event = QE::try_from(of_the_account(event)).expect("it is of the stream");
            Ok(PersistedEvent::new(id, event).into())
        });
        stream::iter(events).boxed()
    }

    async fn append<QE>(
        &self,
        events: Vec<BankEvent>,
        _: StreamQuery<i64, QE>,
        last: i64,
    ) -> Result<Vec<PersistedEvent<i64, BankEvent>>, Infallible>
    where
        QE: Event + 'static + Clone + Send + Sync,
    {
        let mut written = Vec::with_capacity(events.len());
        for (id, event) in (last + 1..).zip(events) {
            let BankEvent::Deposited { cents, .. } = event;
            self.0.drop_written(&AccountEvent::Deposited { cents });
            written.push(PersistedEvent::new(id, event));
        }
        Ok(written)
    }

    async fn append_without_validation(
        &self,
        _: Vec<BankEvent>,
    ) -> Result<Vec<PersistedEvent<i64, BankEvent>>, Infallible> {
        unreachable!("what is decided is validated")
    }
}

/// Loads, decides and appends.
pub fn deciding(history: History) -> Box<dyn FnMut() -> usize> {
    let store = EventSourcedStateStore::new(Store(Arc::new(history)), NoSnapshot);
    let maker = DecisionMaker::new(store);
    Box::new(move || {
        let deposit = Deposit {
            account: NAME.to_owned(),
            cents: 1,
        };
        block_on(maker.make::<_, _, i64, BankEvent>(deposit))
            .expect("not too much")
            .len()
    })
}
