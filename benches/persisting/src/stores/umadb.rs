use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use tokio::sync::{mpsc, oneshot, watch};
use umadb_core::db::UmaDb;
use umadb_core::mvcc::{Mvcc, StorageOptions};
use umadb_core::writer_thread_blocking::writer_thread_blocking;
use umadb_core::writer_thread_request::WriterThreadRequest;
use umadb_dcb::{DcbAppendCondition, DcbEvent, DcbEventStoreSync, DcbQuery, DcbQueryItem};

use crate::record;
use crate::store::{Face, Store};
use crate::workload::{Append, Event, Guard, Workload};

/// A DCB store on a copy-on-write B-tree: the stream is a tag, and the guard a condition that no
/// event with it came after the last one. Appends in flight go to its writer thread, which groups
/// them as its server has it do; one writer calls it directly. A commit is two syncs.
pub struct Uma {
    database: UmaDb,
    requests: mpsc::Sender<WriterThreadRequest>,
    writer: JoinHandle<()>,
    last: LastPositions,
    workload: Arc<Workload>,
}

/// Of each stream, the position of the last event.
struct LastPositions(Vec<AtomicU64>);

/// Its server's own number.
const GROUP: usize = 2_000;
const READ: u32 = 10_000;

impl Store for Uma {
    const FACE: Face = Face::Futures;

    fn open(directory: &Path, workload: &Arc<Workload>) -> Self {
        let options = StorageOptions::default().db_path(directory);
        let mvcc = Arc::new(Mvcc::new(false, options).expect("it opens"));
        let (requests, received) = mpsc::channel(4_096);
        let writer = thread::spawn({
            let mvcc = Arc::clone(&mvcc);
            move || writer_thread_blocking(mvcc, received, watch::channel(None).0, GROUP)
        });
        let last = workload.streams.iter().map(|_| AtomicU64::new(0));
        Self {
            database: UmaDb::from_arc(mvcc),
            requests,
            writer,
            last: LastPositions(last.collect()),
            workload: Arc::clone(workload),
        }
    }

    fn append(&self, append: Append) {
        let (events, condition) = self.request(&append);
        let position = self.database.append(events, condition, None);
        self.last.keep(&append, position.expect("it is appended"));
    }

    fn append_async(&self, append: Append) -> impl Future<Output = ()> + Send {
        let (events, condition) = self.request(&append);
        let (response_tx, answered) = oneshot::channel();
        let request = WriterThreadRequest::Append {
            events,
            condition,
            tracking_info: None,
            response_tx,
            cancel: None,
        };
        self.requests.try_send(request).expect("there is room");
        async move {
            let position = answered.await.expect("it answers");
            self.last.keep(&append, position.expect("it is appended"));
        }
    }

    fn replay(&self) -> usize {
        let mut count = 0;
        let mut start = Some(1);
        while let Some(from) = start.take() {
            let events = self.database.read(None, Some(from), false, Some(READ));
            for event in events.expect("it is read") {
                let event = event.expect("it is read");
                record::look(&event.event.data);
                start = Some(event.position + 1);
                count += 1;
            }
        }
        count
    }

    fn read_stream(&self, stream: usize) -> usize {
        let query = of_stream(&self.workload.streams[stream]);
        let events = self.database.read(Some(query), None, false, None);
        let mut count = 0;
        for event in events.expect("it is read") {
            record::look(&event.expect("it is read").event.data);
            count += 1;
        }
        count
    }

    fn close(self) {
        let sent = self.requests.blocking_send(WriterThreadRequest::Shutdown);
        sent.expect("it runs");
        self.writer.join().expect("it ends");
    }
}

impl Uma {
    fn request(&self, append: &Append) -> (Vec<DcbEvent>, Option<DcbAppendCondition>) {
        let events = append.events.iter().map(|event| self.event(event));
        let condition = (append.guard == Guard::Stream).then(|| {
            let first = &append.events[0];
            let last = self.last.0[first.stream].load(Ordering::Relaxed);
            DcbAppendCondition::new(of_stream(self.workload.stream(first))).after(Some(last))
        });
        (events.collect(), condition)
    }

    fn event(&self, event: &Event) -> DcbEvent {
        DcbEvent::new()
            .event_type(self.workload.event_type(event))
            .data(self.workload.payload(event))
            .tags([self.workload.stream(event), self.workload.tag(event)])
    }
}

impl LastPositions {
    fn keep(&self, append: &Append, last: u64) {
        for (event, before) in append.events.iter().rev().zip(0..) {
            self.0[event.stream].fetch_max(last - before, Ordering::Relaxed);
        }
    }
}

fn of_stream(name: &str) -> DcbQuery {
    DcbQuery::with_items([DcbQueryItem::new().tags([name])])
}
