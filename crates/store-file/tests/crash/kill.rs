//! A process is killed while it writes, again and again. `EVENTWIRE_KILL_CYCLES` sets how often.

use std::thread;
use std::time::Duration;

use crate::ledger::{Ledger, Takes};
use crate::load::Start;
use crate::{number, seed};

/// Lives of one store; then comes a new one, which reads faster.
const LIVES: u64 = 10;

#[test]
fn what_a_killed_process_said_was_written_is_there() {
    let cycles = number("EVENTWIRE_KILL_CYCLES", 6);
    let seed = seed();
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut appends, mut drops, mut cuts, mut segments) = (0, 0, 0, 0);
    for begin in (0..cycles).step_by(usize::try_from(LIVES).unwrap()) {
        let directory = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::default();
        for _ in begin..cycles.min(begin + LIVES) {
            // Small ones are left often; in a large one space is made again and again.
            let segment_bytes = 1 << random.u32(13..22);
            let mut process = Start {
                directory: directory.path(),
                segment_bytes,
                rounds: None,
                under: Vec::new(),
            }
            .start();
            // Sometimes while it opens.
            let lines = random.choice([0, 1, 20, 200]).unwrap();
            ledger.enter(&process.take(random.usize(0..=lines)));
            thread::sleep(Duration::from_micros(random.u64(..20_000)));
            ledger.enter(&process.kill());
            ledger.check(directory.path(), segment_bytes, Takes::Nothing);
        }
        appends += ledger.appends();
        drops += ledger.drops();
        cuts += ledger.cuts;
        segments = segments.max(ledger.segments);
    }
    println!(
        "{cycles} lives, {appends} appends and {drops} drops answered, {cuts} torn commits cut, up to {segments} segments"
    );
    assert!(appends > 0, "nothing was written");
}
