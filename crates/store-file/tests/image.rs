//! Stores that earlier versions of this crate wrote can be read for ever. An image is never
//! made again: a new format gets a new one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use eventwire_store::{
    Append, Epoch, EventStore, EventType, Expect, IdempotencyKey, Item, NewEvent, Query,
    ReadOptions, RecordedEvent, StreamName, Uuid, Version,
};
use eventwire_store_file::{FileOptions, FileStore};
use futures_executor::block_on;
use tempfile::TempDir;

/// A copy of an image, to be opened: opening changes it.
fn copy(name: &str) -> TempDir {
    let image = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/images")
        .join(name);
    let directory = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(image).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), directory.path().join(entry.file_name())).unwrap();
    }
    directory
}

fn events(store: &FileStore) -> Vec<RecordedEvent> {
    block_on(async {
        let mut items = store.read(Query::all(), ReadOptions::all());
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
