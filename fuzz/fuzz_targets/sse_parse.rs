//! Any stream, cut anywhere, under any limits: every parser tells what the literal one tells.
//!
//! The input is the limit of a line, the limit of an event (each a byte, 255 for none), a seed
//! of the cuts, and the stream. It is bytes and not a structure, so that a seed is a stream
//! with three bytes before it.
#![no_main]

#[path = "../../crates/sse/tests/literal/mod.rs"]
mod literal;
#[path = "../../crates/sse/tests/parsers/mod.rs"]
mod parsers;

use eventwire_sse::Limits;
use libfuzzer_sys::fuzz_target;
use literal::{Bounds, interpret};
use parsers::{PARSERS, Reading};

fuzz_target!(|input: &[u8]| {
    let [line, event, cuts, stream @ ..] = input else {
        return;
    };
    let bounds = Bounds { line: bound(*line), event: bound(*event) };
    let limits = Limits::default().line(bounds.line).event(bounds.event);
    let expected = interpret(stream, bounds, "0");
    let chunks = cut(stream, *cuts);
    for (parser, read) in PARSERS {
        for chunks in [&[stream][..], &chunks] {
            let told = read(&Reading { chunks, limits, start: "0" });
            assert_eq!(told, expected, "{parser} with {chunks:?}");
        }
    }
});

fn bound(byte: u8) -> usize {
    match byte {
        u8::MAX => Bounds::NONE.line,
        byte => usize::from(byte),
    }
}

/// Cuts the stream into chunks of lengths from 0 to 15 that follow from the seed.
fn cut(stream: &[u8], seed: u8) -> Vec<&[u8]> {
    let mut state = u32::from(seed);
    let mut rest = stream;
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let len = usize::from(state.to_be_bytes()[0] & 15).min(rest.len());
        let (chunk, tail) = rest.split_at(len);
        chunks.push(chunk);
        rest = tail;
    }
    chunks
}
