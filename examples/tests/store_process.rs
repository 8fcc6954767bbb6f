//! The program that looks after a store's directory, as people run it.

mod support {
    pub(crate) mod program;
}

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use eventwire::store::{Append, EventStore as _, EventType, NewEvent, Retention as _, StreamName};
use eventwire::store_file::FileStore;
use tempfile::TempDir;

use support::program::program;

const EVENTS: u32 = 20;

fn run(arguments: &[&str]) -> Output {
    let output = Command::new(program("store")).args(arguments).output();
    output.expect("it starts")
}

/// What a run that ends with this status says.
#[track_caller]
fn says(arguments: &[&str], status: i32) -> String {
    let output = run(arguments);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).expect("it speaks UTF-8");
    assert_eq!(output.status.code(), Some(status), "{said}");
    said
}

async fn written() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let store = FileStore::open(directory.path().join("store")).expect("an empty directory");
    for number in 0..EVENTS {
        let event_type = EventType::new("posted").expect("a name");
        let event = NewEvent::new(event_type, format!("message {number}"));
        store
            .append(Append::new().event(event))
            .await
            .expect("the disk has room");
    }
    store.close();
    directory
}

fn path(directory: &TempDir, name: &str) -> String {
    directory.path().join(name).display().to_string()
}

/// Changes a byte of an event in the middle of the log.
fn damage(store: &str) {
    let segment = Path::new(store).join("00000000000000000001.log");
    let mut bytes = fs::read(&segment).expect("the first segment");
    let wanted = b"message 12";
    let at = bytes
        .windows(wanted.len())
        .position(|found| found == wanted)
        .expect("the payload is there as it is");
    bytes[at] ^= 1;
    fs::write(segment, bytes).expect("it can be written");
}

#[tokio::test]
async fn a_damaged_store_is_found_refused_and_repaired() {
    let directory = written().await;
    let store = path(&directory, "store");
    let said = says(&["verify", &store], 0);
    assert!(
        said.contains("20 events in 0 streams and 1 segments"),
        "{said}"
    );
    assert!(said.contains("whole"), "{said}");
    assert!(says(&["repair", &store], 0).contains("nothing to repair"));

    damage(&store);
    let said = says(&["verify", &store], 3);
    assert!(said.contains("00000000000000000001.log at byte"), "{said}");
    assert!(said.contains("position 13: damage"), "{said}");
    assert!(said.contains("`repair --give-up-from 13`"), "{said}");
    let said = says(&["repair", &store], 3);
    assert!(said.contains("nothing was changed"), "{said}");
    let said = says(&["repair", &store, "--give-up-from", "13"], 0);
    assert!(said.contains("moved into salvage-1"), "{said}");
    assert!(Path::new(&store).join("salvage-1/GIVEN-UP.txt").exists());
    let said = says(&["verify", &store], 0);
    assert!(said.contains("12 events"), "{said}");
}

#[tokio::test]
async fn a_store_is_backed_up_and_restored() {
    let directory = written().await;
    let [store, backup, copy, other] =
        ["store", "backup", "copy", "other"].map(|name| path(&directory, name));
    let said = says(&["backup", &store, &backup], 0);
    assert!(
        said.contains("up to position 20: 1 of 1 segments"),
        "{said}"
    );
    let said = says(&["backup", &store, &backup], 0);
    assert!(said.contains("0 of 1 segments"), "{said}");
    says(&["restore", &backup, &copy], 2);
    says(&["restore", &backup, &copy, "--original", "went-on"], 0);
    says(&["verify", &copy], 0);
    let said = says(&["restore", &backup, &copy, "--original", "ended"], 1);
    assert!(said.contains("choose an empty directory"), "{said}");
    damage(&backup);
    let said = says(&["restore", &backup, &other, "--original", "ended"], 1);
    assert!(said.contains("is damaged at byte"), "{said}");
    FileStore::open(copy).expect("a restored store opens");
}

#[tokio::test]
async fn a_store_is_described_and_compacted() {
    let directory = written().await;
    let store = path(&directory, "store");
    let said = says(&["stat", &store], 0);
    assert!(said.contains("events                      20\n"), "{said}");

    let open = FileStore::open(&store).expect("it is whole");
    let room = StreamName::new("room-1").expect("a name");
    for number in 0..EVENTS {
        let event_type = EventType::new("posted").expect("a name");
        let event = NewEvent::new(event_type, format!("a secret {number}"));
        let append = Append::to(room.clone()).event(event);
        open.append(append).await.expect("the disk has room");
    }
    open.delete_stream(room).await.expect("the stream is there");
    // As it is while a process has the store open.
    let said = says(&["stat", &store, "--json"], 0);
    let found: serde_json::Value = serde_json::from_str(&said).expect("it is JSON");
    for (name, expected) in [
        ("events", EVENTS),
        ("events_dropped", EVENTS),
        ("streams", 1),
        ("streams_deleted", 1),
        ("types", 1),
        ("segments", 1),
        ("segments_to_compact", 1),
        ("format", 1),
    ] {
        assert_eq!(found[name], expected, "{name} in {said}");
    }
    assert_eq!(found["head"], "40", "{said}");
    assert_eq!(found["epoch"], open.epoch().to_string(), "{said}");
    assert!(says(&["compact", &store], 1).contains("is open in process"));
    let copy = path(&directory, "copy");
    let said = says(&["backup", &store, &copy], 0);
    assert!(said.contains("up to position 40"), "{said}");
    open.close();

    let said = says(&["compact", &store], 0);
    assert!(said.contains("1 segments written again"), "{said}");
    let said = says(&["stat", &store, "--json"], 0);
    let found: serde_json::Value = serde_json::from_str(&said).expect("it is JSON");
    assert_eq!(found["bytes_to_compact"], 0, "{said}");
    says(&["verify", &store], 0);
    let absent = path(&directory, "absent");
    for command in ["stat", "compact"] {
        says(&[command, &absent], 1);
    }
    assert!(!Path::new(&absent).exists());
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_words() {
    let directory = written().await;
    let store = path(&directory, "store");
    let open = FileStore::open(&store).expect("it is whole");
    let said = says(&["verify", &store], 1);
    assert!(said.contains("close it there first"), "{said}");
    open.close();
    let said = says(&["verify", &path(&directory, "absent")], 1);
    assert!(said.contains("holds no store"), "{said}");
}
