//! Stores that break what the traits beside the contract promise, each caught by the test
//! that claims the promise.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use eventwire_store::{
    Append, AppendError, Appended, Capabilities, CheckpointStore, Consumer, Epoch, EventStore,
    EventStream, IdempotencyKey, Keep, KeepError, MemoryStore, Position, Query, ReadError,
    ReadOptions, Recalled, Retention, Snapshot, SnapshotName, SnapshotStore, Start, StoreFuture,
    StreamName, Trimmed,
};
use eventwire_store_testkit::extras::{checkpoints, retention, snapshots};
use eventwire_store_testkit::{Fresh, Subject, run_extra};

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    CheckpointsMoveBack,
    CheckpointsAreNotRemoved,
    ConsumersShareACheckpoint,
    EffectsForgetTheirConsumer,
    SnapshotsGoBack,
    SnapshotsIgnoreTheirSchema,
    SnapshotsAreNotRemoved,
    SnapshotsAreCut,
    ReadersAreNotToldOfGaps,
    ReadersFromTheBeginningAreToldOfGaps,
    TheYoungestIsDropped,
    NothingIsDropped,
    DroppedToIsForgotten,
    MissingStreamsAreDeleted,
    DeletedStreamsComeBack,
    StreamsAreTrimmedWithTheLog,
}

struct Broken {
    sound: MemoryStore,
    fault: Fault,
    has_trimmed: AtomicBool,
}

impl Broken {
    fn with(fault: Fault) -> Self {
        Self {
            sound: MemoryStore::new(),
            fault,
            has_trimmed: AtomicBool::new(false),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn name(&self, consumer: Consumer) -> Consumer {
        if self.has(Fault::ConsumersShareACheckpoint) {
            Consumer::new("one").expect("a valid name")
        } else {
            consumer
        }
    }
}

impl EventStore for Broken {
    fn append(&self, append: Append) -> StoreFuture<Result<Appended, AppendError>> {
        if self.has(Fault::EffectsForgetTheirConsumer) && append.consumption().is_some() {
            let forgetful = Append::new().extend(append.events().to_vec());
            return self.sound.append(forgetful);
        }
        self.sound.append(append)
    }
    fn recall(&self, key: IdempotencyKey) -> StoreFuture<Result<Option<Recalled>, ReadError>> {
        self.sound.recall(key)
    }
    fn read(&self, query: Query, options: ReadOptions) -> EventStream {
        let options = match (self.fault, options.direction()) {
            (Fault::ReadersAreNotToldOfGaps, eventwire_store::Direction::Forward { after })
                if after == Position::ORIGIN =>
            {
                ReadOptions::all()
            }
            (Fault::ReadersFromTheBeginningAreToldOfGaps, _) if options.is_all() => {
                ReadOptions::after(Position::ORIGIN)
            }
            _ => options,
        };
        self.sound.read(query, options)
    }
    fn subscribe(&self, query: Query, start: Start) -> EventStream {
        self.sound.subscribe(query, start)
    }
    fn head(&self) -> StoreFuture<Result<Position, ReadError>> {
        self.sound.head()
    }
    fn wait_for(&self, position: Position) -> StoreFuture<Result<(), ReadError>> {
        self.sound.wait_for(position)
    }
    fn epoch(&self) -> Epoch {
        self.sound.epoch()
    }
    fn capabilities(&self) -> Capabilities {
        self.sound.capabilities()
    }
}

impl CheckpointStore for Broken {
    fn checkpoint(&self, consumer: Consumer) -> StoreFuture<Result<Position, ReadError>> {
        self.sound.checkpoint(self.name(consumer))
    }
    fn save_checkpoint(
        &self,
        consumer: Consumer,
        position: Position,
    ) -> StoreFuture<Result<(), KeepError>> {
        let consumer = self.name(consumer);
        if self.has(Fault::CheckpointsMoveBack) {
            drop(self.sound.remove_checkpoint(consumer.clone()));
        }
        self.sound.save_checkpoint(consumer, position)
    }
    fn remove_checkpoint(&self, consumer: Consumer) -> StoreFuture<Result<(), KeepError>> {
        if self.has(Fault::CheckpointsAreNotRemoved) {
            return StoreFuture::ready(Ok(()));
        }
        self.sound.remove_checkpoint(self.name(consumer))
    }
}

impl SnapshotStore for Broken {
    fn snapshot(&self, name: SnapshotName) -> StoreFuture<Result<Option<Snapshot>, ReadError>> {
        self.sound.snapshot(name)
    }
    fn save_snapshot(
        &self,
        name: SnapshotName,
        mut snapshot: Snapshot,
    ) -> StoreFuture<Result<(), KeepError>> {
        match self.fault {
            Fault::SnapshotsGoBack => drop(self.sound.remove_snapshot(name.clone())),
            Fault::SnapshotsIgnoreTheirSchema => snapshot.schema = 1,
            Fault::SnapshotsAreCut => snapshot.data.truncate(4096),
            _ => {}
        }
        self.sound.save_snapshot(name, snapshot)
    }
    fn remove_snapshot(&self, name: SnapshotName) -> StoreFuture<Result<(), KeepError>> {
        if self.has(Fault::SnapshotsAreNotRemoved) {
            return StoreFuture::ready(Ok(()));
        }
        self.sound.remove_snapshot(name)
    }
}

impl Retention for Broken {
    fn trim_log(&self, keep: Keep) -> StoreFuture<Result<Trimmed, KeepError>> {
        self.has_trimmed.store(true, Ordering::Relaxed);
        match self.fault {
            Fault::TheYoungestIsDropped if keep == Keep::all().max_events(3) => {
                self.sound.trim_log(Keep::all().max_events(2))
            }
            Fault::NothingIsDropped => StoreFuture::ready(Ok(Trimmed {
                events: 7,
                dropped_to: Position::from_parts(0, 7),
            })),
            _ => self.sound.trim_log(keep),
        }
    }
    fn trim_stream(
        &self,
        stream: StreamName,
        keep: Keep,
    ) -> StoreFuture<Result<Trimmed, KeepError>> {
        if self.has(Fault::StreamsAreTrimmedWithTheLog) {
            return self.sound.trim_log(keep);
        }
        self.sound.trim_stream(stream, keep)
    }
    fn delete_stream(&self, stream: StreamName) -> StoreFuture<Result<Trimmed, KeepError>> {
        match self.fault {
            Fault::MissingStreamsAreDeleted => StoreFuture::ready(Ok(Trimmed {
                events: 0,
                dropped_to: Position::ORIGIN,
            })),
            Fault::DeletedStreamsComeBack => {
                self.sound.trim_stream(stream, Keep::all().max_events(0))
            }
            _ => self.sound.delete_stream(stream),
        }
    }
    fn dropped_to(&self) -> StoreFuture<Result<Position, ReadError>> {
        if self.has(Fault::DroppedToIsForgotten) && self.has_trimmed.load(Ordering::Relaxed) {
            return StoreFuture::ready(Ok(Position::ORIGIN));
        }
        self.sound.dropped_to()
    }
}

/// A test of the kit, on a store with a fault.
type Held = fn(&Subject, &Broken);

macro_rules! caught {
    ($($fault:ident => $test:expr;)*) => {$({
        fn harness() -> Fresh<fn() -> Broken> {
            Fresh::new(|| Broken::with(Fault::$fault))
        }
        let test: Held = $test;
        let outcome = catch_unwind(AssertUnwindSafe(|| run_extra(harness, test)));
        assert!(outcome.is_err(), "{} was not caught by {}", stringify!($fault), stringify!($test));
    })*};
}

#[test]
fn each_fault_is_caught_by_the_test_that_claims_its_promise() {
    caught! {
        CheckpointsMoveBack => checkpoints::a_checkpoint_only_moves_forward;
        CheckpointsAreNotRemoved => checkpoints::a_removed_checkpoint_starts_over;
        ConsumersShareACheckpoint => checkpoints::consumers_are_apart;
        EffectsForgetTheirConsumer => checkpoints::an_append_moves_its_consumers_checkpoint;
        EffectsForgetTheirConsumer => checkpoints::an_effect_that_has_happened_is_a_conflict;
        EffectsForgetTheirConsumer => checkpoints::of_two_instances_of_a_consumer_each_effect_happens_once;
        SnapshotsGoBack => snapshots::the_furthest_is_kept;
        SnapshotsIgnoreTheirSchema => snapshots::another_schema_takes_its_place;
        SnapshotsAreNotRemoved => snapshots::a_removed_snapshot_is_gone;
        SnapshotsAreCut => snapshots::what_was_saved_is_shown;
        ReadersAreNotToldOfGaps => retention::a_reader_from_below_is_told_of_the_gap;
        ReadersAreNotToldOfGaps => retention::readers_of_a_trimmed_stream_are_told_and_others_are_not;
        ReadersFromTheBeginningAreToldOfGaps => retention::a_reader_from_the_beginning_is_shown_what_is_held;
        TheYoungestIsDropped => retention::of_the_log_the_oldest_are_dropped;
        NothingIsDropped => retention::of_the_log_the_oldest_are_dropped;
        NothingIsDropped => retention::keeping_everything_drops_nothing;
        DroppedToIsForgotten => retention::of_the_log_the_oldest_are_dropped;
        MissingStreamsAreDeleted => retention::a_stream_that_does_not_exist_cannot_be_trimmed;
        DeletedStreamsComeBack => retention::a_deleted_stream_is_empty_for_ever;
        DeletedStreamsComeBack => retention::a_deleted_stream_meets_no_guard;
        StreamsAreTrimmedWithTheLog => retention::a_stream_is_trimmed_alone;
        StreamsAreTrimmedWithTheLog => retention::a_stream_that_does_not_exist_cannot_be_trimmed;
    }
}
