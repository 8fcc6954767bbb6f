use std::io::ErrorKind;

use eventwire_store::Position;

use super::Run;
use super::flips::{flip, flips, written};
use super::reading::{Payloads, payloads};
use super::workload::{Workload, file_indexes, open};
use crate::format::{Trim, in_memory};
use crate::inspection::inspect;
use crate::number;
use crate::repair::{GiveUp, RepairError, Repaired, mend};
use crate::report::{Meaning, Report};
use crate::segment;
use crate::storage::Storage;
use crate::storage::simulated::{Fault, Simulated};

fn look(medium: &Simulated) -> Report {
    inspect(medium, &mut |_| {}).expect("nothing fails")
}

fn segments(medium: &Simulated) -> Vec<String> {
    let names = medium.list().expect("nothing fails");
    names
        .into_iter()
        .filter(|name| segment::first_in(name).is_some())
        .collect()
}

/// What a log shows; none where it does not open, or cannot be read to its end.
fn shown(medium: &Simulated) -> Option<Payloads> {
    let engine = open(medium).ok()?;
    payloads(&engine.log).ok()
}

/// Gives up what must be, and says how many events were kept.
fn repaired(medium: &Simulated) -> usize {
    let report = look(medium);
    let from = report.gives_up_from();
    let give_up = from.map_or(GiveUp::Nothing, GiveUp::EverythingFrom);
    let done = mend(medium, &report, give_up).expect("nothing fails");
    assert!(matches!(done, Repaired::Mended { gave_up_from, .. } if gave_up_from == from));
    let kept = from.map_or(report.events, |from| number::of(from) - 1);
    usize::try_from(kept).expect("it is short")
}

#[test]
fn nothing_is_found_in_a_store_that_is_whole() {
    let (medium, workload) = written();
    let before = medium.copy();
    let report = look(&medium);
    assert_eq!(report.findings, []);
    assert!(report.is_whole());
    let events = u64::try_from(workload.held().len()).expect("it is short");
    assert_eq!(
        (report.events, report.head),
        (events, number::position(events))
    );
    assert_eq!(report.segments, segments(&medium).len());
    for name in medium.list().expect("nothing fails") {
        assert!(medium.bytes(&name) == before.bytes(&name), "{name}");
    }
    let done = mend(&medium, &report, GiveUp::EverythingFrom(Position::ORIGIN));
    assert_eq!(done.expect("nothing fails"), Repaired::Nothing);
}

/// Any one bit of any file, flipped: what is reported as whole opens and reads as it was, what
/// is not does not, and a repair keeps exactly what lies before.
#[test]
fn a_report_says_what_opening_and_reading_say_and_a_repair_keeps_what_lies_before() {
    let (medium, workload) = written();
    let epoch = open(&medium).expect("nothing fails").identity.epoch;
    let mut lost = 0;
    for name in medium.list().expect("nothing fails") {
        for (at, bit) in flips(medium.bytes(&name).len(), 7) {
            let _run = Run(format!("{name}, byte {at}, bit {bit}"));
            let flipped = medium.copy();
            flipped.tamper(&name, |bytes| flip(bytes, at, bit));
            let report = look(&flipped);
            let Some(found) = report.findings.first() else {
                assert!(shown(&flipped).as_ref() == Some(&workload.held()));
                continue;
            };
            assert_eq!(found.file, name);
            if found.meaning == Meaning::Torn {
                // In the space that is ready, and not in anything that was written.
                assert!(report.is_whole() && shown(&flipped).as_ref() == Some(&workload.held()));
                continue;
            }
            lost += 1;
            assert!(found.offset <= u64::try_from(at).expect("it is short"));
            assert!(!report.is_whole());
            // A record has a checksum of its own, so it can be whole in a commit that is not.
            if let Some(found) = shown(&flipped.copy()) {
                assert!(found == workload.held());
            }
            let others = report.findings[1..].iter();
            let are_harmless = others
                .map(|found| found.meaning)
                .all(|meaning| meaning == Meaning::Index);
            assert!(are_harmless, "{report:?}");

            let kept = repaired(&flipped);
            let mut engine = open(&flipped).expect("it is repaired");
            let found = payloads(&engine.log).expect("it is repaired");
            assert!(found == workload.held()[..kept]);
            assert_ne!(engine.identity.epoch, epoch);
            let mut next = Workload::new(9);
            next.learn(&engine);
            assert!(next.check(&mut engine));
            assert!(next.writes(&mut engine), "a repaired store writes");
        }
    }
    assert!(lost > 600, "the bytes that matter: {lost}");
}

#[test]
fn all_damage_is_found_and_its_positions_are_told() {
    let (medium, workload) = written();
    let names = segments(&medium);
    assert!(names.len() > 2, "there is one between the others");
    let whole = look(&medium);
    for name in &names[..2] {
        medium.tamper(name, |bytes| flip(bytes, 200, 0));
    }
    medium.tamper(names.last().expect("there are several"), |bytes| {
        flip(bytes, 9, 0);
    });
    let report = look(&medium);
    let damaged: Vec<_> = report.findings.iter().map(|found| &found.file).collect();
    assert_eq!(
        damaged,
        [
            &names[0],
            &names[1],
            names.last().expect("there are several")
        ]
    );
    let mut told = 0;
    for found in &report.findings {
        assert_eq!(found.meaning, Meaning::Damage);
        let first = number::of(found.first.expect("events are concerned"));
        let last = found.last.unwrap_or(whole.head);
        told += number::of(last) + 1 - first;
    }
    let events = u64::try_from(workload.held().len()).expect("it is short");
    assert_eq!(report.events + told, events);
    assert_eq!(report.gives_up_from(), report.findings[0].first);
}

/// A sector that is gone looks like one that was never written; where an index has the commit,
/// it was.
#[test]
fn a_lost_sector_of_a_commit_that_an_index_has_is_damage() {
    let (medium, _) = written();
    let mut engine = open(&medium).expect("nothing fails");
    let mut workload = Workload::new(9);
    workload.learn(&engine);
    assert!(workload.check(&mut engine));
    workload.write_large(&mut engine, 3000);
    let last = segments(&medium).pop().expect("there are segments");
    let bytes = medium.bytes(&last);
    let used = bytes.iter().rposition(|&byte| byte != 0);
    let sector = used.expect("it is written") / 512 - 2;
    let lose = |medium: &Simulated| {
        medium.tamper(&last, |bytes| bytes[sector * 512..][..512].fill(0));
        look(medium)
    };
    let torn = lose(&medium.copy());
    assert_eq!(torn.findings[0].meaning, Meaning::Torn);
    assert!(torn.is_whole());

    engine.committer.seal();
    file_indexes(&engine);
    let damaged = lose(&medium);
    assert_eq!(damaged.findings[0].meaning, Meaning::Damage);
    let kept = repaired(&medium);
    assert!(shown(&medium).is_some_and(|found| found.len() == kept));
}

#[test]
fn no_more_is_given_up_than_was_allowed() {
    let (medium, _) = written();
    let name = segments(&medium).swap_remove(1);
    medium.tamper(&name, |bytes| flip(bytes, 200, 0));
    let report = look(&medium);
    let from = report.gives_up_from().expect("it is damaged");
    let before = medium.list().expect("nothing fails");
    let later = number::position(number::of(from) + 1);
    for allowed in [GiveUp::Nothing, GiveUp::EverythingFrom(later)] {
        let refused = mend(&medium, &report, allowed);
        assert!(
            matches!(refused, Err(RepairError::TooMuch { from: found }) if found == from),
            "{refused:?}"
        );
    }
    assert_eq!(medium.list().expect("nothing fails"), before);
    assert_eq!(look(&medium), report);
}

/// The segments say which store they are of: nothing is given up for a lost identity.
#[test]
fn a_lost_identity_is_made_again() {
    let (medium, workload) = written();
    let report = look(&medium);
    medium.remove("IDENTITY").expect("it is there");
    let lost = look(&medium);
    assert_eq!(lost.gives_up_from(), None);
    assert_eq!(lost.findings[0].meaning, Meaning::Identity);
    let done = mend(&medium, &lost, GiveUp::Nothing).expect("nothing is given up");
    let Repaired::Mended { epoch, .. } = done else {
        panic!("it was mended");
    };
    assert_ne!(Some(epoch), report.epoch);
    let found = look(&medium);
    assert_eq!((found.store, found.epoch), (report.store, Some(epoch)));
    assert_eq!(shown(&medium), Some(workload.held()));
}

/// A process ended when what must stay of the first segments was kept, and before they were gone.
/// They are no part of the log then: a repair of what is keeps what lies before its damage.
#[test]
fn a_repair_passes_over_segments_that_are_as_good_as_gone() {
    let (medium, mut workload) = written();
    let mut engine = open(&medium).expect("nothing fails");
    workload.learn(&engine);
    assert!(workload.check(&mut engine));
    let before = segments(&medium);
    let to = segment::first_in(&before[2]).expect("a segment") - 1;
    let gone: Vec<_> = before[..2]
        .iter()
        .map(|it| (it, medium.bytes(it)))
        .collect();
    assert!(workload.drops(&mut engine, Trim::Log { to }));
    file_indexes(&engine);
    drop(engine);
    assert_eq!(segments(&medium), before[2..]);
    for (name, bytes) in &gone {
        let file = medium.create(name).expect("nothing fails");
        file.write_at(bytes, 0).expect("nothing fails");
    }
    let held = workload.held();
    assert!(shown(&medium.copy()) == Some(held.clone()));

    for (name, at) in before[2..].iter().flat_map(|it| [(it, 9), (it, 200)]) {
        let _run = Run(format!("{name}, byte {at}"));
        let damaged = medium.copy();
        damaged.tamper(name, |bytes| flip(bytes, at, 0));
        assert_eq!(shown(&damaged.copy()), None);
        let kept = repaired(&damaged) - in_memory(to).expect("it is short");
        let report = look(&damaged);
        assert!(report.is_whole(), "{:?}", report.findings);
        assert!(shown(&damaged).as_deref() == Some(&held[..kept]));
        for (name, bytes) in &gone {
            let is_there = damaged.list().expect("nothing fails").contains(name);
            assert!(
                !is_there || damaged.bytes(name) == *bytes,
                "{name} was written to"
            );
        }
    }
}

/// Whatever ends a repair, at any operation: the store is as damaged as it was, or opens with
/// what is kept, or with less, and then under another epoch; and a second repair keeps what the
/// first one would have kept. Every byte that is not kept is in a salvage directory.
#[test]
fn a_repair_that_is_interrupted_is_done_again() {
    let (medium, workload) = written();
    let names = segments(&medium);
    let epoch = open(&medium).expect("nothing fails").identity.epoch;
    let faults = [
        Fault::PowerCut,
        Fault::Kill,
        Fault::Error(ErrorKind::Other),
        Fault::Error(ErrorKind::StorageFull),
    ];
    for (target, offset) in [(0, 200), (1, 300), (1, 9), (names.len() - 1, 120)] {
        let damaged = medium.copy();
        damaged.tamper(&names[target], |bytes| flip(bytes, offset, 0));
        let report = look(&damaged);
        let from = report.gives_up_from().expect("it is damaged");
        let kept = usize::try_from(number::of(from) - 1).expect("it is short");
        let give_up = GiveUp::EverythingFrom(from);
        let counted = damaged.copy();
        let before = counted.operations();
        mend(&counted, &report, give_up).expect("nothing fails");
        let operations = counted.operations() - before;
        for (fault, operation) in faults
            .into_iter()
            .flat_map(|fault| (0..operations).map(move |operation| (fault, operation)))
        {
            let _run = Run(format!("{fault:?} at {operation}; {target} at {offset}"));
            let interrupted = damaged.copy();
            interrupted.fail_at(operation, fault);
            let done = mend(&interrupted, &report, give_up);
            let interrupted = match fault {
                Fault::PowerCut => interrupted.after_power_cut(),
                _ => interrupted.after_kill(),
            };
            if let Ok(engine) = open(&interrupted.copy()) {
                if let Ok(found) = payloads(&engine.log)
                    && found != workload.held()
                {
                    assert_ne!(engine.identity.epoch, epoch, "the epoch of what it lost");
                    assert!(found == workload.held()[..kept]);
                }
            } else {
                assert!(done.is_err(), "repaired, and it does not open");
            }
            if !look(&interrupted).is_whole() {
                assert_eq!(repaired(&interrupted), kept);
            }
            assert!(shown(&interrupted).as_deref() == Some(&workload.held()[..kept]));
            for name in &names {
                let original = damaged.bytes(name);
                let is_there = |found: &Simulated| {
                    let names = found.list().expect("nothing fails");
                    names.contains(name) && found.bytes(name) == original
                };
                let mut places = (1..4).map(|n| interrupted.within(&format!("salvage-{n}")));
                let is_kept = places.any(|place| is_there(&place));
                assert!(
                    is_kept || interrupted.bytes(name).starts_with(&original[..64]),
                    "{name} is nowhere"
                );
            }
        }
    }
}
