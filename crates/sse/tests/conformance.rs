//! The vector files, each read whole, byte by byte, at every split point and as it was written
//! down, by every parser of the crate and by the literal one.

#![expect(
    clippy::unwrap_used,
    reason = "a vector file that is not what it should be fails its test"
)]

mod literal;
mod parsers;

use std::time::Duration;

use eventwire_sse::Limits;
use literal::{Bounds, Told, interpret};
use parsers::{PARSERS, Reading};
use serde_json::Value;

const FILES: [&str; 2] = [
    include_str!("vectors/standard.json"),
    include_str!("vectors/clauses.json"),
];

struct Vector {
    id: String,
    start: String,
    bounds: Bounds,
    chunks: Vec<Vec<u8>>,
    expected: Value,
}

fn vectors() -> impl Iterator<Item = Vector> {
    FILES.into_iter().flat_map(|file| {
        let file: Value = serde_json::from_str(file).unwrap();
        let vectors = file["vectors"].as_array().unwrap().clone();
        assert_eq!(file["count"], vectors.len());
        vectors.into_iter().map(|vector| Vector::new(&vector))
    })
}

impl Vector {
    fn new(vector: &Value) -> Self {
        let bound = |name: &str| {
            let bytes = vector["limits"][name].as_u64().unwrap_or(1 << 30);
            usize::try_from(bytes).unwrap()
        };
        Self {
            id: vector["id"].as_str().unwrap().to_owned(),
            start: vector["last_event_id"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            bounds: Bounds {
                line: bound("line"),
                event: bound("event"),
            },
            chunks: vector["chunks"]
                .as_array()
                .unwrap()
                .iter()
                .map(hex)
                .collect(),
            expected: vector["expected"].clone(),
        }
    }

    /// `told` is what the vector says, kind by kind; an order across kinds is not in it.
    fn check(&self, (told, last_event_id): &(Vec<Told>, String)) {
        let name = &self.id;
        let strings = |key: &str| -> Vec<String> {
            let list = self.expected[key].as_array().cloned().unwrap_or_default();
            list.iter()
                .map(|item| item.as_str().unwrap().to_owned())
                .collect()
        };
        let events: Vec<Value> = told.iter().filter_map(event).collect();
        assert_eq!(self.expected["events"], Value::from(events), "{name}");
        let comments = told.iter().filter_map(|item| match item {
            Told::Comment(text) => Some(text.clone()),
            _ => None,
        });
        assert_eq!(strings("comments"), comments.collect::<Vec<_>>(), "{name}");
        let retries = told.iter().filter_map(|item| match item {
            Told::Retry(delay) => Some(u64::try_from(delay.as_millis()).unwrap()),
            _ => None,
        });
        let retries: Vec<u64> = retries.collect();
        assert_eq!(
            self.expected["retry_updates"],
            Value::from(retries),
            "{name}"
        );
        let too_large = told.iter().filter_map(|item| match item {
            Told::LineTooLong => Some("line".to_owned()),
            Told::EventTooLarge => Some("event".to_owned()),
            _ => None,
        });
        assert_eq!(
            strings("too_large"),
            too_large.collect::<Vec<_>>(),
            "{name}"
        );
        assert_eq!(
            self.expected["final_last_event_id"],
            last_event_id.as_str(),
            "{name}"
        );
    }
}

fn hex(chunk: &Value) -> Vec<u8> {
    let digits = chunk["hex"].as_str().unwrap();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn event(told: &Told) -> Option<Value> {
    match told {
        Told::Event { name, data, id } => {
            Some(serde_json::json!({"event": name, "data": data, "id": id}))
        }
        _ => None,
    }
}

fn limits(bounds: Bounds) -> Limits {
    Limits::default().line(bounds.line).event(bounds.event)
}

#[test]
fn the_literal_parser_agrees() {
    for vector in vectors() {
        let whole = vector.chunks.concat();
        vector.check(&interpret(&whole, vector.bounds, &vector.start));
    }
}

#[test]
fn every_parser_agrees_however_the_stream_is_cut() {
    for vector in vectors() {
        let whole = vector.chunks.concat();
        let literal = interpret(&whole, vector.bounds, &vector.start);
        let bytewise: Vec<&[u8]> = whole.chunks(1).collect();
        let given: Vec<&[u8]> = vector.chunks.iter().map(Vec::as_slice).collect();
        for (parser, read) in PARSERS {
            let check = |chunks: &[&[u8]], how: &str| {
                let told = read(&Reading {
                    chunks,
                    limits: limits(vector.bounds),
                    start: &vector.start,
                });
                assert!(told == literal, "{} ({parser}, {how})", vector.id);
            };
            check(&[&whole], "whole");
            check(&given, "as given");
            check(&bytewise, "byte by byte");
            for at in cuts(whole.len()) {
                let (head, tail) = whole.split_at(at);
                check(&[head, tail], &format!("cut at {at}"));
            }
        }
    }
}

/// Every place; of a long stream, which repeats itself, those near its two ends.
fn cuts(len: usize) -> impl Iterator<Item = usize> {
    (0..=len).filter(move |at| len < 1_000 || *at < 150 || len - at < 50)
}

#[test]
fn items_are_told_as_soon_as_their_last_byte_arrives() {
    let mut checked = 0;
    for vector in vectors() {
        let Some(counts) = vector.expected["items_after_chunk"].as_array() else {
            continue;
        };
        for (parser, read) in PARSERS {
            for (index, count) in counts.iter().enumerate() {
                let chunks: Vec<&[u8]> =
                    vector.chunks[..=index].iter().map(Vec::as_slice).collect();
                let (told, _) = read(&Reading {
                    chunks: &chunks,
                    limits: limits(vector.bounds),
                    start: &vector.start,
                });
                assert_eq!(
                    *count,
                    told.len(),
                    "{} ({parser}) after chunk {index}",
                    vector.id
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 0);
}

#[test]
fn a_delay_of_any_length_is_a_duration() {
    let (told, _) = interpret(b"retry: 99999999999999999999\n", Bounds::NONE, "");
    assert_eq!(told, [Told::Retry(Duration::from_millis(u64::MAX))]);
}

#[test]
fn every_vector_holds_a_clause_and_every_clause_has_vectors() {
    const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/sse-conformance.md");
    let table = std::fs::read_to_string(TABLE).unwrap();
    let rows = table
        .lines()
        .map(|line| line.split('|').collect::<Vec<_>>());
    let cells: Vec<&str> = rows
        .filter(|row| row.len() == 5)
        .map(|row| row[3])
        .collect();
    let names: Vec<&str> = cells
        .iter()
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    let stands_for = |name: &str, id: &str| match name.strip_suffix('*') {
        Some(beginning) => id.starts_with(beginning),
        None => id == name,
    };
    let ids: Vec<String> = vectors().map(|vector| vector.id).collect();
    for name in &names {
        assert!(
            ids.iter().any(|id| stands_for(name, id)),
            "no vector is called `{name}`"
        );
    }
    for id in &ids {
        assert!(
            names.iter().any(|name| stands_for(name, id)),
            "no clause has `{id}`"
        );
    }
}
