use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use eventwire::store::backend::assign_uuid;
use eventwire::store::{
    Append, AppendError, Category, EventStore, EventType, Expect, Item, NewEvent, Query, ReadError,
    ReadOptions, RecordedEvent, StreamName, Version,
};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use crate::model::Model;

/// How many tokens that are there together are written together.
const MOST_TOGETHER: usize = 64;

/// How long to wait for a store that is not sure of itself.
const PAUSE: Duration = Duration::from_millis(500);

/// Answers that are written down as they come: each is a stream, `run-` and an id, of
/// `run-started`, any number of `tokens`, and `run-finished` or `run-stopped`.
#[derive(Clone)]
pub(crate) struct Runs {
    store: Arc<dyn EventStore>,
    model: Model,
}

#[derive(Debug, Serialize, Deserialize)]
struct Started {
    prompt: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Tokens {
    tokens: Vec<String>,
}

/// Why a run was not begun or stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("there is no such run, or it is over")]
    NotUnderWay,
    #[error("the store does not take it")]
    Store(#[from] AppendError),
    #[error("the store cannot be read")]
    Read(#[from] ReadError),
}

/// A run as far as it was written.
#[derive(Debug)]
struct Run {
    prompt: String,
    said: usize,
    version: Version,
    is_over: bool,
}

fn event_type(name: &str) -> EventType {
    EventType::new(name).expect("a name of an event")
}

fn event(name: &str, data: &impl Serialize) -> NewEvent {
    NewEvent::json(event_type(name), data).expect("strings have a JSON form")
}

impl Runs {
    pub(crate) fn new(store: Arc<dyn EventStore>, model: Model) -> Self {
        Self { store, model }
    }

    /// Begins an answer, and says which stream it is.
    pub(crate) async fn start(&self, prompt: String) -> Result<StreamName, RunError> {
        let name = format!("run-{}", assign_uuid(SystemTime::now()));
        let name = StreamName::new(name).expect("a UUID makes a name");
        let append = Append::to(name.clone())
            .expect(Expect::NoStream)
            .event(event("run-started", &Started { prompt }));
        self.store.append(append).await?;
        tokio::spawn(self.clone().go_on_with(name.clone()));
        Ok(name)
    }

    /// Ends an answer where it is. Whoever writes it finds that it is not the last any more.
    pub(crate) async fn stop(&self, name: StreamName) -> Result<(), RunError> {
        loop {
            let run = self.read(&name).await?;
            let Some(run) = run.filter(|run| !run.is_over) else {
                return Err(RunError::NotUnderWay);
            };
            let append = Append::to(name.clone())
                .expect(Expect::Exact(run.version))
                .event(event("run-stopped", &()));
            match self.store.append(append).await {
                Ok(_) => return Ok(()),
                Err(AppendError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes up every answer that was not finished when the server ended.
    pub(crate) async fn go_on_with_all(&self) -> Result<(), ReadError> {
        let category = Category::new("run").expect("a category");
        let ends = ["run-started", "run-finished", "run-stopped"].map(event_type);
        let query = Query::category(category).of_types(ends);
        let mut items = self.store.read(query, ReadOptions::all());
        let mut under_way = BTreeSet::new();
        while let Some(item) = items.next().await {
            if let Item::Event(event) = item?
                && let Some(name) = event.stream_name()
            {
                match event.event_type.as_str() {
                    "run-started" => under_way.insert(name.clone()),
                    _ => under_way.remove(name),
                };
            }
        }
        for name in under_way {
            tokio::spawn(self.clone().go_on_with(name));
        }
        Ok(())
    }

    async fn go_on_with(self, name: StreamName) {
        loop {
            let written = match self.read(&name).await {
                Ok(Some(run)) if !run.is_over => self.write(&name, run).await,
                Ok(_) => return,
                Err(error) => Err(error.into()),
            };
            match written {
                Ok(()) => return,
                // It may have been written or not: what is there is the truth.
                Err(RunError::Store(AppendError::Indeterminate { .. }) | RunError::Read(_)) => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(RunError::Store(AppendError::Conflict(_))) => {
                    tracing::info!(%name, "stopped, or written by another server");
                    return;
                }
                Err(error) => {
                    tracing::error!(?error, %name, "cannot go on with a run");
                    return;
                }
            }
        }
    }

    /// Writes what the model has to say from here on. That nobody else has written since is a
    /// condition of every append, so that two who write the same run cannot mix.
    async fn write(&self, name: &StreamName, run: Run) -> Result<(), RunError> {
        let mut version = run.version;
        let tokens = self.model.answer(&run.prompt, run.said);
        // What comes while the last append is under way is written with one.
        let mut together = pin!(tokens.ready_chunks(MOST_TOGETHER));
        while let Some(tokens) = together.next().await {
            version = self
                .append(name, version, event("tokens", &Tokens { tokens }))
                .await?;
        }
        self.append(name, version, event("run-finished", &()))
            .await?;
        Ok(())
    }

    async fn append(
        &self,
        name: &StreamName,
        version: Version,
        event: NewEvent,
    ) -> Result<Version, AppendError> {
        loop {
            let append = Append::to(name.clone())
                .expect(Expect::Exact(version))
                .event(event.clone());
            match self.store.append(append).await {
                Ok(appended) => {
                    let version = appended.version_of(name);
                    return Ok(version.expect("it was appended to this stream"));
                }
                Err(AppendError::Busy { retry_after, .. }) => {
                    tokio::time::sleep(retry_after.unwrap_or(PAUSE)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The run as it is written; none where there is no such stream.
    async fn read(&self, name: &StreamName) -> Result<Option<Run>, ReadError> {
        let query = Query::stream(name.clone());
        let mut items = self.store.read(query, ReadOptions::all());
        let mut run = None;
        while let Some(item) = items.next().await {
            if let Item::Event(event) = item? {
                fold(&mut run, &event);
            }
        }
        Ok(run)
    }
}

fn fold(run: &mut Option<Run>, event: &RecordedEvent) {
    let version = event.version().expect("it is in a stream");
    match (event.event_type.as_str(), &mut *run) {
        ("run-started", _) => {
            let Ok(Started { prompt }) = serde_json::from_slice(&event.data) else {
                return;
            };
            *run = Some(Run {
                prompt,
                said: 0,
                version,
                is_over: false,
            });
        }
        (name, Some(run)) => {
            run.version = version;
            run.is_over |= name == "run-finished" || name == "run-stopped";
            if let Ok(Tokens { tokens }) = serde_json::from_slice(&event.data) {
                run.said += tokens.len();
            }
        }
        _ => {}
    }
}
