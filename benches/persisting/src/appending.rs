use std::time::Instant;

use tempfile::TempDir;

use crate::Contestant;
use crate::options::Options;
use crate::process::Process;
use crate::table::{Table, cell, median, number, percentile};
use crate::workload::Layout;

/// A contestant with its store open.
struct Runner {
    contestant: &'static Contestant,
    process: Process,
    /// MiB it grew by with the events of the seed.
    growth: f64,
    /// Of each column, the events a second that were measured.
    rates: Vec<Vec<f64>>,
    /// The same beside what the limit reached before and after.
    ratios: Vec<Vec<f64>>,
    /// Microseconds of its commits alone: the median and the 99th percentile of each round.
    commits: [Vec<f64>; 2],
    _directory: TempDir,
}

/// Appends to stores that have some events, everybody in turn, and prints events a second. The disk
/// is fast in one moment and slow in the next, so the limit is measured before and after everybody.
pub fn run(options: &Options) {
    let scale = options.scale;
    let mut runners: Vec<_> = options
        .contestants()
        .map(|contestant| Runner::start(contestant, options))
        .collect();
    let (limit, others) = runners.split_first_mut().expect("the limit is there");
    let begin = Instant::now();
    let mut rounds = 0;
    while rounds < scale.rounds && begin.elapsed() < scale.patience {
        rounds += 1;
        for (column, work) in Work::ALL.into_iter().enumerate() {
            let mut before = limit.measure(column, &work.command(scale.window / 3));
            for other in &mut *others {
                let own = other.measure(column, &work.command(scale.window));
                let after = limit.measure(column, &work.command(scale.window / 3));
                let limit = f64::midpoint(before, after);
                other.ratios[column].push(own / limit);
                before = after;
            }
        }
    }
    print(&runners, scale.seed, rounds);
    let processes = runners.into_iter().map(|runner| runner.process);
    processes.for_each(Process::close);
}

/// What everybody does.
#[derive(Clone, Copy)]
enum Work {
    /// So many appends under way at once, of one event each.
    InFlight(usize),
    /// One writer with so many events an append.
    Batches(usize),
}

impl Work {
    const ALL: [Self; 5] = [
        Self::InFlight(1),
        Self::InFlight(64),
        Self::InFlight(256),
        Self::InFlight(1_024),
        Self::Batches(100),
    ];

    fn command(self, millis: usize) -> String {
        match self {
            Self::InFlight(appends) => format!("append {appends} {millis}"),
            Self::Batches(events) => format!("batch {events} {millis}"),
        }
    }

    fn name(self) -> String {
        match self {
            Self::InFlight(1) => "1 writer".to_owned(),
            Self::InFlight(appends) => format!("{appends} in flight"),
            Self::Batches(events) => format!("1 writer, {events} an append"),
        }
    }
}

impl Runner {
    fn start(contestant: &'static Contestant, options: &Options) -> Self {
        let directory = options.directory();
        let layout = Layout::new(options.scale.events);
        let mut process = Process::start(contestant.name, directory.path(), layout);
        let empty = process.resident();
        process.ask(&format!("seed {}", options.scale.seed));
        process.rest();
        Self {
            contestant,
            growth: process.resident() - empty,
            process,
            rates: vec![Vec::new(); Work::ALL.len()],
            ratios: vec![Vec::new(); Work::ALL.len()],
            commits: Default::default(),
            _directory: directory,
        }
    }

    fn measure(&mut self, column: usize, command: &str) -> f64 {
        let answer = self.process.ask(command);
        self.rates[column].push(answer[0]);
        if column == 0 {
            self.commits[0].push(answer[1]);
            self.commits[1].push(answer[2]);
        }
        self.process.rest();
        answer[0]
    }
}

fn print(runners: &[Runner], seed: usize, rounds: usize) {
    let [half, most] = &runners[0].commits;
    let percentile = |percent| percentile(half, percent).unwrap_or(f64::NAN);
    println!(
        "\nA write and an fdatasync of one event took {:.0} us, and {:.0} to {:.0} us in eight of ten samples; \
         99 of 100 of a sample within {:.0} us (medians of the samples).",
        percentile(50),
        percentile(10),
        percentile(90),
        median(most).unwrap_or(f64::NAN),
    );
    let mut columns: Vec<_> = Work::ALL.into_iter().map(Work::name).collect();
    columns.push(format!("MiB for {seed} streams"));
    let mut table = Table::new(
        format!("Appending, events a second (times raw), {rounds} rounds"),
        columns,
    );
    for runner in runners {
        let columns = runner.rates.iter().zip(&runner.ratios);
        let mut cells: Vec<_> = columns.map(|(rates, ratios)| cell(rates, ratios)).collect();
        cells.push(number(runner.growth.max(0.0)));
        table.row(runner.contestant.name, cells);
    }
    table.print();
}
