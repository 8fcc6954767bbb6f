//! How far consumers have come is kept with the log, and as well as the log.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use eventwire_store::{
    Actual, Append, AppendError, CheckpointStore, Consumer, EventStore, EventType, KeepError,
    NewEvent, Position,
};
use eventwire_store_file::{FileOptions, FileStore};
use futures_executor::block_on;

fn consumer() -> Consumer {
    Consumer::new("mailer").unwrap()
}

fn at(number: u64) -> Position {
    Position::from_parts(0, number)
}

fn effect(consumed: u64) -> Append {
    Append::new()
        .event(NewEvent::new(EventType::new("mailed").unwrap(), "x"))
        .consumed(consumer(), at(consumed))
}

fn save(store: &FileStore, position: Position) -> Result<(), KeepError> {
    block_on(store.save_checkpoint(consumer(), position))
}

fn checkpoint(store: &FileStore) -> Position {
    block_on(store.checkpoint(consumer())).unwrap()
}

#[test]
fn a_checkpoint_moves_forward_and_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path()).unwrap();
    assert_eq!(checkpoint(&store), Position::ORIGIN);
    save(&store, at(3)).unwrap();
    save(&store, Position::from_parts(7, 1)).unwrap();
    store.close();
    let closed = save(&store, Position::from_parts(7, 2));
    assert!(matches!(closed, Err(KeepError::Closed)), "{closed:?}");

    let store = FileStore::open(directory.path()).unwrap();
    assert_eq!(checkpoint(&store), Position::from_parts(7, 1));
    for behind in [Position::from_parts(7, 1), at(9), Position::ORIGIN] {
        let refused = save(&store, behind);
        assert!(
            matches!(refused, Err(KeepError::Behind { at }) if at == Position::from_parts(7, 1)),
            "{refused:?}"
        );
    }
    block_on(store.remove_checkpoint(consumer())).unwrap();
    block_on(store.remove_checkpoint(consumer())).unwrap();
    assert_eq!(checkpoint(&store), Position::ORIGIN);
    store.close();

    let store = FileStore::open(directory.path()).unwrap();
    assert_eq!(checkpoint(&store), Position::ORIGIN);
    assert_eq!(
        block_on(store.head()).unwrap(),
        Position::ORIGIN,
        "no event"
    );
}

#[test]
fn an_effect_moves_its_checkpoint_and_happens_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path()).unwrap();
    // All of them are on their way at once, some of them in one commit.
    let answers: Vec<_> = [1, 2, 2, 1, 3].map(|n| store.append(effect(n))).into();
    let answers: Vec<_> = answers.into_iter().map(block_on).collect();
    let found = |answer: &Result<_, AppendError>| match answer {
        Ok(_) => None,
        Err(AppendError::Conflict(conflict)) => Some((conflict.guard, conflict.actual)),
        Err(error) => panic!("{error}"),
    };
    let refused = Some((0, Actual::Consumed(at(2))));
    assert_eq!(
        answers.iter().map(found).collect::<Vec<_>>(),
        [None, None, refused, refused, None]
    );
    assert_eq!(checkpoint(&store), at(3));
    assert_eq!(block_on(store.head()).unwrap(), at(3));
    store.close();

    let store = FileStore::open(directory.path()).unwrap();
    assert!(block_on(store.append(effect(3))).is_err());
    block_on(store.append(effect(4))).unwrap();
    assert_eq!(checkpoint(&store), at(4));
}

/// A segment is named by its first event, and one without is never left.
#[test]
fn a_log_of_checkpoints_alone_can_be_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let options = || FileOptions::new().segment_bytes(2048);
    let open = || options().open(directory.path()).unwrap();
    let mut moved = 0;
    for event in 1..4 {
        let store = open();
        for _ in 0..100 {
            moved += 1;
            save(&store, at(moved)).unwrap();
        }
        moved += 1;
        block_on(store.append(effect(moved))).unwrap();
        assert_eq!(block_on(store.head()).unwrap(), at(event));
        store.close();
        assert_eq!(checkpoint(&open()), at(moved));
    }
    assert_eq!(open().recovery().segments, 3);
}
