//! One event, thousands of listeners. A server on one core, its clients on another:
//!
//! `cargo run --release -p fanout [-- --subscribers 1000,5000]`
//!
//! Each server is a process of its own. What is published is told to it line by line, and the
//! next is told when the last has reached everyone: nothing is dropped, and all are compared at
//! equal events a round. The contestants take turns, and ratios are medians over the rounds.

mod client;
mod server;
mod table;

use std::time::Duration;

use clap::{Parser, ValueEnum};

/// How it is run.
#[derive(Debug, Parser)]
struct Options {
    /// Listeners, one row of tables each.
    #[arg(long, value_delimiter = ',', default_values_t = [1000, 5000])]
    subscribers: Vec<usize>,
    /// Events that are published at once, one table each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32])]
    at_once: Vec<usize>,
    /// Seconds each contestant is measured in a round.
    #[arg(long, default_value_t = 1.5)]
    seconds: f64,
    /// How often each has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only these contestants.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Contestant>,
    /// Events a second in the table of latencies and processor time.
    #[arg(long, default_value_t = 10)]
    rate: u32,
    /// Be this server: used by the program itself.
    #[arg(long, hide = true)]
    serve: Option<Contestant>,
}

/// Who fans out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Contestant {
    /// A feed over the store in memory, its body on hyper's HTTP/1.1.
    Eventwire,
    /// The same, its sockets taken over from hyper after the head.
    TakeOver,
    /// axum, every event encoded once, a broadcast channel: what a careful person writes.
    AxumBytes,
    /// axum's `Sse` over a broadcast channel: what everyone writes.
    AxumSse,
    /// A write of the event to each socket, no HTTP: what the machine can do without joining.
    Raw,
}

impl Contestant {
    fn name(self) -> &'static str {
        match self {
            Self::Eventwire => "eventwire",
            Self::TakeOver => "eventwire, taken over",
            Self::AxumBytes => "axum + Bytes",
            Self::AxumSse => "axum Sse",
            Self::Raw => "raw, a write an event",
        }
    }
}

fn main() -> std::io::Result<()> {
    let options = Options::parse();
    if let Some(contestant) = options.serve {
        return server::run(contestant);
    }
    let wanted =
        |contestant: &Contestant| options.only.is_empty() || options.only.contains(contestant);
    let contestants: Vec<_> = Contestant::value_variants()
        .iter()
        .copied()
        .filter(wanted)
        .collect();
    client::on_its_core()?;
    for &subscribers in &options.subscribers {
        for &at_once in &options.at_once {
            let run = client::Run {
                subscribers,
                at_once,
                lasting: Duration::from_secs_f64(options.seconds),
            };
            table::of_throughput(&contestants, &run, options.rounds)?;
        }
        table::of_latency(&contestants, subscribers, options.rate, options.rounds)?;
    }
    Ok(())
}
