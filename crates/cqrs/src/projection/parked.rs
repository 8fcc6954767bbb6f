use std::sync::Arc;

use eventwire_store::{
    Append, EventStore, Fingerprint, IdempotencyKey, Item, NameError, Position, Query, ReadOptions,
    RecordedEvent, StreamName,
};
use serde::{Deserialize, Serialize};

use crate::codec::{self, CodecError};
use crate::event::DomainEvent;
use crate::projection::ProjectionError;

/// The events a projection could not take in, kept in the stream `parked-NAME` of the log.
#[derive(Clone)]
pub struct Parked {
    store: Arc<dyn EventStore>,
    name: String,
    stream: StreamName,
}

/// An event that was put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParkedEvent {
    /// Where it is.
    pub position: Position,
    /// Where the view was before it.
    pub after: Position,
    /// Its type.
    pub event_type: String,
    /// Why it could not be taken in.
    pub reason: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Parking {
    EventParked {
        position: String,
        after: String,
        event_type: String,
        reason: String,
    },
    EventUnparked {
        position: String,
    },
}

impl DomainEvent for Parking {}

impl Parked {
    /// Those of the projection with this name.
    ///
    /// # Errors
    /// [`NameError`] where the name cannot be part of a stream's.
    pub fn of(store: Arc<dyn EventStore>, name: &str) -> Result<Self, NameError> {
        Ok(Self {
            store,
            name: name.to_owned(),
            stream: StreamName::new(format!("parked-{name}"))?,
        })
    }

    /// What is parked now, in order.
    ///
    /// # Errors
    /// [`ProjectionError`] where the list cannot be read.
    pub async fn list(&self) -> Result<Vec<ParkedEvent>, ProjectionError> {
        Ok(self.read().await?.events)
    }

    async fn read(&self) -> Result<Listed, ProjectionError> {
        let mut listed = Listed::default();
        let stream = Query::stream(self.stream.clone());
        let mut items = self.store.read(stream, ReadOptions::all());
        while let Some(item) = items.next().await {
            let Item::Event(event) = item? else { continue };
            listed.records += 1;
            match codec::decode(&event)? {
                Parking::EventParked {
                    position,
                    after,
                    event_type,
                    reason,
                } => listed.events.push(ParkedEvent {
                    position: place(&position),
                    after: place(&after),
                    event_type,
                    reason,
                }),
                Parking::EventUnparked { position } => {
                    let position = place(&position);
                    listed.events.retain(|event| event.position != position);
                }
            }
        }
        listed.events.sort_by_key(|event| event.position);
        Ok(listed)
    }

    /// Puts an event aside; one that is aside already stays there.
    pub(super) async fn park(&self, event: ParkedEvent) -> Result<(), ProjectionError> {
        let listed = self.read().await?;
        if listed.has(event.position) {
            return Ok(());
        }
        let parking = Parking::EventParked {
            position: event.position.to_string(),
            after: event.after.to_string(),
            event_type: event.event_type,
            reason: event.reason,
        };
        self.write(&listed, event.position, &parking).await
    }

    pub(super) async fn unpark(&self, position: Position) -> Result<(), ProjectionError> {
        let listed = self.read().await?;
        if !listed.has(position) {
            return Ok(());
        }
        let unparking = Parking::EventUnparked {
            position: position.to_string(),
        };
        self.write(&listed, position, &unparking).await
    }

    /// Once, by however many that have read the same list.
    async fn write(
        &self,
        listed: &Listed,
        position: Position,
        event: &Parking,
    ) -> Result<(), ProjectionError> {
        let key = format!("parked/{}/{position}/{}", self.name, listed.records);
        let append = Append::to(self.stream.clone())
            .event(codec::encode(event)?)
            .key(IdempotencyKey::new(key)?)
            // The reason may read otherwise to another of them.
            .fingerprint(Fingerprint::of([]));
        self.store.append(append).await?;
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Listed {
    events: Vec<ParkedEvent>,
    /// How long the stream is.
    records: usize,
}

impl Listed {
    fn has(&self, position: Position) -> bool {
        self.events.iter().any(|event| event.position == position)
    }
}

/// A place as this module wrote it; the origin, which no event has, where it did not.
fn place(text: &str) -> Position {
    text.parse().unwrap_or(Position::ORIGIN)
}

impl ParkedEvent {
    pub(super) fn new(
        event: &RecordedEvent,
        after: Position,
        reason: &(dyn std::error::Error + 'static),
    ) -> Self {
        Self {
            position: event.position,
            after,
            event_type: event.event_type.to_string(),
            reason: reason.to_string(),
        }
    }
}

/// Why a single event could not be taken in.
#[derive(Debug)]
pub(super) enum ParkReason {
    Codec(CodecError),
    Apply(Box<dyn std::error::Error + Send + Sync>),
}

impl ParkReason {
    pub(super) fn as_error(&self) -> &(dyn std::error::Error + 'static) {
        match self {
            Self::Codec(error) => error,
            Self::Apply(error) => &**error,
        }
    }

    pub(super) fn stopping(self, position: Position) -> ProjectionError {
        match self {
            Self::Codec(error) => error.into(),
            Self::Apply(cause) => ProjectionError::Apply { position, cause },
        }
    }
}

impl std::fmt::Debug for Parked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parked")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
