//! Stores of which much was dropped and whose files were written again: whoever looks sees the
//! same.

use std::path::Path;
use std::sync::Arc;

use super::reading::payloads;
use super::workload::{Workload, compact, file_indexes, open, open_sweeping};
use super::{Run, seeds};
use crate::backup::{Backup, CopyError, Original};
use crate::copy::Copy;
use crate::engine::Engine;
use crate::format::Trim;
use crate::inspection::inspect;
use crate::log::SharedLog;
use crate::number;
use crate::repair::{GiveUp, Repaired, mend};
use crate::request::Request;
use crate::storage::Storage;
use crate::storage::simulated::{Fault, Simulated};
use crate::trail::Trail;
use crate::work::Work;

fn follow(medium: &Simulated) -> Trail {
    let medium: Arc<dyn Storage> = Arc::new(medium.clone());
    Trail::open(&medium).expect("there is a store")
}

fn back_up(engine: &Engine, to: &Simulated) -> Result<Backup, CopyError> {
    let copy = Copy::of_open(
        engine.identity,
        &engine.log.read(),
        Arc::clone(&engine.indexes),
    );
    copy.make(to, None, &mut |_| {})
}

fn restore(from: &Simulated) -> Simulated {
    let to = Simulated::new(1);
    let copy = Copy::of_closed(from, Path::new("backup")).expect("it is whole");
    let made = copy.make(&to, Some(Original::MayHaveGoneOn), &mut |_| {});
    made.expect("nothing fails");
    to
}

/// Leaves the last segment, and takes out of the others what was dropped.
fn compact_all(engine: &mut Engine) -> usize {
    let left = engine.committer.ask(Request::of_leaving());
    left.expect("nothing fails");
    let compacted = compact(engine).expect("nothing fails");
    compacted.segments_rewritten
}

/// How many stubs there are. What was dropped is hidden, also where nothing but its place is left.
fn stubs(log: &SharedLog) -> usize {
    let state = log.read();
    let log_to = state.notes.dropped.log_to();
    let mut stubs = 0;
    for view in state.views() {
        let hidden = state.hidden(view).expect("nothing fails");
        for at in view.first()..=view.last() {
            if view.slot(at).expect("nothing fails").is_stub() {
                stubs += 1;
                let is_hidden = at <= log_to || hidden.shown_from(at) != at;
                assert!(is_hidden, "the stub at {at} is taken for an event");
            }
        }
    }
    stubs
}

fn is_whole(medium: &Simulated) {
    let report = inspect(medium, &mut |_| {}).expect("nothing fails");
    assert!(report.is_whole(), "{:?}", report.findings);
}

/// Any series of appends, trims, deletions and compactions: the writer, one that opens the store
/// again, followers from any time on, and what is restored of a backup, new or brought up to date,
/// show what the account says, by every way to it.
#[test]
fn whoever_looks_at_a_compacted_store_sees_the_same() {
    let (mut rewritten, mut remainders, mut found) = (0, 0, 0);
    for seed in seeds(6) {
        let medium = Simulated::new(seed);
        let mut workload = Workload::new(seed);
        let mut engine = open(&medium).expect("nothing fails");
        let mut followers = vec![follow(&medium)];
        let earlier = Simulated::new(seed);
        for round in 0..12 {
            let _run = Run(format!("round {round}; seed {seed}"));
            workload.run(&mut engine, 4);
            if round % 2 == 0 {
                rewritten += compact_all(&mut engine);
            }
            workload.run(&mut engine, 1);
            if round % 3 == 0 {
                followers.push(follow(&medium));
            }
            remainders += engine.log.read().remainders.len();
            assert!(workload.is_shown_by(&engine.log), "to the writer");
            found += stubs(&engine.log);
            for follower in &mut followers {
                follower.step().expect("nothing fails");
                assert!(workload.is_shown_by(&follower.log), "to a follower");
                stubs(&follower.log);
            }
            for backup in [&earlier, &Simulated::new(round)] {
                back_up(&engine, backup).expect("nothing fails");
                is_whole(backup);
                let restored = restore(backup);
                is_whole(&restored);
                let restored = open(&restored).expect("it is a store");
                assert!(workload.is_shown_by(&restored.log), "by what is restored");
                stubs(&restored.log);
            }
            if round % 4 == 3 {
                drop(engine);
                is_whole(&medium);
                engine = open(&medium).expect("nothing fails");
                assert!(workload.check(&mut engine), "to one who opens it");
                stubs(&engine.log);
            }
        }
    }
    assert!(
        rewritten > 20 && remainders > 20 && found > 1000,
        "too few: {rewritten}, {remainders}, {found}"
    );
}

/// A store of several segments that were all written again, and its account.
fn compacted(seed: u64) -> (Simulated, Workload, Engine) {
    let medium = Simulated::new(seed);
    let mut workload = Workload::that_keeps_all(seed);
    let mut engine = open(&medium).expect("nothing fails");
    while engine.log.read().segments.len() < 6 {
        workload.run(&mut engine, 1);
    }
    let state = engine.log.read();
    let log_to = (state.segments[0].first + state.segments[1].first) / 2;
    let stream = eventwire_store::StreamName::new("room-1").expect("a name");
    let to = state.last();
    drop(state);
    assert!(workload.drops(&mut engine, Trim::Log { to: log_to }));
    assert!(workload.drops(&mut engine, Trim::Stream { stream, to }));
    assert!(compact_all(&mut engine) > 1);
    workload.run(&mut engine, 6);
    (medium, workload, engine)
}

/// A backup that is brought up to date after its store was compacted, and cut short anywhere: it is
/// none, or nothing in it is taken for an event that is none.
#[test]
fn a_backup_is_none_while_compacted_segments_come_without_what_drops_them() {
    let medium = Simulated::new(3);
    let mut workload = Workload::that_keeps_all(3);
    let mut engine = open(&medium).expect("nothing fails");
    while engine.log.read().segments.len() < 3 {
        workload.run(&mut engine, 1);
    }
    let earlier = Simulated::new(1);
    back_up(&engine, &earlier).expect("nothing fails");
    let to = engine.log.shown();
    let stream = eventwire_store::StreamName::new("room-1").expect("a name");
    assert!(workload.drops(&mut engine, Trim::Stream { stream, to }));
    assert!(compact_all(&mut engine) > 1);
    workload.run(&mut engine, 2);
    let counted = earlier.copy();
    let begun_at = counted.operations();
    back_up(&engine, &counted).expect("nothing fails");
    let mut none = 0;
    for operation in 0..counted.operations() - begun_at {
        let _run = Run(format!("cut at operation {operation}"));
        let to = earlier.copy();
        to.fail_at(operation, Fault::PowerCut);
        drop(back_up(&engine, &to));
        let to = to.after_power_cut();
        match open(&to.copy()) {
            Ok(copy) => {
                stubs(&copy.log);
                payloads(&copy.log).expect("it can be read");
            }
            Err(_) => none += 1,
        }
        back_up(&engine, &to).expect("it goes on");
        is_whole(&to);
        let copy = open(&to).expect("it is a store");
        assert!(workload.is_shown_by(&copy.log));
    }
    assert!(none > 5, "{none}");
}

/// Damage anywhere in a store that was compacted: a repair keeps every event that is held before
/// it, and no stub is taken for one, though the words that dropped it are given up.
#[test]
fn a_compacted_store_is_repaired() {
    for seed in seeds(2) {
        let (medium, workload, engine) = compacted(seed);
        file_indexes(&engine);
        let segments = engine.log.read().segments.clone();
        drop(engine);
        let mut repaired = 0;
        for segment in &segments {
            for at in [20, 70, 90, 200, 1500, 3000] {
                let _run = Run(format!("{}, byte {at}; seed {seed}", segment.name));
                let damaged = medium.copy();
                if at >= damaged.bytes(&segment.name).len() {
                    continue;
                }
                damaged.tamper(&segment.name, |bytes| bytes[at] ^= 1);
                let report = inspect(&damaged, &mut |_| {}).expect("nothing fails");
                let Some(from) = report.gives_up_from() else {
                    continue;
                };
                let done = mend(&damaged, &report, GiveUp::EverythingFrom(from));
                assert!(matches!(done, Ok(Repaired::Mended { .. })), "{done:?}");
                repaired += 1;
                is_whole(&damaged);
                let mut engine = open(&damaged).expect("it is repaired");
                let log_to = engine.log.read().notes.dropped.log_to();
                stubs(&engine.log);
                // What is in no file that was rewritten is there again where the words that dropped
                // it are given up.
                let held = workload.held_between(log_to, number::of(from));
                let found = payloads(&engine.log).expect("it can be read");
                let mut rest = found.iter();
                let is_there = |payload| rest.any(|found| found == payload);
                assert!(
                    held.iter().all(is_there),
                    "an event before the damage is gone"
                );
                let mut next = workload.clone();
                next.learn(&engine);
                assert!(next.check(&mut engine));
                next.run(&mut engine, 12);
                assert!(next.check(&mut engine));
                compact_all(&mut engine);
                drop(engine);
                let mut engine = open(&damaged).expect("nothing fails");
                assert!(next.check(&mut engine));
                is_whole(&damaged);
            }
        }
        assert!(repaired > 10, "{repaired}");
    }
}

/// The generations of the segments, from the first on.
fn generations(engine: &Engine) -> u32 {
    let state = engine.log.read();
    let generations = state
        .segments
        .iter()
        .map(|segment| segment.label.generation);
    generations.sum()
}

/// A store that compacts itself gives back what was dropped of the segments that were left, where
/// it is enough, and does nothing more once that is done.
#[test]
fn a_store_compacts_itself() {
    for seed in seeds(4) {
        let _run = Run(format!("seed {seed}"));
        let medium = Simulated::new(seed);
        let mut workload = Workload::that_keeps_all(seed);
        let mut engine = open_sweeping(&medium).expect("nothing fails");
        while engine.log.read().segments.len() < 5 {
            workload.run(&mut engine, 1);
        }
        file_indexes(&engine);
        assert_eq!(generations(&engine), 0, "nothing was dropped");
        let to = engine.log.shown();
        for name in ["room-0", "room-1"] {
            let stream = eventwire_store::StreamName::new(name).expect("a name");
            assert!(workload.drops(&mut engine, Trim::Stream { stream, to }));
        }
        file_indexes(&engine);
        let rewritten = generations(&engine);
        assert!(rewritten > 0, "no segment was rewritten");
        assert!(stubs(&engine.log) > 0);
        assert!(workload.check(&mut engine));
        assert!(
            !Work::Upkeep.is_due(&engine.place) && !Work::Filing.is_due(&engine.place),
            "there is more to do"
        );
        let mut engine = open_sweeping(&medium).expect("nothing fails");
        file_indexes(&engine);
        assert_eq!(generations(&engine), rewritten, "once is enough");
        assert!(workload.check(&mut engine));
        is_whole(&medium);
    }
}

/// The end comes at any operation of a life in which the store compacts itself.
#[test]
fn an_end_at_any_operation_of_a_store_that_compacts_itself_loses_nothing() {
    let life = |medium: &Simulated, workload: &mut Workload| {
        let mut rewritten = 0;
        for _ in 0..2 {
            let Ok(mut engine) = open_sweeping(medium) else {
                break;
            };
            if !workload.check(&mut engine) {
                break;
            }
            for _ in 0..6 {
                workload.run(&mut engine, 1);
                file_indexes(&engine);
            }
            rewritten += generations(&engine);
        }
        rewritten
    };
    let mut rewritten = 0;
    for seed in seeds(3) {
        let whole = Simulated::new(seed);
        rewritten += life(&whole, &mut Workload::new(seed));
        for operation in 0..whole.operations() {
            for fault in [Fault::PowerCut, Fault::Kill] {
                let _run = Run(format!("{fault:?} at operation {operation}; seed {seed}"));
                let medium = Simulated::new(seed ^ operation << 32);
                let mut workload = Workload::new(seed);
                medium.fail_at(operation, fault);
                life(&medium, &mut workload);
                let medium = match fault {
                    Fault::PowerCut => medium.after_power_cut(),
                    _ => medium.after_kill(),
                };
                let mut engine = open_sweeping(&medium).expect("it opens again");
                assert!(workload.check(&mut engine), "it can be read");
                stubs(&engine.log);
                assert!(workload.writes(&mut engine), "it can be written");
                file_indexes(&engine);
                assert!(workload.check(&mut engine), "it can be read");
                is_whole(&medium);
            }
        }
    }
    assert!(rewritten > 3, "{rewritten} segments were rewritten");
}
