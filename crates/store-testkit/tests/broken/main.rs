//! The kit is tested by stores that are wrong: each breaks one promise, and is caught by the
//! tests that claim it. Every test of the kit catches at least one of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod careless;
mod consuming;
mod faulty;
mod following;
mod guarding;
mod keeping;
mod keying;
mod lasting;
mod limiting;
mod querying;
mod reading;
mod showing;
mod spelling;
mod writing;

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use eventwire_store_testkit::{Harness, PROMISES, Promise, run};

use faulty::Faulty;

/// A way to be wrong.
struct Fault {
    name: &'static str,
    /// The promises that see it, as `group::name`.
    caught_by: &'static [&'static str],
    /// The promises that it makes wait for ever.
    hangs: &'static [&'static str],
    store: fn() -> Faulty,
}

struct Patient(fn() -> Faulty);

impl Harness for Patient {
    type Store = Faulty;

    async fn open(&self) -> Faulty {
        (self.0)()
    }
}

struct Hasty(fn() -> Faulty);

impl Harness for Hasty {
    const PATIENCE: Duration = Duration::from_secs(1);

    type Store = Faulty;

    async fn open(&self) -> Faulty {
        (self.0)()
    }
}

fn faults() -> impl Iterator<Item = &'static Fault> {
    let all = [
        writing::FAULTS,
        guarding::FAULTS,
        consuming::FAULTS,
        keying::FAULTS,
        limiting::FAULTS,
        spelling::FAULTS,
        showing::FAULTS,
        querying::FAULTS,
        reading::FAULTS,
        following::FAULTS,
    ];
    all.into_iter().flatten()
}

fn promise(path: &str) -> &'static Promise {
    let is_meant = |promise: &&Promise| format!("{}::{}", promise.group, promise.name) == path;
    PROMISES
        .iter()
        .find(is_meant)
        .unwrap_or_else(|| panic!("there is no promise {path}"))
}

/// What a test says of a store that is wrong.
fn complaint(test: impl FnOnce()) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(test)).err()?;
    Some(text_of(&*panic))
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let formatted = panic.downcast_ref::<String>().cloned();
    formatted
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_default()
}

#[track_caller]
fn check(faults: &[Fault]) {
    let mut missed = Vec::new();
    for fault in faults {
        let (name, store) = (fault.name, fault.store);
        if fault.caught_by.is_empty() && fault.hangs.is_empty() {
            missed.push(format!("no promise is said to see that {name}"));
        }
        for path in fault.caught_by {
            let complaint = complaint(|| run(move || Patient(store), promise(path).test));
            if complaint.is_none_or(|text| text.contains("hangs")) {
                missed.push(format!("{path} does not see that {name}"));
            }
        }
        for path in fault.hangs {
            let complaint = complaint(|| run(move || Hasty(store), promise(path).test));
            if complaint.is_none() {
                missed.push(format!("{path} does not hang although {name}"));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn stores_that_write_wrongly_are_caught() {
    check(writing::FAULTS);
}

#[test]
fn stores_with_other_limits_are_caught() {
    check(limiting::FAULTS);
}

#[test]
fn stores_that_change_names_and_payloads_are_caught() {
    check(spelling::FAULTS);
}

#[test]
fn stores_that_guard_wrongly_are_caught() {
    check(guarding::FAULTS);
}

#[test]
fn stores_that_keep_keys_wrongly_are_caught() {
    check(keying::FAULTS);
}

#[test]
fn stores_that_move_checkpoints_wrongly_are_caught() {
    check(consuming::FAULTS);
}

#[test]
fn stores_that_show_wrongly_are_caught() {
    check(showing::FAULTS);
}

#[test]
fn stores_that_query_wrongly_are_caught() {
    check(querying::FAULTS);
}

#[test]
fn stores_that_read_wrongly_are_caught() {
    check(reading::FAULTS);
}

#[test]
fn stores_that_follow_wrongly_are_caught() {
    check(following::FAULTS);
}

#[test]
fn every_promise_catches_a_store_that_breaks_it() {
    let caught: BTreeSet<&str> = faults()
        .flat_map(|fault| fault.caught_by.iter().chain(fault.hangs))
        .copied()
        .collect();
    let all: BTreeSet<String> = PROMISES
        .iter()
        .map(|promise| format!("{}::{}", promise.group, promise.name))
        .collect();
    let unproved: Vec<_> = all
        .iter()
        .filter(|path| !caught.contains(path.as_str()))
        .collect();
    assert!(
        unproved.is_empty(),
        "no store is known that breaks {unproved:#?}"
    );
}
