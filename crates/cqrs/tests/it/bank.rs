//! Decisions by several states: transfers between accounts, under names that are unique.

use std::collections::BTreeMap;

use eventwire_cqrs::{
    Backoff, Boundary, CommandError, CommandOptions, Decision, Dispatcher, DomainEvent, Facts,
    Fold, Receipt, testing::SimulatedClock,
};
use eventwire_store::{
    Append, EventStore, Expect, Fingerprint, IdempotencyKey, MemoryStore, NameError, NewEvent,
    Query, StreamName, Tag, Version,
};
use futures_executor::block_on;
use futures_util::future::join_all;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::stores::{Interposed, events};

#[derive(Debug, Clone, Serialize, Deserialize)]
enum AccountEvent {
    Deposited { cents: u64 },
    Withdrawn { cents: u64 },
}

impl DomainEvent for AccountEvent {}

#[derive(Debug, Serialize, Deserialize)]
enum NameEvent {
    NameTaken { name: String },
}

impl DomainEvent for NameEvent {
    fn tags(&self) -> Result<Vec<Tag>, NameError> {
        let Self::NameTaken { name } = self;
        Ok(vec![named(name)?])
    }
}

#[derive(Debug, Default)]
struct Account {
    is_open: bool,
    cents: u64,
}

impl Fold for Account {
    type Event = AccountEvent;

    fn evolve(&mut self, event: &AccountEvent) {
        self.is_open = true;
        match event {
            AccountEvent::Deposited { cents } => self.cents += cents,
            AccountEvent::Withdrawn { cents } => {
                self.cents = self
                    .cents
                    .checked_sub(*cents)
                    .expect("no account is overdrawn");
            }
        }
    }
}

#[derive(Debug, Default)]
struct Name {
    is_taken: bool,
}

impl Fold for Name {
    type Event = NameEvent;

    fn evolve(&mut self, _: &NameEvent) {
        self.is_taken = true;
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Bank {
    Open { account: u8, name: String },
    Transfer { from: u8, to: u8, cents: u64 },
}

#[derive(Debug, PartialEq, Error)]
enum No {
    #[error("the account is open already")]
    Open,
    #[error("the name is taken")]
    Taken,
    #[error("the account does not hold that much")]
    NotCovered,
    #[error("not this command's rule")]
    NotThis,
}

fn account(number: u8) -> Result<StreamName, NameError> {
    StreamName::new(format!("account-{number}"))
}

fn named(name: &str) -> Result<Tag, NameError> {
    Tag::new(format!("name:{name}"))
}

/// An account gets 100 with its name.
#[derive(Debug)]
struct Opening;

impl Decision for Opening {
    type Command = Bank;
    type States = (Account, Name);
    type Refusal = No;

    fn boundaries(command: &Bank) -> Result<[Boundary; 2], NameError> {
        let (number, name) = match command {
            Bank::Open { account, name } => (*account, name.as_str()),
            Bank::Transfer { from, .. } => (*from, "none"),
        };
        let by_name = Boundary::query(Query::tags([named(name)?]));
        Ok([Boundary::stream(account(number)?), by_name])
    }

    fn decide((account, name): &(Account, Name), command: &Bank) -> Result<Facts, No> {
        let Bank::Open { name: wanted, .. } = command else {
            return Err(No::NotThis);
        };
        if account.is_open {
            return Err(No::Open);
        }
        if name.is_taken {
            return Err(No::Taken);
        }
        Ok(Facts::nothing()
            .and(&AccountEvent::Deposited { cents: 100 })
            .and_in(
                StreamName::new("names"),
                &NameEvent::NameTaken {
                    name: wanted.clone(),
                },
            ))
    }
}

#[derive(Debug)]
struct Transferring;

impl Decision for Transferring {
    type Command = Bank;
    type States = (Account, Account);
    type Refusal = No;

    fn boundaries(command: &Bank) -> Result<[Boundary; 2], NameError> {
        let (from, to) = match command {
            Bank::Open { account, .. } => (*account, *account),
            Bank::Transfer { from, to, .. } => (*from, *to),
        };
        Ok([
            Boundary::stream(account(from)?),
            Boundary::stream(account(to)?),
        ])
    }

    fn decide((from, _): &(Account, Account), command: &Bank) -> Result<Facts, No> {
        match command {
            Bank::Transfer { cents, .. } if *cents > from.cents => Err(No::NotCovered),
            Bank::Transfer { cents, to, .. } => {
                let cents = *cents;
                Ok(Facts::nothing()
                    .and(&AccountEvent::Withdrawn { cents })
                    .and_in(account(*to), &AccountEvent::Deposited { cents }))
            }
            Bank::Open { .. } => Err(No::NotThis),
        }
    }
}

fn open(account: u8, name: &str) -> Bank {
    Bank::Open {
        account,
        name: name.to_owned(),
    }
}

fn transfer(from: u8, to: u8, cents: u64) -> Bank {
    Bank::Transfer { from, to, cents }
}

fn dispatcher(store: impl EventStore + 'static) -> Dispatcher {
    Dispatcher::builder(store)
        .clock(SimulatedClock::hasty())
        .conflict_retries(Backoff::retries(1_000))
        .command::<Opening>("open")
        .command::<Transferring>("transfer")
        .build()
}

/// What each account holds, by all that has happened.
fn balances(store: &MemoryStore) -> BTreeMap<String, u64> {
    let mut balances: BTreeMap<String, Account> = BTreeMap::new();
    for event in block_on(events(store)) {
        let stream = event.stream_name().unwrap().to_string();
        if stream.starts_with("account-") {
            let event = eventwire_cqrs::codec::decode(&event).unwrap();
            balances.entry(stream).or_default().evolve(&event);
        }
    }
    let cents = balances
        .into_iter()
        .map(|(name, account)| (name, account.cents));
    cents.collect()
}

#[test]
fn what_is_decided_together_is_written_together_each_fact_to_its_stream() {
    let store = MemoryStore::new();
    let bank = dispatcher(store.clone());
    let opened = block_on(bank.execute::<Opening>(open(1, "ada"))).unwrap();
    let streams = opened.appended.unwrap().streams;
    let names: Vec<_> = streams.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["account-1", "names"]);

    for (command, refusal) in [
        (open(1, "bob"), No::Open),
        (open(2, "ada"), No::Taken),
        (transfer(1, 2, 1), No::NotThis),
    ] {
        let error = block_on(bank.execute::<Opening>(command)).unwrap_err();
        assert_eq!(error.refusal(), Some(&refusal));
    }
    block_on(bank.execute::<Opening>(open(2, "bob"))).unwrap();
    block_on(bank.execute::<Transferring>(transfer(1, 2, 30))).unwrap();
    let error = block_on(bank.execute::<Transferring>(transfer(1, 2, 71))).unwrap_err();
    assert_eq!(error.refusal(), Some(&No::NotCovered));
    let held = [("account-1".to_owned(), 70), ("account-2".to_owned(), 130)];
    assert_eq!(balances(&store), held.into());
}

#[test]
fn an_expectation_is_about_the_first_state() {
    let store = MemoryStore::new();
    let bank = dispatcher(store);
    block_on(bank.execute::<Opening>(open(1, "ada"))).unwrap();
    block_on(bank.execute::<Opening>(open(2, "bob"))).unwrap();
    block_on(bank.execute::<Transferring>(transfer(2, 1, 1))).unwrap();
    // Account 1 is at version 2, account 2 at version 2 as well; only the first is judged.
    block_on(bank.execute::<Transferring>(transfer(2, 1, 1))).unwrap();
    let expect =
        |version| CommandOptions::default().expect(Expect::Exact(Version::new(version).unwrap()));
    let stale = bank.execute_with::<Transferring>(transfer(1, 2, 1), expect(1));
    assert!(matches!(
        block_on(stale),
        Err(CommandError::Precondition(_))
    ));
    let fresh = bank.execute_with::<Transferring>(transfer(1, 2, 1), expect(3));
    assert!(block_on(fresh).is_ok());
}

#[derive(Debug, Clone)]
struct Asked {
    command: Bank,
    key: Option<u8>,
}

fn asked() -> impl Strategy<Value = Asked> {
    let command = prop_oneof![
        (0..4u8, 0..3u8).prop_map(|(account, name)| open(account, &name.to_string())),
        (0..4u8, 0..4u8, 0..60u64).prop_map(|(from, to, cents)| transfer(from, to, cents)),
    ];
    // Few keys, so that some are used again, for the same request and for others.
    (command, prop::option::of(0..6u8)).prop_map(|(command, key)| Asked { command, key })
}

async fn ask(bank: &Dispatcher, asked: &Asked) -> Result<Receipt, CommandError> {
    let options = match asked.key {
        Some(key) => {
            let request = format!("{:?}", asked.command);
            let key = IdempotencyKey::new(format!("k{key}")).unwrap();
            CommandOptions::default().key(key, Fingerprint::of([request.as_bytes()]))
        }
        None => CommandOptions::default(),
    };
    match &asked.command {
        Bank::Open { .. } => {
            bank.execute_with::<Opening>(asked.command.clone(), options)
                .await
        }
        Bank::Transfer { .. } => {
            bank.execute_with::<Transferring>(asked.command.clone(), options)
                .await
        }
    }
}

fn wrote(outcome: &Result<Receipt, CommandError>) -> Option<u64> {
    let receipt = outcome.as_ref().ok()?;
    let appended = receipt
        .appended
        .as_ref()
        .filter(|_| !receipt.is_duplicate())?;
    Some(appended.last().to_parts().1)
}

/// Another store with the same events.
fn copy_of(store: &MemoryStore) -> MemoryStore {
    let copy = MemoryStore::new();
    for event in block_on(events(store)) {
        let new = NewEvent::new(event.event_type, event.data);
        let new = event.tags.iter().cloned().fold(new, NewEvent::tag);
        let stream = event.stream.expect("a bank's events are in streams").name;
        block_on(copy.append(Append::to(stream).event(new))).unwrap();
    }
    copy
}

/// What the domain says of a command, where it says no.
fn refusal(outcome: &Result<Receipt, CommandError>) -> Option<String> {
    let refusal = outcome.as_ref().err()?.refusal::<No>()?;
    Some(refusal.to_string())
}

/// Takes out what would be refused now as it was.
fn explain(refused: &mut Vec<(String, Asked)>, now: &MemoryStore) {
    refused.retain(|(why, asked)| {
        let bank = dispatcher(copy_of(now));
        refusal(&block_on(ask(&bank, asked))).as_ref() != Some(why)
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What commands at once have done is what the same commands would have done one after
    /// another, in the order of their places in the log; and who was refused would have been, for
    /// the same reason, somewhere in that order.
    #[test]
    fn some_serial_order_explains_what_commands_at_once_have_done(
        commands in prop::collection::vec(asked(), 1..24),
    ) {
        let store = MemoryStore::new();
        let bank = dispatcher(Interposed::new(store.clone()));
        let outcomes = block_on(join_all(commands.iter().map(|asked| ask(&bank, asked))));

        let mut effective: Vec<_> = outcomes
            .iter()
            .zip(&commands)
            .filter_map(|(outcome, command)| Some((wrote(outcome)?, command)))
            .collect();
        effective.sort_by_key(|(place, _)| *place);
        let again = MemoryStore::new();
        let serial = dispatcher(again.clone());
        let refused = outcomes.iter().zip(&commands);
        let mut refused: Vec<_> = refused
            .filter_map(|(outcome, asked)| {
                let command = asked.command.clone();
                Some((refusal(outcome)?, Asked { command, key: None }))
            })
            .collect();
        explain(&mut refused, &again);
        for (_, command) in &effective {
            prop_assert!(block_on(ask(&serial, command)).is_ok(), "{command:?}");
            explain(&mut refused, &again);
        }
        prop_assert!(refused.is_empty(), "no order explains {refused:?}");
        let told = |store| block_on(events(store)).into_iter().map(|event| {
            let place = event.stream.map(|place| (place.name.to_string(), place.version));
            (place, event.event_type.to_string(), event.data)
        }).collect::<Vec<_>>();
        prop_assert_eq!(told(&store), told(&again));

        // No key has had two effects, and nobody has gained by it.
        let keys: Vec<_> = effective.iter().filter_map(|(_, asked)| asked.key).collect();
        let mut once = keys.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), keys.len());
        let opened = block_on(events(&store)).iter()
            .filter(|event| event.event_type.as_str() == "NameTaken").count();
        prop_assert_eq!(balances(&store).values().sum::<u64>(), 100 * u64::try_from(opened).unwrap());
    }
}
