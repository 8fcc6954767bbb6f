use std::io::ErrorKind;
use std::sync::Arc;

use eventwire_store::{Append, Direction, EventType, NewEvent, Query, StreamName};

use super::Run;
use super::flips::{flip, flips};
use super::reading::payloads;
use super::workload::{Workload, compact, file_indexes, open};
use crate::compaction::Compacted;
use crate::engine::Engine;
use crate::error::OpenError;
use crate::format::{PAGE_BYTES, Trim, u64_of};
use crate::identity;
use crate::index::{Remainder, remainder_name};
use crate::inspection::inspect;
use crate::number;
use crate::parts::Parts;
use crate::plan::Plan;
use crate::repair::{GiveUp, RepairError, mend};
use crate::report::Meaning;
use crate::request::Request;
use crate::segment;
use crate::storage::Storage;
use crate::storage::simulated::{Fault, Simulated};

/// The names of files with an ending.
fn names(medium: &Simulated, ending: &str) -> Vec<String> {
    let mut names = medium.list().expect("nothing fails");
    names.retain(|name| name.ends_with(ending));
    names.sort_unstable();
    names
}

/// A store of several segments, some of which are gone, and whose workload may go on.
fn shortened(seed: u64) -> (Simulated, Workload, Engine) {
    let medium = Simulated::new(seed);
    let mut workload = Workload::that_keeps_all(seed);
    let mut engine = open(&medium).expect("nothing fails");
    for _ in 0..2 {
        let segments = engine.log.read().segments.len() + 3;
        while engine.log.read().segments.len() < segments {
            workload.run(&mut engine, 1);
        }
        file_indexes(&engine);
        let to = engine.log.read().segments[2].first;
        assert!(workload.drops(&mut engine, Trim::Log { to }));
        file_indexes(&engine);
    }
    (medium, workload, engine)
}

#[test]
fn segments_of_dropped_events_go_and_what_must_stay_is_kept() {
    for seed in super::seeds(6) {
        let _run = Run(format!("seed {seed}"));
        let (medium, mut workload, mut engine) = shortened(seed);
        let first = engine.log.read().segments[0].first;
        assert!(first > 1 && first <= engine.log.read().notes.dropped.log_to());
        assert_eq!(names(&medium, ".log")[0], segment::name(first));
        assert_eq!(
            engine.log.read().remainders.len(),
            names(&medium, ".rem").len()
        );
        assert!(workload.check(&mut engine), "what is open");
        let before = payloads(&engine.log).expect("it can be read");

        let mut engine = open(&medium).expect("nothing is missing");
        assert_eq!(payloads(&engine.log).expect("it can be read"), before);
        assert!(workload.check(&mut engine), "what was opened");
        for name in medium.within("indexes").list().expect("nothing fails") {
            let indexes = medium.within("indexes");
            indexes.remove(&name).expect("it is there");
        }
        let mut engine = open(&medium).expect("indexes are made again");
        assert!(workload.check(&mut engine), "what was made again");
        workload.run(&mut engine, 10);
        assert!(workload.check(&mut engine), "what goes on");
    }
}

/// However often the log is trimmed, what is kept of what is gone is in few files.
#[test]
fn remainders_are_merged() {
    let medium = Simulated::new(7);
    let mut workload = Workload::that_keeps_all(7);
    let mut engine = open(&medium).expect("nothing fails");
    let mut gone = 0;
    let mut most = 0;
    while gone < 40 {
        workload.run(&mut engine, 2);
        file_indexes(&engine);
        let state = engine.log.read();
        let segments = state.segments.len();
        let to = state.segments[segments - 1].first - 1;
        drop(state);
        if segments > 1 {
            assert!(workload.drops(&mut engine, Trim::Log { to }));
            file_indexes(&engine);
            gone += segments - 1;
            most = most.max(engine.log.read().remainders.len());
        }
    }
    assert!((2..8).contains(&most), "{most} remainders");
    let mut engine = open(&medium).expect("nothing is missing");
    assert!(workload.check(&mut engine));
    assert_eq!(
        engine.log.read().remainders.len(),
        names(&medium, ".rem").len()
    );
}

/// The end comes at any operation of a trim of the log and of what follows it.
fn survives(fault: Fault, seed: u64) {
    let (medium, workload, engine) = shortened(seed);
    drop(engine);
    survives_in(fault, &medium, &workload, |engine, workload| {
        let to = engine.log.shown();
        workload.drops(engine, Trim::Log { to });
        file_indexes(engine);
    });
}

fn survives_in(
    fault: Fault,
    medium: &Simulated,
    workload: &Workload,
    work: impl Fn(&mut Engine, &mut Workload),
) {
    let works = |medium: &Simulated, workload: &mut Workload| {
        if let Ok(mut engine) = open(medium) {
            work(&mut engine, workload);
        }
    };
    let whole = medium.copy();
    let begun = whole.operations();
    works(&whole, &mut workload.clone());
    let length = |medium: &Simulated| -> usize {
        let logs = names(medium, ".log");
        logs.iter().map(|name| medium.bytes(name).len()).sum()
    };
    assert!(length(&whole) < length(medium), "nothing is given back");
    for operation in 0..whole.operations() - begun {
        let _run = Run(format!("{fault:?} at operation {operation}"));
        let medium = medium.copy();
        let mut workload = workload.clone();
        medium.fail_at(operation, fault);
        works(&medium, &mut workload);
        for medium in [medium.after_kill(), medium.after_power_cut()] {
            let mut workload = workload.clone();
            let mut engine = open(&medium).expect("it opens again");
            assert!(workload.check(&mut engine), "it can be read");
            assert!(workload.writes(&mut engine), "it can be written");
            file_indexes(&engine);
            let mut engine = open(&medium).expect("it opens once more");
            assert!(workload.check(&mut engine), "it can be read");
        }
    }
}

#[test]
fn a_power_cut_while_segments_go_loses_nothing() {
    // What a cut takes is drawn: several draws at each operation.
    (0..5).for_each(|seed| survives(Fault::PowerCut, seed));
}

#[test]
fn a_killed_process_that_let_segments_go_loses_nothing() {
    survives(Fault::Kill, 3);
}

#[test]
fn an_error_while_segments_go_loses_nothing() {
    survives(Fault::Error(ErrorKind::Other), 3);
    survives(Fault::Error(ErrorKind::StorageFull), 3);
}

/// What is missing without a word of it in the log is damage.
#[test]
fn a_missing_remainder_or_segment_is_refused() {
    let (medium, ..) = shortened(5);
    for name in names(&medium, ".rem").iter().chain(&names(&medium, ".log")) {
        let damaged = medium.copy();
        damaged.remove(name).expect("it is there");
        let opened = open(&damaged);
        let is_last = Some(name) == names(&medium, ".log").last();
        assert!(
            matches!(opened, Err(OpenError::Damaged(_))) || is_last,
            "without {name}"
        );
    }
    let damaged = medium.copy();
    damaged.remove("IDENTITY").expect("it is there");
    assert!(matches!(open(&damaged), Err(OpenError::Damaged(_))));
}

/// Any bit of a remainder, flipped: what it keeps is there, or said to be damaged, with file and
/// offset. Nothing that was there is said not to have been.
#[test]
fn a_flipped_bit_of_a_remainder_is_found() {
    let (medium, workload, _) = shortened(4);
    let (mut refused, mut harmless) = (0, 0);
    for name in names(&medium, ".rem") {
        for (at, bit) in flips(medium.bytes(&name).len(), 13) {
            let flipped = medium.copy();
            flipped.tamper(&name, |bytes| flip(bytes, at, bit));
            let mut engine = match open(&flipped) {
                Ok(engine) => engine,
                Err(OpenError::Damaged(damage)) => {
                    let page = u64_of(at / PAGE_BYTES * PAGE_BYTES);
                    assert_eq!((damage.file(), damage.offset()), (name.as_str(), page));
                    refused += 1;
                    continue;
                }
                Err(error) => panic!("{name}, byte {at}: {error}"),
            };
            if workload.clone().check(&mut engine) {
                harmless += 1;
            } else {
                refused += 1;
            }
        }
    }
    assert!(refused > 100, "{refused} refused, {harmless} harmless");
}

/// Any byte of a remainder: it is known by its page, and what comes of that is above.
#[test]
fn no_flipped_bit_of_a_remainder_is_passed_over() {
    let (medium, _, _) = shortened(4);
    let identity = identity::read(&medium).expect("nothing fails");
    for first in Parts::of(&medium.list().expect("nothing fails")).remainders {
        let is_whole = || {
            let remainder = Remainder::open(&medium, &identity, first, &Arc::default());
            remainder.is_ok_and(|remainder| remainder.is_whole())
        };
        assert!(is_whole());
        let name = remainder_name(first);
        for (at, bit) in flips(medium.bytes(&name).len(), 1) {
            medium.tamper(&name, |bytes| flip(bytes, at, bit));
            assert!(!is_whole(), "{name}, byte {at}, bit {bit}");
            medium.tamper(&name, |bytes| flip(bytes, at, bit));
        }
    }
}

/// Looking at every byte of a store of which segments are gone finds nothing wrong, and finds what
/// was done to what is kept of them.
#[test]
fn a_shortened_store_is_whole_and_a_bad_remainder_is_not() {
    let (medium, workload, _) = shortened(6);
    let report = inspect(&medium, &mut |_| {}).expect("nothing fails");
    assert!(report.is_whole(), "{:?}", report.findings);
    let head = number::position(workload.last());
    assert_eq!(report.head, head);

    let name = &names(&medium, ".rem")[0];
    let last = medium.bytes(name).len() - 1;
    medium.tamper(name, |bytes| bytes[last] ^= 1);
    let report = inspect(&medium, &mut |_| {}).expect("nothing fails");
    let found: Vec<_> = report
        .findings
        .iter()
        .map(|it| (&it.file, it.meaning))
        .collect();
    assert_eq!(found, [(name, Meaning::Remainder)]);
    let refused = mend(&medium, &report, GiveUp::EverythingFrom(head));
    assert!(
        matches!(refused, Err(RepairError::Remainder { .. })),
        "{refused:?}"
    );
}

/// A repair that gives up all that is left of a shortened log leaves what is gone as it is.
#[test]
fn a_shortened_store_is_repaired() {
    let (medium, ..) = shortened(6);
    let first = names(&medium, ".log")[0].clone();
    let at = segment::first_in(&first).expect("it is one");
    medium.tamper(&first, |bytes| bytes[20] ^= 1);
    let report = inspect(&medium, &mut |_| {}).expect("nothing fails");
    assert_eq!(report.gives_up_from(), Some(number::position(at)));
    mend(
        &medium,
        &report,
        GiveUp::EverythingFrom(number::position(at)),
    )
    .expect("it is allowed");
    let mut engine = open(&medium).expect("it is repaired");
    assert_eq!(engine.log.shown() + 1, at);
    assert_eq!(payloads(&engine.log).expect("it can be read"), [""; 0]);
    let posted = NewEvent::new(EventType::new("posted").expect("a type"), "next");
    let append = Request::new(Append::new().event(posted)).expect("it is small");
    let answer = engine.committer.ask(append);
    assert_eq!(answer.expect("it writes").last(), number::position(at));
}

/// A store of several segments that has dropped much of what is in them, and can say of what.
fn riddled(seed: u64) -> (Simulated, Workload) {
    let medium = Simulated::new(seed);
    let mut workload = Workload::that_keeps_all(seed);
    let mut engine = open(&medium).expect("nothing fails");
    while engine.log.read().segments.len() < 4 {
        workload.run(&mut engine, 1);
    }
    let last = engine.log.shown();
    let state = engine.log.read();
    let to = (state.segments[0].first + state.segments[1].first) / 2;
    drop(state);
    let stream = |name| StreamName::new(name).expect("a name");
    for trim in [
        Trim::Log { to },
        Trim::Deletion {
            stream: stream("passing-0"),
            to: 0,
        },
        Trim::Stream {
            stream: stream("room-1"),
            to: last - 3,
        },
    ] {
        assert!(workload.drops(&mut engine, trim));
    }
    (medium, workload)
}

/// What was dropped is in no file afterwards, and nothing else has changed.
#[test]
fn compacting_takes_out_what_was_dropped_and_nothing_else() {
    for seed in super::seeds(6) {
        let _run = Run(format!("seed {seed}"));
        let (medium, mut workload) = riddled(seed);
        let mut engine = open(&medium).expect("nothing fails");
        let before = payloads(&engine.log).expect("it can be read");
        let request = Request::of_leaving();
        assert!(engine.committer.ask(request).is_ok());
        let compacted = compact(&engine).expect("nothing fails");
        assert!(compacted.segments_rewritten > 1, "{compacted:?}");
        assert!(compacted.bytes > 2000, "{compacted:?}");
        assert_eq!(payloads(&engine.log).expect("it can be read"), before);
        assert!(workload.check(&mut engine), "what is open");
        for name in names(&medium, ".log") {
            let bytes = medium.bytes(&name);
            for payload in workload.dropped() {
                // A payload follows the only tag, of four bytes.
                let mut windows = bytes.windows(payload.len() + 4);
                let is_there = windows
                    .any(|found| found.starts_with(b"by:") && found[4..] == *payload.as_bytes());
                assert!(!is_there, "{payload} is still in {name}");
            }
        }
        assert!(compacted.is_complete, "{compacted:?}");
        let again = compact(&engine).expect("nothing fails");
        let nothing = Compacted {
            is_complete: true,
            ..Compacted::default()
        };
        assert_eq!(again, nothing, "there is nothing left to do");

        let mut engine = open(&medium).expect("nothing is missing");
        assert_eq!(engine.recovery.segments_read, 1, "indexes fit");
        assert!(workload.check(&mut engine), "what was opened");
        for name in medium.within("indexes").list().expect("nothing fails") {
            let indexes = medium.within("indexes");
            indexes.remove(&name).expect("it is there");
        }
        let mut engine = open(&medium).expect("indexes are made again");
        assert!(workload.check(&mut engine), "what was made again");
        let report = inspect(&medium, &mut |_| {}).expect("nothing fails");
        assert!(report.is_whole(), "{:?}", report.findings);
        workload.run(&mut engine, 10);
        assert!(workload.check(&mut engine), "what goes on");
    }
}

#[test]
fn an_end_at_any_operation_of_compacting_loses_nothing() {
    let (medium, workload) = riddled(2);
    for fault in [
        Fault::PowerCut,
        Fault::Kill,
        Fault::Error(ErrorKind::Other),
        Fault::Error(ErrorKind::StorageFull),
    ] {
        survives_in(fault, &medium, &workload, |engine, _| {
            drop(compact(engine));
        });
    }
}

/// An index that was made before its segment was rewritten is not believed afterwards.
#[test]
fn an_index_of_another_generation_is_not_believed() {
    let (medium, mut workload) = riddled(1);
    let engine = open(&medium).expect("nothing fails");
    file_indexes(&engine);
    let indexes = medium.within("indexes");
    let old: Vec<_> = indexes.list().expect("nothing fails");
    let old: Vec<_> = old.iter().map(|name| (name, indexes.bytes(name))).collect();
    let compacted = compact(&engine).expect("nothing fails");
    drop(engine);
    for (name, bytes) in &old {
        let file = indexes.create(name).expect("nothing fails");
        file.write_at(bytes, 0).expect("nothing fails");
    }
    let mut engine = open(&medium).expect("indexes are made again");
    assert!(engine.recovery.segments_read > compacted.segments_rewritten);
    assert!(workload.check(&mut engine));
}

/// A reader that has planned what to read reads it, though the segment is rewritten or goes.
#[test]
fn a_scan_goes_on_in_a_file_that_is_replaced_or_removed() {
    let (medium, mut workload) = riddled(1);
    let mut engine = open(&medium).expect("nothing fails");
    file_indexes(&engine);
    let plan = |engine: &Engine| {
        let after = number::position(0);
        let forward = Direction::Forward { after };
        engine
            .log
            .plan(&Query::all(), forward, usize::MAX)
            .expect("it can be planned")
    };
    let found = |plan: Plan| Vec::from_iter(plan.read().expect("it can be read").events);
    let expected = found(plan(&engine));
    let planned = plan(&engine);
    let compacted = compact(&engine).expect("nothing fails");
    assert!(compacted.segments_rewritten > 0);
    assert_eq!(found(planned), expected);

    let planned = plan(&engine);
    let to = engine.log.shown();
    assert!(workload.drops(&mut engine, Trim::Log { to }));
    file_indexes(&engine);
    assert_eq!(names(&medium, ".log").len(), 1);
    assert_eq!(found(planned), expected);
}
