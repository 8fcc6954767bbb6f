use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use eventwire_store::{
    CheckpointStore, EventStore, Item, NewEvent, Position, Query, ReadOptions, RecordedEvent,
    SnapshotStore,
};
use eventwire_store_file::FileStore;
use futures_executor::block_on;

use crate::load::{
    Said, append, consumer, key, onlooker, open, snapshot, snapshot_name, stream, tag, writer,
};

/// What an end may take, beside what was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Nothing,
    /// Snapshots are not synced.
    Snapshots,
}

/// What processes said about one store.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Each append that was answered: its last position.
    written: BTreeMap<u64, u64>,
    /// By writer: the last checkpoint, snapshot and removal that were answered.
    noted: BTreeMap<u64, u64>,
    kept: BTreeMap<u64, u64>,
    forgotten: BTreeMap<u64, u64>,
    /// Torn commits that recovery has cut off.
    pub(crate) cuts: u64,
    /// The most segments that were seen.
    pub(crate) segments: usize,
}

impl Ledger {
    pub(crate) fn enter(&mut self, said: &[Said]) {
        for said in said {
            match *said {
                Said::Written { number, last } => {
                    self.written.insert(number, last);
                }
                Said::Noted(number) => {
                    self.noted.insert(writer(number), number);
                }
                Said::Kept(number) => {
                    self.kept.insert(writer(number), number);
                }
                Said::Forgot(number) => {
                    self.kept.remove(&writer(number));
                    self.forgotten.insert(writer(number), number);
                }
                Said::Opened | Said::Refused { .. } | Said::Read(_) => {}
            }
        }
    }

    /// Appends that were answered.
    pub(crate) fn appends(&self) -> usize {
        self.written.len()
    }

    /// Opens the store after an end and holds it to what was said. Opens it again, then once
    /// more without its indexes, so that every byte of every segment is read: it is the same.
    pub(crate) fn check(&mut self, path: &Path, segment_bytes: u64, takes: Takes) {
        let store = open(path, segment_bytes);
        self.cuts += u64::from(store.recovery().bytes_cut > 0);
        self.segments = self.segments.max(store.recovery().segments);
        let events = read(&store, Query::all(), ReadOptions::all());
        self.check_appends(&store, &events);
        self.check_checkpoints(&store, &events);
        self.check_snapshots(&store, &events, takes);
        check_ways(&store, &events);
        store.close();
        drop(store);

        for is_without in [false, true] {
            if is_without {
                std::fs::remove_dir_all(path.join("indexes")).unwrap();
            }
            let store = open(path, segment_bytes);
            assert_eq!(store.recovery().bytes_cut, 0, "cut twice");
            let again = read(&store, Query::all(), ReadOptions::all());
            assert_eq!(again, events, "opened again");
            check_ways(&store, &events);
            store.close();
        }
    }

    /// Each append that was answered is whole and at its place, and every other that is there
    /// is whole, and there once.
    fn check_appends(&self, store: &FileStore, events: &[RecordedEvent]) {
        let mut found = BTreeSet::new();
        let mut versions = BTreeMap::new();
        let mut rest = events;
        while let Some(first) = rest.first() {
            let number = number_of(first);
            assert!(found.insert(number), "append {number} is there twice");
            let expected = append(number);
            let count = expected.events().len();
            let (these, others) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            assert_eq!(these.len(), count, "append {number} is not whole");
            for (event, expected) in these.iter().zip(expected.events()) {
                check_event(event, expected, number);
                let version = versions.entry(stream(number)).or_insert(0);
                *version += 1;
                assert_eq!(event.version().unwrap().get(), *version, "append {number}");
            }
            let last = these[count - 1].position;
            if let Some(&said) = self.written.get(&number) {
                assert_eq!(last.to_parts().1, said, "append {number}");
            }
            let recalled = block_on(store.recall(key(number))).unwrap();
            assert_eq!(recalled.unwrap().appended.last(), last, "append {number}");
            rest = others;
        }
        let lost: Vec<_> = self.written.keys().filter(|n| !found.contains(n)).collect();
        assert!(lost.is_empty(), "answered and not there: {lost:?}");
        let uuids: BTreeSet<_> = events.iter().map(|event| event.uuid).collect();
        assert_eq!(uuids.len(), events.len(), "a UUID is there twice");
    }

    /// A checkpoint that moves with appends is at the last of them that is there; another where
    /// it was said to be, or further.
    fn check_checkpoints(&self, store: &FileStore, events: &[RecordedEvent]) {
        let mut reached = BTreeMap::new();
        for number in events.iter().map(number_of) {
            let last = reached.entry(writer(number)).or_insert(number);
            *last = number.max(*last);
        }
        for &number in reached.values() {
            let at = block_on(store.checkpoint(consumer(number))).unwrap();
            assert_eq!(at, Position::from_parts(0, number), "of writer {number}");
        }
        for &number in self.noted.values() {
            let at = block_on(store.checkpoint(onlooker(number))).unwrap();
            let (_, at) = at.to_parts();
            assert!(at >= number, "at {at}, said to be at {number}");
            assert_eq!(writer(at), writer(number));
        }
    }

    /// A snapshot is one that was saved, never one that was removed, and of nothing that is lost.
    fn check_snapshots(&self, store: &FileStore, events: &[RecordedEvent], takes: Takes) {
        for of in 0..10 {
            let found = block_on(store.snapshot(snapshot_name(of))).unwrap();
            // A removal that was under way may have come to its end.
            let Some(found) = found else {
                continue;
            };
            let text = std::str::from_utf8(&found.data).unwrap();
            let number = text.split(' ').next().unwrap().parse().unwrap();
            let (_, last) = found.position.to_parts();
            assert_eq!(found, snapshot(number, last));
            assert!(
                last <= u64::try_from(events.len()).unwrap(),
                "of what is lost"
            );
            assert!(self.forgotten.get(&of).is_none_or(|&gone| gone < number));
            let kept = self.kept.get(&of);
            assert!(takes == Takes::Snapshots || kept.is_none_or(|&kept| kept <= number));
        }
    }
}

/// Every way to the events leads to the same.
fn check_ways(store: &FileStore, events: &[RecordedEvent]) {
    let mut backward = read(store, Query::all(), ReadOptions::backward());
    backward.reverse();
    assert!(backward == events, "backward");
    let streams = events.iter().filter_map(RecordedEvent::stream_name);
    let streams: BTreeSet<_> = streams.cloned().collect();
    let tags: BTreeSet<_> = events.iter().flat_map(|event| event.tags.iter()).collect();
    let queries = streams.into_iter().map(Query::stream);
    let queries = queries.chain(tags.into_iter().map(|tag| Query::tags([tag.clone()])));
    for query in queries {
        let found = read(store, query.clone(), ReadOptions::all());
        let expected = events.iter().filter(|event| query.matches(event.as_ref()));
        assert!(found.iter().eq(expected), "{query:?}");
    }
}

fn check_event(event: &RecordedEvent, expected: &NewEvent, number: u64) {
    let parts = expected.as_parts();
    assert!(event.data == parts.data, "append {number} is not whole");
    assert_eq!(&event.metadata, parts.metadata, "append {number}");
    assert_eq!(event.stream_name(), parts.stream, "append {number}");
    assert_eq!(&event.tags[..], [tag(number)], "append {number}");
}

/// The number of the append that an event was written by.
fn number_of(event: &RecordedEvent) -> u64 {
    let text = std::str::from_utf8(&event.metadata).unwrap();
    text.parse().unwrap()
}

fn read(store: &FileStore, query: Query, options: ReadOptions) -> Vec<RecordedEvent> {
    block_on(async {
        let mut items = store.read(query, options);
        let mut events = Vec::new();
        while let Some(item) = items.next().await {
            if let Item::Event(event) = item.unwrap() {
                events.push(event);
            }
        }
        events
    })
}
