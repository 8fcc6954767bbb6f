//! Stores that keep checkpoints, snapshots and old events as no store may.

use std::collections::HashSet;
use std::sync::Mutex;

use eventwire_store::{
    Actual, Append, AppendError, CheckpointStore, Conflict, Consumer, EventStore, EventType, Item,
    Keep, KeepError, MemoryStore, NewEvent, Position, Retention, Snapshot, SnapshotName,
    SnapshotStore, StreamName, Trimmed, Version,
};
use eventwire_store_testkit::promises::{checkpoints, retention, snapshots};
use eventwire_store_testkit::{Fresh, run_with};

use crate::careless::{Careless, Keeping};
use crate::complaint;
use crate::faulty::{Answer, changed, now};

/// Declares a fault: what it does otherwise, and the promises that see it.
macro_rules! careless {
    ($($fault:ident caught by $($group:ident::$name:ident)* { $($method:item)* })*) => {
        $(
            #[derive(Default)]
            struct $fault(#[allow(dead_code, reason = "most faults remember nothing")] Memory);

            impl Careless for $fault {
                $($method)*
            }
        )*

        #[test]
        fn stores_that_keep_wrongly_are_caught() {
            let mut missed = Vec::new();
            $($(
                let seen = complaint(|| {
                    run_with(|| Fresh::new(Keeping::<$fault>::default), $group::$name);
                });
                if seen.is_none_or(|text| text.contains("hangs")) {
                    missed.push(concat!(stringify!($name), " does not see ", stringify!($fault)));
                }
            )*)*
            assert!(missed.is_empty(), "{}", missed.join("\n"));
        }

        const CAUGHT: &[&str] = &[$($(stringify!($name)),*),*];
    };
}

/// What a fault may remember.
#[derive(Default)]
struct Memory(Mutex<HashSet<String>>);

#[test]
fn every_promise_about_what_is_kept_catches_a_store_that_breaks_it() {
    let sources = [
        include_str!("../../src/promises/checkpoints.rs"),
        include_str!("../../src/promises/snapshots.rs"),
        include_str!("../../src/promises/retention.rs"),
    ];
    let of_store = |line: &'static str| {
        let (name, bound) = line.strip_prefix("pub fn ")?.split_once('<')?;
        bound.starts_with('S').then_some(name)
    };
    let all = sources
        .into_iter()
        .flat_map(str::lines)
        .filter_map(of_store);
    let unproved: Vec<_> = all.filter(|name| !CAUGHT.contains(name)).collect();
    assert!(
        unproved.is_empty(),
        "no store is known that breaks {unproved:#?}"
    );
}

fn mark() -> Append {
    Append::new().event(NewEvent::new(EventType::new("mark").unwrap(), ""))
}

careless! {
    CheckpointsBeginSomewhere caught by checkpoints::an_unknown_consumer_is_at_the_origin {
        fn checkpoint(&self, store: &MemoryStore, consumer: Consumer) -> Position {
            let at = now(store.checkpoint(consumer)).unwrap();
            at.max(Position::from_parts(0, 1))
        }
    }
    CheckpointsAreLost caught by checkpoints::what_was_saved_is_read_back {
        fn checkpoint(&self, _: &MemoryStore, _: Consumer) -> Position {
            Position::ORIGIN
        }
    }
    CheckpointsMoveBack caught by
        checkpoints::a_checkpoint_only_moves_forward
        checkpoints::of_instances_that_save_one_place_one_is_told_so
    {
        fn save_checkpoint(&self, store: &MemoryStore, consumer: Consumer, position: Position) -> Result<(), KeepError> {
            now(store.remove_checkpoint(consumer.clone()))?;
            now(store.save_checkpoint(consumer, position)).or(Ok(()))
        }
    }
    CheckpointsBehindAreTaken caught by checkpoints::a_checkpoint_only_moves_forward {
        fn save_checkpoint(&self, store: &MemoryStore, consumer: Consumer, position: Position) -> Result<(), KeepError> {
            now(store.save_checkpoint(consumer, position)).or(Ok(()))
        }
    }
    ConsumersInAnyCase caught by checkpoints::checkpoints_are_apart {
        fn checkpoint(&self, store: &MemoryStore, consumer: Consumer) -> Position {
            now(store.checkpoint(Consumer::new(consumer.as_str().to_lowercase()).unwrap())).unwrap()
        }
    }
    ConsumersAreNotForgotten caught by checkpoints::a_forgotten_consumer_starts_over {
        fn remove_checkpoint(&self, _: &MemoryStore, _: Consumer) -> Result<(), KeepError> {
            Ok(())
        }
    }
    UnknownConsumersCannotBeForgotten caught by checkpoints::forgetting_an_unknown_consumer_is_no_error {
        fn remove_checkpoint(&self, store: &MemoryStore, consumer: Consumer) -> Result<(), KeepError> {
            if now(store.checkpoint(consumer.clone())).unwrap() == Position::ORIGIN {
                return Err(KeepError::NoStream);
            }
            now(store.remove_checkpoint(consumer))
        }
    }
    CheckpointsAreEvents caught by checkpoints::saving_a_checkpoint_appends_nothing {
        fn save_checkpoint(&self, store: &MemoryStore, consumer: Consumer, position: Position) -> Result<(), KeepError> {
            drop(now(store.append(mark())));
            now(store.save_checkpoint(consumer, position))
        }
    }
    AppendsHaveCheckpointsOfTheirOwn caught by checkpoints::an_append_moves_the_same_checkpoint {
        fn append(&self, store: &MemoryStore, append: Append) -> Answer {
            now(store.append(changed(&append, |request| {
                if let Some((consumer, _)) = &mut request.consumed {
                    *consumer = Consumer::new(format!("{consumer} in appends")).unwrap();
                }
            })))
        }
    }

    SnapshotsOutOfNothing caught by snapshots::of_an_unknown_name_there_is_none {
        fn snapshot(&self, store: &MemoryStore, name: SnapshotName) -> Option<Snapshot> {
            let empty = Snapshot { position: Position::ORIGIN, schema: 0, data: "".into() };
            now(store.snapshot(name)).unwrap().or(Some(empty))
        }
    }
    SnapshotsEndAtNul caught by snapshots::a_snapshot_is_read_back {
        fn save_snapshot(&self, store: &MemoryStore, name: SnapshotName, mut snapshot: Snapshot) -> Result<(), KeepError> {
            let end = snapshot.data.iter().position(|byte| *byte == 0);
            snapshot.data.truncate(end.unwrap_or(usize::MAX));
            now(store.save_snapshot(name, snapshot))
        }
    }
    TheFirstSnapshotStays caught by
        snapshots::the_furthest_snapshot_is_kept
        snapshots::a_snapshot_of_another_schema_replaces_it
    {
        fn save_snapshot(&self, store: &MemoryStore, name: SnapshotName, snapshot: Snapshot) -> Result<(), KeepError> {
            match now(store.snapshot(name.clone())).unwrap() {
                Some(_) => Ok(()),
                None => now(store.save_snapshot(name, snapshot)),
            }
        }
    }
    TheLastSnapshotStays caught by snapshots::a_snapshot_that_is_not_further_changes_nothing {
        fn save_snapshot(&self, store: &MemoryStore, name: SnapshotName, snapshot: Snapshot) -> Result<(), KeepError> {
            now(store.remove_snapshot(name.clone()))?;
            now(store.save_snapshot(name, snapshot))
        }
    }
    SnapshotNamesAreCut caught by snapshots::snapshots_are_apart {
        fn save_snapshot(&self, store: &MemoryStore, name: SnapshotName, snapshot: Snapshot) -> Result<(), KeepError> {
            let cut: String = name.as_str().chars().take(250).collect();
            now(store.save_snapshot(SnapshotName::new(cut).unwrap(), snapshot))
        }
        fn snapshot(&self, store: &MemoryStore, name: SnapshotName) -> Option<Snapshot> {
            let cut: String = name.as_str().chars().take(250).collect();
            now(store.snapshot(SnapshotName::new(cut).unwrap())).unwrap()
        }
    }
    SnapshotsAreNotForgotten caught by snapshots::a_forgotten_snapshot_is_none {
        fn remove_snapshot(&self, _: &MemoryStore, _: SnapshotName) -> Result<(), KeepError> {
            Ok(())
        }
    }
    SnapshotsAreEvents caught by snapshots::saving_a_snapshot_appends_nothing {
        fn save_snapshot(&self, store: &MemoryStore, name: SnapshotName, snapshot: Snapshot) -> Result<(), KeepError> {
            drop(now(store.append(mark())));
            now(store.save_snapshot(name, snapshot))
        }
    }

    SomethingIsAlwaysDropped caught by retention::keeping_everything_drops_nothing {
        fn trim_log(&self, store: &MemoryStore, _: Keep) -> Trimmed {
            now(store.trim_log(Keep::all().max_events(1))).unwrap()
        }
    }
    TooMuchIsDropped caught by retention::what_is_held_lies_above_what_was_dropped {
        fn trim_log(&self, store: &MemoryStore, _: Keep) -> Trimmed {
            now(store.trim_log(Keep::all().max_events(0))).unwrap()
        }
    }
    ThePlaceOfTheAnswerIsThatOfTheHead caught by
        retention::what_is_held_lies_above_what_was_dropped
        retention::a_reader_that_is_too_late_is_told
    {
        fn trim_log(&self, store: &MemoryStore, keep: Keep) -> Trimmed {
            let trimmed = now(store.trim_log(keep)).unwrap();
            Trimmed { dropped_to: now(store.head()).unwrap(), ..trimmed }
        }
    }
    AllEverDroppedAreCounted caught by retention::the_answer_counts_what_was_dropped {
        fn trim_log(&self, store: &MemoryStore, keep: Keep) -> Trimmed {
            let trimmed = now(store.trim_log(keep)).unwrap();
            Trimmed { events: trimmed.dropped_to.to_parts().1, ..trimmed }
        }
    }
    ThePlaceIsForgottenWhenNothingIsDropped caught by retention::what_was_dropped_stays_dropped {
        fn trim_log(&self, store: &MemoryStore, keep: Keep) -> Trimmed {
            let trimmed = now(store.trim_log(keep)).unwrap();
            match trimmed.events {
                0 => Trimmed { dropped_to: Position::ORIGIN, ..trimmed },
                _ => trimmed,
            }
        }
    }
    TrimmingIsAnEvent caught by
        retention::trimming_moves_no_head
        retention::trimming_a_stream_leaves_the_others
    {
        fn trim_log(&self, store: &MemoryStore, keep: Keep) -> Trimmed {
            drop(now(store.append(mark())));
            now(store.trim_log(keep)).unwrap()
        }
        fn trim_stream(&self, store: &MemoryStore, stream: StreamName, keep: Keep) -> Result<Trimmed, KeepError> {
            let trimmed = now(store.trim_stream(stream, keep))?;
            Ok(Trimmed { events: trimmed.events + 1, ..trimmed })
        }
    }
    VersionsStartOver caught by retention::a_stream_keeps_its_version {
        fn append(&self, store: &MemoryStore, append: Append) -> Answer {
            now(store.append(append)).map(|mut appended| {
                if now(store.dropped_to()).unwrap() > Position::ORIGIN {
                    for (_, version) in &mut appended.streams {
                        *version = Version::FIRST;
                    }
                }
                appended
            })
        }
    }
    KeysGoWithTheirEvents caught by
        retention::keys_stay_when_events_go
    {
        fn append(&self, store: &MemoryStore, append: Append) -> Answer {
            if now(store.dropped_to()).unwrap() > Position::ORIGIN {
                return now(store.append(changed(&append, |request| request.key = None)));
            }
            now(store.append(append))
        }
    }
    GuardsSeeWhatIsGone caught by retention::guards_see_what_is_held {
        fn append(&self, store: &MemoryStore, append: Append) -> Answer {
            let is_trimmed = now(store.dropped_to()).unwrap() > Position::ORIGIN;
            if is_trimmed && !append.guards().is_empty() {
                let actual = Actual::Match(Position::from_parts(0, 1));
                return Err(AppendError::Conflict(Conflict { guard: 0, actual }));
            }
            now(store.append(append))
        }
    }
    NobodyIsToldOfAGap caught by
        retention::a_reader_that_is_too_late_is_told
        retention::who_names_a_trimmed_stream_is_told
    {
        fn show(item: Item) -> Vec<Item> {
            match item {
                Item::Gap { .. } => vec![],
                item => vec![item],
            }
        }
    }
    EverybodyIsToldOfAGap caught by
        retention::a_reader_from_the_beginning_is_told_of_no_gap
        retention::a_subscriber_that_is_up_to_date_is_told_of_no_gap
        retention::who_names_a_trimmed_stream_is_told
    {
        fn show(item: Item) -> Vec<Item> {
            match item {
                Item::Event(event) => {
                    let gap = Item::Gap { after: Position::ORIGIN, resumed_after: event.position };
                    vec![gap, Item::Event(event)]
                }
                item => vec![item],
            }
        }
    }
    TrimmingAStreamTrimsTheLog caught by retention::trimming_a_stream_leaves_the_others {
        fn trim_stream(&self, store: &MemoryStore, _: StreamName, keep: Keep) -> Result<Trimmed, KeepError> {
            now(store.trim_log(keep))
        }
    }
    UnknownStreamsAreTrimmed caught by retention::a_stream_must_be_there_to_be_trimmed {
        fn trim_stream(&self, store: &MemoryStore, stream: StreamName, keep: Keep) -> Result<Trimmed, KeepError> {
            let nothing = Trimmed { events: 0, dropped_to: Position::ORIGIN };
            now(store.trim_stream(stream, keep)).or(Ok(nothing))
        }
    }
    UnknownStreamsAreDeleted caught by retention::a_stream_must_be_there_to_be_trimmed {
        fn delete_stream(&self, store: &MemoryStore, stream: StreamName) -> Result<Trimmed, KeepError> {
            let nothing = Trimmed { events: 0, dropped_to: Position::ORIGIN };
            now(store.delete_stream(stream)).or(Ok(nothing))
        }
    }
    DeletingIsTrimming caught by retention::a_deleted_stream_is_never_used_again {
        fn delete_stream(&self, store: &MemoryStore, stream: StreamName) -> Result<Trimmed, KeepError> {
            now(store.trim_stream(stream, Keep::all().max_events(0)))
        }
    }
    DeletingKeepsTheLast caught by retention::a_deleted_stream_is_gone {
        fn delete_stream(&self, store: &MemoryStore, stream: StreamName) -> Result<Trimmed, KeepError> {
            now(store.trim_stream(stream, Keep::all().max_events(1)))
        }
    }
    DeletingAgainIsAnError caught by retention::deleting_again_is_no_error {
        fn delete_stream(&self, store: &MemoryStore, stream: StreamName) -> Result<Trimmed, KeepError> {
            if self.0.0.lock().unwrap().insert(stream.to_string()) {
                return now(store.delete_stream(stream));
            }
            Err(KeepError::NoStream)
        }
    }
    TombstonesComeBeforeKeys caught by retention::keys_stay_when_a_stream_is_deleted {
        fn append(&self, store: &MemoryStore, append: Append) -> Answer {
            now(store.append(changed(&append, |request| {
                if self.0.0.lock().unwrap().contains("deleted") {
                    request.key = None;
                }
            })))
        }
        fn delete_stream(&self, store: &MemoryStore, stream: StreamName) -> Result<Trimmed, KeepError> {
            self.0.0.lock().unwrap().insert("deleted".to_owned());
            now(store.delete_stream(stream))
        }
    }
}
