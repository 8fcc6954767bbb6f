use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tephra::{
    AppendCondition, Event, EventType, Position, PositionRange, Query, QueryItem, SegmentConfig,
    SegmentSet, Tag, Tags, WriteCoordinator, WriteHandle, WriterConfig,
};

use crate::record;
use crate::store::{Face, Store};
use crate::workload::{Append, Guard, Workload};

/// A DCB log: the stream is a tag, and the guard a condition that no event with it came after the
/// last one. Group commit, tasks and threads are its own.
pub struct Tephra {
    handle: WriteHandle,
    coordinator: WriteCoordinator,
    /// Of each stream, the position of the last event.
    last: Vec<AtomicU64>,
    workload: Arc<Workload>,
}

impl Store for Tephra {
    const FACE: Face = Face::Futures;

    fn open(directory: &Path, workload: &Arc<Workload>) -> Self {
        let segments = SegmentSet::open(directory, SegmentConfig::new(256 << 20));
        let (coordinator, handle) =
            WriteCoordinator::start(segments.expect("it opens"), WriterConfig::default())
                .expect("it starts");
        Self {
            handle,
            coordinator,
            last: workload.streams.iter().map(|_| AtomicU64::new(0)).collect(),
            workload: Arc::clone(workload),
        }
    }

    fn append(&self, append: Append) {
        let (events, condition) = self.request(&append);
        let positions = self.handle.append(events, condition);
        self.keep(&append, positions.expect("it is appended"));
    }

    fn append_async(&self, append: Append) -> impl Future<Output = ()> + Send {
        let (events, condition) = self.request(&append);
        let (reply, answered) = flume::bounded(1);
        let submitted = self.handle.append_submit(events, condition, 0, reply);
        submitted.expect("it is handed over");
        async move {
            let (_, positions) = answered.recv_async().await.expect("it answers");
            self.keep(&append, positions.expect("it is appended"));
        }
    }

    fn replay(&self) -> usize {
        self.read(&Query::all())
    }

    fn read_stream(&self, stream: usize) -> usize {
        self.read(&of_stream(&self.workload.streams[stream]))
    }

    fn close(self) {
        self.coordinator.shutdown();
    }
}

impl Tephra {
    fn request(&self, append: &Append) -> (Vec<Event>, Option<AppendCondition>) {
        let events = append.events.iter().map(|event| {
            let event_type = EventType::new(self.workload.event_type(event)).expect("a name");
            let tags = Tags::new([
                tag(self.workload.stream(event)),
                tag(self.workload.tag(event)),
            ]);
            let payload = self.workload.payload(event);
            Event::new(&event_type, &tags.expect("two tags"), payload).expect("an event")
        });
        let condition = (append.guard == Guard::Stream).then(|| {
            let first = &append.events[0];
            let last = self.last[first.stream].load(Ordering::Relaxed);
            AppendCondition::new(of_stream(self.workload.stream(first))).after(Position::new(last))
        });
        (events.collect(), condition)
    }

    fn keep(&self, append: &Append, positions: PositionRange) {
        for (event, position) in append.events.iter().zip(positions.first.get()..) {
            self.last[event.stream].fetch_max(position, Ordering::Relaxed);
        }
    }

    fn read(&self, query: &Query) -> usize {
        let mut events = self.handle.read(query, Position::ZERO, None);
        let mut count = 0;
        while let Some(event) = events.next() {
            record::look(event.expect("it is read").event.data());
            count += 1;
        }
        count
    }
}

fn of_stream(name: &str) -> Query {
    let tags = Tags::new([tag(name)]).expect("one tag");
    Query::item(QueryItem::with_tags(tags))
}

fn tag(name: &str) -> Tag {
    Tag::new(name).expect("a name")
}
