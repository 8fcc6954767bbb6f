//! Runs contestants side by side and prints what one costs beside another.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Somebody who does a piece of work.
pub struct Contestant<'a> {
    pub name: &'static str,
    pub kind: Kind,
    pub is_left_out: bool,
    /// Does the work once and answers a number that depends on all of it.
    pub work: Box<dyn FnMut() -> usize + 'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ours,
    Peer,
    /// What the machine could do with less than the whole work.
    Limit,
}

impl<'a> Contestant<'a> {
    pub fn new(name: &'static str, kind: Kind, work: impl FnMut() -> usize + 'a) -> Self {
        Self {
            name,
            kind,
            is_left_out: false,
            work: Box::new(work),
        }
    }
}

/// A piece of work that all contestants do.
pub struct Row<'a> {
    pub name: String,
    pub events: usize,
    pub contestants: Vec<Contestant<'a>>,
}

/// Rows that each have contestants of their own: those whose names have the given parts.
pub fn table(title: &str, rows: Vec<Row<'_>>, wanted: &str, who: &str) {
    println!("\n{title}, {UNIT}:");
    for mut row in rows {
        if row.name.contains(wanted) {
            row.contestants
                .retain(|contestant| contestant.name.contains(who));
            println!();
            head(&row);
            run(&mut row);
        }
    }
}

/// The processor time of this thread: what others do on the machine is not in it.
fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a clock that only goes forward from zero")
}

const ROUNDS: usize = 15;
const SAMPLE: Duration = Duration::from_millis(2);
/// Who needs longer for the work once is left out: some are quadratic.
const PATIENCE: Duration = Duration::from_millis(200);

/// What the numbers of a table are.
pub const UNIT: &str = match COUNTS_ALLOCATIONS {
    true => "allocations an event",
    false => "ns an event (times the first column)",
};

const COUNTS_ALLOCATIONS: bool = cfg!(feature = "allocations");

/// Does the work of all contestants and prints a row.
pub fn run(row: &mut Row<'_>) {
    if COUNTS_ALLOCATIONS {
        count(row);
    } else {
        measure(row);
    }
}

/// Measures in rounds, each of which lets every contestant run once, so that a busy moment of the machine
/// meets all of them; prints medians of the time of an event, and the median over the rounds
/// of how often our first contestant fits into that time.
fn measure(row: &mut Row<'_>) {
    let events = row.events as f64;
    let mut runs = Vec::new();
    for contestant in &mut row.contestants {
        if contestant.is_left_out {
            runs.push(0);
            continue;
        }
        let start = now();
        std::hint::black_box((contestant.work)());
        let once = now() - start;
        let start = now();
        std::hint::black_box((contestant.work)());
        let once = once.min(now() - start).max(Duration::from_nanos(100));
        let times = (SAMPLE.as_nanos() / once.as_nanos()).max(1);
        runs.push(if once > PATIENCE { 0 } else { times });
    }
    let mut samples = vec![Vec::new(); row.contestants.len()];
    for _ in 0..ROUNDS {
        for (index, contestant) in row.contestants.iter_mut().enumerate() {
            let start = now();
            for _ in 0..runs[index] {
                std::hint::black_box((contestant.work)());
            }
            let runs = runs[index] as f64;
            samples[index].push((now() - start).as_nanos() as f64 / runs / events);
        }
    }
    print!("| {} |", row.name);
    for (index, contestant) in row.contestants.iter().enumerate() {
        if runs[index] == 0 {
            print!(" - |");
            continue;
        }
        let time = median(samples[index].clone());
        let ratios = samples[index]
            .iter()
            .zip(&samples[0])
            .map(|(theirs, ours)| theirs / ours);
        let ratio = median(ratios.collect());
        match contestant.kind {
            _ if index == 0 => print!(" **{}** |", number(time)),
            _ => print!(" {} ({ratio:.2}) |", number(time)),
        }
    }
    let best = row
        .contestants
        .iter()
        .enumerate()
        .filter(|(index, contestant)| contestant.kind == Kind::Peer && runs[*index] > 0);
    let best = best.map(|(index, contestant)| {
        let ratios = samples[index]
            .iter()
            .zip(&samples[0])
            .map(|(theirs, ours)| theirs / ours);
        (median(ratios.collect()), contestant.name)
    });
    match best.min_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((ratio, name)) => println!(" {ratio:.2} ({name}) |"),
        None => println!(" |"),
    }
}

/// Counts the allocations of an event, after one run that may fill what is kept.
fn count(row: &mut Row<'_>) {
    print!("| {} |", row.name);
    for contestant in &mut row.contestants {
        if contestant.is_left_out {
            print!(" - |");
            continue;
        }
        std::hint::black_box((contestant.work)());
        let count = allocations(&mut contestant.work);
        print!(" {:.2} |", count as f64 / row.events as f64);
    }
    println!();
}

#[cfg(feature = "allocations")]
fn allocations(work: &mut dyn FnMut() -> usize) -> u64 {
    let info = allocation_counter::measure(|| {
        std::hint::black_box(work());
    });
    info.count_total
}

#[cfg(not(feature = "allocations"))]
fn allocations(_work: &mut dyn FnMut() -> usize) -> u64 {
    unreachable!("only what counts allocations asks for them")
}

pub fn head(row: &Row<'_>) {
    let names: Vec<_> = row
        .contestants
        .iter()
        .map(|contestant| contestant.name)
        .collect();
    println!("| | {} | best peer / ours |", names.join(" | "));
    println!("|---|{}--:|", "--:|".repeat(names.len()));
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn number(nanos: f64) -> String {
    match nanos {
        n if n < 100.0 => format!("{n:.1}"),
        n => format!("{n:.0}"),
    }
}
