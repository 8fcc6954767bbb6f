//! What compressing event streams saves and costs:
//! `cargo run --release -p eventwire-sse-body --features gzip --example compression`.
//!
//! Each event is flushed by itself. *A stream's own* remembers what the stream had before, for each
//! subscriber; *shared* compresses an event once for all subscribers, and forgets everything every so
//! many events: blocks of deflate that refer to nothing before can follow each other in any stream, so
//! that is where somebody may join.

use std::hint::black_box;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use eventwire_sse::{Event, EventId, EventName, Frame};
use flate2::{Compress, Compression, FlushCompress};

const EVENTS: usize = 2_000;
const RUNS: usize = 5;

fn main() -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(
        out,
        "{:<22} {:<26} {:>12} {:>9} {:>12} {:>10}",
        "events", "compressed", "bytes/event", "of plain", "µs/event", "KiB/stream"
    )?;
    for (name, frames) in [
        ("prices, 100 bytes", frames(price)),
        ("messages, 250 bytes", frames(message)),
        ("documents, 4 KiB", frames(document)),
    ] {
        let plain = frames.iter().map(Frame::len).sum();
        let mut row = |how: String, sizes: usize, took: Duration, kept: u64| {
            writeln!(
                out,
                "{name:<22} {how:<26} {:>12} {:>8}% {:>12.2} {:>10}",
                sizes / EVENTS,
                100 * sizes / plain,
                took.as_secs_f64() * 1e6 / events(),
                kept / 1024,
            )
        };
        row("not at all".to_owned(), plain, Duration::ZERO, 0)?;
        for (level, window) in [(1, 12), (1, 15), (6, 10), (6, 12), (6, 15), (9, 12)] {
            let own = || Compress::new_gzip(Compression::new(level), window);
            let mut kept = 0;
            let allocated = allocation_counter::measure(|| {
                black_box(own());
            });
            kept += allocated.bytes_max;
            let (sizes, took) = best(|| {
                let mut gzip = own();
                frames.iter().map(|frame| flushed(&mut gzip, frame)).sum()
            });
            row(format!("own, level {level}, 2^{window}"), sizes, took, kept)?;
        }
        for (level, together) in [(1, 1), (6, 1), (1, 8), (1, 64), (6, 64)] {
            let (sizes, took) = best(|| {
                let mut deflate = Compress::new(Compression::new(level), false);
                let runs = frames.chunks(together).map(|run| {
                    deflate.reset();
                    run.iter()
                        .map(|frame| flushed(&mut deflate, frame))
                        .sum::<usize>()
                });
                runs.sum()
            });
            row(
                format!("shared, level {level}, by {together}"),
                sizes,
                took,
                0,
            )?;
        }
    }
    Ok(())
}

fn events() -> f64 {
    f64::from(u32::try_from(EVENTS).expect("a few"))
}

/// What it comes to, and the least time it took.
fn best(mut work: impl FnMut() -> usize) -> (usize, Duration) {
    let runs = (0..RUNS).map(|_| {
        let begun = Instant::now();
        let sizes = black_box(work());
        (sizes, begun.elapsed())
    });
    runs.min_by_key(|(_, took)| *took).expect("some runs")
}

fn flushed(encoder: &mut Compress, frame: &Frame) -> usize {
    let mut output = Vec::with_capacity(frame.len() + 64);
    let status = encoder.compress_vec(frame.as_bytes(), &mut output, FlushCompress::Sync);
    status.expect("an encoder that takes it");
    assert!(output.len() < output.capacity(), "all of it is out");
    output.len()
}

/// Events that differ as real ones do, the same in every run.
fn frames(make: fn(&mut Dice, usize) -> (&'static str, String)) -> Vec<Frame> {
    let mut dice = Dice(1);
    let numbers = 0..EVENTS;
    let event = |number| {
        let (name, data) = make(&mut dice, number);
        let id = EventId::new(format!("7f3a09c2e1b4.{number}")).expect("visible ASCII");
        Event::new(data)
            .name(EventName::from_static(name))
            .id(id)
            .encode()
    };
    numbers.map(event).collect()
}

fn price(dice: &mut Dice, number: usize) -> (&'static str, String) {
    let symbol = ["ABC", "XYZ", "EVW", "SSE"][dice.below(4)];
    let (whole, part) = (dice.below(900) + 100, dice.below(100));
    let data = format!(r#"{{"symbol":"{symbol}","price":{whole}.{part:02},"sequence":{number}}}"#);
    ("price-changed", data)
}

fn message(dice: &mut Dice, number: usize) -> (&'static str, String) {
    let author = ["Ada", "Grace", "Alan", "Barbara"][dice.below(4)];
    let text = dice.words(18);
    let data = format!(
        r#"{{"room":"lobby","author":"{author}","text":"{text}","sent_at":"2026-11-21T09:{:02}:{:02}.{:03}Z"}}"#,
        number / 60 % 60,
        number % 60,
        dice.below(1000)
    );
    ("message-posted", data)
}

fn document(dice: &mut Dice, number: usize) -> (&'static str, String) {
    let paragraphs: Vec<String> = (0..14).map(|_| format!("\"{}\"", dice.words(50))).collect();
    let data = format!(
        r#"{{"number":{number},"paragraphs":[{}]}}"#,
        paragraphs.join(",")
    );
    ("document-changed", data)
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from((self.0 >> 33) % limit).expect("small")
    }

    /// Words of a vocabulary of some 2,000, the first of them far more often.
    fn words(&mut self, count: usize) -> String {
        const PARTS: [&str; 12] = [
            "an", "be", "cor", "den", "el", "for", "go", "her", "in", "ma", "ster", "ti",
        ];
        let word = |dice: &mut Self| {
            let parts = 1 + dice.below(3).min(dice.below(3));
            let part = |_| PARTS[dice.below(12).min(dice.below(12))];
            (0..parts).map(part).collect::<String>()
        };
        (0..count).map(|_| word(self)).collect::<Vec<_>>().join(" ")
    }
}
