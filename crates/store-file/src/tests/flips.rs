use std::error::Error;
use std::sync::Arc;

use eventwire_store::{
    Append, Category, EventType, NewEvent, Position, Query, ReadError, ReadOptions, StreamName, Tag,
};

use super::reading::{found, payloads};
use super::workload::{Workload, file_indexes, open};
use crate::engine::Engine;
use crate::error::{Damage, OpenError};
use crate::index::{self, FileIndex};
use crate::reader::LogReader;
use crate::request::Request;
use crate::segment;
use crate::storage::Storage;
use crate::storage::simulated::Simulated;

/// A store of several segments and commits that has kept everything.
pub(super) fn written() -> (Simulated, Workload) {
    carried_out(7, Workload::that_keeps_all(7), 12)
}

/// One that has dropped some of it.
pub(super) fn trimmed() -> (Simulated, Workload) {
    carried_out(7, Workload::new(7), 20)
}

fn carried_out(seed: u64, mut workload: Workload, groups: usize) -> (Simulated, Workload) {
    let medium = Simulated::new(seed);
    let mut engine = open(&medium).expect("nothing fails");
    workload.run(&mut engine, groups);
    file_indexes(&engine);
    (medium, workload)
}

pub(super) fn flip(bytes: &mut [u8], at: usize, bit: usize) {
    bytes[at] ^= 1 << bit;
}

/// The bits of so many bytes that are flipped: one of every `step`-th byte, each time another; all
/// there are where `EVENTWIRE_FLIPS` is `all`.
pub(super) fn flips(bytes: usize, step: usize) -> impl Iterator<Item = (usize, usize)> {
    let is_all = std::env::var_os("EVENTWIRE_FLIPS").is_some_and(|flips| flips == "all");
    let (step, bits) = if is_all { (1, 8) } else { (step, 1) };
    let bytes = (0..bytes).step_by(step).enumerate();
    bytes.flat_map(move |(number, at)| (0..bits).map(move |bit| (at, (number + bit) % 8)))
}

/// Any one bit of any file, flipped while the store was closed: either opening or reading says
/// that it is damaged, or nothing is missing and nothing is different.
#[test]
fn no_flipped_bit_is_hidden_and_none_invents() {
    flips_are_found(written(), 1);
    flips_are_found(trimmed(), 1);
}

fn flips_are_found((medium, workload): (Simulated, Workload), step: usize) {
    let names = medium.list().expect("nothing fails");
    assert!(names.len() > 3, "an identity and several segments");
    let (mut refused, mut harmless) = (0, 0);
    for name in &names {
        for (at, bit) in flips(medium.bytes(name).len(), step) {
            let flipped = medium.copy();
            flipped.tamper(name, |bytes| flip(bytes, at, bit));
            match open(&flipped) {
                Err(OpenError::Damaged(damage)) => {
                    refused += 1;
                    assert_eq!(damage.file(), name, "byte {at}");
                    let distance = u64::try_from(at).expect("it is short");
                    assert!(damage.offset() <= distance, "{damage}; byte {at}");
                }
                Err(error) => panic!("{name}, byte {at}: {error}"),
                Ok(engine) => {
                    // Of a segment that has an index the events are looked at when they are read.
                    match payloads(&engine.log) {
                        Ok(found) => {
                            harmless += 1;
                            assert_eq!(found, workload.held(), "{name}, byte {at}");
                        }
                        Err(error) => {
                            refused += 1;
                            let cause = error.source().expect("it has a cause").to_string();
                            assert!(cause.starts_with(name), "{name}, byte {at}: {cause}");
                        }
                    }
                }
            }
        }
    }
    println!("{refused} refused, {harmless} harmless");
    assert!(refused > 5000 / step, "the bytes that matter: {refused}");
}

/// Any one bit of any index, flipped while the store was closed or while it was open: the index
/// is made again, and every question has the same answer.
#[test]
fn a_flipped_bit_of_an_index_changes_nothing() {
    flips_change_nothing(written(), 61);
    flips_change_nothing(trimmed(), 499);
}

/// Any byte of an index: it is known by its page, and what then becomes of an index is above.
#[test]
fn no_flipped_bit_of_an_index_is_passed_over() {
    for (medium, _) in [written(), trimmed()] {
        let engine = open(&medium).expect("nothing fails");
        let segment = Arc::clone(&engine.log.read().segments[0]);
        let indexes = medium.within("indexes");
        let is_whole = || {
            let cache = Arc::default();
            let index = FileIndex::open(&indexes, &segment, segment.first, &cache);
            index.is_some_and(|index| index.is_whole())
        };
        assert!(is_whole());
        let name = index::name(segment.first);
        for (at, bit) in flips(indexes.bytes(&name).len(), 1) {
            indexes.tamper(&name, |bytes| flip(bytes, at, bit));
            assert!(!is_whole(), "{name}, byte {at}, bit {bit}");
            indexes.tamper(&name, |bytes| flip(bytes, at, bit));
        }
    }
}

fn flips_change_nothing((medium, mut workload): (Simulated, Workload), step: usize) {
    let before = answers(&open(&medium).expect("nothing fails"));
    let indexes = medium.within("indexes");
    let names = indexes.list().expect("nothing fails");
    assert!(names.len() > 1, "several segments were left");
    let mut made_again = 0;
    for name in &names {
        let length = indexes.bytes(name).len();
        for (at, bit) in flips(length, step) {
            let flipped = medium.copy();
            let engine = open(&flipped).expect("nothing fails");
            let tampered = flipped.within("indexes");
            tampered.tamper(name, |bytes| flip(bytes, at, bit));
            assert_eq!(answers(&engine), before, "{name}, byte {at}, while open");
            drop(engine);
            let mut engine = open(&flipped).expect("an index is not needed");
            made_again += engine.recovery.segments_read - 1;
            assert_eq!(answers(&engine), before, "{name}, byte {at}");
            assert!(workload.check(&mut engine));
        }
    }
    assert!(made_again > 0, "no head of an index was hit");
}

/// What is asked of every index: all events, forward and back, and those of each name.
fn answers(engine: &Engine) -> Vec<Vec<String>> {
    let mut queries = vec![Query::all()];
    for name in ["room-0", "room-1", "room-2"] {
        queries.push(Query::stream(StreamName::new(name).expect("a name")));
    }
    for name in ["by:0", "by:1", "by:2", "by:3"] {
        let posted = EventType::new("posted").expect("a type");
        queries.push(Query::tags([Tag::new(name).expect("a tag")]).of_types([posted]));
    }
    let all = queries.into_iter().flat_map(|query| {
        let ways = [ReadOptions::all(), ReadOptions::backward()];
        ways.map(|way| found(&engine.log, query.clone(), way).expect("it can be read"))
    });
    all.collect()
}

/// Where the index and its segment are bad, nothing is made up: neither events nor checkpoints
/// are missing, they cannot be read.
#[test]
fn an_index_is_not_made_of_a_segment_that_is_cut_short() {
    let mut ended_in_a_checkpoint = 0;
    for seed in 0..60 {
        let (medium, workload) = carried_out(seed, Workload::that_keeps_all(seed), 12);
        let engine = open(&medium).expect("nothing fails");
        let indexes = medium.within("indexes");
        let names = indexes.list().expect("nothing fails");
        if engine.log.read().segments.len() == 1 {
            continue;
        }
        let index = &names[0];
        indexes.tamper(index, |bytes| bytes[4096..].fill(0));
        // The last frame of the segment, as if it had been torn.
        let name = segment::name(1);
        let whole = medium.bytes(&name);
        let used = whole.iter().rposition(|&byte| byte != 0);
        let end = used.expect("it is written") + 1;
        let last = whole[..end]
            .windows(8)
            .rposition(|mark| mark == b"EVWFRAME");
        let last = last.expect("a frame") - 32;
        ended_in_a_checkpoint += usize::from(whole[last + 8..last + 12] == [0; 4]);
        medium.tamper(&name, |bytes| bytes[end - 8..end].fill(0));
        let error = payloads(&engine.log).expect_err("neither is whole");
        let cause = error.source().expect("it has a cause").to_string();
        assert!(cause.contains("its index had"), "{cause}");

        medium.tamper(&name, |bytes| *bytes = whole);
        let found = payloads(&engine.log).expect("it is whole again");
        assert_eq!(found, workload.held());
    }
    assert!(ended_in_a_checkpoint > 0, "each segment ended in an event");
}

/// A missing index is made again, and one that a repair has left behind is not believed.
#[test]
fn an_index_belongs_to_what_its_segment_holds() {
    let (medium, mut workload) = written();
    let before = answers(&open(&medium).expect("nothing fails"));
    let indexes = medium.within("indexes");
    let names = indexes.list().expect("nothing fails");
    let engine = open(&medium).expect("nothing fails");
    assert_eq!(engine.recovery.segments_read, 1);
    for name in &names {
        let without = medium.copy();
        without.within("indexes").remove(name).expect("it is there");
        let engine = open(&without).expect("it is made again");
        assert_eq!(engine.recovery.segments_read, 2);
        assert_eq!(answers(&engine), before);
        file_indexes(&engine);
        let engine = open(&without).expect("nothing fails");
        assert_eq!(engine.recovery.segments_read, 1);
        assert_eq!(answers(&engine), before);
    }

    // The log is cut back to half of its first segment, and written anew from there.
    let cut = medium.copy();
    let segments = medium.list().expect("nothing fails");
    let segments: Vec<_> = segments
        .iter()
        .filter_map(|name| segment::first_in(name))
        .collect();
    for &later in &segments[1..] {
        cut.remove(&segment::name(later)).expect("it is there");
    }
    let bytes = cut.bytes(&segment::name(1));
    let frames = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(b"EVWFRAME"));
    let frames: Vec<_> = frames.map(|mark| mark - 32).collect();
    let middle = frames[frames.len() / 2];
    cut.tamper(&segment::name(1), |bytes| bytes.truncate(middle));
    let mut engine = open(&cut).expect("the last segment is read");
    workload.learn(&engine);
    assert!(workload.check(&mut engine));
    // No index is filed: what is there is what the log had before it was cut.
    while engine.log.read().segments.len() < 3 {
        assert!(workload.writes(&mut engine));
    }
    drop(engine);
    let engine = open(&cut).expect("nothing fails");
    assert_eq!(
        payloads(&engine.log).expect("it can be read"),
        workload.held()
    );
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
            assert!(engine.committer.ask(request).is_ok());
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

/// A bit that flips under an open store: what is lent before it is as it was written, and then
/// the damage is named, at or before the bit.
#[test]
fn a_flipped_bit_is_found_by_lending() {
    let (medium, _) = written();
    let engine = open(&medium).expect("nothing fails");
    let name = segment::name(1);
    let rooms = Query::category(Category::new("room").expect("a name"));
    let posted = Query::types([EventType::new("posted").expect("a type")]);
    for (query, least) in [(Query::all(), 1000), (rooms, 200), (posted, 200)] {
        let (held, ended) = lent(&engine, &query);
        ended.expect("nothing has flipped");
        let mut refused = 0;
        for (at, bit) in flips(medium.bytes(&name).len(), 1) {
            medium.tamper(&name, |bytes| flip(bytes, at, bit));
            let (lent, ended) = lent(&engine, &query);
            assert!(held.starts_with(&lent), "{query:?}, byte {at}");
            match ended {
                Ok(()) => assert_eq!(lent.len(), held.len(), "{query:?}, byte {at}"),
                Err(error) => {
                    let cause = error.source().expect("it has a cause");
                    let damage: &Damage = cause.downcast_ref().expect("it is damage");
                    let distance = u64::try_from(at).expect("it is short");
                    assert!(
                        damage.file() == name && damage.offset() <= distance,
                        "{query:?}, byte {at}: {damage}"
                    );
                    refused += 1;
                }
            }
            medium.tamper(&name, |bytes| flip(bytes, at, bit));
        }
        assert!(refused > least, "the bytes of the events: {refused}");
    }
}

/// What a reader lends, and how that ends.
fn lent(engine: &Engine, query: &Query) -> (Vec<Vec<u8>>, Result<(), ReadError>) {
    let log = Arc::clone(&engine.log);
    let mut reader = LogReader::new(log, query.clone(), Position::ORIGIN);
    let mut lent = Vec::new();
    loop {
        match reader.next_batch() {
            Ok(Some(events)) => lent.extend(events.iter().map(|event| event.data().to_vec())),
            Ok(None) => return (lent, Ok(())),
            Err(error) => return (lent, Err(error)),
        }
    }
}

/// A bit that flips under an open store is found when it is read.
#[test]
fn a_flipped_bit_is_found_by_reading() {
    let (medium, workload) = written();
    let engine = open(&medium).expect("nothing fails");
    let name = segment::name(1);
    let mut refused = 0;
    for (at, bit) in flips(medium.bytes(&name).len(), 1) {
        medium.tamper(&name, |bytes| flip(bytes, at, bit));
        match payloads(&engine.log) {
            Ok(found) => assert_eq!(found, workload.held(), "byte {at}"),
            Err(_) => refused += 1,
        }
        medium.tamper(&name, |bytes| flip(bytes, at, bit));
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
    assert!(found.len() < workload.held().len());
    assert!(workload.held().starts_with(&found));
}
