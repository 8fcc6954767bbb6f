//! `cargo run --release -p persisting -- [appending|reading|opening] [part of a contestant's name]
//! [--quick | --full] [--events NUMBER] [--keep] [--dir DIRECTORY]`: see the README.

mod appending;
mod child;
mod grouped;
mod options;
mod process;
mod reading;
mod record;
mod store;
mod stores;
mod table;
mod workload;

use std::path::Path;

use options::{Options, Part};
use stores::{Fjall, OkayWal, Ours, OursDirect, Raw, Redb, Sierra, Sqlite, Tephra, Uma, Unindexed};
use workload::Layout;

/// Somebody who is measured.
pub struct Contestant {
    pub name: &'static str,
    /// What can be had of it.
    pub reads: Reads,
    serve: fn(&Path, Layout),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    Nothing,
    /// Events, but it is no store that could be opened again after a crash.
    Limit,
    Everything,
    /// Everything, in a time nobody has unless they ask for it.
    Slowly,
}

/// All of them; the first is the limit the others are beside.
pub const CONTESTANTS: [Contestant; 12] = [
    contestant("raw", Reads::Limit, child::serve::<Raw>),
    contestant("no index", Reads::Nothing, child::serve::<Unindexed>),
    contestant("ours", Reads::Everything, child::serve::<Ours>),
    contestant(
        "ours, direct",
        Reads::Everything,
        child::serve::<OursDirect>,
    ),
    contestant("tephra", Reads::Everything, child::serve::<Tephra>),
    contestant("fjall", Reads::Everything, child::serve::<Fjall>),
    contestant("SQLite", Reads::Everything, child::serve::<Sqlite>),
    contestant("redb", Reads::Everything, child::serve::<Redb>),
    contestant("umadb", Reads::Everything, child::serve::<Uma>),
    contestant("sierradb", Reads::Slowly, child::serve::<Sierra<1>>),
    contestant(
        "sierradb, by 50",
        Reads::Nothing,
        child::serve::<Sierra<50>>,
    ),
    contestant("okaywal", Reads::Nothing, child::serve::<OkayWal>),
];

const fn contestant(name: &'static str, reads: Reads, serve: fn(&Path, Layout)) -> Contestant {
    Contestant { name, reads, serve }
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [serve, name, directory, events] = &arguments[..]
        && serve == "--serve"
    {
        let mut contestants = CONTESTANTS.iter();
        let contestant = contestants.find(|contestant| contestant.name == name);
        let layout = Layout::new(events.parse().expect("a number"));
        (contestant.expect("a contestant").serve)(Path::new(directory), layout);
        return;
    }
    let options = match Options::parse(&arguments) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(2);
        }
    };
    if options.does(Part::Appending) {
        appending::run(&options);
    }
    if options.does(Part::Reading) || options.does(Part::Opening) {
        reading::run(&options);
    }
}
