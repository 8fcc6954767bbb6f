//! Stores that earlier versions of this crate wrote can be read for ever. An image is never
//! made again: a new format gets a new one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use eventwire_store::{
    Append, AppendError, Category, CheckpointStore, Consumer, Epoch, EventStore, EventType, Expect,
    IdempotencyKey, Item, NewEvent, Position, Query, ReadOptions, RecordedEvent, Retention,
    SnapshotName, SnapshotStore, StreamName, Tag, Uuid, Version,
};
use eventwire_store_file::{FileFollower, FileOptions, FileStore, Original, restore, verify};
use futures_executor::block_on;
use tempfile::TempDir;

/// A copy of an image, to be opened: opening changes it.
fn copy(name: &str) -> TempDir {
    let image = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/images")
        .join(name);
    let directory = tempfile::tempdir().unwrap();
    copy_all(&image, directory.path());
    directory
}

fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy_all(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn events(store: &(impl EventStore + ?Sized)) -> Vec<RecordedEvent> {
    matching(store, Query::all())
}

fn matching(store: &(impl EventStore + ?Sized), query: Query) -> Vec<RecordedEvent> {
    block_on(async {
        let mut items = store.read(query, ReadOptions::all());
        let mut events = Vec::new();
        while let Some(item) = items.next().await {
            if let Item::Event(event) = item.unwrap() {
                events.push(event);
            }
        }
        events
    })
}

/// One line for an event, its time and a UUID the store chose aside.
fn line(event: &RecordedEvent) -> String {
    let stream = event.stream.as_ref().map_or_else(
        || "-".to_owned(),
        |place| format!("{}@{}", place.name, place.version),
    );
    let tags: Vec<_> = event.tags.iter().map(ToString::to_string).collect();
    let [metadata, data] =
        [&event.metadata, &event.data].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let data = if data.len() > 40 {
        format!("{} bytes", data.len())
    } else {
        data
    };
    format!(
        "{} {stream} {} {tags:?} {metadata:?} {data:?}",
        event.position, event.event_type
    )
}

/// What the image was made with, and when: seconds since 1970, less than a day before.
const EPOCH: u64 = 0xb5ba_5b60_d003;
const FINGERPRINT: u64 = 0x106c_1561_efb3_5716;
const WRITTEN: u64 = 1_795_219_200;

const FORMAT_1: [&str; 7] = [
    r#"1 room-1@1 opened ["by:ada", "kind:room"] "" "{}""#,
    r#"2 room-1@2 posted [] "{\"from\":\"web\"}" "{\"text\":\"héllo\"}""#,
    r#"3 - noted ["by:ada"] "" """#,
    r#"4 room-2@1 opened [] "" "{}""#,
    r#"5 room-1@3 posted [] "" "1500 bytes""#,
    r#"6 room-1@4 posted [] "" "again""#,
    r#"7 room-2@2 closed [] "" "{}""#,
];

#[test]
fn format_1_is_read() {
    let directory = copy("format-1");
    let store = FileStore::open(directory.path()).unwrap();
    assert_eq!(store.epoch(), Epoch::new(EPOCH));
    assert_eq!(store.recovery().segments, 3);
    assert_eq!(store.recovery().bytes_cut, 0);
    let found = events(&store);
    assert_eq!(found.iter().map(line).collect::<Vec<_>>(), FORMAT_1);
    assert_eq!(
        found[1].uuid,
        Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff)
    );
    let written = UNIX_EPOCH + Duration::from_secs(WRITTEN);
    let age = found[0].recorded_at.duration_since(written).unwrap();
    assert!(age < Duration::from_secs(86_400), "{age:?}");

    let key = IdempotencyKey::new("request-7").unwrap();
    let recalled = block_on(store.recall(key)).unwrap().unwrap();
    assert_eq!(recalled.fingerprint.to_bits(), FINGERPRINT);
    let room = StreamName::new("room-1").unwrap();
    assert_eq!(recalled.appended.version_of(&room), Version::new(4));

    let next = NewEvent::new(EventType::new("posted").unwrap(), "next");
    let next = Append::to(room)
        .expect(Expect::Exact(Version::new(4).unwrap()))
        .event(next);
    assert_eq!(
        block_on(store.append(next)).unwrap().last().to_string(),
        "8"
    );
}

/// The image as the power left it within its last commit.
#[test]
fn a_torn_format_1_is_cut() {
    let directory = copy("format-1-torn");
    let store = FileOptions::new().open(directory.path()).unwrap();
    assert_eq!(
        events(&store).iter().map(line).collect::<Vec<_>>(),
        FORMAT_1[..4]
    );
    assert!(store.recovery().bytes_cut > 0);
}

/// The image of a store with checkpoints, a snapshot, and the index of a segment that was left.
const WITH_INDEX: [&str; 9] = [
    r#"1 room-0@1 posted ["by:ada"] "" "zero""#,
    r#"2 room-1@1 posted ["by:grace"] "" "one""#,
    r#"3 room-2@1 posted ["by:ada"] "" "two""#,
    r#"4 room-0@2 edited ["by:grace"] "" "three""#,
    r#"5 room-1@2 posted ["by:ada"] "" "four""#,
    r#"6 room-2@2 posted ["by:grace"] "" "five""#,
    r#"7 room-0@3 posted [] "" "1500 bytes""#,
    r#"8 room-1@3 posted [] "" "1500 bytes""#,
    r#"9 - noted [] "" "last""#,
];

fn holds_what_it_held(store: &FileStore) {
    assert_eq!(
        events(store).iter().map(line).collect::<Vec<_>>(),
        WITH_INDEX
    );
    for (query, expected) in [
        (
            Query::stream(StreamName::new("room-1").unwrap()),
            &[1, 4, 7][..],
        ),
        (Query::tags([Tag::new("by:ada").unwrap()]), &[0, 2, 4]),
        (Query::types([EventType::new("edited").unwrap()]), &[3]),
        (
            Query::category(Category::new("room").unwrap()),
            &[0, 1, 2, 3, 4, 5, 6, 7],
        ),
    ] {
        let found: Vec<_> = matching(store, query).iter().map(line).collect();
        let expected: Vec<_> = expected.iter().map(|&at: &usize| WITH_INDEX[at]).collect();
        assert_eq!(found, expected);
    }
    for (consumer, at) in [("mailer", 6), ("view", 4), ("forgotten", 0)] {
        let checkpoint = store.checkpoint(Consumer::new(consumer).unwrap());
        assert_eq!(block_on(checkpoint).unwrap(), Position::from_parts(0, at));
    }
    let key = IdempotencyKey::new("request-4").unwrap();
    let recalled = block_on(store.recall(key)).unwrap().unwrap();
    assert_eq!(recalled.appended.last(), Position::from_parts(0, 5));
    let snapshot = block_on(store.snapshot(SnapshotName::new("room-0").unwrap())).unwrap();
    let snapshot = snapshot.unwrap();
    assert_eq!(snapshot.position, Position::from_parts(0, 4));
    assert_eq!(
        (snapshot.schema, &snapshot.data[..]),
        (3, &b"zero three"[..])
    );
}

#[test]
fn format_1_with_an_index_is_read() {
    // An index of the first form is none, and made again.
    for (image, read) in [("format-1-index", 3), ("format-1-lists", 1)] {
        let directory = copy(image);
        let store = FileStore::open(directory.path()).unwrap();
        let recovery = store.recovery();
        assert_eq!((recovery.segments, recovery.segments_read), (3, read));
        holds_what_it_held(&store);
    }
}

/// An index is made from its segment alone, byte for byte.
#[test]
fn an_index_that_is_made_again_is_the_same() {
    let directory = copy("format-1-lists");
    let indexes = ["00000000000000000001.idx", "00000000000000000007.idx"];
    let indexes = indexes.map(|name| directory.path().join("indexes").join(name));
    let bytes = indexes.each_ref().map(|path| fs::read(path).unwrap());
    for path in &indexes {
        fs::remove_file(path).unwrap();
    }
    let store = FileStore::open(directory.path()).unwrap();
    assert_eq!(store.recovery().segments_read, 3);
    holds_what_it_held(&store);
    store.close();
    let again = indexes.map(|path| fs::read(path).unwrap());
    assert!(again == bytes, "the bytes are others");
}

/// The image of a store that was trimmed and compacted: a remainder of the first segment, segments
/// with stubs, a stream that was trimmed and one that was deleted, and how far it was shown. Its
/// indexes are left to be made.
const COMPACTED: [&str; 8] = [
    r#"7 room-1@3 posted ["by:grace"] "" "202 bytes""#,
    r#"10 room-1@4 edited ["by:ada"] "" "203 bytes""#,
    r#"13 room-1@5 posted ["by:grace"] "" "203 bytes""#,
    r#"15 room-0@5 edited ["by:grace"] "" "203 bytes""#,
    r#"16 room-1@6 posted ["by:ada"] "" "603 bytes""#,
    r#"18 room-0@6 posted ["by:ada"] "" "203 bytes""#,
    r#"19 room-1@7 posted ["by:grace"] "" "203 bytes""#,
    r#"21 - noted [] "" "last""#,
];

const COMPACTED_EPOCH: u64 = 0x08ed_eb96_7b1d;

fn holds_what_was_kept(store: &(impl EventStore + ?Sized)) {
    assert_eq!(
        events(store).iter().map(line).collect::<Vec<_>>(),
        COMPACTED
    );
    let room = |number: u8| StreamName::new(format!("room-{number}")).unwrap();
    for (query, expected) in [
        (Query::stream(room(0)), &[3, 5][..]),
        (Query::stream(room(2)), &[]),
        (Query::tags([Tag::new("by:ada").unwrap()]), &[1, 4, 5]),
        (Query::types([EventType::new("edited").unwrap()]), &[1, 3]),
        (
            Query::category(Category::new("room").unwrap()),
            &[0, 1, 2, 3, 4, 5, 6],
        ),
    ] {
        let found: Vec<_> = matching(store, query).iter().map(line).collect();
        let expected: Vec<_> = expected.iter().map(|&at: &usize| COMPACTED[at]).collect();
        assert_eq!(found, expected);
    }
    // Of segments that are gone, and of events that left a stub.
    for (request, position, stream, version) in [(2, 2, 2, 1), (3, 3, 0, 1), (9, 9, 0, 3)] {
        let key = IdempotencyKey::new(format!("request-{request}")).unwrap();
        let recalled = block_on(store.recall(key)).unwrap().unwrap();
        assert_eq!(recalled.appended.last(), Position::from_parts(0, position));
        assert_eq!(
            recalled.appended.version_of(&room(stream)),
            Version::new(version)
        );
    }
}

#[test]
fn a_compacted_format_1_is_read() {
    let directory = copy("format-1-compacted");
    let path = directory.path();
    assert_eq!(verify(path, |_| {}).unwrap().findings, []);
    let follower = FileFollower::open(path).unwrap();
    holds_what_was_kept(&follower);

    let restored = tempfile::tempdir().unwrap();
    restore(path, restored.path(), Original::EndedThere, |_| {}).unwrap();
    for path in [path, restored.path()] {
        let store = FileStore::open(path).unwrap();
        assert_eq!(store.epoch(), Epoch::new(COMPACTED_EPOCH));
        assert_eq!(
            (store.recovery().segments, store.recovery().segments_read),
            (5, 5)
        );
        holds_what_was_kept(&store);
        let dropped_to = block_on(store.dropped_to()).unwrap();
        assert_eq!(dropped_to, Position::from_parts(0, 5));
        let view = block_on(store.checkpoint(Consumer::new("view").unwrap())).unwrap();
        assert_eq!(view, Position::from_parts(0, 20));
        assert!(matches!(
            block_on(store.append(to("room-2", Expect::Any))),
            Err(AppendError::Conflict(_))
        ));
        let next = to("room-0", Expect::Exact(Version::new(6).unwrap()));
        let next = block_on(store.append(next)).unwrap();
        assert_eq!(next.last(), Position::from_parts(0, 22));
    }
    let all = block_on(follower.wait_for(Position::from_parts(0, 22)));
    all.unwrap();
}

fn to(room: &str, expect: Expect) -> Append {
    let event = NewEvent::new(EventType::new("posted").unwrap(), "next");
    Append::to(StreamName::new(room).unwrap())
        .expect(expect)
        .event(event)
}

/// An index of a segment that was rewritten is made from that alone, byte for byte.
#[test]
fn an_index_of_stubs_that_is_made_again_is_the_same() {
    let directory = copy("format-1-compacted");
    let indexes = directory.path().join("indexes");
    let all = || {
        let files = fs::read_dir(&indexes).unwrap().map(|file| file.unwrap());
        let mut files: Vec<_> = files.map(|file| (file.file_name(), file.path())).collect();
        files.sort_unstable();
        let read = |(name, path)| (name, fs::read(path).unwrap());
        files.into_iter().map(read).collect::<Vec<_>>()
    };
    let made = || {
        let store = FileStore::open(directory.path()).unwrap();
        assert_eq!(store.recovery().segments_read, 5);
        holds_what_was_kept(&store);
        store.close();
        all()
    };
    let before = made();
    assert_eq!(before.len(), 4);
    fs::remove_dir_all(&indexes).unwrap();
    assert!(made() == before, "the bytes are others");
}
