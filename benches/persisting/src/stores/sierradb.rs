use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{SystemTime, UNIX_EPOCH};

use futures_executor::block_on;
use sierradb::database::{Database, DatabaseBuilder, ExpectedVersion, NewEvent, Transaction};
use sierradb::id::{uuid_to_partition_hash, uuid_v7_with_partition_hash};
use sierradb::{IterDirection, StreamId};
use uuid::Uuid;

use crate::record;
use crate::store::{Face, Store};
use crate::workload::{Append, Event, Guard, Workload};

/// A partitioned event store, with one bucket, so that it has one order as all others have. A sync
/// waits until there are so many events, or 4 KiB, or for 5 ms: 1 is a sync for every append, 50 its
/// own setting. It has no tags and no types to look for.
pub struct Sierra<const GROUP: usize> {
    database: Database,
    key: Uuid,
    workload: Arc<Workload>,
}

const PARTITION: u16 = 0;

impl<const GROUP: usize> Store for Sierra<GROUP> {
    const FACE: Face = Face::Futures;

    fn open(directory: &Path, workload: &Arc<Workload>) -> Self {
        let mut builder = DatabaseBuilder::new();
        builder
            .total_buckets(1)
            .bucket_ids_from_range(0..1)
            .max_batch_size(GROUP);
        Self {
            database: builder.open(directory).expect("it opens"),
            key: Uuid::from_u128(1),
            workload: Arc::clone(workload),
        }
    }

    fn append(&self, append: Append) {
        block_on(self.transact(append));
    }

    fn append_async(&self, append: Append) -> impl Future<Output = ()> + Send {
        let mut appended = Box::pin(self.transact(append));
        // The first poll hands it over; who awaits it polls again.
        let mut context = Context::from_waker(Waker::noop());
        let mut is_done = appended.as_mut().poll(&mut context).is_ready();
        poll_fn(move |context| {
            if !is_done {
                ready!(appended.as_mut().poll(context));
                is_done = true;
            }
            Poll::Ready(())
        })
    }

    fn replay(&self) -> usize {
        block_on(async {
            let events = self
                .database
                .read_partition(PARTITION, 0, IterDirection::Forward);
            let mut events = events.await.expect("it is read");
            let mut count = 0;
            while let Some(events) = events.next_batch(1_000).await.expect("it is read") {
                for event in events.into_iter().flatten() {
                    record::look(&event.payload);
                    count += 1;
                }
            }
            count
        })
    }

    fn read_stream(&self, stream: usize) -> usize {
        block_on(async {
            let name = name(&self.workload.streams[stream]);
            let forward = IterDirection::Forward;
            let events = self.database.read_stream(PARTITION, name, 0, forward);
            let mut events = events.await.expect("it is read");
            let mut count = 0;
            while let Some(events) = events.next_batch(1_000).await.expect("it is read") {
                for event in events.into_iter().flatten() {
                    record::look(&event.payload);
                    count += 1;
                }
            }
            count
        })
    }

    fn close(self) {
        block_on(self.database.shutdown());
    }
}

impl<const GROUP: usize> Sierra<GROUP> {
    async fn transact(&self, append: Append) {
        let events = append.events.iter().zip(0..).map(|(event, number)| {
            let expected = match append.guard {
                Guard::Stream if number == 0 => {
                    ExpectedVersion::from_next_version(event.version - 1)
                }
                _ => ExpectedVersion::Any,
            };
            self.event(event, expected)
        });
        let transaction = Transaction::new(self.key, PARTITION, events.collect());
        let appended = self.database.append_events(transaction.expect("events"));
        appended.await.expect("it is appended");
    }

    fn event(&self, event: &Event, expected: ExpectedVersion) -> NewEvent {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("a clock after 1970").as_nanos();
        NewEvent {
            event_id: uuid_v7_with_partition_hash(uuid_to_partition_hash(self.key)),
            stream_id: name(self.workload.stream(event)),
            stream_version: expected,
            event_name: self.workload.event_type(event).to_owned(),
            timestamp: u64::try_from(now).expect("64 bits"),
            metadata: Vec::new(),
            payload: self.workload.payload(event).to_vec(),
        }
    }
}

fn name(name: &str) -> StreamId {
    StreamId::new(name).expect("a name")
}
