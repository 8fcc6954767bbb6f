use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{Advice, fadvise};
use tempfile::TempDir;

use crate::options::{Options, Part};
use crate::process::Process;
use crate::table::{Table, cell, median, number};
use crate::workload::Layout;
use crate::{Contestant, Reads};

/// How often a store is opened.
const OPENINGS: usize = 3;
/// Streams read after the disk's pages are dropped from memory.
const COLD: usize = 50;
const COLD_ROUNDS: usize = 3;
const COLUMNS: [&str; 4] = [
    "replay, events/s",
    "100 events scattered, streams/s",
    "100 neighbours, streams/s",
    "scattered and cold, streams/s",
];

/// A contestant with a store that was filled.
struct Filled {
    contestant: &'static Contestant,
    layout: Layout,
    directory: Directory,
    /// MiB it grew by while it was filled, where that was now.
    growth: Option<f64>,
    columns: [Vec<f64>; COLUMNS.len()],
    openings: Openings,
}

/// Where a filled store is.
enum Directory {
    /// It goes with the run.
    Passing(TempDir),
    /// It is there for the next.
    Kept(PathBuf),
}

#[derive(Default)]
struct Openings {
    killed: Option<f64>,
    closed: Option<f64>,
    /// MiB it has when it is open, above what an empty one has.
    resident: Option<f64>,
}

/// Fills stores, opens them and reads from them.
pub fn run(options: &Options) {
    let scale = options.scale;
    let mut filled = Vec::new();
    for contestant in options.contestants() {
        let is_read = match contestant.reads {
            Reads::Nothing => false,
            Reads::Slowly => scale.is_full,
            Reads::Limit | Reads::Everything => true,
        };
        if is_read {
            filled.push(Filled::new(contestant, options, scale.events));
        }
    }
    if options.does(Part::Opening) {
        filled.iter_mut().for_each(Filled::open);
    }
    if options.does(Part::Reading) {
        read(&mut filled, options);
    }
    if options.does(Part::Opening) {
        open_many(&filled, options);
    }
}

fn read(filled: &mut [Filled], options: &Options) {
    let window = options.scale.window;
    let mut processes: Vec<_> = filled.iter().map(Filled::start).collect();
    let begin = Instant::now();
    let mut rounds = 0;
    while rounds < options.scale.rounds && begin.elapsed() < options.scale.patience / 2 {
        rounds += 1;
        let commands = [
            "replay".to_owned(),
            format!("scattered {window}"),
            format!("neighbours {window}"),
        ];
        for (column, command) in commands.iter().enumerate() {
            for (filled, process) in filled.iter_mut().zip(&mut processes) {
                filled.columns[column].push(process.ask(command)[0]);
                process.rest();
            }
        }
    }
    processes.into_iter().for_each(Process::close);
    for _ in 0..rounds.min(COLD_ROUNDS) {
        filled.iter_mut().for_each(Filled::read_cold);
    }
    let columns = COLUMNS.map(str::to_owned).to_vec();
    let title = format!(
        "Reading of {} events (times raw), {rounds} rounds",
        options.scale.events
    );
    let mut table = Table::new(title, columns);
    for own in &*filled {
        let columns = own.columns.iter().zip(&filled[0].columns);
        let cells = columns.map(|(own, limit)| {
            let ratios: Vec<_> = own
                .iter()
                .zip(limit)
                .map(|(own, limit)| own / limit)
                .collect();
            cell(own, &ratios)
        });
        table.row(own.contestant.name, cells.collect());
    }
    table.print();
}

/// Opens those that have the time for it with many events, and prints the table of openings.
fn open_many(filled: &[Filled], options: &Options) {
    let scale = options.scale;
    let columns = [
        format!("{}, closed, ms", scale.events),
        format!("{}, killed, ms", scale.events),
        format!("{}, closed, ms", scale.many),
        format!("{}, killed, ms", scale.many),
        "ms a million more, closed".to_owned(),
        "MiB, filling".to_owned(),
        "MiB, opened".to_owned(),
    ];
    let mut table = Table::new(
        "Opening until a first stream is read, and memory",
        columns.to_vec(),
    );
    for few in filled {
        if few.contestant.reads == Reads::Limit {
            continue;
        }
        let mut many = Openings::default();
        if scale.is_full || few.contestant.name.contains("ours") {
            let mut filled = Filled::new(few.contestant, options, scale.many);
            filled.open();
            many = filled.openings;
        }
        let millions = (scale.many - scale.events) as f64 / 1e6;
        let slope = many.closed.zip(few.openings.closed);
        let slope = slope.map_or("-".to_owned(), |(many, few)| {
            format!("{:.2}", (many - few) / millions)
        });
        let value = |value: Option<f64>| value.map_or("-".to_owned(), number);
        let cells = vec![
            value(few.openings.closed),
            value(few.openings.killed),
            value(many.closed),
            value(many.killed),
            slope,
            value(few.growth.map(|growth| growth.max(0.0))),
            value(few.openings.resident),
        ];
        table.row(few.contestant.name, cells);
    }
    table.print();
}

impl Filled {
    fn new(contestant: &'static Contestant, options: &Options, events: usize) -> Self {
        let layout = Layout::new(events);
        let kept = options.kept(contestant, events);
        let (directory, growth) = match kept {
            Some(kept) if kept.exists() => (Directory::Kept(kept), None),
            kept => {
                let directory = options.directory();
                let growth = fill(contestant, directory.path(), layout);
                let directory = match kept {
                    Some(kept) => {
                        fs::rename(directory.keep(), &kept).expect("it is renamed");
                        Directory::Kept(kept)
                    }
                    None => Directory::Passing(directory),
                };
                (directory, Some(growth))
            }
        };
        Self {
            contestant,
            layout,
            directory,
            growth,
            columns: Default::default(),
            openings: Openings::default(),
        }
    }

    fn start(&self) -> Process {
        Process::start(self.contestant.name, self.directory.path(), self.layout)
    }

    /// Opens it after it was killed and after it was closed.
    fn open(&mut self) {
        if self.contestant.reads == Reads::Limit {
            return;
        }
        let mut killed = Vec::new();
        let mut process = self.start();
        for round in 0..OPENINGS {
            process.ask(&format!("tail {round}"));
            process.kill();
            process = self.start();
            killed.push(process.opened + process.ask("first")[0]);
        }
        let mut closed = Vec::new();
        for _ in 0..OPENINGS {
            process.close();
            process = self.start();
            closed.push(process.opened + process.ask("first")[0]);
        }
        process.rest();
        let resident = process.resident();
        process.close();
        self.openings = Openings {
            killed: median(&killed),
            closed: median(&closed),
            resident: Some((resident - self.empty()).max(0.0)),
        };
    }

    /// What a process with an empty store has.
    fn empty(&self) -> f64 {
        let directory = tempfile::tempdir_in(self.directory.path().parent().expect("it has one"));
        let directory = directory.expect("it is made");
        let process = Process::start(self.contestant.name, directory.path(), self.layout);
        let resident = process.resident();
        process.close();
        resident
    }

    /// Reads streams whose pages are not in memory.
    fn read_cold(&mut self) {
        let mut process = self.start();
        // Some read all of their files when they are opened.
        process.rest();
        forget(self.directory.path());
        let millis = process.ask(&format!("cold {COLD}"))[0];
        self.columns[3].push(COLD as f64 / millis * 1e3);
        process.close();
    }
}

impl Directory {
    fn path(&self) -> &Path {
        match self {
            Self::Passing(directory) => directory.path(),
            Self::Kept(path) => path,
        }
    }
}

/// Fills a store, and says by how many MiB the process grew.
fn fill(contestant: &Contestant, directory: &Path, layout: Layout) -> f64 {
    let mut process = Process::start(contestant.name, directory, layout);
    let empty = process.resident();
    process.ask("fill");
    process.rest();
    let growth = process.resident() - empty;
    process.close();
    growth
}

/// Has the system forget the pages of all files in a directory, but for those that are mapped.
fn forget(directory: &Path) {
    for entry in fs::read_dir(directory).expect("it is read") {
        let path = entry.expect("it is read").path();
        if path.is_dir() {
            forget(&path);
        } else {
            let file = File::open(path).expect("it opens");
            file.sync_all().expect("it is synced");
            fadvise(&file, 0, None, Advice::DontNeed).expect("it is forgotten");
        }
    }
}
