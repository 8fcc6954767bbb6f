//! What a store promises that implements the traits beside the contract.

pub mod checkpoints;
pub mod retention;
pub mod snapshots;

use crate::harness::Harness;
use crate::subject::Subject;
use crate::watchdog::watched;

/// Holds a fresh store to a promise of one of the traits beside the contract.
///
/// # Panics
/// Where the store breaks the promise, or takes longer than [`Harness::PATIENCE`].
pub fn run_extra<H: Harness>(
    make: impl Fn() -> H + Send + Sync + 'static,
    test: fn(&Subject, &H::Store),
) {
    watched(H::PATIENCE, move || {
        let (subject, store) = Subject::open_with_store(make);
        test(&subject, &store);
    });
}

/// Declares a `#[test]` for each promise of
/// [`CheckpointStore`](eventwire_store::CheckpointStore) and of appends that move a checkpoint.
///
/// Takes what [`conformance!`](crate::conformance) takes: an expression that makes a fresh
/// store, or `harness:` and one that makes a [`Harness`].
///
/// ```
/// # use eventwire_store::MemoryStore;
/// eventwire_store_testkit::checkpoints!(MemoryStore::new());
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! checkpoints {
    (harness: $harness:expr) => {
        $crate::declare_extras! {
            $harness, eventwire_store::CheckpointStore, checkpoints {
                a_consumer_never_heard_of_is_at_the_origin
                a_saved_checkpoint_is_shown
                a_checkpoint_only_moves_forward
                a_removed_checkpoint_starts_over
                consumers_are_apart
                an_append_moves_its_consumers_checkpoint
                an_effect_that_has_happened_is_a_conflict
                a_refused_append_moves_no_checkpoint
                a_repeated_append_moves_no_checkpoint
                of_two_instances_of_a_consumer_each_effect_happens_once
            }
        }
    };
    ($store:expr) => {
        $crate::checkpoints!(harness: $crate::Fresh::new(|| $store));
    };
}

/// Declares a `#[test]` for each promise of
/// [`SnapshotStore`](eventwire_store::SnapshotStore), as [`checkpoints!`](crate::checkpoints)
/// does.
#[macro_export]
macro_rules! snapshots {
    (harness: $harness:expr) => {
        $crate::declare_extras! {
            $harness, eventwire_store::SnapshotStore, snapshots {
                there_is_none_at_first
                what_was_saved_is_shown
                the_furthest_is_kept
                another_schema_takes_its_place
                a_removed_snapshot_is_gone
                names_are_apart
            }
        }
    };
    ($store:expr) => {
        $crate::snapshots!(harness: $crate::Fresh::new(|| $store));
    };
}

/// Declares a `#[test]` for each promise of [`Retention`](eventwire_store::Retention), as
/// [`checkpoints!`](crate::checkpoints) does.
#[macro_export]
macro_rules! retention {
    (harness: $harness:expr) => {
        $crate::declare_extras! {
            $harness, eventwire_store::Retention, retention {
                nothing_is_dropped_at_first
                keeping_everything_drops_nothing
                of_the_log_the_oldest_are_dropped
                what_is_held_has_not_moved
                a_log_that_lost_everything_goes_on_where_it_was
                a_reader_from_below_is_told_of_the_gap
                a_reader_from_the_beginning_is_shown_what_is_held
                a_reader_from_above_is_not_told
                a_subscription_that_was_overtaken_is_told
                a_stream_is_trimmed_alone
                readers_of_a_trimmed_stream_are_told_and_others_are_not
                a_trimmed_stream_exists_and_keeps_its_version
                a_stream_that_does_not_exist_cannot_be_trimmed
                a_deleted_stream_is_empty_for_ever
                a_deleted_stream_meets_no_guard
                guards_on_queries_see_what_is_held
                keys_outlive_their_events
                what_was_dropped_stays_dropped
            }
        }
    };
    ($store:expr) => {
        $crate::retention!(harness: $crate::Fresh::new(|| $store));
    };
}

/// Declares the tests of one trait beside the contract.
#[doc(hidden)]
#[macro_export]
macro_rules! declare_extras {
    ($harness:expr, $extra:path, $group:ident { $($name:ident)* }) => {
        mod $group {
            use super::*;

            fn harness() -> impl $crate::Harness<Store: $extra> {
                $harness
            }

            $(
                #[test]
                fn $name() {
                    $crate::run_extra(harness, $crate::extras::$group::$name);
                }
            )*
        }
    };
}
