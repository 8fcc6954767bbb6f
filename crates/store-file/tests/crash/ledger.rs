use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use eventwire_store::{
    CheckpointStore, EventStore, Item, NewEvent, Query, ReadOptions, RecordedEvent, Retention,
    SnapshotStore, StreamName,
};
use eventwire_store_file::FileStore;
use futures_executor::block_on;

use crate::load::{
    Drops, Said, append, consumer, drops, key, onlooker, open, snapshot, snapshot_name, stream,
    tag, writer,
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
    /// By who has dropped something: up to where.
    dropped: BTreeMap<u64, u64>,
    /// Who was about to drop something, and was not answered.
    in_doubt: BTreeSet<u64>,
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
                Said::Dropping(number) => {
                    self.in_doubt.insert(number);
                }
                Said::Dropped { number, to } => {
                    self.in_doubt.remove(&number);
                    self.dropped.insert(number, to);
                }
                Said::Opened | Said::Compacted | Said::Refused { .. } | Said::Read(_) => {}
            }
        }
    }

    /// Appends that were answered.
    pub(crate) fn appends(&self) -> usize {
        self.written.len()
    }

    /// How often something was dropped.
    pub(crate) fn drops(&self) -> usize {
        self.dropped.len()
    }

    /// Opens the store after an end and holds it to what was said. Opens it again, then once
    /// more without its indexes, so that every byte of every segment is read: it is the same.
    pub(crate) fn check(&mut self, path: &Path, segment_bytes: u64, takes: Takes) {
        let store = open(path, segment_bytes);
        self.cuts += u64::from(store.recovery().bytes_cut > 0);
        self.segments = self.segments.max(store.recovery().segments);
        let account = self.account(&store);
        let events = read(&store, Query::all(), ReadOptions::all());
        self.check_appends(&store, &events, &account);
        self.check_checkpoints(&store, &events);
        self.check_snapshots(&store, takes);
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

    /// What was dropped, as far as it was said, and as the store says it of the log.
    fn account(&self, store: &FileStore) -> Account {
        let mut account = Account {
            log_to: block_on(store.dropped_to()).unwrap().to_parts().1,
            ..Account::default()
        };
        let (mut log_to, mut is_log_in_doubt) = (0, false);
        for (&number, &to) in &self.dropped {
            match drops(number).unwrap() {
                Drops::Log => log_to = to.max(log_to),
                Drops::Stream(stream) | Drops::Deletion(stream) => {
                    let before = account.streams.entry(stream).or_insert(0);
                    *before = to.max(*before);
                }
            }
        }
        for &number in &self.in_doubt {
            match drops(number).unwrap() {
                Drops::Log => is_log_in_doubt = true,
                Drops::Stream(stream) | Drops::Deletion(stream) => {
                    account.in_doubt.insert(stream);
                }
            }
        }
        let is_more = account.log_to > log_to && is_log_in_doubt;
        assert!(account.log_to == log_to || is_more, "{account:?}");
        account
    }

    /// Each append that was answered is at its place, but for what was dropped of it, and every
    /// other that is there is so, and there once.
    fn check_appends(&self, store: &FileStore, events: &[RecordedEvent], account: &Account) {
        let mut found = BTreeSet::new();
        let mut lasts = BTreeMap::new();
        for these in events.chunk_by(|one, next| number_of(one) == number_of(next)) {
            let number = number_of(&these[0]);
            assert!(found.insert(number), "append {number} is there twice");
            let stream = stream(number);
            let expected = append(number);
            // What was dropped of it was at its beginning.
            let gone = expected.events().len().checked_sub(these.len());
            let gone = gone.expect("no append has more events than were appended");
            let (_, before) = these[0].position.to_parts();
            assert!(
                gone == 0 || account.explains(&stream, before - 1),
                "append {number} is not whole"
            );
            for (event, expected) in these.iter().zip(&expected.events()[gone..]) {
                check_event(event, expected, number);
                assert!(!account.drops(event), "append {number} was dropped");
                let version = event.version().unwrap().get();
                let before = lasts.insert(stream.clone(), version);
                let is_next = match before {
                    Some(before) => version == before + 1,
                    None => version == 1 || account.explains(&stream, 1),
                };
                assert!(is_next, "append {number} has version {version}");
            }
            let last = these[these.len() - 1].position;
            if let Some(&said) = self.written.get(&number) {
                assert_eq!(last.to_parts().1, said, "append {number}");
            }
            let recalled = block_on(store.recall(key(number))).unwrap();
            assert_eq!(recalled.unwrap().appended.last(), last, "append {number}");
        }
        for (&number, &last) in &self.written {
            let is_there = found.contains(&number);
            let is_explained = account.explains(&stream(number), last);
            assert!(is_there || is_explained, "append {number} is lost");
            let recalled = block_on(store.recall(key(number))).unwrap();
            let recalled = recalled.expect("what was answered is remembered");
            assert_eq!(recalled.appended.last().to_parts().1, last);
        }
        self.check_order(events, &found);
        let uuids: BTreeSet<_> = events.iter().map(|event| event.uuid).collect();
        assert_eq!(uuids.len(), events.len(), "a UUID is there twice");
    }

    /// Of each stream what is gone is older than what is there.
    fn check_order(&self, events: &[RecordedEvent], found: &BTreeSet<u64>) {
        let mut firsts = BTreeMap::new();
        for event in events {
            firsts.entry(event.stream_name()).or_insert(event.position);
        }
        for (&number, &last) in self.written.iter().filter(|(n, _)| !found.contains(n)) {
            let stream = stream(number);
            let first = firsts.get(&Some(&stream));
            let is_older = first.is_none_or(|first| last < first.to_parts().1);
            assert!(is_older, "append {number} is lost");
        }
    }

    /// A checkpoint that moves with appends is at the last of them that is remembered; another
    /// where it was said to be, or further.
    fn check_checkpoints(&self, store: &FileStore, events: &[RecordedEvent]) {
        let mut reached = BTreeMap::new();
        let found = events.iter().map(number_of);
        for number in found.chain(self.written.keys().copied()) {
            let last = reached.entry(writer(number)).or_insert(number);
            *last = number.max(*last);
        }
        for &number in reached.values() {
            let at = block_on(store.checkpoint(consumer(number))).unwrap();
            let (_, at) = at.to_parts();
            // An append that was not answered, and dropped since, is remembered by its key.
            assert!(at >= number, "at {at}, and {number} was appended");
            assert_eq!(writer(at), writer(number));
            let recalled = block_on(store.recall(key(at))).unwrap();
            assert!(recalled.is_some(), "at {at}, which was never appended");
        }
        for &number in self.noted.values() {
            let at = block_on(store.checkpoint(onlooker(number))).unwrap();
            let (_, at) = at.to_parts();
            assert!(at >= number, "at {at}, said to be at {number}");
            assert_eq!(writer(at), writer(number));
        }
    }

    /// A snapshot is one that was saved, never one that was removed, and of nothing that is lost.
    fn check_snapshots(&self, store: &FileStore, takes: Takes) {
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
            let (_, head) = block_on(store.head()).unwrap().to_parts();
            assert!(last <= head, "of what is lost");
            assert!(self.forgotten.get(&of).is_none_or(|&gone| gone < number));
            let kept = self.kept.get(&of);
            assert!(takes == Takes::Snapshots || kept.is_none_or(|&kept| kept <= number));
        }
    }
}

/// What was dropped.
#[derive(Debug, Default)]
struct Account {
    /// The log, up to here.
    log_to: u64,
    /// Streams, at least up to here.
    streams: BTreeMap<StreamName, u64>,
    /// Streams of which more may be.
    in_doubt: BTreeSet<StreamName>,
}

impl Account {
    /// Whether an event must be gone.
    fn drops(&self, event: &RecordedEvent) -> bool {
        let (_, position) = event.position.to_parts();
        let own = event.stream_name().and_then(|name| self.streams.get(name));
        position <= self.log_to || own.is_some_and(|&to| position <= to)
    }

    /// Whether an event of a stream at a position may be gone.
    fn explains(&self, stream: &StreamName, position: u64) -> bool {
        let is_dropped = self.streams.get(stream).is_some_and(|&to| position <= to);
        position <= self.log_to || is_dropped || self.in_doubt.contains(stream)
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
