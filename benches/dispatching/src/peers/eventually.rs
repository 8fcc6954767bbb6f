//! eventually 0.4: a repository and a projector over its trait of stores.

use std::convert::Infallible;
use std::sync::Arc;

use eventually::aggregate::{AggregateRootBuilder, Repository};
use eventually::store::{EventStream, Expected, Persisted, Select};
use eventually::subscription::{self, Transient};
use eventually::sync::RwLock;
use futures_executor::block_on;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};

use super::History;
use crate::account::{Account, AccountCommand, AccountEvent, NAME, TooMuch, deposit};

#[derive(Clone)]
struct Accounts;

impl eventually::Aggregate for Accounts {
    type Id = String;
    type State = Account;
    type Event = AccountEvent;
    type Command = AccountCommand;
    type Error = TooMuch;

    fn apply(mut account: Account, event: AccountEvent) -> Result<Account, TooMuch> {
        account.take_in(&event);
        Ok(account)
    }

    fn handle<'a, 's: 'a>(
        &'a self,
        _: &'s String,
        account: &'s Account,
        AccountCommand::Deposit { cents, .. }: AccountCommand,
    ) -> BoxFuture<'a, Result<Option<Vec<AccountEvent>>, TooMuch>> {
        async move { Ok(Some(vec![account.deposit(cents)?])) }.boxed()
    }
}

#[derive(Clone)]
struct Store(Arc<History>);

impl eventually::EventStore for Store {
    type SourceId = String;
    type Event = AccountEvent;
    type Error = Infallible;

    fn append(
        &mut self,
        _: String,
        _: Expected,
        events: Vec<AccountEvent>,
    ) -> BoxFuture<'_, Result<u32, Infallible>> {
        for event in &events {
            self.0.drop_written(event);
        }
        let version = u32::try_from(self.0.len() + events.len()).expect("a small number");
        async move { Ok(version) }.boxed()
    }

    fn stream(
        &self,
        id: String,
        _: Select,
    ) -> BoxFuture<'_, Result<EventStream<'_, Self>, Infallible>> {
        let events = (1..).zip(self.0.read()).map(move |(version, event)| {
            let event = Persisted::from(id.clone(), event);
            Ok(event.version(version).sequence_number(version))
        });
        let events = stream::iter(events).boxed();
        async move { Ok(events) }.boxed()
    }

    fn stream_all(
        &self,
        select: Select,
    ) -> BoxFuture<'_, Result<EventStream<'_, Self>, Infallible>> {
        self.stream(NAME.to_owned(), select)
    }

    fn remove(&mut self, _: String) -> BoxFuture<'_, Result<(), Infallible>> {
        unreachable!("nothing is removed")
    }
}

/// Loads, decides and appends.
pub fn deciding(history: History) -> Box<dyn FnMut() -> usize> {
    let builder = AggregateRootBuilder::from(Accounts);
    let mut repository = Repository::new(builder, Store(Arc::new(history)));
    Box::new(move || {
        block_on(async {
            let mut root = repository.get(NAME.to_owned()).await.expect("it is read");
            root.handle(deposit()).await.expect("not too much");
            repository.add(root).await.expect("it is appended");
        });
        1
    })
}

/// Nothing comes after what is there.
impl eventually::EventSubscriber for Store {
    type SourceId = String;
    type Event = AccountEvent;
    type Error = Infallible;

    fn subscribe_all(
        &self,
    ) -> BoxFuture<'_, Result<subscription::EventStream<'_, Self>, Infallible>> {
        async move { Ok(stream::empty().boxed()) }.boxed()
    }
}

#[derive(Default)]
struct Total {
    cents: u64,
}

impl eventually::Projection for Total {
    type SourceId = String;
    type Event = AccountEvent;
    type Error = Infallible;

    fn project(
        &mut self,
        event: Persisted<String, AccountEvent>,
    ) -> BoxFuture<'_, Result<(), Infallible>> {
        let AccountEvent::Deposited { cents } = event.take();
        self.cents += cents;
        async move { Ok(()) }.boxed()
    }
}

/// Shows a view all events.
pub fn projecting(history: History) -> impl FnMut() -> usize {
    let store = Store(Arc::new(history));
    move || {
        let total = Arc::new(RwLock::new(Total::default()));
        let subscription = Transient::new(store.clone(), store.clone());
        let mut projector = eventually::Projector::new(Arc::clone(&total), subscription);
        block_on(projector.run()).expect("it is read");
        let total = block_on(total.read());
        usize::try_from(total.cents).expect("a small number")
    }
}
