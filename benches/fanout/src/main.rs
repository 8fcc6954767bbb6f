//! One event, thousands of listeners. A server on one core, its listeners on another:
//!
//! `cargo run --release -p fanout [-- --what throughput --subscribers 1000,5000]`
//!
//! Each server is a process of its own. What is published is told to it, and the next is told
//! when the last has reached everyone, once: nothing is dropped, and all are compared at equal
//! events a round. The contestants take turns, and ratios are medians over the rounds.

mod contestant;
mod listeners;
mod peers;
mod process;
mod run;
mod server;
mod streams;
mod table;

use std::io;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use contestant::Contestant;
use table::Tables;

/// How it is run.
#[derive(Debug, Parser)]
struct Options {
    /// Only these tables.
    #[arg(long, value_delimiter = ',')]
    what: Vec<What>,
    /// Only these contestants.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Contestant>,
    /// Listeners; each table has its own numbers unless set.
    #[arg(long, value_delimiter = ',')]
    subscribers: Vec<usize>,
    /// Events that are published at once, where as many as possible are.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32])]
    at_once: Vec<usize>,
    /// Events a second, where that is fixed; each table has its own unless set.
    #[arg(long, value_delimiter = ',')]
    rate: Vec<u32>,
    /// Milliseconds for which the first event after a silence waits for others.
    #[arg(long, value_delimiter = ',', default_values_t = [0, 2, 5, 10])]
    gather: Vec<u64>,
    /// Seconds each contestant is measured in a round.
    #[arg(long, default_value_t = 1.5)]
    seconds: f64,
    /// How often each has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Be this server: used by the program itself.
    #[arg(long, hide = true)]
    serve: Option<Contestant>,
}

/// What there is a table of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Deliveries a second, as fast as everything arrives.
    Throughput,
    /// Latency and processor time at a rate.
    Rate,
    /// The same where each event is published at its time, whoever has had the last.
    Gather,
    /// Events that one listener of many wants.
    Topics,
    /// Memory of connections that are open and told nothing.
    Idle,
    /// Memory of streams that share connections of HTTP/2.
    Http2,
}

impl What {
    fn subscribers(self) -> &'static [usize] {
        match self {
            Self::Throughput | Self::Rate => &[1000, 5000],
            Self::Gather => &[1000],
            Self::Topics => &[10_000],
            Self::Idle => &[1000, 10_000, 50_000],
            Self::Http2 => &[10_000],
        }
    }

    fn rates(self) -> &'static [u32] {
        match self {
            Self::Gather => &[200, 500, 1000, 2000],
            _ => &[10],
        }
    }

    fn has(self, contestant: Contestant) -> bool {
        match self {
            Self::Throughput => contestant != Contestant::Http2,
            // What comes one by one is never joined.
            Self::Rate | Self::Idle => {
                !matches!(contestant, Contestant::RawJoined | Contestant::Http2)
            }
            Self::Gather => matches!(contestant, Contestant::Eventwire | Contestant::TakeOver),
            Self::Topics => contestant.has_topics(),
            Self::Http2 => contestant == Contestant::Http2,
        }
    }
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    process::allow_files();
    if let Some(contestant) = options.serve {
        let gather = options.gather.first().copied().unwrap_or_default();
        return server::run(contestant, Duration::from_millis(gather));
    }
    process::run_on(process::LISTENERS)?;
    let is_wanted = |what: &What| options.what.is_empty() || options.what.contains(what);
    for &what in What::value_variants().iter().filter(|what| is_wanted(what)) {
        let is_asked = |who: &Contestant| options.only.is_empty() || options.only.contains(who);
        let contestants = Contestant::value_variants().iter().copied();
        let tables = Tables {
            contestants: contestants
                .filter(|who| is_asked(who) && what.has(*who))
                .collect(),
            rounds: options.rounds,
            lasting: Duration::from_secs_f64(options.seconds),
        };
        let asked = match &*options.subscribers {
            [] => what.subscribers(),
            asked => asked,
        };
        let rates = match &*options.rate {
            [] => what.rates(),
            asked => asked,
        };
        let can_be = |count: &usize| what == What::Http2 || *count <= process::connections();
        let subscribers: Vec<_> = asked.iter().copied().filter(can_be).collect();
        match what {
            What::Throughput => tables.throughput(&subscribers, &options.at_once),
            What::Rate => tables.rate(&subscribers, rates),
            What::Gather => tables.gather(&subscribers, rates, &options.gather),
            What::Topics => tables.topics(&subscribers),
            What::Idle => tables.idle(&subscribers),
            What::Http2 => tables.http2(&subscribers),
        }?;
        for count in asked.iter().filter(|count| !can_be(count)) {
            println!("| {count} | all | NOT MEASURED: a process may have too few files here |");
        }
    }
    Ok(())
}
