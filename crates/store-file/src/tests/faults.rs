use std::io::ErrorKind;

use super::reading::payloads;
use super::workload::{Workload, file_indexes, open};
use super::{Run, seeds};
use crate::engine::Engine;
use crate::format::Trim;
use crate::storage::Storage;
use crate::storage::simulated::{Fault, Lack, Simulated, Spares};

/// A store is opened and written to while one operation fails; then the same directory is
/// opened again without a restart of the system, which shows what it failed to write; then the
/// power is cut.
fn fails_safely(kind: ErrorKind) {
    for seed in seeds(3) {
        let medium = Simulated::new(seed);
        let mut engine = open(&medium).expect("nothing fails");
        Workload::new(seed).run(&mut engine, 8);
        drop(engine);
        open(&medium).expect("nothing fails");
        for operation in 0..medium.operations() {
            let _run = Run(format!("{kind:?} at operation {operation}; seed {seed}"));
            let medium = Simulated::new(seed ^ operation << 32);
            let mut workload = Workload::new(seed);
            medium.fail_at(operation, Fault::Error(kind));
            if let Ok(mut engine) = open(&medium) {
                workload.run(&mut engine, 8);
                // One operation fails, so the second of two reads does not.
                let found = payloads(&engine.log).or_else(|_| payloads(&engine.log));
                assert_eq!(found.expect("reading goes on"), workload.held());
                if workload.is_in_doubt() {
                    assert!(!workload.writes(&mut engine), "a poisoned store wrote");
                }
            }
            let reopened = open(&medium).or_else(|_| open(&medium));
            let mut engine = reopened.expect("one failure, and a second try");
            assert!(
                workload.check(&mut engine),
                "what was recovered can be read"
            );
            drop(engine);

            let medium = medium.after_power_cut();
            let mut engine = open(&medium).expect("a store that lost power opens again");
            assert!(
                workload.check(&mut engine),
                "what was recovered can be read"
            );
            assert!(workload.writes(&mut engine), "a recovered store writes");
        }
    }
}

#[test]
fn an_error_of_any_operation_loses_nothing_that_was_answered_or_shown() {
    fails_safely(ErrorKind::Other);
}

#[test]
fn a_full_disk_at_any_operation_loses_nothing_that_was_answered_or_shown() {
    fails_safely(ErrorKind::StorageFull);
}

#[test]
fn a_disk_that_is_full_when_space_is_made_is_busy_and_then_takes_more() {
    let mut were_busy = 0;
    for seed in seeds(6) {
        for operation in 0..60 {
            let _run = Run(format!("full at operation {operation}; seed {seed}"));
            let medium = Simulated::new(seed);
            let mut engine = open(&medium).expect("nothing fails");
            let mut workload = Workload::new(seed);
            medium.fail_at(operation, Fault::Error(ErrorKind::StorageFull));
            for _ in 0..12 {
                workload.run(&mut engine, 1);
                if medium.has_failed() {
                    break;
                }
            }
            if medium.has_failed() && engine.log.failure().is_none() {
                were_busy += 1;
                assert!(!workload.is_in_doubt());
                // What was not made ready is not taken for ready: a cut tears nothing but the
                // last commit.
                medium.fail_at(operation % 5, Fault::PowerCut);
                workload.run(&mut engine, 2);
            }
            drop(engine);
            for number in 0..8 {
                let mut workload = workload.clone();
                let medium = medium.after_power_cut_that(Spares::Some(number));
                let mut engine = open(&medium).expect("it opens again");
                assert!(
                    workload.check(&mut engine),
                    "what was recovered can be read"
                );
                assert!(workload.writes(&mut engine), "there is room again");
            }
        }
    }
    assert!(were_busy > 0, "no operation was one that makes space");
}

/// Appends until one is refused, which must be because something has run out.
fn fill(workload: &mut Workload, engine: &mut Engine) {
    for _ in 0..1000 {
        if !workload.writes(engine) {
            assert!(engine.log.failure().is_none(), "a shortage is no failure");
            assert!(!workload.is_in_doubt());
            return;
        }
    }
    panic!("nothing ran out");
}

/// What nobody can write to, for want of files that may be open, is as it was when there are some.
#[test]
fn without_descriptors_a_store_is_busy_and_then_goes_on() {
    for seed in seeds(4) {
        let _run = Run(format!("seed {seed}"));
        let medium = Simulated::new(seed);
        let mut engine = open(&medium).expect("nothing fails");
        let mut workload = Workload::that_keeps_all(seed);
        for _ in 0..3 {
            medium.set_lack(Some(Lack::Descriptors));
            fill(&mut workload, &mut engine);
            medium.set_lack(None);
            workload.run(&mut engine, 4);
            assert!(engine.log.failure().is_none());
        }
        drop(engine);
        let mut engine = open(&medium.after_power_cut()).expect("it opens again");
        assert!(workload.check(&mut engine), "all that was answered");
    }
}

/// On a full disk events can be dropped, which is how there comes to be room again, and what was
/// half made when it was found to be full takes none.
#[test]
fn on_a_full_disk_events_can_be_dropped() {
    for seed in seeds(4) {
        let _run = Run(format!("seed {seed}"));
        let medium = Simulated::new(seed);
        let mut engine = open(&medium).expect("nothing fails");
        let mut workload = Workload::that_keeps_all(seed);
        for _ in 0..3 {
            workload.run(&mut engine, 6);
            medium.set_lack(Some(Lack::Room));
            fill(&mut workload, &mut engine);
            let unfinished = |name: &String| name.ends_with(".new");
            let names = medium.list().expect("nothing fails");
            assert_eq!(names.into_iter().find(unfinished), None);
            let to = engine.log.shown();
            assert!(workload.drops(&mut engine, Trim::Log { to }));
            medium.set_lack(None);
            file_indexes(&engine);
        }
        assert!(workload.check(&mut engine), "what is open");
        drop(engine);
        let mut engine = open(&medium.after_power_cut()).expect("it opens again");
        assert!(workload.check(&mut engine), "all that was answered");
    }
}
