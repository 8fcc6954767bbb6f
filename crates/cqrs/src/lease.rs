use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use eventwire_store::{
    Append, AppendError, EventStore, Expect, Item, NameError, Query, ReadError, ReadOptions,
    StreamName, Version,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::clock::{Clock, SystemClock};
use crate::codec::{self, CodecError};
use crate::event::DomainEvent;

/// The right to be the one at work, for a while: of several processes over one store, the one
/// that holds the lease goes on, and the others stand by. It is kept in the stream
/// `lease-NAME` of the log, and taken by an append that only one of them can make.
///
/// A lease goes by clocks, so it can be thought lost by one and held by another for as long as
/// their clocks differ. It spares work; what keeps an effect from happening twice is the
/// checkpoint beside it ([`Projection::apply`](crate::projection::Projection::apply),
/// [`Append::consumed`]).
#[derive(Clone)]
pub struct Lease {
    store: Arc<dyn EventStore>,
    stream: StreamName,
    worker: String,
    term: Duration,
    clock: Arc<dyn Clock>,
}

/// A lease that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    version: Version,
    until: SystemTime,
}

/// Whether the lease was had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taking {
    Held(Held),
    /// Somebody else holds it, for so long at most.
    Taken(Duration),
}

/// Why a lease could neither be had nor be seen to be another's.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store cannot be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The lease's stream holds something else.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Leasing {
    LeaseTaken { worker: String, until_millis: u64 },
    LeaseReleased { worker: String },
}

impl DomainEvent for Leasing {}

impl Lease {
    /// Nothing is taken yet. `worker` tells the processes apart; the term is 30 s.
    ///
    /// # Errors
    /// [`NameError`] where the name cannot be part of a stream's.
    pub fn new(
        store: impl EventStore + 'static,
        name: &str,
        worker: impl Into<String>,
    ) -> Result<Self, NameError> {
        Ok(Self {
            store: Arc::new(store),
            stream: StreamName::new(format!("lease-{name}"))?,
            worker: worker.into(),
            term: Duration::from_secs(30),
            clock: Arc::new(SystemClock),
        })
    }

    /// How long it is held without being renewed, and so how long the work stands still
    /// where the process that does it dies. It is renewed when half of it is over, with an
    /// event of some hundred bytes.
    #[must_use]
    pub fn term(mut self, term: Duration) -> Self {
        self.term = term;
        self
    }

    /// Goes by another clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Takes it, or renews it, where nobody else holds it.
    pub(crate) async fn take(&self) -> Result<Taking, LeaseError> {
        let last = self.last().await?;
        let now = self.clock.now();
        if let Some((
            _,
            Leasing::LeaseTaken {
                worker,
                until_millis,
            },
        )) = &last
            && *worker != self.worker
            && let Ok(left) =
                (UNIX_EPOCH + Duration::from_millis(*until_millis)).duration_since(now)
            && !left.is_zero()
        {
            return Ok(Taking::Taken(left));
        }
        let until = now + self.term;
        let millis = until.duration_since(UNIX_EPOCH).unwrap_or_default();
        let taken = Leasing::LeaseTaken {
            worker: self.worker.clone(),
            until_millis: u64::try_from(millis.as_millis()).unwrap_or(u64::MAX),
        };
        match self.write(last.map(|(version, _)| version), &taken).await {
            Ok(version) => Ok(Taking::Held(Held { version, until })),
            // Somebody was quicker, and holds it for a term.
            Err(LeaseError::Append(AppendError::Conflict(_))) => Ok(Taking::Taken(self.term)),
            Err(error) => Err(error),
        }
    }

    /// Whether it is held for more than half a term, so that nothing need be done.
    pub(crate) fn is_fresh(&self, held: Held) -> bool {
        let left = held.until.duration_since(self.clock.now());
        left.unwrap_or_default() > self.term / 2
    }

    /// Ends when the lease should be renewed.
    pub(crate) async fn due(&self, held: Held) {
        let left = held.until.duration_since(self.clock.now());
        let renewal = left.unwrap_or_default().saturating_sub(self.term / 2);
        self.clock.sleep(renewal).await;
    }

    /// Waits for as long as somebody else may hold it.
    pub(crate) async fn stand_by(&self, left: Duration) {
        self.clock.sleep(left).await;
    }

    /// Gives it up, so that others need not wait. Where that fails, they wait.
    pub(crate) async fn release(&self, held: Held) {
        let released = Leasing::LeaseReleased {
            worker: self.worker.clone(),
        };
        if let Err(error) = self.write(Some(held.version), &released).await {
            let error: &dyn std::error::Error = &error;
            tracing::debug!(error, "lease was not given up");
        }
    }

    async fn last(&self) -> Result<Option<(Version, Leasing)>, LeaseError> {
        let query = Query::stream(self.stream.clone());
        let mut items = self.store.read(query, ReadOptions::backward().limit(1));
        while let Some(item) = items.next().await {
            if let Item::Event(event) = item? {
                let version = event.version().expect("it is in a stream");
                return Ok(Some((version, codec::decode(&event)?)));
            }
        }
        Ok(None)
    }

    async fn write(&self, after: Option<Version>, event: &Leasing) -> Result<Version, LeaseError> {
        let expect = after.map_or(Expect::NoStream, Expect::Exact);
        let append = Append::to(self.stream.clone())
            .expect(expect)
            .event(codec::encode(event)?);
        let appended = self.store.append(append).await?;
        let version = appended.version_of(&self.stream);
        Ok(version.expect("the stream that was written to"))
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease")
            .field("stream", &self.stream)
            .field("worker", &self.worker)
            .field("term", &self.term)
            .finish_non_exhaustive()
    }
}
