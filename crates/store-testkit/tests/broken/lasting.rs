//! Stores that are right until they are reopened.

use eventwire_store_testkit::promises::durability;
use eventwire_store_testkit::{Harness, Life, Reopen, run_reopening};

use crate::faulty::Faulty;
use crate::{complaint, faults};

/// The fault wakes when the store is reopened.
struct Sleeping(fn() -> Faulty);

impl Harness for Sleeping {
    type Store = Faulty;

    async fn open(&self) -> Faulty {
        (self.0)().asleep()
    }
}

impl Reopen for Sleeping {
    async fn reopen(&self, store: Faulty) -> Faulty {
        store.wake();
        store
    }
}

type Entry = (&'static str, fn(Life<Sleeping>));

/// Fault by name, and the promise that sees it after the store was reopened.
const LASTING: &[Entry] = &[
    (
        "metadata is lost",
        durability::every_acknowledged_event_is_there_again,
    ),
    (
        "the time is that of the reading",
        durability::every_acknowledged_event_is_there_again,
    ),
    (
        "identities are chosen anew",
        durability::every_acknowledged_event_is_there_again,
    ),
    (
        "nothing can be written",
        durability::an_empty_log_opens_empty,
    ),
    (
        "an epoch is chosen at each look",
        durability::the_epoch_is_kept,
    ),
    (
        "the head is one behind",
        durability::the_head_is_where_it_was,
    ),
    (
        "before is the origin",
        durability::new_events_lie_above_the_old,
    ),
    (
        "the answer tells the version before",
        durability::versions_go_on_where_they_were,
    ),
    (
        "guards are not looked at",
        durability::guards_look_at_what_was_there_before,
    ),
    ("keys are not kept", durability::keys_are_remembered),
    ("a duplicate is not marked", durability::keys_are_remembered),
    (
        "keys are not kept",
        durability::a_key_used_before_is_refused_to_another_request,
    ),
    ("nothing is recalled", durability::recall_answers_as_it_did),
    (
        "everything is recalled",
        durability::a_key_of_a_refused_append_is_free,
    ),
    (
        "a category is empty",
        durability::every_query_finds_what_it_found,
    ),
    (
        "after is not looked at",
        durability::a_subscription_goes_on_from_where_it_was,
    ),
    ("after leaves out one more", durability::a_mark_still_holds),
    (
        "the answer tells the version before",
        durability::what_was_refused_is_not_there,
    ),
    (
        "nothing is shown",
        durability::what_was_only_written_outlives_the_store,
    ),
    (
        "some events are left out",
        durability::what_is_large_is_there_again,
    ),
    (
        "long payloads are cut",
        durability::what_is_large_is_there_again,
    ),
    (
        "a read ends after 256 events",
        durability::what_is_large_is_there_again,
    ),
    (
        "every append is written twice",
        durability::a_log_has_many_lives,
    ),
    (
        "some events are left out",
        durability::what_many_writers_were_told_is_there,
    ),
    (
        "versions begin at 2",
        durability::what_clients_saw_over_several_lives_fits_together,
    ),
    (
        "keys are not kept",
        durability::any_operations_survive_any_reopenings,
    ),
];

#[test]
fn stores_that_are_wrong_when_reopened_are_caught() {
    let mut missed = Vec::new();
    for (index, (name, test)) in LASTING.iter().enumerate() {
        let fault = faults().find(|fault| fault.name == *name);
        let store = fault
            .unwrap_or_else(|| panic!("there is no fault {name:?}"))
            .store;
        let complaint = complaint(|| run_reopening(move || Sleeping(store), *test));
        if complaint.is_none_or(|text| text.contains("hangs")) {
            missed.push(format!("entry {index} does not see that {name}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
