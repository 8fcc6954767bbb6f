//! Whatever operations are done, the store answers as the model does.
//!
//! `PROPTEST_CASES` says how many sequences are tried; a sequence that fails is shrunk.

use eventwire_store::{Query, ReadOptions, RecordedEvent, Start};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::lockstep::{Disagreement, Lockstep};
use crate::operation::{Operation, query};
use crate::subject::Subject;

const CASES: u32 = 48;

/// Any sequence of operations has the results the model says.
pub fn any_operations_have_the_results_the_model_says(subject: &Subject) {
    let capabilities = subject.store().capabilities();
    for_all(&vec(Operation::any(&capabilities), 1..40), |operations| {
        let subject = subject.another();
        let mut lockstep = Lockstep::new();
        for operation in &operations {
            lockstep.step(&subject, operation)?;
        }
        lockstep.compare_logs(&subject)
    });
}

/// Any subscription, begun before any of it, is shown what a read shows afterwards.
pub fn any_subscription_is_shown_what_a_read_shows(subject: &Subject) {
    let capabilities = subject.store().capabilities();
    let operations = vec(Operation::any(&capabilities), 1..25);
    for_all(&(query(), operations), |(query, operations)| {
        let subject = subject.another();
        let mut subscription = subject.subscribe(query.clone(), Start::Beginning);
        let mut lockstep = Lockstep::new();
        for operation in &operations {
            lockstep.step(&subject, operation)?;
        }
        let (shown, _) = subscription.until_caught_up_with(subject.head());
        let read = subject.events(query.clone(), ReadOptions::all());
        assert_eq!(shown, read, "subscribed to {query:?}");
        Ok(())
    });
}

/// Any query finds the events of the log that it matches, from any place, in any pages.
pub fn any_query_finds_what_it_matches(subject: &Subject) {
    let capabilities = subject.store().capabilities();
    let mut lockstep = Lockstep::new();
    let mut runner = TestRunner::deterministic();
    // One log for all queries: it is the queries that are many.
    for _ in 0..150 {
        let operation = Operation::any(&capabilities)
            .new_tree(&mut runner)
            .expect("no filter rejects it");
        lockstep
            .step(subject, &operation.current())
            .unwrap_or_else(|error| panic!("{error}"));
    }
    let log = subject.log();
    for_all(
        &(query(), 0..=log.len(), 1..9_usize),
        |(query, begun, size)| {
            let mut after = begun
                .checked_sub(1)
                .map_or_else(Default::default, |index| log[index].position);
            let expected: Vec<RecordedEvent> = log[begun..]
                .iter()
                .filter(|event| query.matches(event.as_ref()))
                .cloned()
                .collect();
            let mut found: Vec<RecordedEvent> = Vec::new();
            while found.len() <= expected.len() {
                let page = subject.events(query.clone(), ReadOptions::after(after).limit(size));
                let Some(last) = page.last() else { break };
                after = last.position;
                found.extend(page);
            }
            assert_eq!(found, expected, "{query:?} in pages of {size}");
            let backward = subject.events(Query::clone(&query), ReadOptions::backward());
            let from_here = backward.into_iter().rev().filter(|event| {
                begun
                    .checked_sub(1)
                    .is_none_or(|index| event.position > log[index].position)
            });
            assert_eq!(
                from_here.collect::<Vec<_>>(),
                expected,
                "{query:?} backward"
            );
            Ok(())
        },
    );
}

/// Panics with the smallest value for which `check` fails, if there is one.
pub(crate) fn for_all<S: Strategy>(
    values: &S,
    check: impl Fn(S::Value) -> Result<(), Disagreement>,
) {
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => Config::default().cases,
        None => CASES,
    };
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let checked = |value| check(value).map_err(|error| TestCaseError::fail(error.to_string()));
    if let Err(failure) = TestRunner::new(config).run(values, checked) {
        panic!("{failure}");
    }
}
