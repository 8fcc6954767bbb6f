//! `cargo run --release -- [parsing|encoding|storing] [part of a row's name] [part of a contestant's]`: see README.md.

mod corpus;
mod encoding;
mod parsing;
mod storing;

use corpus::{CUTS, Corpus};
use encoding::Payload;
use harness::Row;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let table = arguments.next().unwrap_or_default();
    let wanted = arguments.next().unwrap_or_default();
    let who = arguments.next().unwrap_or_default();
    if table.is_empty() || table == "parsing" {
        parsing_table(&wanted, &who);
    }
    if table.is_empty() || table == "encoding" {
        encoding_table(&wanted, &who);
    }
    if table.is_empty() || table == "storing" {
        harness::table("Storing", storing::rows(), &wanted, &who);
    }
}

fn encoding_table(wanted: &str, who: &str) {
    println!("\nEncoding, {}:\n", harness::UNIT);
    let mut first = true;
    for payload in Payload::all() {
        if !payload.name.contains(wanted) {
            continue;
        }
        let mut contestants = payload.contestants();
        contestants.retain(|contestant| contestant.name.contains(who));
        let name = payload.name.to_owned();
        let mut row = Row {
            name,
            events: encoding::BATCH,
            contestants,
        };
        if std::mem::take(&mut first) {
            harness::head(&row);
        }
        harness::run(&mut row);
    }
}

fn parsing_table(wanted: &str, who: &str) {
    println!("\nParsing, {}:\n", harness::UNIT);
    let mut first = true;
    for corpus in Corpus::all() {
        for cut in CUTS {
            let name = format!("{}, {}", corpus.name, cut.name);
            if !name.contains(wanted) {
                continue;
            }
            let (chunks, events) = corpus.chunks(cut);
            let mut contestants = parsing::contestants(&chunks);
            contestants.retain(|contestant| contestant.name.contains(who));
            if corpus.name.contains("1 MiB") && cut.size < 1_000 {
                // It is quadratic in the length of a line, and would be at it for an hour.
                for contestant in &mut contestants {
                    contestant.is_left_out = contestant.name == "eventsource-stream";
                }
            }
            let mut row = Row {
                name,
                events,
                contestants,
            };
            if std::mem::take(&mut first) {
                harness::head(&row);
            }
            harness::run(&mut row);
        }
    }
}
