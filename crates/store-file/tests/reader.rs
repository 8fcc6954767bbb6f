//! The reader that lends shows what `read` shows, and nothing else.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use eventwire_store::{
    Append, Category, CheckpointStore, Consumer, EventStore, EventType, IdempotencyKey, Item, Keep,
    NewEvent, Position, Query, ReadOptions, RecordedEvent, Retention, StreamName, Tag,
};
use eventwire_store_file::{Damage, EventView, FileOptions, FileStore, LogReader};
use futures_executor::block_on;
use proptest::prelude::*;

fn read(store: &FileStore, options: ReadOptions) -> Vec<RecordedEvent> {
    block_on(async {
        let mut items = store.read(Query::all(), options);
        let mut events = Vec::new();
        while let Some(item) = items.next().await {
            if let Item::Event(event) = item.unwrap() {
                events.push(event);
            }
        }
        events
    })
}

/// What a reader lends until it has caught up.
fn lent(reader: &mut LogReader) -> Vec<RecordedEvent> {
    let mut events = Vec::new();
    while let Some(batch) = reader.next_batch().unwrap() {
        assert_eq!(batch.iter().len(), batch.len());
        for event in batch {
            let owned = event.to_event();
            assert_same(&event, &owned);
            events.push(owned);
        }
        assert_eq!(
            batch.get(0).unwrap().position(),
            batch.iter().next().unwrap().position()
        );
        assert_eq!(
            batch.iter().next_back().unwrap().to_event(),
            *events.last().unwrap()
        );
        assert!(batch.get(batch.len()).is_none());
    }
    events
}

fn assert_same(view: &EventView<'_>, event: &RecordedEvent) {
    assert_eq!(view.position(), event.position);
    assert_eq!(
        view.stream_name(),
        event.stream_name().map(StreamName::as_str)
    );
    assert_eq!(view.version(), event.version());
    assert_eq!(view.event_type(), event.event_type.as_str());
    assert!(view.tags().eq(event.tags.iter().map(Tag::as_str)));
    assert_eq!(view.uuid(), event.uuid);
    assert_eq!(view.recorded_at(), event.recorded_at);
    assert_eq!(view.metadata(), event.metadata);
    assert_eq!(view.data(), event.data);
}

fn event(random: &mut fastrand::Rng) -> NewEvent {
    let types = [
        "a",
        "posted",
        "a-type-that-is-longer-than-what-is-kept-in-place",
        "gr\u{fc}n",
    ];
    let event_type = EventType::new(types[random.usize(..types.len())]).unwrap();
    let length = match random.u8(..40) {
        0 => 300_000,
        1..10 => random.usize(..5000),
        _ => random.usize(..200),
    };
    let mut event = NewEvent::new(event_type, vec![random.u8(..); length]);
    if random.u8(..4) > 0 {
        let name = format!("room-{}", random.u8(..5));
        event = event.stream(StreamName::new(name).unwrap());
    }
    for _ in 0..random.usize(..4) {
        event = event.tag(Tag::new("t".repeat(random.usize(1..200))).unwrap());
    }
    event.metadata(vec![7; random.usize(..30)])
}

/// One thing that happens to a log.
fn act(store: &FileStore, random: &mut fastrand::Rng) {
    match random.u8(..12) {
        0 => {
            let consumer = Consumer::new("view").unwrap();
            // A checkpoint that would go back is refused.
            drop(block_on(
                store.save_checkpoint(consumer, block_on(store.head()).unwrap()),
            ));
        }
        1 => {
            let stream = StreamName::new(format!("room-{}", random.u8(..5))).unwrap();
            // There may be no such stream.
            drop(block_on(
                store.trim_stream(stream, Keep::all().max_events(3)),
            ));
        }
        2 if random.bool() => {
            block_on(store.trim_log(Keep::all().max_events(60))).unwrap();
        }
        _ => {
            let events = (0..random.usize(1..30))
                .map(|_| event(random))
                .collect::<Vec<_>>();
            let mut append = Append::new().extend(events);
            if random.bool() {
                let key = format!("{}{}", random.u64(..), "k".repeat(random.usize(..80)));
                append = append.key(IdempotencyKey::new(key).unwrap());
            }
            block_on(store.append(append)).unwrap();
        }
    }
}

fn agrees(store: &FileStore, random: &mut fastrand::Rng) {
    let all = read(store, ReadOptions::all());
    let mut backward = read(store, ReadOptions::backward());
    backward.reverse();
    assert_eq!(backward, all);
    let head = block_on(store.head()).unwrap().to_parts().1;
    for after in [
        0,
        head,
        random.u64(..=head),
        random.u64(..=head),
        random.u64(..=head),
    ] {
        let after = Position::from_parts(0, after);
        let above: Vec<_> = all
            .iter()
            .filter(|event| event.position > after)
            .cloned()
            .collect();
        assert_eq!(
            lent(&mut store.reader(Query::all(), after)),
            above,
            "after {after}"
        );
        assert_eq!(
            read(store, ReadOptions::after(after)),
            above,
            "after {after}"
        );
        for query in random.choose_multiple(queries(), 2) {
            let matching: Vec<_> = above
                .iter()
                .filter(|event| query.matches(event.as_ref()))
                .cloned()
                .collect();
            let mut reader = store.reader(query.clone(), after);
            assert_eq!(lent(&mut reader), matching, "{query:?} after {after}");
            assert_eq!(
                reader.position(),
                block_on(store.head()).unwrap().max(after)
            );
            let limit = random.usize(..=matching.len() + 1);
            let mut limited = store.reader(query.clone(), after).limit(limit);
            let first = matching.get(..limit).unwrap_or(&matching);
            assert_eq!(lent(&mut limited), first, "{limit} of {query:?}");
            let mut rest = store.reader(query, limited.position());
            assert_eq!(lent(&mut rest), matching[first.len()..]);
        }
    }
}

/// What is asked of the indexes: one list, several, and what several have in common.
fn queries() -> [Query; 6] {
    let room = |number: u8| StreamName::new(format!("room-{number}")).unwrap();
    let posted = EventType::new("posted").unwrap();
    let category = Query::category(Category::new("room").unwrap());
    [
        Query::all(),
        Query::stream(room(0)),
        Query::streams([room(2), room(3)]),
        Query::types([posted.clone()]),
        category.clone().of_types([posted.clone()]),
        Query::stream(room(1)).or(category.of_types([posted, EventType::new("a").unwrap()])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// From any place, while the log grows and is trimmed, over segments, and after it was opened
    /// again, mapped or not.
    #[test]
    fn reading_and_lending_agree(seed: u64, segment_bytes in 4096u64..100_000, is_mapped: bool) {
        let random = &mut fastrand::Rng::with_seed(seed);
        let directory = tempfile::tempdir().unwrap();
        let mut options = FileOptions::new().segment_bytes(segment_bytes);
        if is_mapped {
            options = options.mapped();
        }
        for _ in 0..3 {
            let store = options.clone().open(directory.path()).unwrap();
            let mut follower = store.reader(Query::all(), block_on(store.head()).unwrap());
            let room = Query::stream(StreamName::new("room-1").unwrap());
            let mut member = store.reader(room.clone(), block_on(store.head()).unwrap());
            // Has begun, and is asked again only after what it is to read was dropped, perhaps.
            let mut sleeper = store.reader(Query::all(), Position::ORIGIN);
            let woken_at = match sleeper.next_batch().unwrap() {
                Some(events) => events.iter().next_back().unwrap().position(),
                None => Position::ORIGIN,
            };
            for _ in 0..random.usize(1..12) {
                let position = follower.position();
                act(&store, random);
                let new = read(&store, ReadOptions::after(position));
                let of_room = new.iter().filter(|event| room.matches(event.as_ref()));
                prop_assert_eq!(lent(&mut member), of_room.cloned().collect::<Vec<_>>());
                prop_assert_eq!(lent(&mut follower), new);
                prop_assert_eq!(follower.position(), block_on(store.head()).unwrap());
            }
            prop_assert_eq!(lent(&mut sleeper), read(&store, ReadOptions::after(woken_at)));
            agrees(&store, random);
            store.close();
            agrees(&store, random);
        }
    }
}

fn numbered(number: usize) -> NewEvent {
    let data = format!("{number:0200}");
    NewEvent::new(EventType::new("posted").unwrap(), data)
        .stream(StreamName::new("room-1").unwrap())
}

/// Commits of ten events, in several segments.
fn write(options: &FileOptions, path: &Path) {
    let store = options.clone().open(path).unwrap();
    for first in (0..100).step_by(10) {
        let events = (first..first + 10).map(numbered);
        block_on(store.append(Append::new().extend(events))).unwrap();
    }
}

#[test]
fn a_writer_and_a_reader_do_not_disturb_each_other() {
    const EVENTS: usize = 600;
    let directory = tempfile::tempdir().unwrap();
    let options = FileOptions::new().segment_bytes(32 << 10).mapped();
    let store = options.open(directory.path()).unwrap();
    let writer = std::thread::spawn({
        let store = store.clone();
        move || {
            for number in 0..EVENTS {
                block_on(store.append(Append::new().event(numbered(number)))).unwrap();
            }
        }
    });
    let mut reader = store.reader(Query::all(), Position::ORIGIN);
    let mut next = 0;
    while next < EVENTS {
        match reader.next_batch().unwrap() {
            Some(events) => {
                for event in events {
                    assert_eq!(event.data(), format!("{next:0200}").as_bytes());
                    next += 1;
                }
            }
            None => {
                let more = Position::from_parts(0, u64::try_from(next + 1).unwrap());
                block_on(store.wait_for(more)).unwrap();
            }
        }
    }
    writer.join().unwrap();
}

/// A byte of the payload of event 34, which is in the first file, the commits before it whole.
#[test]
fn damage_is_named_exactly_and_nothing_behind_it_is_lent() {
    for options in [FileOptions::new(), FileOptions::new().mapped()] {
        let options = options.segment_bytes(16 << 10);
        let directory = tempfile::tempdir().unwrap();
        write(&options, directory.path());
        let log = directory.path().join("00000000000000000001.log");
        let bytes = fs::read(&log).unwrap();
        let payload = format!("{:0200}", 33);
        let at = bytes
            .windows(200)
            .position(|part| part == payload.as_bytes())
            .unwrap();
        let file = OpenOptions::new().write(true).open(&log).unwrap();
        file.write_all_at(b"x", u64::try_from(at + 7).unwrap())
            .unwrap();
        let record = u64::try_from(at - 52 - "posted".len() - "room-1".len()).unwrap();

        let store = options.open(directory.path()).unwrap();
        let mut reader = store.reader(Query::all(), Position::ORIGIN);
        let events = reader.next_batch().unwrap().unwrap();
        assert_eq!(events.len(), 30);
        for _ in 0..2 {
            let error = reader.next_batch().unwrap_err();
            let damage = error.source().unwrap().downcast_ref::<Damage>().unwrap();
            assert_eq!(
                (damage.file(), damage.offset()),
                ("00000000000000000001.log", record)
            );
            assert_eq!(reader.position(), Position::from_parts(0, 30));
        }
        let room = Query::stream(StreamName::new("room-1").unwrap());
        let mut selected = store.reader(room, Position::from_parts(0, 31));
        // Events 32 and 33, of the commit with the damage.
        assert_eq!(selected.next_batch().unwrap().unwrap().len(), 2);
        for _ in 0..2 {
            let error = selected.next_batch().unwrap_err();
            let damage = error.source().unwrap().downcast_ref::<Damage>().unwrap();
            assert_eq!(
                (damage.file(), damage.offset()),
                ("00000000000000000001.log", record)
            );
            assert_eq!(selected.position(), Position::from_parts(0, 33));
        }
        let behind = store
            .reader(Query::all(), Position::from_parts(0, 40))
            .next_batch()
            .unwrap()
            .map(|events| events.len());
        assert!(
            behind.unwrap() >= 10,
            "what is behind can be read by who begins there"
        );
        let read = block_on(async {
            let mut items = store.read(
                Query::all(),
                ReadOptions::after(Position::from_parts(0, 33)),
            );
            items.next().await.unwrap().unwrap_err()
        });
        let damage = read.source().unwrap().downcast_ref::<Damage>().unwrap();
        assert_eq!(
            (damage.file(), damage.offset()),
            ("00000000000000000001.log", record)
        );
    }
}

/// Where two payloads lie in memory, as far apart as in the file: they are of one buffer.
#[test]
fn payloads_are_slices_of_what_was_read() {
    for options in [FileOptions::new(), FileOptions::new().mapped()] {
        let options = options.segment_bytes(16 << 10);
        let directory = tempfile::tempdir().unwrap();
        write(&options, directory.path());
        let store = options.open(directory.path()).unwrap();
        let distance = 52 + "posted".len() + "room-1".len() + 200;

        let events = read(&store, ReadOptions::all().limit(10));
        for pair in events.windows(2) {
            assert_eq!(
                pair[0].data.as_ptr().wrapping_add(distance),
                pair[1].data.as_ptr()
            );
        }
        let mut reader = store.reader(Query::all(), Position::ORIGIN);
        let batch = reader.next_batch().unwrap().unwrap();
        let events: Vec<_> = batch.iter().take(10).collect();
        for pair in events.windows(2) {
            assert_eq!(
                pair[0].data().as_ptr().wrapping_add(distance),
                pair[1].data().as_ptr()
            );
        }
    }
}

/// An index that is mapped is believed page by page, as any is, and made again where it is bad.
#[test]
fn a_damaged_index_that_is_mapped_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let options = FileOptions::new().segment_bytes(16 << 10).mapped();
    write(&options, directory.path());
    let room = || Query::stream(StreamName::new("room-1").unwrap());
    let ask = || {
        let store = options.clone().open(directory.path()).unwrap();
        block_on(async {
            let mut items = store.read(room(), ReadOptions::all());
            let mut count = 0;
            while let Some(item) = items.next().await {
                count += usize::from(matches!(item.unwrap(), Item::Event(_)));
            }
            count
        })
    };
    assert_eq!(ask(), 100);
    let index = directory.path().join("indexes/00000000000000000001.idx");
    let pages = fs::read(&index).unwrap().len() / 4096;
    assert!(
        pages > 4,
        "head, slots, postings, listings and more: {pages}"
    );
    for page in 0..pages {
        let file = OpenOptions::new()
            .write(true)
            .read(true)
            .open(&index)
            .unwrap();
        let at = u64::try_from(page * 4096 + 9).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
        assert_eq!(ask(), 100, "page {page}");
    }
}
