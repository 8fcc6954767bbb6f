//! A process whose commands the domain would carry out as often as it is asked.

use std::pin::pin;
use std::task::{Context, Waker};

use eventwire_cqrs::process::{Happened, Process, Processor, Reaction};
use eventwire_cqrs::testing::SimulatedClock;
use eventwire_cqrs::{Boundary, Decider, Dispatcher, DomainEvent, codec};
use eventwire_store::{Append, EventStore, MemoryStore, NameError, RecordedEvent, StreamName};
use futures_executor::block_on;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::stores::events;
use crate::yielding::Yielding;

#[derive(Debug, Serialize, Deserialize)]
enum Rung {
    Rung { bell: u8 },
}

impl DomainEvent for Rung {}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Opened {
    Opened { bell: u8 },
}

impl DomainEvent for Opened {}

#[derive(Debug, Serialize, Deserialize)]
enum Open {
    Open { bell: u8 },
}

/// Opens as often as it is asked to.
#[derive(Debug, Default)]
struct Door;

#[derive(Debug, Error)]
#[error("never")]
struct Never;

impl Decider for Door {
    type Command = Open;
    type Event = Opened;
    type Refusal = Never;

    fn boundary(_: &Open) -> Result<Boundary, NameError> {
        Ok(Boundary::stream(StreamName::new("door")?))
    }

    fn evolve(&mut self, _: &Opened) {}

    fn decide(&self, Open::Open { bell }: &Open) -> Result<Vec<Opened>, Never> {
        Ok(vec![Opened::Opened { bell: *bell }])
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Porter;

impl Process for Porter {
    type Event = Rung;
    const NAME: &'static str = "porter";

    fn instance(Rung::Rung { bell }: &Rung, _: &RecordedEvent) -> Option<String> {
        Some(bell.to_string())
    }

    fn react(&mut self, happened: Happened<'_, Rung>) -> Reaction {
        match happened {
            Happened::Event(Rung::Rung { bell }) => {
                Reaction::nothing().ask(&Open::Open { bell: *bell })
            }
            _ => Reaction::nothing(),
        }
    }
}

async fn ring(store: &MemoryStore, bell: u8) {
    let rung = codec::encode(&Rung::Rung { bell }).unwrap();
    store.append(Append::new().event(rung)).await.unwrap();
}

/// Polls a processor so often, and kills it.
fn live_for(polls: usize, store: &MemoryStore) {
    let store = Yielding(store.clone());
    let door = Dispatcher::builder(store.clone())
        .commands::<Door>()
        .clock(SimulatedClock::hasty())
        .build();
    let processor = Processor::<Porter>::new(store, door).clock(SimulatedClock::hasty());
    let mut running = pin!(processor.run());
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        assert!(running.as_mut().poll(&mut context).is_pending());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Killed between any two steps, also after a command was carried out and before that was
    /// written down, a process has each command carried out once.
    #[test]
    fn a_command_whose_answer_was_lost_is_not_carried_out_again(
        bells in prop::collection::vec(0..3u8, 1..10),
        lives in prop::collection::vec(1..12usize, 0..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _entered = runtime.enter();
        let store = MemoryStore::new();
        for bell in &bells {
            block_on(ring(&store, *bell));
        }
        for polls in lives {
            live_for(polls, &store);
        }
        live_for(2_000, &store);
        let mut opened = Vec::new();
        for event in block_on(events(&store)) {
            if event.event_type.as_str() == "Opened" {
                let Opened::Opened { bell } = codec::decode(&event).unwrap();
                opened.push(bell);
            }
        }
        prop_assert_eq!(opened, bells);
    }
}
