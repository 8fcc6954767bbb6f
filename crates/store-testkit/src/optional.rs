/// The tables of the chapters on what not every store has.
///
/// A chapter's harness names a store that has it; `reopening` adds what outlives the store.
#[doc(hidden)]
#[macro_export]
macro_rules! checkpoint_promises {
    ($($form:tt)*) => {
        $crate::declare_optional_tests! { CheckpointStore checkpoints
            {
                // table: checkpoints
                an_unknown_consumer_is_at_the_origin
                what_was_saved_is_read_back
                a_checkpoint_only_moves_forward
                checkpoints_are_apart
                a_forgotten_consumer_starts_over
                forgetting_an_unknown_consumer_is_no_error
                saving_a_checkpoint_appends_nothing
                of_instances_that_save_one_place_one_is_told_so
                an_append_moves_the_same_checkpoint
                // end of table
            }
            {
                // table: lasting checkpoints
                checkpoints_outlive_the_store
                // end of table
            }
            $($form)*
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! snapshot_promises {
    ($($form:tt)*) => {
        $crate::declare_optional_tests! { SnapshotStore snapshots
            {
                // table: snapshots
                of_an_unknown_name_there_is_none
                a_snapshot_is_read_back
                the_furthest_snapshot_is_kept
                a_snapshot_that_is_not_further_changes_nothing
                a_snapshot_of_another_schema_replaces_it
                snapshots_are_apart
                a_forgotten_snapshot_is_none
                saving_a_snapshot_appends_nothing
                // end of table
            }
            {
                // table: lasting snapshots
                a_snapshot_outlives_the_store_whole_or_not_at_all
                // end of table
            }
            $($form)*
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! retention_promises {
    ($($form:tt)*) => {
        $crate::declare_optional_tests! { Retention retention
            {
                // table: retention
                keeping_everything_drops_nothing
                what_is_held_lies_above_what_was_dropped
                the_answer_counts_what_was_dropped
                what_was_dropped_stays_dropped
                trimming_moves_no_head
                a_stream_keeps_its_version
                keys_stay_when_events_go
                guards_see_what_is_held
                a_reader_that_is_too_late_is_told
                a_reader_from_the_beginning_is_told_of_no_gap
                a_subscriber_that_is_up_to_date_is_told_of_no_gap
                trimming_a_stream_leaves_the_others
                who_names_a_trimmed_stream_is_told
                a_stream_must_be_there_to_be_trimmed
                a_deleted_stream_is_gone
                a_deleted_stream_is_never_used_again
                deleting_again_is_no_error
                keys_stay_when_a_stream_is_deleted
                // end of table
            }
            {
                // table: lasting retention
                what_was_dropped_is_not_there_again
                // end of table
            }
            $($form)*
        }
    };
}

/// Makes tests of a chapter's table, in a module of its name.
#[doc(hidden)]
#[macro_export]
macro_rules! declare_optional_tests {
    (
        $trait:ident $group:ident { $($name:ident)* } { $($lasting:ident)* }
        harness: $harness:expr
    ) => {
        mod $group {
            #[allow(unused_imports, reason = "the harness may name what is beside this module")]
            use super::*;

            fn harness() -> impl $crate::Harness<Store: $crate::eventwire_store::$trait> {
                $harness
            }
            $(
                #[test]
                fn $name() {
                    $crate::run_with(harness, $crate::promises::$group::$name);
                }
            )*
        }
    };
    (
        $trait:ident $group:ident { $($name:ident)* } { $($lasting:ident)* }
        reopening: $harness:expr
    ) => {
        mod $group {
            #[allow(unused_imports, reason = "the harness may name what is beside this module")]
            use super::*;

            fn harness() -> impl $crate::Reopen<Store: $crate::eventwire_store::$trait> {
                $harness
            }
            $(
                #[test]
                fn $name() {
                    $crate::run_with(harness, $crate::promises::$group::$name);
                }
            )*
            $(
                #[test]
                fn $lasting() {
                    $crate::run_reopening(harness, $crate::promises::$group::$lasting);
                }
            )*
        }
    };
}
