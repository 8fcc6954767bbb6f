//! The domain that everybody has: an account, into which one deposits.

use eventwire_cqrs::{Boundary, Decider, DomainEvent, Snapshots};
use eventwire_store::{NameError, StreamName};
use serde::{Deserialize, Serialize};

pub const NAME: &str = "account-1";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountEvent {
    Deposited { cents: u64 },
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountCommand {
    Deposit { account: String, cents: u64 },
}

#[derive(Debug, thiserror::Error)]
#[error("that is too much for one account")]
pub struct TooMuch;

/// An account that is kept after every 100 events, where anybody keeps it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Account {
    cents: u64,
}

impl Account {
    pub fn take_in(&mut self, AccountEvent::Deposited { cents }: &AccountEvent) {
        self.cents += cents;
    }

    pub fn deposit(&self, cents: u64) -> Result<AccountEvent, TooMuch> {
        match self.cents.checked_add(cents) {
            Some(_) => Ok(AccountEvent::Deposited { cents }),
            None => Err(TooMuch),
        }
    }
}

pub fn deposited() -> AccountEvent {
    AccountEvent::Deposited { cents: 1 }
}

pub fn deposit() -> AccountCommand {
    AccountCommand::Deposit {
        account: NAME.to_owned(),
        cents: 1,
    }
}

pub fn stream() -> StreamName {
    StreamName::new(NAME).expect("a valid name")
}

impl DomainEvent for AccountEvent {}

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

    fn evolve(&mut self, event: &AccountEvent) {
        self.take_in(event);
    }

    fn decide(
        &self,
        AccountCommand::Deposit { cents, .. }: &AccountCommand,
    ) -> Result<Vec<AccountEvent>, TooMuch> {
        Ok(vec![self.deposit(*cents)?])
    }
}
