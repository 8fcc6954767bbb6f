//! What a recorder of the `metrics` facade is told.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventwire_cqrs::process::{Happened, Process, Processor, Reaction};
use eventwire_cqrs::projection::{MemoryView, OnFailure, Projector};
use eventwire_cqrs::{Boundary, CommandRequest, Decider, Dispatcher, DomainEvent, Fold, codec};
use eventwire_store::{
    Append, EventStore, EventType, MemoryStore, NameError, NewEvent, Query, RecordedEvent,
    StreamName,
};
use futures_executor::block_on;
use futures_util::future::join;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use serde::{Deserialize, Serialize};

/// The sums of counters, the last value of gauges and the number of values of histograms.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<BTreeMap<String, f64>>>);

struct Of(Heard, String);

impl Of {
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut heard = self.0.0.lock().unwrap();
        let value = heard.entry(self.1.clone()).or_default();
        *value = change(*value);
    }
}

impl CounterFn for Of {
    fn increment(&self, value: u64) {
        self.change(|sum| sum + f64::from(u32::try_from(value).unwrap()));
    }
    fn absolute(&self, _: u64) {
        unreachable!("counters are only added to")
    }
}

impl GaugeFn for Of {
    fn increment(&self, _: f64) {
        unreachable!("gauges are only set")
    }
    fn decrement(&self, _: f64) {
        unreachable!("gauges are only set")
    }
    fn set(&self, value: f64) {
        self.change(|_| value);
    }
}

impl HistogramFn for Of {
    fn record(&self, value: f64) {
        assert!((0.0..60.0).contains(&value), "{value} seconds");
        self.change(|count| count + 1.0);
    }
}

impl Heard {
    fn of(&self, key: &Key) -> Arc<Of> {
        let labels: Vec<_> = key.labels().map(|label| label.value().to_owned()).collect();
        Arc::new(Of(
            self.clone(),
            format!("{} {}", key.name(), labels.join(" ")),
        ))
    }
}

impl Recorder for Heard {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        assert!(name.as_str().ends_with("_total"), "{name:?}");
    }
    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        assert_eq!(unit, Some(Unit::Seconds), "{name:?}");
    }
    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        assert_eq!(unit, Some(Unit::Seconds), "{name:?}");
    }
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.of(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.of(key))
    }
}

#[derive(Debug, Default)]
struct Count(u32);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Ask {
    Add(u32),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Told {
    Added(u32),
}

impl DomainEvent for Told {}

#[derive(Debug, thiserror::Error)]
#[error("too much")]
struct TooMuch;

impl Decider for Count {
    type Command = Ask;
    type Event = Told;
    type Refusal = TooMuch;

    fn boundary(_: &Ask) -> Result<Boundary, NameError> {
        Ok(Boundary::stream(StreamName::new("count")?))
    }

    fn evolve(&mut self, Told::Added(by): &Told) {
        self.0 += by;
    }

    fn decide(&self, Ask::Add(by): &Ask) -> Result<Vec<Told>, TooMuch> {
        match by {
            0 => Ok(vec![]),
            by if self.0 + by > 10 => Err(TooMuch),
            by => Ok(vec![Told::Added(*by)]),
        }
    }
}

#[derive(Debug, Default)]
struct Sum(u32);

impl Fold for Sum {
    type Event = Told;

    fn evolve(&mut self, Told::Added(by): &Told) {
        self.0 += by;
    }
}

fn hear(act: impl Future<Output = ()>) -> BTreeMap<String, f64> {
    let heard = Heard::default();
    metrics::with_local_recorder(&heard, || block_on(act));
    let heard = heard.0.lock().unwrap();
    heard.clone()
}

#[test]
fn commands_are_told_by_name_and_outcome_and_made_up_names_are_not() {
    let heard = hear(async {
        let dispatcher = Dispatcher::builder(MemoryStore::new())
            .commands::<Count>()
            .build();
        for (name, body) in [
            ("add", "1"),
            ("add", "2"),
            ("add", "0"),
            ("add", "99"),
            ("add", "{"),
            ("made-up-1", "1"),
            ("made-up-2", "1"),
        ] {
            let _refused = dispatcher.dispatch(CommandRequest::new(name, body)).await;
        }
    });
    let expected = [
        ("eventwire_command_duration_seconds  invalid", 2.0),
        ("eventwire_command_duration_seconds add done", 2.0),
        ("eventwire_command_duration_seconds add invalid", 1.0),
        ("eventwire_command_duration_seconds add nothing", 1.0),
        ("eventwire_command_duration_seconds add refused", 1.0),
        ("eventwire_commands_total  invalid", 2.0),
        ("eventwire_commands_total add done", 2.0),
        ("eventwire_commands_total add invalid", 1.0),
        ("eventwire_commands_total add nothing", 1.0),
        ("eventwire_commands_total add refused", 1.0),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value));
    assert_eq!(heard, BTreeMap::from(expected));
}

#[test]
fn views_tell_what_they_took_in_what_they_put_aside_and_how_far_behind_they_are() {
    let heard = hear(async {
        let store = MemoryStore::new();
        let stream = StreamName::new("count").unwrap();
        let spoilt = NewEvent::new(EventType::new("added").unwrap(), "no number");
        let events = [1, 2, 3].map(|by| codec::encode(&Told::Added(by)).unwrap());
        let append = Append::to(stream).extend(events).event(spoilt);
        store.append(append).await.unwrap();
        let view = MemoryView::<Sum>::of(Query::all());
        let mut projector = Projector::new(store, "sums", view.clone())
            .unwrap()
            .on_failure(OnFailure::Park);
        projector.catch_up().await.unwrap();
        assert_eq!(view.read(|sum| sum.0), 6);
    });
    let expected = [
        ("eventwire_projection_events_total sums", 3.0),
        ("eventwire_projection_lag_seconds sums", 0.0),
        ("eventwire_projection_parked_total sums", 1.0),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value));
    assert_eq!(heard, BTreeMap::from(expected));
}

/// Asks for nothing about each number, and is reminded of it at once.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Reminded;

impl Process for Reminded {
    type Event = Told;

    const NAME: &'static str = "reminded";

    fn instance(Told::Added(by): &Told, _: &RecordedEvent) -> Option<String> {
        (*by > 1).then(|| by.to_string())
    }

    fn react(&mut self, happened: Happened<'_, Told>) -> Reaction {
        match happened {
            Happened::Event(_) => Reaction::nothing()
                .ask(&Ask::Add(0))
                .remind("now", Duration::ZERO),
            _ => Reaction::nothing(),
        }
    }
}

#[test]
fn processes_tell_what_happened_to_them_and_how_far_behind_they_are() {
    let heard = hear(async {
        let store = MemoryStore::new();
        let stream = StreamName::new("count").unwrap();
        let events = [1, 2, 3].map(|by| codec::encode(&Told::Added(by)).unwrap());
        let append = Append::to(stream).extend(events);
        store.append(append).await.unwrap();
        let dispatcher = Dispatcher::builder(store.clone())
            .commands::<Count>()
            .build();
        let processor = Processor::<Reminded>::new(store, dispatcher);
        let steering = processor.steering();
        // It goes as far as it can before it is stopped.
        let (ended, ()) = join(processor.run(), steering.stop()).await;
        ended.unwrap();
    });
    let expected = [
        ("eventwire_command_duration_seconds add nothing", 2.0),
        ("eventwire_commands_total add nothing", 2.0),
        ("eventwire_process_lag_seconds reminded", 0.0),
        ("eventwire_process_steps_total reminded answer", 2.0),
        ("eventwire_process_steps_total reminded event", 2.0),
        ("eventwire_process_steps_total reminded reminder", 2.0),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value));
    assert_eq!(heard, BTreeMap::from(expected));
}
