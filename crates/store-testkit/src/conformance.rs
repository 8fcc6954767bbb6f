use crate::harness::{Harness, Reopen};
use crate::life::Life;
use crate::subject::Subject;
use crate::watchdog::watched;

/// One promise of the contract, and the test that holds a store to it.
#[derive(Debug, Clone, Copy)]
pub struct Promise {
    /// The chapter of the contract, which is a module of [`promises`](crate::promises).
    pub group: &'static str,
    /// The promise as a sentence, which is a function of that module.
    pub name: &'static str,
    /// Panics where the store breaks it.
    pub test: fn(&Subject),
}

/// Holds a fresh store to one promise.
///
/// # Panics
/// Where the store breaks the promise, or takes longer than [`Harness::PATIENCE`].
pub fn run<H: Harness>(make: impl Fn() -> H + Send + Sync + 'static, test: fn(&Subject)) {
    watched(H::PATIENCE, move || test(&Subject::open(make)));
}

/// Holds a fresh store to one promise about something that not every store has.
///
/// # Panics
/// Where the store breaks the promise, or takes longer than [`Harness::PATIENCE`].
pub fn run_with<H: Harness>(
    make: impl Fn() -> H + Send + Sync + 'static,
    test: fn(&Subject, &H::Store),
) {
    watched(H::PATIENCE, move || {
        let (subject, store) = Subject::open_with(make);
        test(&subject, &store);
    });
}

/// Holds a fresh store that can be reopened to one promise about what it keeps.
///
/// # Panics
/// Where the store breaks the promise, or takes longer than [`Harness::PATIENCE`].
pub fn run_reopening<H: Reopen>(make: impl Fn() -> H + Send + Sync + 'static, test: fn(Life<H>)) {
    watched(H::PATIENCE, move || test(Life::begin(make)));
}

/// Every promise that binds every store, in the order of the contract.
pub const PROMISES: &[Promise] = crate::each_promise!(list_promises);

/// Declares a `#[test]` for each promise of the store contract, in a module for each chapter.
///
/// Three forms, by what it takes to open the store:
///
/// ```
/// # use eventwire_store::MemoryStore;
/// // An expression that makes a fresh store.
/// eventwire_store_testkit::conformance!(MemoryStore::new());
/// # fn main() {}
/// ```
///
/// * `conformance!(harness: expr)`: an expression that makes a [`Harness`], for a store that
///   is opened asynchronously or needs something that lives as long as it.
/// * `conformance!(reopening: expr)`: an expression that makes a [`Reopen`] harness. Adds the
///   chapter [`durability`](crate::promises::durability).
///
/// What not every store has is a call of its own, in the same module or another, with
/// `harness:` or `reopening:` as above:
///
/// * `conformance!(checkpoints, harness: expr)` for a
///   [`CheckpointStore`](eventwire_store::CheckpointStore).
/// * `conformance!(snapshots, harness: expr)` for a
///   [`SnapshotStore`](eventwire_store::SnapshotStore).
/// * `conformance!(retention, harness: expr)` for a [`Retention`](eventwire_store::Retention).
///
/// The expression is evaluated for each test. Two stores of one crate are tested in two
/// modules, or in two files under `tests/`.
#[macro_export]
macro_rules! conformance {
    (checkpoints, $form:ident: $harness:expr) => {
        $crate::checkpoint_promises!($form: $harness);
    };
    (snapshots, $form:ident: $harness:expr) => {
        $crate::snapshot_promises!($form: $harness);
    };
    (retention, $form:ident: $harness:expr) => {
        $crate::retention_promises!($form: $harness);
    };
    (harness: $harness:expr) => {
        fn harness() -> impl $crate::Harness {
            $harness
        }
        $crate::each_promise!(declare_tests run);
    };
    (reopening: $harness:expr) => {
        fn harness() -> impl $crate::Reopen {
            $harness
        }
        $crate::each_promise!(declare_tests run);
        $crate::each_lasting_promise!(declare_tests run_reopening);
    };
    ($store:expr) => {
        $crate::conformance!(harness: $crate::Fresh::new(|| $store));
    };
}

/// Hands the table of promises to another macro of this crate.
#[doc(hidden)]
#[macro_export]
macro_rules! each_promise {
    ($then:ident $($with:ident)?) => {
        $crate::$then! { $($with)?;
            // table: of every store
            versions {
                the_first_event_of_a_stream_has_version_1
                each_append_goes_on_where_the_stream_was
                one_append_gives_its_events_rising_versions
                each_stream_counts_by_itself
                streams_whose_names_begin_alike_are_apart
                the_answer_names_each_stream_written_to
                an_event_without_a_stream_has_no_version
                a_refused_append_uses_up_no_version
                writers_at_once_leave_no_version_out
                writers_at_once_are_each_told_their_own_version
            }
            guards {
                expecting_anything_is_met_by_every_stream
                expecting_no_stream_is_met_until_the_first_event
                expecting_a_stream_is_met_from_the_first_event_on
                expecting_a_version_is_met_by_that_version_alone
                expecting_a_version_is_not_met_by_a_missing_stream
                a_conflict_says_which_guard_does_not_hold
                every_guard_must_hold
                two_guards_on_one_stream_are_both_conditions
                a_stream_that_is_only_read_can_be_guarded
                an_appends_own_events_do_not_count
                an_append_without_guards_always_goes_in
                a_conflict_is_about_now_and_not_for_ever
                of_writers_who_expect_the_same_version_one_wins
                guards_on_streams_only_read_prevent_write_skew
                what_a_conflict_was_with_can_be_read
                deciding_again_at_the_actual_version_gets_through
            }
            boundaries {
                a_store_without_query_guards_says_so
                nothing_matches_in_an_empty_log
                a_match_above_the_place_is_a_conflict
                what_was_read_does_not_count
                an_append_counts_above_its_own_before
                only_what_matches_counts
                a_conflict_names_an_event_that_matches
                each_guard_has_its_own_place
                stream_and_query_guards_hold_together
                its_own_events_do_not_count
                where_a_read_caught_up_is_a_sound_place
                a_guard_on_everything_notices_any_append
                nothing_lies_above_the_greatest_place
                a_place_above_the_head_is_invalid
                a_match_below_much_else_is_found
                of_writers_who_claim_one_name_one_wins
                what_a_conflict_matched_can_be_read
                two_decisions_that_read_what_the_other_writes_cannot_both_stand
                a_rule_across_streams_survives_many_writers
                a_guard_on_a_stream_by_query_agrees_with_its_version
            }
            atomicity {
                events_lie_in_the_order_in_which_they_were_given
                one_append_can_write_to_several_streams_and_to_none
                a_conflict_leaves_every_stream_as_it_was
                the_events_of_one_append_lie_next_to_each_other
                a_read_never_ends_within_an_append
                a_backward_read_never_begins_within_an_append
                a_subscription_catches_up_with_whole_appends
                an_append_to_two_streams_moves_both_at_once
                a_large_append_is_one
                conflicts_among_many_writers_leave_nothing_behind
            }
            idempotency {
                the_same_append_with_the_same_key_is_written_once
                the_later_answers_are_the_first_marked_duplicate
                a_duplicate_moves_no_head
                the_same_key_with_other_events_is_refused
                without_a_key_the_same_append_is_written_again
                another_key_is_another_append
                a_duplicate_is_known_before_its_guards_are_looked_at
                other_guards_make_no_other_request
                a_reused_key_is_told_before_a_conflict
                a_refused_append_leaves_its_key_free
                a_fingerprint_of_the_callers_own_decides
                a_uuid_the_store_chose_is_chosen_once
                an_unknown_key_recalls_nothing
                a_known_key_recalls_its_answer
                writers_at_once_are_given_one_answer
                of_writers_who_share_a_key_by_mistake_one_wins
                a_key_is_remembered_behind_many_others
                any_text_is_a_key_of_its_own
            }
            consuming {
                a_store_without_checkpoints_in_appends_says_so
                an_effect_happens_once
                an_effect_of_something_earlier_is_refused
                consumers_are_apart
                the_checkpoint_counts_as_one_past_the_last_guard
                a_refused_append_moves_no_checkpoint
                a_key_is_looked_at_before_the_checkpoint
                of_instances_at_once_one_writes_each_effect
                a_consumer_that_starts_over_has_each_effect_once
                a_checkpoint_is_no_event
            }
            order {
                an_empty_log_has_its_head_at_the_origin
                the_head_is_the_place_of_the_last_event
                a_refused_append_does_not_move_the_head
                positions_rise_from_append_to_append
                an_answer_has_one_rising_position_for_each_event
                an_answers_positions_are_those_of_its_events
                before_lies_between_the_append_and_what_came_earlier
                no_event_lies_at_either_end
                every_event_has_a_place_of_its_own
                what_begins_later_lies_above
                the_head_never_moves_back
                the_head_is_never_below_what_a_reader_was_shown
                nothing_appears_below_a_place_a_read_has_shown
                every_subscription_is_shown_the_same_order
                nothing_appears_at_or_below_a_mark
                all_ways_of_reading_agree_on_the_order
            }
            reading {
                a_read_of_an_empty_log_has_caught_up
                a_read_from_the_beginning_shows_every_event
                an_event_comes_back_as_it_was_given
                tags_keep_their_order
                an_event_without_an_identity_is_given_one
                a_recorded_event_never_changes
                after_leaves_out_the_place_itself
                after_the_head_there_is_nothing
                a_forward_read_ends_with_caught_up
                where_a_read_caught_up_is_a_place_to_go_on_from
                every_mark_is_a_place_to_go_on_from
                a_limit_shows_the_first_and_has_not_caught_up
                a_limit_above_what_matches_changes_nothing
                a_limit_of_exactly_what_matches_shows_all
                a_limit_of_zero_shows_no_event
                a_limit_counts_what_matches
                pages_together_are_the_whole
                a_long_log_is_shown_as_a_whole
                a_stream_is_shown_in_the_order_of_its_versions
                reading_changes_nothing
                a_read_can_be_dropped_at_any_moment
                readers_at_once_are_each_shown_everything
                a_read_outlives_the_handle_it_was_made_from
                a_read_shows_at_least_what_was_there_when_it_began
                a_reader_sees_its_own_writes
            }
            backward {
                a_backward_read_of_an_empty_log_shows_nothing
                a_backward_read_is_the_forward_read_turned_round
                before_leaves_out_the_place_itself
                before_either_end_there_is_nothing_or_everything
                a_backward_read_makes_no_marks
                a_limit_shows_the_last_events
                a_backward_limit_of_zero_shows_no_event
                a_backward_limit_counts_what_matches
                backward_pages_together_are_the_whole
                a_backward_read_beside_writers_leaves_nothing_out
            }
            filters {
                all_is_everything
                a_stream_is_found_by_its_whole_name
                several_streams_are_found_in_the_order_of_the_log
                no_streams_have_no_events
                a_category_is_what_stands_before_the_first_dash
                of_several_types_any_will_do
                of_several_tags_all_must_be_there
                the_conditions_of_an_item_hold_together
                no_types_and_no_tags_are_no_condition
                items_are_alternatives
                what_several_items_match_is_shown_once
                a_query_of_very_many_items_finds_what_they_find
                what_is_rare_is_found_in_a_long_log
                many_streams_are_kept_apart
                a_filter_begins_at_any_place
                a_query_finds_what_came_since
            }
            subscribing {
                history_comes_first_and_then_what_is_appended
                a_subscription_begins_above_its_place
                a_subscription_from_the_end_shows_no_history
                from_now_on_means_from_the_call
                a_subscription_to_an_empty_log_catches_up_and_waits
                a_subscription_says_each_time_that_it_has_caught_up
                a_subscription_says_how_far_it_has_looked
                a_subscription_shows_only_what_matches
                a_subscription_shows_an_event_as_a_read_does
                resuming_after_any_event_goes_on_with_the_next
                resuming_from_any_mark_loses_nothing
                a_slow_subscriber_is_shown_everything
                a_waiting_subscription_is_woken
                all_who_wait_are_woken
                the_hand_over_to_live_is_seamless_under_load
                filtered_subscriptions_under_load_are_each_shown_theirs
                a_subscription_from_the_end_under_load_has_no_gap
                a_subscription_can_be_dropped_at_any_moment
                a_subscription_outlives_the_handle_it_was_made_from
                a_subscription_from_the_greatest_place_is_shown_nothing
                a_large_append_is_shown_whole
            }
            waiting {
                the_origin_is_shown_at_once
                what_was_shown_need_not_be_waited_for
                what_was_waited_for_is_shown
                a_position_above_the_head_is_waited_for
                who_waits_is_woken
                all_who_wait_for_one_position_are_woken
                an_append_that_falls_short_ends_no_waiting
                waiting_can_be_given_up_at_any_moment
            }
            cancelling {
                an_append_never_polled_happens_as_a_whole_or_not_at_all
                an_append_dropped_midway_happens_as_a_whole_or_not_at_all
                repeating_a_dropped_append_with_its_key_has_one_effect
                a_dropped_append_is_still_guarded
                dropped_appends_get_in_nobodys_way
                what_a_dropped_append_wrote_is_shown
            }
            limits {
                an_append_without_events_is_invalid
                an_append_without_events_is_empty_before_all_else
                the_largest_event_is_taken
                a_larger_event_is_too_large
                every_part_of_an_event_counts
                the_most_events_are_taken
                more_events_are_too_many
                the_largest_append_is_taken
                a_larger_append_is_too_large
                the_most_tags_are_taken
                more_tags_are_too_many
                size_is_looked_at_before_key_and_guards
                one_event_past_a_limit_refuses_the_whole_append
                the_store_goes_on_after_what_was_too_large
            }
            hostile {
                any_name_is_a_stream_of_its_own
                any_name_is_a_tag_of_its_own
                any_name_is_a_type_of_its_own
                any_name_is_in_its_category
                the_longest_names_are_taken
                one_text_in_many_places_is_not_confused
                payload_and_metadata_come_back_byte_for_byte
                payloads_of_one_append_do_not_run_into_each_other
                an_event_with_nothing_in_it_is_an_event
                payloads_of_any_length_come_back
                any_uuid_is_kept
            }
            epochs {
                another_log_has_another_epoch
                a_log_keeps_its_epoch
                logs_are_apart
                capabilities_do_not_change
            }
            random {
                any_operations_have_the_results_the_model_says
                any_subscription_is_shown_what_a_read_shows
                any_query_finds_what_it_matches
            }
            storm {
                what_a_storm_of_clients_saw_fits_together
                what_resuming_subscribers_saw_fits_together
                what_became_of_dropped_appends_fits_together
            }
            // end of table
        }
    };
}

/// Hands the table of promises that bind stores which can be reopened to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! each_lasting_promise {
    ($then:ident $($with:ident)?) => {
        $crate::$then! { $($with)?;
            // table: of a store that keeps
            durability {
                every_acknowledged_event_is_there_again
                an_empty_log_opens_empty
                the_epoch_is_kept
                the_head_is_where_it_was
                new_events_lie_above_the_old
                versions_go_on_where_they_were
                guards_look_at_what_was_there_before
                keys_are_remembered
                a_key_used_before_is_refused_to_another_request
                recall_answers_as_it_did
                a_key_of_a_refused_append_is_free
                every_query_finds_what_it_found
                a_subscription_goes_on_from_where_it_was
                a_mark_still_holds
                what_was_refused_is_not_there
                what_was_only_written_outlives_the_store
                what_is_large_is_there_again
                a_log_has_many_lives
                what_many_writers_were_told_is_there
                what_clients_saw_over_several_lives_fits_together
                any_operations_survive_any_reopenings
            }
            // end of table
        }
    };
}

/// Makes tests of the table; `harness` is beside them.
#[doc(hidden)]
#[macro_export]
macro_rules! declare_tests {
    ($run:ident; $($group:ident { $($name:ident)* })*) => {$(
        mod $group {
            $(
                #[test]
                fn $name() {
                    $crate::$run(super::harness, $crate::promises::$group::$name);
                }
            )*
        }
    )*};
}

/// Makes a list of the table.
#[doc(hidden)]
#[macro_export]
macro_rules! list_promises {
    (; $($group:ident { $($name:ident)* })*) => {
        &[$($(
            $crate::conformance::Promise {
                group: stringify!($group),
                name: stringify!($name),
                test: $crate::promises::$group::$name,
            },
        )*)*]
    };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// Every public function of a chapter.
    macro_rules! written {
        ($($group:literal)*) => {
            [$(($group, include_str!(concat!("promises/", $group, ".rs")))),*]
        };
    }

    #[test]
    fn no_promise_is_missing_from_the_table() {
        let table = concat!(include_str!("conformance.rs"), include_str!("optional.rs"));
        let listed: BTreeSet<&str> = table.lines().map(str::trim).collect();
        let chapters = written! {
            "atomicity" "backward" "boundaries" "cancelling" "checkpoints" "consuming"
            "durability" "epochs" "filters" "guards" "hostile" "idempotency" "limits" "order"
            "random" "reading" "retention" "snapshots" "storm" "subscribing" "versions"
            "waiting"
        };
        let modules = include_str!("promises/mod.rs").matches("pub mod ").count();
        assert_eq!(modules, chapters.len(), "each chapter is looked through");
        for (group, source) in chapters {
            let functions = source
                .lines()
                .filter_map(|line| line.strip_prefix("pub fn "));
            for function in functions {
                let end = function.find(['(', '<']).unwrap();
                let name = &function[..end];
                assert!(
                    listed.contains(name),
                    "{group}::{name} is in no test of a backend"
                );
            }
        }
    }
}
