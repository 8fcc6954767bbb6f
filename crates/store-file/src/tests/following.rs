use std::io::ErrorKind;
use std::sync::Arc;

use eventwire_store::StreamName;

use super::reading::payloads;
use super::workload::{Workload, compact, file_indexes, open};
use super::{Run, seeds};
use crate::format::{Label, Trim};
use crate::log::SharedLog;
use crate::shown::SHOWN;
use crate::storage::Storage;
use crate::storage::simulated::{Fault, Simulated};
use crate::trail::{Step, Trail};

fn follow(medium: &Simulated) -> Trail {
    let medium: Arc<dyn Storage> = Arc::new(medium.clone());
    Trail::open(&medium).expect("there is a store")
}

/// A follower, whenever it begins, shows what the writer shows: over segments that are left,
/// indexes that are merged, events that are dropped and writers that come back.
#[test]
fn a_follower_shows_what_the_writer_shows() {
    for seed in seeds(6) {
        let medium = Simulated::new(seed);
        let mut workload = Workload::new(seed);
        let mut engine = open(&medium).expect("nothing fails");
        let mut followers = vec![follow(&medium)];
        for round in 0..24 {
            let _run = Run(format!("round {round}; seed {seed}"));
            workload.run(&mut engine, 2);
            for follower in &mut followers {
                follower.step().expect("nothing fails");
                assert_eq!(follower.step().expect("nothing fails"), Step::Same);
                let found = payloads(&follower.log).expect("it can be read");
                assert!(found == payloads(&engine.log).expect("it can be read"));
            }
            match round % 4 {
                0 => followers.push(follow(&medium)),
                1 => file_indexes(&engine),
                2 => {
                    drop(engine);
                    engine = open(&medium).expect("nothing fails");
                }
                _ => {}
            }
        }
        assert!(engine.log.read().segments.len() > 2, "it was short");
    }
}

/// Whatever becomes of the writer: what a follower has shown, the writer that comes back has.
#[test]
fn no_follower_shows_what_a_writer_that_comes_back_does_not_have() {
    let mut shown = 0;
    for seed in seeds(6) {
        for (operation, fault) in
            (0..60).flat_map(|at| [Fault::PowerCut, Fault::Kill].map(|it| (at, it)))
        {
            let _run = Run(format!("{fault:?} at operation {operation}; seed {seed}"));
            let medium = Simulated::new(seed ^ operation << 32);
            let mut workload = Workload::that_keeps_all(seed);
            let mut engine = open(&medium).expect("nothing fails");
            let mut follower = follow(&medium);
            medium.fail_at(operation, fault);
            for _ in 0..8 {
                workload.run(&mut engine, 1);
                drop(follower.step());
            }
            drop(engine);
            let found = {
                let state = follower.log.read();
                state.shown.position
            };
            shown += found;
            let medium = match fault {
                Fault::PowerCut => medium.after_power_cut(),
                _ => medium.after_kill(),
            };
            // Before the writer comes back, and after.
            let early = payloads(&follow(&medium).log).expect("it can be read");
            let engine = open(&medium).expect("it opens again");
            let late = payloads(&follow(&medium).log).expect("it can be read");
            let held = payloads(&engine.log).expect("it can be read");
            assert!(held.starts_with(&early), "shown and not there");
            assert!(held == late);
            assert!(u64::try_from(held.len()).expect("it is short") >= found);
        }
    }
    assert!(shown > 1000, "nothing was shown: {shown}");
}

/// Whatever a follower cannot read once: it shows as much as the writer when it looks again.
#[test]
fn an_error_of_a_follower_passes() {
    let (mut failed, mut are_left) = (0, 0);
    for seed in seeds(12) {
        let mut operation = 0;
        loop {
            let _run = Run(format!("operation {operation}; seed {seed}"));
            let medium = Simulated::new(seed);
            let mut workload = Workload::new(seed);
            let mut engine = open(&medium).expect("nothing fails");
            workload.run(&mut engine, 4);
            let mut follower = follow(&medium);
            workload.run(&mut engine, 6);
            let segments = engine.log.read().segments.len();
            are_left += usize::from(segments > follower.log.read().segments.len());
            medium.fail_at(operation, Fault::Error(ErrorKind::Other));
            // Where the error was of `SHOWN`, one step finds nothing new.
            let mut same = 0;
            while same < 2 {
                match follower.step() {
                    Ok(Step::Same) => same += 1,
                    Ok(_) => same = 0,
                    Err(_) => {}
                }
            }
            let has_failed = medium.has_failed();
            failed += u32::from(has_failed);
            medium.fail_at(u64::MAX / 2, Fault::Kill);
            let found = payloads(&follower.log).expect("it can be read");
            assert!(found == payloads(&engine.log).expect("it can be read"));
            assert!(workload.is_shown_by(&follower.log));
            if !has_failed {
                break;
            }
            operation += 1;
        }
    }
    assert!(failed > 100 && are_left > 100, "{failed}, {are_left}");
}

/// Where no writer says how far it is, all is shown but the last commit.
#[test]
fn without_a_word_of_the_writer_the_last_commit_is_not_shown() {
    let medium = Simulated::new(7);
    let mut workload = Workload::that_keeps_all(7);
    let mut engine = open(&medium).expect("nothing fails");
    workload.run(&mut engine, 12);
    let before = payloads(&engine.log).expect("it can be read");
    workload.write_large(&mut engine, 100);
    medium.remove(SHOWN).expect("it is there");
    let mut follower = follow(&medium);
    assert!(payloads(&follower.log).expect("it can be read") == before);
    drop(engine);
    let engine = open(&medium).expect("nothing fails");
    assert_eq!(follower.step().expect("nothing fails"), Step::Moved);
    let found = payloads(&follower.log).expect("it can be read");
    assert!(found == payloads(&engine.log).expect("it can be read"));
}

#[test]
fn a_follower_ends_where_the_log_has_another_epoch() {
    let medium = Simulated::new(7);
    let mut workload = Workload::that_keeps_all(7);
    let mut engine = open(&medium).expect("nothing fails");
    workload.run(&mut engine, 12);
    let mut follower = follow(&medium);
    let identity = Label {
        epoch: eventwire_store::Epoch::new(9),
        ..engine.identity
    };
    drop(engine);
    crate::identity::publish(&medium, &identity).expect("nothing fails");
    drop(open(&medium).expect("nothing fails"));
    assert_eq!(follower.step().expect("nothing fails"), Step::Ended);
}

/// A follower that is behind by so much that the segments are gone, or were rewritten, that it would
/// read next.
#[test]
fn a_follower_that_was_left_behind_goes_on() {
    for seed in seeds(4) {
        let _run = Run(format!("seed {seed}"));
        let medium = Simulated::new(seed);
        let mut workload = Workload::that_keeps_all(seed);
        let mut engine = open(&medium).expect("nothing fails");
        let mut far = follow(&medium);
        for round in 0..3 {
            workload.run(&mut engine, 3);
            let mut near = follow(&medium);
            for _ in 0..8 {
                workload.write_large(&mut engine, 3000);
            }
            workload.run(&mut engine, 3);
            let stream = StreamName::new("room-1").expect("a name");
            let to = engine.log.shown();
            assert!(workload.drops(&mut engine, Trim::Stream { stream, to }));
            if round > 0 {
                let to = to - 4;
                assert!(workload.drops(&mut engine, Trim::Log { to }));
            }
            file_indexes(&engine);
            compact(&engine).expect("nothing fails");
            workload.run(&mut engine, 3);
            for follower in [&mut far, &mut near] {
                assert_eq!(follower.step().expect("it goes on"), Step::Moved);
                assert_eq!(follower.step().expect("it goes on"), Step::Same);
                assert!(workload.is_shown_by(&follower.log));
                let held = labels(&follower.log);
                assert_eq!(held, labels(&engine.log), "files that are gone are kept");
            }
        }
    }
}

/// Where nothing more is written, a follower lets go of files that are removed or replaced once it
/// has looked at each.
#[test]
fn a_follower_lets_go_of_files_while_nothing_is_written() {
    for seed in seeds(4) {
        let _run = Run(format!("seed {seed}"));
        let medium = Simulated::new(seed);
        let mut workload = Workload::that_keeps_all(seed);
        let mut engine = open(&medium).expect("nothing fails");
        workload.run(&mut engine, 3);
        for _ in 0..8 {
            workload.write_large(&mut engine, 3000);
        }
        workload.run(&mut engine, 3);
        let stream = StreamName::new("room-1").expect("a name");
        let to = engine.log.shown();
        assert!(workload.drops(&mut engine, Trim::Stream { stream, to }));
        assert!(workload.drops(&mut engine, Trim::Log { to: to - 6 }));
        let mut follower = follow(&medium);
        file_indexes(&engine);
        compact(&engine).expect("nothing fails");
        let there = labels(&engine.log);
        assert_ne!(labels(&follower.log), there, "nothing was replaced");
        assert_eq!(follower.step().expect("nothing fails"), Step::Same);
        for _ in 0..labels(&follower.log).len() {
            follower.look_around();
        }
        assert_eq!(labels(&follower.log), there, "files that are gone are kept");
        assert!(workload.is_shown_by(&follower.log));
    }
}

fn labels(log: &SharedLog) -> Vec<Label> {
    let state = log.read();
    state.segments.iter().map(|segment| segment.label).collect()
}

/// Segments that go while they are followed can be read on, and one who begins then sees the rest.
#[test]
fn what_is_dropped_is_dropped_for_followers() {
    let medium = Simulated::new(7);
    let mut workload = Workload::that_keeps_all(7);
    let mut engine = open(&medium).expect("nothing fails");
    let mut follower = follow(&medium);
    for _ in 0..8 {
        workload.write_large(&mut engine, 3000);
    }
    follower.step().expect("nothing fails");
    assert!(workload.drops(&mut engine, Trim::Log { to: 5 }));
    file_indexes(&engine);
    assert!(!engine.log.read().remainders.is_empty());
    workload.write_large(&mut engine, 100);
    follower.step().expect("nothing fails");
    let held = workload.held();
    assert!(payloads(&follower.log).expect("it can be read") == held);
    assert!(payloads(&follow(&medium).log).expect("it can be read") == held);
}
