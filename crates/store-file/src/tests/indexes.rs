use std::sync::Arc;

use eventwire_store::{Position, Query};

use super::reading::payloads;
use super::workload::{Workload, file_indexes, open};
use super::{Run, seeds};
use crate::engine::Engine;
use crate::format::{PAGE_BYTES, PAGE_DATA_BYTES, encode_page, page_place, u64_of};
use crate::index::{self, Sealed};
use crate::log::SharedLog;
use crate::number;
use crate::reader::LogReader;
use crate::storage::Storage;
use crate::storage::simulated::Simulated;

/// The width of what an index has of each event: where its record begins, how long it is, and its
/// stream.
const SLOT_BYTES: usize = 16;

/// For each segment, how many indexes it has.
fn counts(engine: &Engine) -> Vec<usize> {
    let state = engine.log.read();
    let of = |first| {
        let of_segment = |sealed: &&Sealed| sealed.segment().first == first;
        state.sealed.iter().filter(of_segment).count()
    };
    state
        .segments
        .iter()
        .map(|segment| of(segment.first))
        .collect()
}

/// While a segment is written to it has several indexes, and one when it was left; what is in
/// none is little, and that alone is read when the store is opened again.
#[test]
fn a_segment_comes_to_one_index_and_opening_reads_what_none_has() {
    let mut were_several = 0;
    for seed in seeds(12) {
        let _run = Run(format!("seed {seed}"));
        let medium = Simulated::new(seed);
        let mut engine = open(&medium).expect("nothing fails");
        let mut workload = Workload::that_keeps_all(seed);
        for _ in 0..40 {
            workload.run(&mut engine, 1);
            were_several += usize::from(counts(&engine).iter().any(|&count| count > 1));
        }
        file_indexes(&engine);
        let counts = counts(&engine);
        let (last, left) = counts.split_last().expect("there is a segment");
        assert!(left.len() > 2, "several segments: {counts:?}");
        assert!(left.iter().all(|&count| count == 1), "{counts:?}");
        assert!(*last <= 6, "{counts:?}");

        let in_memory = engine.log.read().open.events();
        let reopened = open(&medium).expect("nothing fails");
        let read = reopened.recovery.events_read;
        assert_eq!(usize::try_from(read).unwrap(), in_memory);
        assert_eq!(payloads(&reopened.log).unwrap(), workload.held());

        let mut names = medium.within("indexes").list().expect("nothing fails");
        names.sort_unstable();
        let state = reopened.log.read();
        let known: Vec<_> = state
            .sealed
            .iter()
            .map(|sealed| index::name(sealed.first()))
            .collect();
        assert_eq!(names, known, "what was merged is gone");
    }
    assert!(were_several > 100, "{were_several}");
}

/// Closing leaves an index of what was in memory, where it is worth one.
#[test]
fn a_store_that_was_closed_is_opened_without_reading_its_log() {
    let medium = Simulated::new(7);
    let mut engine = open(&medium).expect("nothing fails");
    let mut workload = Workload::that_keeps_all(7);
    workload.run(&mut engine, 30);
    engine.committer.seal_rest();
    file_indexes(&engine);
    let mut engine = open(&medium).expect("nothing fails");
    assert_eq!(engine.recovery.events_read, 0);
    assert!(workload.check(&mut engine));
    assert!(workload.writes(&mut engine));
    assert!(workload.check(&mut engine));
}

/// What a power cut or a kill leaves of a merging — both the merged index and those it was made
/// of — is put in order by opening.
#[test]
fn an_index_that_was_merged_into_another_is_removed() {
    // Not every run comes by two indexes of its first segment.
    let with_two = |seed| {
        let medium = Simulated::new(seed);
        let mut engine = open(&medium).expect("nothing fails");
        let mut workload = Workload::that_keeps_all(seed);
        while counts(&engine).len() == 1 {
            workload.run(&mut engine, 1);
            file_indexes(&engine);
            if counts(&engine) == [2] {
                return Some((medium, engine, workload));
            }
        }
        None
    };
    let (medium, mut engine, mut workload) = (0..).find_map(with_two).expect("one does");
    let second = engine.log.read().sealed[1].first();
    let name = index::name(second);
    let bytes = medium.within("indexes").bytes(&name);
    while counts(&engine).len() == 1 {
        workload.run(&mut engine, 1);
        file_indexes(&engine);
    }
    let indexes = medium.within("indexes");
    assert!(!indexes.list().unwrap().contains(&name));
    indexes
        .create(&name)
        .and_then(|file| file.write_at(&bytes, 0))
        .expect("nothing fails");
    let reopened = open(&medium).expect("nothing fails");
    assert!(!indexes.list().unwrap().contains(&name));
    assert_eq!(payloads(&reopened.log).unwrap(), workload.held());
}

/// An index whose checksums are right, and which says of an event that it lies where none does,
/// is not followed beyond the file: it would ask for any memory.
#[test]
fn an_index_that_points_beyond_its_segment_is_not_followed() {
    let medium = Simulated::new(7);
    let mut engine = open(&medium).expect("nothing fails");
    let mut workload = Workload::that_keeps_all(7);
    workload.run(&mut engine, 20);
    file_indexes(&engine);
    let state = engine.log.read();
    let (seed, events) = (state.segments[0].seed, state.sealed[0].last());
    drop(state);
    drop(engine);
    let events = usize::try_from(events).expect("it is short");
    let held = workload.held();
    let least = u64::MAX - 7;
    for (field, value) in [
        (0, u64::MAX),
        (0, least),
        (0, 0),
        (0, 1 << 40),
        (8, u64::MAX),
    ] {
        for slot in 0..events {
            let _run = Run(format!("slot {slot}, byte {field}: {value}"));
            let medium = medium.copy();
            medium.within("indexes").tamper(&index::name(1), |bytes| {
                // The slots are the first items of the first page behind the head.
                let mut data = bytes[PAGE_BYTES..][..PAGE_DATA_BYTES].to_vec();
                let (at, width) = (slot * SLOT_BYTES + field, if field == 0 { 8 } else { 4 });
                data[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
                let mut page = Vec::new();
                encode_page(&data, page_place(0, 1), seed, &mut page);
                bytes[PAGE_BYTES..][..PAGE_BYTES].copy_from_slice(&page);
            });
            let reopened = open(&medium).expect("an index is believed");
            payloads(&reopened.log).expect_err("no event lies there");
            for after in 0..=events {
                let rest = held[after..].iter();
                let lent = lent(&reopened.log, number::position(u64_of(after)));
                assert!(lent.iter().eq(rest.take(lent.len())), "after {after}");
            }
        }
    }
}

/// What a reader lends before it comes to an error or the end.
fn lent(log: &Arc<SharedLog>, after: Position) -> Vec<String> {
    let mut reader = LogReader::new(Arc::clone(log), Query::all(), after);
    let mut lent = Vec::new();
    while let Ok(Some(events)) = reader.next_batch() {
        lent.extend(
            events
                .iter()
                .map(|event| String::from_utf8(event.data().to_vec()).expect("payloads are text")),
        );
    }
    lent
}
