//! Runs contestants in turns and prints what came of it.

use std::io;
use std::time::Duration;

use crate::Contestant;
use crate::client::{self, Outcome, Run};

/// Deliveries a second, as fast as everything arrives.
pub fn of_throughput(contestants: &[Contestant], run: &Run, rounds: usize) -> io::Result<()> {
    println!(
        "\n{} subscribers, {} events at once\n\n{:24} {:>13} {:>9} {:>14} {:>16}",
        run.subscribers,
        run.at_once,
        "",
        "deliveries/s",
        "of ours",
        "a connection",
        "CPU a delivery"
    );
    let outcomes = in_turns(contestants, rounds, |contestant| {
        client::at_most(contestant, run)
    })?;
    for (contestant, own) in contestants.iter().zip(&outcomes) {
        let shares = own.iter().zip(&outcomes[0]);
        println!(
            "{:24} {:>13.0} {:>9.2} {:>11.1} KB {:>13.2} us",
            contestant.name(),
            median(own.iter().map(rate)),
            median(shares.map(|(own, first)| rate(own) / rate(first))),
            median(own.iter().map(|outcome| outcome.connection_bytes as f64)) / 1024.0,
            median(own.iter().map(busy)),
        );
    }
    Ok(())
}

/// Latency and processor time at a rate.
pub fn of_latency(
    contestants: &[Contestant],
    subscribers: usize,
    rate: u32,
    rounds: usize,
) -> io::Result<()> {
    println!(
        "\n{subscribers} subscribers, {rate} events a second\n\n{:24} {:>12} {:>12} {:>16}",
        "", "last, p50", "last, p99", "CPU a delivery"
    );
    let run = Run {
        subscribers,
        at_once: 1,
        lasting: Duration::from_secs(3),
    };
    let interval = Duration::from_secs(1) / rate;
    let outcomes = in_turns(contestants, rounds, |contestant| {
        client::at_rate(contestant, &run, interval)
    })?;
    for (contestant, own) in contestants.iter().zip(&outcomes) {
        let [half, most] = [0, 1].map(|at| {
            let latencies = own.iter().map(|outcome| outcome.latency[at]);
            median(latencies.map(|latency| latency.as_secs_f64() * 1000.0))
        });
        println!(
            "{:24} {half:>9.2} ms {most:>9.2} ms {:>13.2} us",
            contestant.name(),
            median(own.iter().map(busy)),
        );
    }
    Ok(())
}

/// The outcomes of each contestant, by round: a busy moment of the machine meets all of them.
fn in_turns(
    contestants: &[Contestant],
    rounds: usize,
    run: impl Fn(Contestant) -> io::Result<Outcome>,
) -> io::Result<Vec<Vec<Outcome>>> {
    let mut outcomes = vec![Vec::new(); contestants.len()];
    for _ in 0..rounds {
        for (contestant, outcomes) in contestants.iter().zip(&mut outcomes) {
            outcomes.push(run(*contestant)?);
        }
    }
    Ok(outcomes)
}

fn rate(outcome: &Outcome) -> f64 {
    outcome.deliveries as f64 / outcome.elapsed.as_secs_f64()
}

/// Microseconds of the server's processor a delivery.
fn busy(outcome: &Outcome) -> f64 {
    outcome.busy.as_secs_f64() * 1e6 / outcome.deliveries.max(1) as f64
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
