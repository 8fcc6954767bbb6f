use std::io::ErrorKind;

use super::reading::payloads;
use super::workload::{Workload, open};
use super::{Run, seeds};
use crate::storage::Storage;
use crate::storage::simulated::{Fault, Simulated, Spares};

/// How many groups of appends are committed after each opening.
const GROUPS: usize = 5;

/// The same where each run is followed by many of a recovery.
const FEW_GROUPS: usize = 3;

/// Opens, appends, opens again and appends again; ends early where the medium does.
fn life(medium: &Simulated, workload: &mut Workload, groups: usize) {
    for _ in 0..2 {
        let Ok(mut engine) = open(medium) else {
            return;
        };
        if !workload.check(&mut engine) {
            return;
        }
        workload.run(&mut engine, groups);
    }
}

fn operations_in_a_life(seed: u64, groups: usize) -> u64 {
    let medium = Simulated::new(seed);
    life(&medium, &mut Workload::new(seed), groups);
    medium.operations()
}

/// What the next process finds.
fn restart(medium: &Simulated, fault: Fault) -> Simulated {
    match fault {
        Fault::PowerCut => medium.after_power_cut(),
        Fault::Kill | Fault::Error(_) | Fault::Forgetting => medium.after_kill(),
    }
}

/// What the next process may find.
fn restarts(medium: &Simulated, fault: Fault) -> Vec<Simulated> {
    match fault {
        Fault::PowerCut | Fault::Forgetting => {
            [Spares::Nothing, Spares::Everything, Spares::Some(1)]
                .map(|spares| medium.after_power_cut_that(spares))
                .into()
        }
        Fault::Kill | Fault::Error(_) => vec![medium.after_kill()],
    }
}

/// Everything that was answered is there after the end came at any operation, and everything
/// that was in doubt is there wholly or not at all; and so again after a second end.
fn survives(first: Fault, second: Fault) {
    let mut runs = 0;
    for seed in seeds(3) {
        for operation in 0..operations_in_a_life(seed, GROUPS) {
            let _run = Run(format!(
                "{first:?} at operation {operation}, then {second:?}; seed {seed}"
            ));
            let medium = Simulated::new(seed ^ operation << 32);
            let mut workload = Workload::new(seed);
            medium.fail_at(operation, first);
            life(&medium, &mut workload, GROUPS);

            let medium = restart(&medium, first);
            medium.fail_at(operation % 61, second);
            life(&medium, &mut workload, GROUPS);

            for medium in restarts(&medium, second) {
                let mut workload = workload.clone();
                let mut engine = open(&medium).expect("a store that lost power opens again");
                assert!(
                    workload.check(&mut engine),
                    "what was recovered can be read"
                );
                let names = medium.list().expect("nothing fails");
                let unfinished = names.iter().find(|name| name.ends_with(".new"));
                assert_eq!(unfinished, None, "what was being made is gone");
                assert!(workload.writes(&mut engine), "a recovered store writes");
            }
            runs += 1;
        }
    }
    println!("{first:?}, then {second:?}: {runs} runs");
}

/// The end comes at any operation of a life, and the next at any operation of the recovery from
/// it: what a recovery leaves half done is recovered from as well. A seed takes every third
/// operation of the life, so that three take all.
fn survives_in_recovery(first: Fault, second: Fault) {
    let mut runs = 0;
    for seed in seeds(1) {
        for operation in (seed % 3..operations_in_a_life(seed, FEW_GROUPS)).step_by(3) {
            let medium = Simulated::new(seed ^ operation << 32);
            let mut workload = Workload::new(seed);
            medium.fail_at(operation, first);
            life(&medium, &mut workload, FEW_GROUPS);

            let medium = restart(&medium, first);
            let whole = medium.copy();
            drop(open(&whole).expect("nothing fails"));
            for at in 0..whole.operations() - medium.operations() {
                let _run = Run(format!(
                    "{first:?} at operation {operation}, then {second:?} at operation {at} of recovery; seed {seed}"
                ));
                let medium = medium.copy();
                medium.fail_at(at, second);
                let mut workload = workload.clone();
                if let Ok(mut engine) = open(&medium) {
                    // What an opening may do without comes last: it opens, and the power is off.
                    let ends = matches!(second, Fault::PowerCut | Fault::Kill);
                    let is_off = ends && medium.has_failed();
                    assert!(
                        workload.check(&mut engine) || is_off,
                        "what was shown can be read"
                    );
                }
                // All it may find, by turns.
                let mut ends = restarts(&medium, second);
                let which = usize::try_from(at).expect("it is short") % ends.len();
                let mut engine =
                    open(&ends.swap_remove(which)).expect("a store opens after an end of recovery");
                assert!(
                    workload.check(&mut engine),
                    "what was recovered can be read"
                );
                runs += 1;
            }
        }
    }
    println!("{first:?}, then {second:?} in recovery: {runs} runs");
}

/// A commit larger than what is made ready ahead leaves remains far beyond the end of the log.
/// They are cut for good: what is written later ends in space that is zero.
#[test]
fn a_large_torn_commit_is_cut_for_good() {
    let mut cut = 0;
    for seed in seeds(6) {
        for operation in 0..12 {
            let _run = Run(format!("operation {operation}; seed {seed}"));
            let medium = Simulated::new(seed);
            let mut workload = Workload::new(seed);
            let mut engine = open(&medium).expect("nothing fails");
            assert!(workload.writes(&mut engine));
            medium.fail_at(operation, Fault::PowerCut);
            workload.write_large(&mut engine, 20_000);

            let medium = medium.after_power_cut();
            let mut engine = open(&medium).expect("a store that lost power opens again");
            assert!(workload.check(&mut engine));
            cut += engine.recovery.bytes_cut;
            let medium = medium.after_power_cut();
            let mut engine = open(&medium).expect("a store that lost power opens again");
            assert_eq!(engine.recovery.bytes_cut, 0, "cut twice");

            // Until it has gone on to another segment: a run may be of notes and repetitions.
            while engine.log.read().segments.len() == 1 {
                workload.run(&mut engine, 12);
            }
            let mut engine = open(&medium).expect("every segment is whole");
            assert!(workload.check(&mut engine));
            assert_eq!(
                payloads(&engine.log).expect("it can be read"),
                workload.held()
            );
        }
    }
    assert!(cut > 0, "no commit was torn");
}

#[test]
fn what_was_answered_survives_power_cuts_at_every_operation() {
    survives(Fault::PowerCut, Fault::PowerCut);
}

#[test]
fn what_was_answered_survives_the_end_of_the_process_at_every_operation() {
    survives(Fault::Kill, Fault::Kill);
}

#[test]
fn what_a_killed_process_left_is_durable_before_it_is_shown() {
    survives(Fault::Kill, Fault::PowerCut);
}

#[test]
fn what_a_failure_left_is_durable_before_it_is_shown() {
    survives(Fault::Error(ErrorKind::Other), Fault::PowerCut);
    survives(Fault::Error(ErrorKind::StorageFull), Fault::PowerCut);
}

#[test]
fn recovery_survives_power_cuts_at_every_operation() {
    survives_in_recovery(Fault::PowerCut, Fault::PowerCut);
    survives_in_recovery(Fault::Kill, Fault::PowerCut);
}

#[test]
fn recovery_survives_failures_of_every_operation() {
    survives_in_recovery(Fault::PowerCut, Fault::Error(ErrorKind::Other));
    survives_in_recovery(Fault::Error(ErrorKind::Other), Fault::PowerCut);
}

#[test]
fn recovery_shows_only_what_is_durable_though_the_system_forgets() {
    survives_in_recovery(Fault::Error(ErrorKind::Other), Fault::Forgetting);
}
