//! Real processes with a view and a process manager on a log on disk, ended by `SIGKILL` at any
//! point: the view is what one pass gives, nothing is done twice, reminders come all the same.
//! `EVENTWIRE_KILL_CYCLES` sets how often.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Write, stdout};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use eventwire_cqrs::CommandOptions;
use eventwire_cqrs::process::Processor;
use eventwire_cqrs::projection::{Batch, Projection, Projector};
use eventwire_cqrs::testing::SimulatedClock;
use eventwire_store::{
    Cursor, EventStore, EventType, Fingerprint, IdempotencyKey, Item, Query, ReadOptions,
    RecordedEvent, Start,
};
use eventwire_store_file::FileStore;
use rusqlite::{Connection, OptionalExtension, params};

use crate::shop::{Fulfilment, IN_TIME, OrderEvent, Shop, pay, place, shop, stock, told};

const DIRECTORY: &str = "EVENTWIRE_TEST_DIRECTORY";
/// The number of a life; none for the last, in which time has passed and all is carried out.
const LIFE: &str = "EVENTWIRE_TEST_LIFE";

/// Orders of a life: every other one is paid.
const ORDERS: u32 = 40;

/// How many events there were of each type and order, in SQLite.
struct Counts(Connection);

impl Counts {
    fn open(directory: &Path) -> Self {
        let connection = Connection::open(directory.join("view.sqlite")).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL;
                 CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, count INTEGER NOT NULL);
                 CREATE TABLE IF NOT EXISTS checkpoint (only INTEGER PRIMARY KEY CHECK (only = 1),
                                                        cursor TEXT NOT NULL);",
            )
            .unwrap();
        Self(connection)
    }

    fn all(&self) -> BTreeMap<String, u32> {
        let mut all = self.0.prepare("SELECT name, count FROM counts").unwrap();
        let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    }
}

fn at(connection: &Connection) -> rusqlite::Result<Option<Cursor>> {
    let row = connection.query_row("SELECT cursor FROM checkpoint", [], |row| {
        row.get::<_, String>(0)
    });
    let text = row.optional()?;
    Ok(text.map(|text| text.parse().expect("what was written")))
}

impl Projection for Counts {
    type Event = OrderEvent;
    type Error = rusqlite::Error;

    async fn checkpoint(&mut self) -> rusqlite::Result<Option<Cursor>> {
        at(&self.0)
    }

    async fn apply(&mut self, batch: &Batch<OrderEvent>) -> rusqlite::Result<()> {
        let transaction = self.0.transaction()?;
        assert_eq!(at(&transaction)?, batch.after, "nobody else writes");
        for seen in &batch.events {
            transaction.execute(
                "INSERT INTO counts VALUES (?1, 1)
                 ON CONFLICT (name) DO UPDATE SET count = count + 1",
                params![name_of(&seen.recorded)],
            )?;
        }
        transaction.execute(
            "INSERT INTO checkpoint VALUES (1, ?1)
             ON CONFLICT (only) DO UPDATE SET cursor = excluded.cursor",
            params![batch.up_to.to_string()],
        )?;
        transaction.commit()
    }
}

fn name_of(event: &RecordedEvent) -> String {
    let order = event.stream_name().expect("orders have streams");
    format!("{order} {}", event.event_type)
}

fn say(line: &str) {
    let mut out = stdout().lock();
    writeln!(out, "said {line}")
        .and_then(|()| out.flush())
        .unwrap();
}

/// A life, in a process of its own; nothing where nobody asks for one.
#[test]
fn child() {
    let Ok(directory) = env::var(DIRECTORY) else {
        return;
    };
    let life = env::var(LIFE).ok().map(|life| life.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(live(Path::new(&directory), life));
}

async fn live(directory: &Path, life: Option<u32>) {
    let store = FileStore::open(directory.join("log")).unwrap();
    let late = if life.is_none() {
        IN_TIME * 2
    } else {
        Duration::ZERO
    };
    let clock = SimulatedClock::at(SystemTime::now() + late);
    let projector = Projector::new(store.clone(), "counts", Counts::open(directory)).unwrap();
    let progress = projector.progress();
    let processor = Processor::<Fulfilment>::new(store.clone(), shop(store.clone())).clock(clock);
    let mut projecting = tokio::spawn(projector.batch(7).run());
    let mut processing = tokio::spawn(processor.run());
    say("open");
    match life {
        Some(life) => sell(&store, life).await,
        None => {
            tokio::select! {
                () = all_end(&store) => {}
                _ = &mut projecting => panic!("the projector ended"),
                _ = &mut processing => panic!("the processor ended"),
            }
            let head = store.head().await.unwrap();
            progress.wait_for(head).await.unwrap();
            say("ended");
        }
    }
    // Until the parent has had enough: neither ends by itself.
    tokio::select! {
        projected = projecting => panic!("{projected:?}"),
        processed = processing => panic!("{processed:?}"),
    }
}

/// Places the orders of a life, each under a key that the next life will not repeat.
async fn sell(store: &FileStore, life: u32) {
    let shop = shop(store.clone());
    for number in 0..ORDERS {
        let order = format!("{life}-{number}");
        let placed = shop.execute_with::<Shop>(place(&order, "pen"), keyed(&order, "place"));
        placed.await.unwrap();
        say(&format!("placed {order}"));
        if number % 2 == 0 {
            let paid = shop.execute_with::<Shop>(pay(&order, "pen"), keyed(&order, "pay"));
            paid.await.unwrap();
            say(&format!("paid {order}"));
        }
        tokio::task::yield_now().await;
    }
}

fn keyed(order: &str, what: &str) -> CommandOptions {
    let key = IdempotencyKey::new(format!("{what} {order}")).unwrap();
    let fingerprint = Fingerprint::of([what.as_bytes(), order.as_bytes()]);
    CommandOptions::default().key(key, fingerprint)
}

/// Waits until every order that was placed has come to an end.
async fn all_end(store: &FileStore) {
    let types = ["order-placed", "order-shipped", "order-cancelled"];
    let ends = Query::types(types.map(|name| EventType::new(name).unwrap()));
    let mut items = store.subscribe(ends, Start::Beginning);
    let mut open = 0;
    while let Some(item) = items.next().await {
        match item.unwrap() {
            Item::Event(event) if event.event_type.as_str() == "order-placed" => open += 1,
            Item::Event(_) => open -= 1,
            Item::CaughtUp(_) if open == 0 => return,
            _ => {}
        }
    }
}

/// Runs a life, and hears what it says.
struct Life {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Life {
    fn start(directory: &Path, life: Option<u32>) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args([
                "--exact",
                "killed::child",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(DIRECTORY, directory)
            .stdout(Stdio::piped());
        if let Some(life) = life {
            command.env(LIFE, life.to_string());
        }
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, said }
    }

    /// What it says next; none once it has ended.
    fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.said.read_line(&mut line).unwrap() > 0 {
            if let Some((_, said)) = line.trim_end().split_once("said ") {
                return Some(said.to_owned());
            }
            line.clear();
        }
        None
    }

    /// Ends it by `SIGKILL`, and hears what it had said by then.
    fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        let rest = std::iter::from_fn(|| self.next()).collect();
        self.child.wait().unwrap();
        rest
    }
}

#[test]
fn whoever_kills_it_the_view_is_one_pass_and_nothing_is_done_twice() {
    let cycles = env::var("EVENTWIRE_KILL_CYCLES").map_or(6, |text| text.parse().unwrap());
    let seed =
        env::var("EVENTWIRE_SEED").map_or_else(|_| fastrand::u64(..), |text| text.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(seed);
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    {
        let store = FileStore::open(&log).unwrap();
        runtime.block_on(stock(&store, "pen", 1_000_000));
        store.close();
    }
    let mut said = Vec::new();
    for life in 0..cycles {
        let mut process = Life::start(directory.path(), Some(life));
        // Sometimes while it opens.
        let lines = random.usize(0..60);
        said.extend((0..lines).map_while(|_| process.next()));
        std::thread::sleep(Duration::from_micros(random.u64(..20_000)));
        said.extend(process.kill());
    }
    let mut last = Life::start(directory.path(), None);
    while last.next().expect("the last life ends its work") != "ended" {}
    last.kill();

    let store = FileStore::open(&log).unwrap();
    let (orders, free) = runtime.block_on(told(&store));
    for line in &said {
        let (what, order) = line.split_once(' ').unwrap_or((line, ""));
        let is_there = match what {
            "placed" => orders.contains_key(order),
            "paid" => orders[order].contains(&"order-paid".to_owned()),
            _ => true,
        };
        assert!(is_there, "{line} was answered (seed {seed})");
    }
    let (mut shipped, mut cancelled) = (0, 0);
    for (order, told) in &orders {
        let told: Vec<&str> = told.iter().map(String::as_str).collect();
        match told[..] {
            ["order-placed", "order-paid", "order-shipped"] => shipped += 1,
            // Its reminder was set in a life that is over. It may have come before a payment that
            // nobody had looked at.
            ["order-placed", "order-cancelled"]
            | ["order-placed", "order-paid", "order-cancelled"] => cancelled += 1,
            _ => panic!("order {order} became {told:?} (seed {seed})"),
        }
    }
    assert!(cancelled > 0, "half of the orders are not paid");
    assert_eq!(free["pen"], 1_000_000 - shipped);
    assert_eq!(
        Counts::open(directory.path()).all(),
        one_pass(&runtime, &store)
    );
}

/// What one pass over the log makes of the view.
fn one_pass(runtime: &tokio::runtime::Runtime, store: &FileStore) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    let types = eventwire_cqrs::codec::event_types::<OrderEvent>();
    let mut items = store.read(Query::types(types), ReadOptions::all());
    while let Some(item) = runtime.block_on(items.next()) {
        if let Item::Event(event) = item.unwrap() {
            *counts.entry(name_of(&event)).or_default() += 1;
        }
    }
    counts
}
