//! Has contestants take turns, and prints what came of it as rows of Markdown.

use std::io;
use std::time::Duration;

use crate::contestant::Contestant;
use crate::run::{Outcome, Run, Stream, Streamed, idle, one_of};
use crate::streams::{self, stream_bytes};

/// Whose rows there are, and how they are measured.
pub struct Tables {
    pub contestants: Vec<Contestant>,
    pub rounds: usize,
    pub lasting: Duration,
}

impl Tables {
    pub fn throughput(&self, subscribers: &[usize], at_once: &[usize]) -> io::Result<()> {
        head(&[
            "listeners, events at once",
            "deliveries/s",
            "of the first",
            "us a delivery",
            "server, listeners busy",
            "a connection",
        ]);
        for &subscribers in subscribers {
            for &at_once in at_once {
                let run = Run {
                    subscribers,
                    at_once,
                    lasting: self.lasting,
                    interval: None,
                };
                let what = format!("{subscribers}, {at_once}");
                self.rows(
                    &what,
                    |who| run.of(who),
                    |own, first| {
                        vec![
                            format!("{:.0}", median(own, rate)),
                            ratios(own, first, rate),
                            format!("{:.2}", median(own, busy)),
                            format!(
                                "{:.0} %, {:.0} %",
                                median(own, |one| share(one.busy, one.elapsed)),
                                median(own, |one| share(one.listeners_busy, one.elapsed))
                            ),
                            kb(own, |one| one.connection_bytes),
                        ]
                    },
                )?;
            }
        }
        Ok(())
    }

    pub fn rate(&self, subscribers: &[usize], rates: &[u32]) -> io::Result<()> {
        head(&[
            "listeners, events/s",
            "the last has it, p50",
            "p99",
            "p99 of the first",
            "us a delivery",
        ]);
        for (&subscribers, &rate) in product(subscribers, rates) {
            let run = Run {
                subscribers,
                at_once: 1,
                lasting: self.lasting.max(Duration::from_secs(3)),
                interval: Some(Duration::from_secs(1) / rate),
            };
            let latency = |at: usize| move |one: &Outcome| one.latency[at].as_secs_f64() * 1000.0;
            self.rows(
                &format!("{subscribers}, {rate}"),
                |who| run.of(who),
                |own, first| {
                    vec![
                        format!("{:.2} ms", median(own, latency(0))),
                        format!("{:.2} ms", median(own, latency(1))),
                        ratios(own, first, latency(1)),
                        format!("{:.2}", median(own, busy)),
                    ]
                },
            )?;
        }
        Ok(())
    }

    pub fn gather(&self, subscribers: &[usize], rates: &[u32], times: &[u64]) -> io::Result<()> {
        head(&[
            "listeners, events/s, gathered for",
            "us a delivery",
            "server busy",
            "the last has it, p50",
            "p99",
        ]);
        for ((&subscribers, &rate), &gather) in
            product(subscribers, rates).flat_map(|both| times.iter().map(move |time| (both, time)))
        {
            let stream = Stream {
                subscribers,
                rate,
                lasting: self.lasting,
                gather: Duration::from_millis(gather),
            };
            let latency = |at: usize| move |one: &Streamed| one.latency[at].as_secs_f64() * 1000.0;
            self.rows(
                &format!("{subscribers}, {rate}, {gather} ms"),
                |who| stream.of(who),
                |own, _first| {
                    vec![
                        format!("{:.2}", median(own, |one| one.busy.as_secs_f64() * 1e6)),
                        format!("{:.0} %", median(own, |one| 100.0 * one.load)),
                        format!("{:.2} ms", median(own, latency(0))),
                        format!("{:.2} ms", median(own, latency(1))),
                    ]
                },
            )?;
        }
        Ok(())
    }

    pub fn topics(&self, subscribers: &[usize]) -> io::Result<()> {
        head(&[
            "listeners, a topic each",
            "us an event",
            "with one listener",
            "times that",
            "of the first",
        ]);
        for &subscribers in subscribers {
            let both = |who| {
                let many = one_of(who, subscribers, self.lasting)?;
                Ok([many, one_of(who, 1, self.lasting)?])
            };
            let micros = |at: usize| move |both: &[Duration; 2]| both[at].as_secs_f64() * 1e6;
            self.rows(&subscribers.to_string(), both, |own, first| {
                let [many, one] = [micros(0), micros(1)];
                vec![
                    format!("{:.1}", median(own, many)),
                    format!("{:.1}", median(own, one)),
                    format!("{:.2}", median(own, |both| many(both) / one(both))),
                    ratios(own, first, many),
                ]
            })?;
        }
        Ok(())
    }

    pub fn idle(&self, subscribers: &[usize]) -> io::Result<()> {
        head(&[
            "idle connections",
            "a connection",
            "of the first",
            "in the kernel, both ends",
            "us to open",
        ]);
        for &subscribers in subscribers {
            let measure = |who| idle(who, subscribers);
            self.rows(&subscribers.to_string(), measure, |own, first| {
                vec![
                    kb(own, |one| one.resident),
                    ratios(own, first, |one| one.resident as f64),
                    kb(own, |one| one.kernel),
                    format!("{:.0}", median(own, |one| one.opening.as_secs_f64() * 1e6)),
                ]
            })?;
        }
        Ok(())
    }

    pub fn http2(&self, subscribers: &[usize]) -> io::Result<()> {
        let streams = format!("streams, {} a connection", streams::A_CONNECTION);
        head(&[&streams, "a stream"]);
        for &subscribers in subscribers {
            let measure = |who| stream_bytes(who, subscribers);
            self.rows(&subscribers.to_string(), measure, |own, _first| {
                vec![kb(own, |bytes| *bytes)]
            })?;
        }
        Ok(())
    }

    /// Measures each contestant in each round, so that a busy moment of the machine meets all of
    /// them, and prints a row of each: its cells are made of its own outcomes and the first's.
    fn rows<T>(
        &self,
        what: &str,
        measure: impl Fn(Contestant) -> io::Result<T>,
        cells: impl Fn(&[T], &[T]) -> Vec<String>,
    ) -> io::Result<()> {
        let is_there = |who: &&Contestant| who.missing().is_none();
        let there: Vec<_> = self.contestants.iter().filter(is_there).collect();
        let mut outcomes: Vec<Vec<T>> = there.iter().map(|_| Vec::new()).collect();
        for _ in 0..self.rounds {
            for (who, outcomes) in there.iter().zip(&mut outcomes) {
                let told = |error: io::Error| io::Error::other(format!("{}: {error}", who.name()));
                outcomes.push(measure(**who).map_err(told)?);
            }
        }
        for (who, own) in there.iter().zip(&outcomes) {
            let cells = cells(own, &outcomes[0]).join(" | ");
            println!("| {what} | {} | {cells} |", who.name());
        }
        for who in &self.contestants {
            if let Some(package) = who.missing() {
                println!(
                    "| {what} | {} | NOT MEASURED: apt-get install {package} |",
                    who.name()
                );
            }
        }
        Ok(())
    }
}

/// Each of these with each of those.
fn product<'a, A, B>(these: &'a [A], those: &'a [B]) -> impl Iterator<Item = (&'a A, &'a B)> {
    these
        .iter()
        .flat_map(|this| those.iter().map(move |that| (this, that)))
}

/// The head of a table: the first column says what is done, the second to whom.
fn head(columns: &[&str]) {
    let (what, rest) = columns.split_first().expect("a table has columns");
    println!("\n| {what} | | {} |", rest.join(" | "));
    println!("|---|---|{}", "--:|".repeat(rest.len()));
}

fn rate(outcome: &Outcome) -> f64 {
    outcome.deliveries as f64 / outcome.elapsed.as_secs_f64()
}

/// Microseconds of the server's processor a delivery.
fn busy(outcome: &Outcome) -> f64 {
    outcome.busy.as_secs_f64() * 1e6 / outcome.deliveries.max(1) as f64
}

fn share(part: Duration, of: Duration) -> f64 {
    100.0 * part.as_secs_f64() / of.as_secs_f64()
}

/// The median of the ratios of a round.
fn ratios<T>(own: &[T], first: &[T], value: impl Fn(&T) -> f64) -> String {
    let pairs: Vec<_> = own.iter().zip(first).collect();
    format!(
        "{:.2}",
        median(&pairs, |(own, first)| value(own) / value(first))
    )
}

fn kb<T>(own: &[T], bytes: impl Fn(&T) -> usize) -> String {
    format!("{:.2} KB", median(own, |one| bytes(one) as f64) / 1024.0)
}

fn median<T>(of: &[T], value: impl Fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = of.iter().map(value).collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
