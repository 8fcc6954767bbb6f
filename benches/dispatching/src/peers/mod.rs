//! Peers on stores that are as silent as ours: in memory, and dropping what is appended. Each is
//! shown the same history, as values that are cloned or as JSON, which its stores on databases keep.

pub mod cqrs_es;
pub mod disintegrate;
pub mod esrs;
pub mod eventually;

use crate::account::{AccountEvent, deposited};

/// What has happened, as a store has it.
#[derive(Clone)]
pub enum History {
    Values(Vec<AccountEvent>),
    Json(Vec<String>),
}

impl History {
    pub fn values(events: u64) -> Self {
        Self::Values((0..events).map(|_| deposited()).collect())
    }

    pub fn json(events: u64) -> Self {
        let json = serde_json::to_string(&deposited()).expect("it has a form");
        Self::Json((0..events).map(|_| json.clone()).collect())
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Values(events) => events.len(),
            Self::Json(events) => events.len(),
        }
    }

    pub fn read(&self) -> impl Iterator<Item = AccountEvent> + Send + '_ {
        (0..self.len()).map(|index| match self {
            Self::Values(events) => events[index].clone(),
            Self::Json(events) => serde_json::from_str(&events[index]).expect("what was written"),
        })
    }

    /// Does with an event what a store would that keeps it.
    pub fn drop_written(&self, event: &AccountEvent) {
        if let Self::Json(_) = self {
            std::hint::black_box(serde_json::to_string(event).expect("it has a form"));
        }
    }
}
