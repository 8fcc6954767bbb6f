//! `docs/metrics.md` lists what the crates tell a recorder, and nothing else.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use eventwire::cqrs::Dispatcher;
use eventwire::feed::{Feed, FeedOptions};
use eventwire::store::{Append, EventStore, EventType, MemoryStore, NewEvent};
use eventwire::store_file::FileStore;
use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    set_global_recorder,
};

/// What a recorder was told.
#[derive(Debug, Default, Clone)]
struct Described {
    /// Name, kind and unit of all that was described.
    rows: Arc<Mutex<BTreeSet<[String; 3]>>>,
    /// The names of histograms and their values.
    values: Arc<Mutex<Vec<(String, f64)>>>,
}

/// One histogram.
struct Values {
    name: String,
    values: Arc<Mutex<Vec<(String, f64)>>>,
}

impl HistogramFn for Values {
    fn record(&self, value: f64) {
        let mut values = self.values.lock().expect("nothing panics with it");
        values.push((self.name.clone(), value));
    }
}

impl Described {
    fn add(&self, kind: &str, name: &KeyName, unit: Option<Unit>) {
        let unit = match unit.expect("each has a unit") {
            Unit::Count => "",
            unit => unit.as_str(),
        };
        let row = [name.as_str(), kind, unit].map(str::to_owned);
        let mut described = self.rows.lock().expect("nothing panics with it");
        described.insert(row);
    }
}

impl Recorder for Described {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        assert!(name.as_str().ends_with("_total"), "{name:?}");
        self.add("counter", &name, unit);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.add("gauge", &name, unit);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.add("histogram", &name, unit);
    }

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Values {
            name: key.name().to_owned(),
            values: Arc::clone(&self.values),
        }))
    }
}

/// One of each that counts.
async fn start() {
    let store = MemoryStore::new();
    let _dispatcher = Dispatcher::builder(store.clone()).build();
    let feed = Feed::start(store, FeedOptions::default()).await;
    drop(feed.expect("a store in memory can be read"));
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let store = FileStore::open(directory.path()).expect("an empty directory becomes a store");
    let event = |n: u32| NewEvent::new(EventType::new("t").expect("a type"), format!("{n}"));
    let append = Append::new().extend((0..3).map(event));
    store.append(append).await.expect("it can be written to");
}

#[test]
fn the_docs_list_what_is_told_and_nothing_else() {
    let described = Described::default();
    set_global_recorder(described.clone()).expect("nobody else records here");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.expect("a runtime").block_on(start());
    let docs = include_str!("../../../docs/metrics.md");
    let rows = docs
        .lines()
        .filter(|line| line.starts_with("| `eventwire_"));
    let documented: BTreeSet<[String; 3]> = rows
        .map(|row| {
            let mut cells = row
                .split('|')
                .skip(1)
                .map(|cell| cell.trim_matches([' ', '`']));
            [(); 3].map(|()| cells.next().expect("a cell").to_owned())
        })
        .collect();
    assert!(!documented.is_empty());
    let rows = described.rows.lock().expect("nothing panics with it");
    assert_eq!(*rows, documented);

    let values = described.values.lock().expect("nothing panics with it");
    let commits: Vec<_> = values
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("eventwire_store_commit_")?, *value)))
        .collect();
    let is_told = |what: &str, is: fn(f64) -> bool| {
        let mut of_it = commits.iter().filter(|(name, _)| *name == what);
        of_it.next().is_some_and(|(_, value)| is(*value)) && of_it.next().is_none()
    };
    assert!(is_told("events", |events| events == 3.0), "{commits:?}");
    assert!(is_told("bytes", |bytes| bytes > 100.0), "{commits:?}");
    assert!(
        is_told("duration_seconds", |took| took > 0.0),
        "{commits:?}"
    );
}
