//! A view in SQLite of a log on disk, both of which lose whoever writes them at any point.

use std::path::Path;

use eventwire_cqrs::projection::{Batch, Projection, Projector};
use eventwire_cqrs::{Backoff, Dispatcher, testing::SimulatedClock};
use eventwire_store::Cursor;
use eventwire_store_file::FileStore;
use rusqlite::{Connection, OptionalExtension, params};

use crate::room::{Room, RoomEvent, open, post};

/// How often each word was said.
struct Words {
    connection: Connection,
    /// Fails before this write's commit where even, after it where odd.
    dies_at: Option<usize>,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("killed")]
    Killed,
    #[error("somebody else is further")]
    Fenced,
}

impl Words {
    fn open(path: &Path) -> Self {
        let connection = Connection::open(path).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY, count INTEGER NOT NULL);
                 CREATE TABLE IF NOT EXISTS checkpoint (only INTEGER PRIMARY KEY CHECK (only = 1),
                                                        cursor TEXT NOT NULL);",
            )
            .unwrap();
        Self {
            connection,
            dies_at: None,
        }
    }

    fn all(&self) -> Vec<(String, u32)> {
        let mut all = self
            .connection
            .prepare("SELECT word, count FROM words ORDER BY word")
            .unwrap();
        let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    }

    fn dies(&mut self) -> Result<(), Failure> {
        match &mut self.dies_at {
            Some(0) => Err(Failure::Killed),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn at(connection: &Connection) -> Result<Option<Cursor>, Failure> {
    let row = connection.query_row("SELECT cursor FROM checkpoint", [], |row| {
        row.get::<_, String>(0)
    });
    let text = row.optional()?;
    Ok(text.map(|text| text.parse().expect("what was written")))
}

impl Projection for Words {
    type Event = RoomEvent;
    type Error = Failure;

    async fn checkpoint(&mut self) -> Result<Option<Cursor>, Failure> {
        at(&self.connection)
    }

    async fn apply(&mut self, batch: &Batch<RoomEvent>) -> Result<(), Failure> {
        let dies_before = self.dies();
        let transaction = self.connection.transaction()?;
        if at(&transaction)? != batch.after {
            return Err(Failure::Fenced);
        }
        for seen in &batch.events {
            let RoomEvent::MessagePosted { text } = &seen.event else {
                continue;
            };
            for word in text.split_whitespace() {
                transaction.execute(
                    "INSERT INTO words VALUES (?1, 1)
                     ON CONFLICT (word) DO UPDATE SET count = count + 1",
                    params![word],
                )?;
            }
        }
        transaction.execute(
            "INSERT INTO checkpoint VALUES (1, ?1)
             ON CONFLICT (only) DO UPDATE SET cursor = excluded.cursor",
            params![batch.up_to.to_string()],
        )?;
        dies_before?;
        transaction.commit()?;
        self.dies()
    }
}

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Words").finish_non_exhaustive()
    }
}

/// A process: opens the log and the view, posts something, and dies at a point of the view's
/// work.
async fn live(directory: &Path, number: usize, dies_at: Option<usize>) -> Vec<(String, u32)> {
    let store = FileStore::open(directory.join("log")).unwrap();
    let dispatcher = Dispatcher::builder(store.clone()).build();
    if number == 0 {
        dispatcher.execute::<Room>(open()).await.unwrap();
    }
    for count in 0..3 {
        let text = format!("all word-{number} word-{count}");
        dispatcher.execute::<Room>(post(&text)).await.unwrap();
    }
    let mut words = Words::open(&directory.join("view.sqlite"));
    words.dies_at = dies_at;
    let mut projector = Projector::new(store.clone(), "words", words)
        .unwrap()
        .batch(2)
        .retries(Backoff::at_once(0))
        .clock(SimulatedClock::hasty());
    let outcome = projector.catch_up().await;
    assert_eq!(outcome.is_err(), dies_at.is_some(), "{outcome:?}");
    drop(projector);
    store.close();
    Words::open(&directory.join("view.sqlite")).all()
}

#[tokio::test]
async fn a_view_in_sqlite_survives_every_death_of_its_projector() {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..12 {
        // Whatever is behind, there are two batches at least: four points to die at.
        live(directory.path(), number, Some(number % 4)).await;
    }
    let view = live(directory.path(), 12, None).await;
    let store = FileStore::open(directory.path().join("log")).unwrap();
    let mut once = Projector::new(
        store,
        "once",
        Words::open(&directory.path().join("once.sqlite")),
    )
    .unwrap();
    once.catch_up().await.unwrap();
    drop(once);
    assert_eq!(
        view,
        Words::open(&directory.path().join("once.sqlite")).all()
    );
    assert!(view.contains(&("all".to_owned(), 39)), "{view:?}");
}
