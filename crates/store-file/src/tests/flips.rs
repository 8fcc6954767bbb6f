use eventwire_store::{Append, EventType, NewEvent};

use super::workload::{Workload, open, payloads};
use crate::error::OpenError;
use crate::request::Request;
use crate::segment;
use crate::storage::Storage;
use crate::storage::simulated::Simulated;

/// A store of several segments and commits.
fn written() -> (Simulated, Workload) {
    let medium = Simulated::new(7);
    let mut workload = Workload::new(7);
    workload.run(&mut open(&medium).expect("nothing fails"), 12);
    (medium, workload)
}

fn flip(bytes: &mut [u8], at: usize, bit: usize) {
    bytes[at] ^= 1 << bit;
}

/// Any one bit of any file, flipped while the store was closed: either opening says that it is
/// damaged, or nothing is missing and nothing is different.
#[test]
fn no_flipped_bit_is_hidden_and_none_invents() {
    let (medium, workload) = written();
    let names = medium.list().expect("nothing fails");
    assert!(names.len() > 3, "an identity and several segments");
    let (mut refused, mut harmless) = (0, 0);
    for name in &names {
        for at in 0..medium.bytes(name).len() {
            let flipped = medium.copy();
            flipped.tamper(name, |bytes| flip(bytes, at, at % 8));
            match open(&flipped) {
                Err(OpenError::Damaged(damage)) => {
                    refused += 1;
                    assert_eq!(damage.file(), name, "byte {at}");
                    let distance = u64::try_from(at).expect("it is short");
                    assert!(damage.offset() <= distance, "{damage}; byte {at}");
                }
                Err(error) => panic!("{name}, byte {at}: {error}"),
                Ok(engine) => {
                    harmless += 1;
                    let found = payloads(&engine.log).expect("what was recovered can be read");
                    assert_eq!(found, workload.certain, "{name}, byte {at}");
                }
            }
        }
    }
    println!("{refused} refused, {harmless} harmless");
    assert!(refused > 5000, "the bytes that matter: {refused}");
}

/// A sector that is gone looks like one that was never written. Only in the last commit can it
/// be that.
#[test]
fn a_lost_sector_is_a_torn_commit_only_at_the_end_of_the_log() {
    let medium = Simulated::new(7);
    let mut engine = open(&medium).expect("nothing fails");
    let large = |name: &str| {
        let event_type = EventType::new("posted").expect("a type");
        Append::new().event(NewEvent::new(event_type, name.repeat(1500)))
    };
    let ends: Vec<usize> = ["a", "b"]
        .map(|name| {
            let request = Request::new(large(name)).expect("it is small");
            let answers = engine.committer.commit(&[request]);
            assert!(answers[0].is_ok());
            let bytes = medium.bytes(&segment::name(1));
            bytes
                .iter()
                .rposition(|&byte| byte != 0)
                .expect("it is written")
                + 1
        })
        .to_vec();
    let lose = |sector: usize| {
        let damaged = medium.copy();
        damaged.tamper(&segment::name(1), |bytes| {
            bytes[sector * 512..(sector + 1) * 512].fill(0);
        });
        open(&damaged)
    };
    let error = lose(1).expect_err("in the first commit");
    assert!(
        error.to_string().contains("a later commit at byte"),
        "{error}"
    );

    let engine = lose(ends[0] / 512 + 1).expect("in the last commit");
    assert_eq!(
        payloads(&engine.log).expect("it can be read"),
        ["a".repeat(1500)]
    );
    let cut = u64::try_from(ends[1] - ends[0]).expect("it is short");
    assert_eq!(engine.recovery.bytes_cut, cut);
}

/// A bit that flips under an open store is found when it is read.
#[test]
fn a_flipped_bit_is_found_by_reading() {
    let (medium, workload) = written();
    let engine = open(&medium).expect("nothing fails");
    let name = segment::name(1);
    let mut refused = 0;
    for at in 0..medium.bytes(&name).len() {
        medium.tamper(&name, |bytes| flip(bytes, at, 3));
        match payloads(&engine.log) {
            Ok(found) => assert_eq!(found, workload.certain, "byte {at}"),
            Err(_) => refused += 1,
        }
        medium.tamper(&name, |bytes| flip(bytes, at, 3));
    }
    assert!(refused > 1000, "the bytes of the events: {refused}");
}

#[test]
fn a_missing_or_foreign_segment_is_refused() {
    let (medium, _) = written();
    let names = medium.list().expect("nothing fails");
    let segments: Vec<u64> = names
        .iter()
        .filter_map(|name| segment::first_in(name))
        .collect();
    let (&last, others) = segments.split_last().expect("there are several");
    for &first in others {
        let damaged = medium.copy();
        damaged.remove(&segment::name(first)).expect("it is there");
        assert!(
            matches!(open(&damaged), Err(OpenError::Damaged(_))),
            "without {first}"
        );
    }
    let (foreign, _) = written();
    let damaged = medium.copy();
    let bytes = foreign.bytes(&segment::name(last));
    damaged.tamper(&segment::name(last), |kept| *kept = bytes);
    assert!(
        matches!(open(&damaged), Err(OpenError::Damaged(_))),
        "of another store"
    );

    let damaged = medium.copy();
    damaged.remove("IDENTITY").expect("it is there");
    let error = open(&damaged).expect_err("a log without an identity");
    assert!(
        error
            .to_string()
            .starts_with("IDENTITY is damaged at byte 0"),
        "{error}"
    );
}

/// The repair the format's page describes: a damaged segment is cut where the damage begins.
#[test]
fn cutting_at_the_damage_makes_the_last_segment_readable() {
    let (medium, workload) = written();
    let names = medium.list().expect("nothing fails");
    let last = names.iter().rfind(|name| segment::first_in(name).is_some());
    let last = last.expect("there are segments");
    medium.tamper(last, |bytes| flip(bytes, 200, 0));
    let Err(OpenError::Damaged(damage)) = open(&medium) else {
        panic!("a flipped bit in a commit");
    };
    let at = usize::try_from(damage.offset()).expect("it is short");
    medium.tamper(damage.file(), |bytes| bytes.truncate(at));
    let engine = open(&medium).expect("it is repaired");
    let found = payloads(&engine.log).expect("what was recovered can be read");
    assert!(found.len() < workload.certain.len());
    assert!(workload.certain.starts_with(&found));
}
